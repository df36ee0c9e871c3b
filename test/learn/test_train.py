# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training from bags to a bundle: it learns, it repeats itself, it survives being stopped."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from support.kills import die_in_the_last_epoch, run_killed
from support.stripe_drives import RECIPE, write_drive
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.common.errors import BundleError, ConfigError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract
from liquid_control.learn.data import split
from liquid_control.learn.data.dataset import add_bags
from liquid_control.learn.train.imitation import Imitation
from liquid_control.learn.train.recipe import Fit, Network, Recipe
from liquid_control.learn.train.trainer import train
from liquid_control.learn.train.weights import WEIGHTS_FILE
from liquid_control.nn.policy import PolicyNetwork

THOROUGH = replace(
    RECIPE, holdout=0.34, fit=replace(RECIPE.fit, epochs=8, passes=6, learning_rate=1e-2)
)
SIGNALS = 'signals: {commands: [{name: steering, unit: "1", min: -1.0, max: 1.0}]}'


@pytest.fixture(scope='module')
def bags(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp('drives')
    return [write_drive(folder / f'drive_{i}', phase=1.7 * i) for i in range(3)]


def run(bags: list[Path], folder: Path, recipe: Recipe = RECIPE, **options: object) -> Contract:
    options.setdefault('console', Console(quiet=True))
    return train(
        bags,
        recipe,
        folder / 'policy',
        store=folder.parent / 'store',
        runs=folder / 'runs',
        **options,  # type: ignore[arg-type]
    )


def weights(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / 'policy' / WEIGHTS_FILE) as file:
        return {name: file[name] for name in file.files}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture(scope='module')
def trained(bags: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('trained')
    run(bags, folder, THOROUGH, command='liquid-control train ...')
    return folder


def test_a_policy_learns_to_steer_by_what_it_sees(trained: Path, bags: list[Path]) -> None:
    contract = load_bundle(trained / 'policy').contract
    facts = contract.provenance
    assert facts['metrics']['validation, steering_angle']['r2'] > 0.8
    assert [entry['used for'] for entry in facts['datasets']].count('validation') == 1
    assert len({entry['sha256'] for entry in facts['datasets']}) == len(bags)
    card = (trained / 'policy' / 'README.md').read_text()
    assert 'liquid-control train ...' in card
    assert all(entry['sha256'] in card for entry in facts['datasets'])
    assert list((trained / 'runs' / 'policy').glob('events.out.tfevents.*'))  # TensorBoard's


@pytest.mark.parametrize(('long_enough', 'epochs'), [(0.0, '012'), (1000.0, '0123')])
def test_training_stops_when_held_out_episodes_long_enough_are_not_followed_better(
    bags: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    long_enough: float,
    epochs: str,
) -> None:
    monkeypatch.setattr(split, 'LONG_ENOUGH_TO_CHOOSE', long_enough)
    stuck = replace(
        RECIPE,
        holdout=0.34,
        fit=Fit(epochs=4, passes=0.1, min_steps=1, batch_size=4, learning_rate=1e-12, patience=2),
    )
    run(bags, tmp_path, stuck)
    rows = (tmp_path / 'runs' / 'policy' / 'metrics.csv').read_text().splitlines()[1:]
    assert {row.split(',')[0] for row in rows} == set(epochs)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    bags: list[Path], tmp_path: Path
) -> None:
    short = replace(RECIPE, holdout=0.0, fit=replace(RECIPE.fit, epochs=2, passes=1.0))
    for name in ('first', 'second'):
        run(bags[:1], tmp_path / name, short)
    assert same(weights(tmp_path / 'first'), weights(tmp_path / 'second'))
    run(bags[:1], tmp_path / 'other', replace(short, fit=replace(short.fit, seed=2)))
    assert not same(weights(tmp_path / 'first'), weights(tmp_path / 'other'))


def test_a_killed_training_resumes_to_the_same_weights(bags: list[Path], tmp_path: Path) -> None:
    recipe = replace(
        RECIPE,
        holdout=0.0,
        network=replace(RECIPE.network, dropout=0.2, members=2),
        fit=replace(RECIPE.fit, epochs=3, passes=1.0),
    )
    run(bags[:1], tmp_path / 'whole', recipe)

    folder = tmp_path / 'killed'
    run_killed(
        die_in_the_last_epoch,
        bags[:1],
        recipe,
        folder / 'policy',
        tmp_path / 'store',
        folder / 'runs',
        torch.get_num_threads(),
    )
    assert not (folder / 'policy').exists()
    run(bags[:1], folder, recipe, resume=True)
    assert same(weights(tmp_path / 'whole'), weights(folder))


def test_two_processes_train_what_one_does(bags: list[Path], tmp_path: Path) -> None:
    recipe = replace(
        RECIPE, holdout=0.34, network=Network(neurons=8), fit=replace(RECIPE.fit, epochs=2)
    )
    run(bags, tmp_path / 'one', recipe)
    plain = yaml.safe_dump(json.loads(json.dumps(asdict(recipe))))
    (tmp_path / 'recipe.yaml').write_text(plain)
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    verb = [
        '-m',
        'liquid_control.cli',
        'train',
        *map(str, bags),
        '--recipe',
        '../recipe.yaml',
    ]
    (tmp_path / 'two').mkdir()
    result = subprocess.run(
        [*torchrun, '--nproc-per-node', '2', *verb, '--out', 'policy'],
        cwd=tmp_path / 'two',
        env={**os.environ, 'GLOO_SOCKET_IFNAME': 'lo', 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count('epoch 2/2') == 1
    one, two = weights(tmp_path / 'one'), weights(tmp_path / 'two')
    start = PolicyNetwork(recipe.network_config()).state_dict()
    for name in one:
        np.testing.assert_allclose(two[name], one[name], atol=1e-3, err_msg=name)
    assert max(np.abs(one[name] - start[name].numpy()).max() for name in one) > 0.02
    cards = [
        load_bundle(tmp_path / name / 'policy').contract.provenance for name in ('one', 'two')
    ]
    assert cards[0]['datasets'] == cards[1]['datasets']


def test_a_batch_that_processes_cannot_share_is_refused(
    bags: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {'WORLD_SIZE': '3', 'RANK': '0', 'LOCAL_WORLD_SIZE': '3'}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match='8 windows cannot be shared evenly by 3 processes'):
        run(bags[:1], tmp_path, replace(RECIPE, holdout=0.0))


def test_a_dataset_and_its_bags_give_the_same_weights(bags: list[Path], tmp_path: Path) -> None:
    short = replace(RECIPE, holdout=0.0, fit=replace(RECIPE.fit, epochs=1, passes=1.0))
    add_bags(bags, RECIPE.signals, tmp_path / 'dataset', Console(quiet=True))
    run(bags, tmp_path / 'bags', short)
    run([tmp_path / 'dataset'], tmp_path / 'data', short)
    assert same(weights(tmp_path / 'bags'), weights(tmp_path / 'data'))


def test_resuming_with_another_recipe_or_without_a_run_is_refused(
    bags: list[Path], tmp_path: Path
) -> None:
    short = replace(RECIPE, holdout=0.0, fit=replace(RECIPE.fit, epochs=1, passes=0.1))
    with pytest.raises(ConfigError, match='nothing to resume'):
        run(bags[:1], tmp_path / 'run', short, resume=True)
    run(bags[:1], tmp_path / 'run', short)
    with pytest.raises(ConfigError, match='trained with another recipe'):
        run(bags[:1], tmp_path / 'run', replace(short, control_rate=10.0), resume=True)


def test_ctrl_c_ends_training_and_writes_what_was_learnt(
    bags: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Imitation.on_train_batch_start

    def press(module: Imitation, *arguments: Any) -> None:
        start(module, *arguments)
        if module.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Imitation, 'on_train_batch_start', press)
    before = signal.getsignal(signal.SIGINT)
    endless = replace(RECIPE, holdout=0.34, fit=replace(RECIPE.fit, epochs=10_000))
    run(bags, tmp_path, endless)
    assert load_bundle(tmp_path / 'policy').contract.name == 'policy'
    assert signal.getsignal(signal.SIGINT) is before


def test_another_cell_starts_from_the_encoder_of_a_bundle(
    trained: Path, bags: list[Path], tmp_path: Path
) -> None:
    frozen = Fit(epochs=1, passes=0.1, min_steps=1, learning_rate=1e-12, weight_decay=0.0)
    ltc = replace(RECIPE, holdout=0.0, network=Network(cell='ltc', neurons=8), fit=frozen)
    run(bags[:1], tmp_path, ltc, warm_start=trained / 'policy')
    before, after = weights(trained), weights(tmp_path)
    encoder = [name for name in after if name.startswith('encoders.')]
    assert encoder
    for name in encoder:
        np.testing.assert_allclose(after[name], before[name], atol=1e-6)


def test_going_on_with_another_solver_is_said(bags: list[Path], tmp_path: Path) -> None:
    short = Fit(epochs=1, passes=0.1, min_steps=1)
    midpoint = replace(RECIPE, holdout=0.0, network=Network(cell='ltc', neurons=8), fit=short)
    run(bags[:1], tmp_path / 'first', midpoint)

    def said(recipe: Recipe, folder: Path) -> str:
        console = Console(file=io.StringIO(), width=200)
        run(bags[:1], folder, recipe, warm_start=tmp_path / 'first' / 'policy', console=console)
        return console.file.getvalue()  # type: ignore[attr-defined]

    fused = replace(midpoint, network=replace(midpoint.network, solver='fused', unfolds=6))
    assert 'solved with' not in said(midpoint, tmp_path / 'same')
    assert (
        'its neurons were solved with exponential_midpoint, 2 unfolds; '
        'they go on with fused, 6 unfolds'
    ) in said(fused, tmp_path / 'other')


def test_a_start_from_weights_that_do_not_fit_is_refused(
    trained: Path, bags: list[Path], tmp_path: Path
) -> None:
    image: Any = RECIPE.signals.inputs['image']
    inputs = {**RECIPE.signals.inputs, 'image': replace(image, features=9)}
    other = replace(RECIPE, signals=replace(RECIPE.signals, inputs=inputs))
    with pytest.raises(BundleError, match='fit neither an encoder nor the core'):
        run(bags[:1], tmp_path, other, warm_start=trained / 'policy')


def test_the_command_learns_from_a_bag_alone(
    bags: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app,
        [
            *('train', str(bags[0]), '--out', 'models/mine', '--epochs', '1'),
            *('--neurons', '8', '--set', 'fit.min_steps=1'),
        ],
    )
    assert result.exit_code == 0, result.output
    contract = load_bundle(tmp_path / 'models' / 'mine').contract
    assert contract.command_names == ('steering_angle', 'speed')
    assert contract.inputs.keys() == {'image', 'imu'}
    assert contract.network.neurons == 8


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('fit: {epoch: 3}', 'fit: unknown field epoch'),
        ('control_rate: fast', 'control_rate must be a float'),
        ('network: {cell: lsmt}', 'cell must be one of cfc, ltc, cfc-dense, cfc-mixed-memory'),
        (
            'network: {cell: ltc, solver: dopri5}',
            'solver of ltc must be one of exponential_mid',
        ),
        ('network: {unfolds: 0}', 'unfolds must be within 1..4096, found 0'),
        ('[', 'not valid YAML'),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_field(
    text: str, message: str, bags: list[Path], tmp_path: Path
) -> None:
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text(text if text == '[' else f'{SIGNALS}\n{text}')
    result = CliRunner().invoke(
        app, ['train', str(bags[0]), '--out', str(tmp_path / 'p'), '--recipe', str(recipe)]
    )
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_missing_bag_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ['train', 'nowhere', '--out', str(tmp_path / 'p')])
    assert result.exit_code == 1
    assert 'nowhere' in result.stderr
    assert not (tmp_path / 'p').exists()
