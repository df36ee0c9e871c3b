# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A bundle says what its network is: built again it is the same, nothing else is trained on."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from support import recordings as rec
from support.exports import make_network, make_steps, write
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.common.assets import CONTRACT_FILE
from liquid_control.common.errors import BundleError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract
from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.export.exporter import precision_of
from liquid_control.learn.export.parity import ParityError, run_bundle, run_network
from liquid_control.learn.export.rebuild import load_network, load_policy, recipe_of
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.recipe_file import load_recipe

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.name for path in (ROOT / 'models').iterdir())


def shipped_steps(contract: Contract, count: int = 40) -> Steps:
    """Coarse random images and an IMU that shakes."""
    rng = np.random.default_rng(0)
    seen = {}
    for name, spec in contract.inputs.items():
        if name in contract.images:
            size = count, spec.height // 8, spec.width // 8, 3
            images = rng.integers(0, 256, size, dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
            seen[name] = torch.from_numpy(images)
        else:
            seen[name] = torch.from_numpy(rng.normal(size=(count, spec.width))).float()
    return Steps(
        inputs=seen,
        elapsed=torch.full((count,), 0.05),
        commands=torch.zeros(count, len(contract.commands)),
        weights=torch.ones(count),
    )


@pytest.mark.parametrize('name', SHIPPED)
def test_a_shipped_bundle_can_be_built_again_from_what_it_says(name: str) -> None:
    path = ROOT / 'models' / name
    contract = load_bundle(path).contract
    recipe = load_recipe(ROOT / 'config' / 'training' / f'{name}.yaml')
    assert recipe_of(contract).network_config() == recipe.network_config()
    steps = shipped_steps(contract)
    expected = run_bundle(path, steps)
    notes = contract.provenance.get('notes', {})  # what was not learnt keeps to its mean
    learnt = [name not in notes for name in contract.command_names]
    assert learnt[0]
    assert np.ptp(expected, axis=0)[learnt].min() > 0.01
    atol = 1e-5 if precision_of(contract) == 'float32' else 1e-3
    np.testing.assert_allclose(run_network(load_policy(path), steps), expected, atol=atol)


@pytest.mark.parametrize(
    'changes',
    [
        {'encoder': 'keypoints', 'channels': (8, 8, 12), 'keypoints': 6, 'dropout': 0.5},
        {'sparsity': 0.3, 'wiring_seed': 7},
        {'cell': 'ltc', 'solver': 'fused', 'unfolds': 3},
        {'cell': 'cfc-dense'},
    ],
)
def test_whatever_shape_a_network_has_its_bundle_says_it(tmp_path: Path, changes: dict) -> None:
    network = make_network(**changes)
    write(tmp_path / 'stripe', network)
    again, steps = load_network(tmp_path / 'stripe'), make_steps()
    assert again.config == network.config
    np.testing.assert_array_equal(run_network(again, steps), run_network(network, steps))
    shape = load_bundle(tmp_path / 'stripe').contract.network.config
    assert set(changes) <= set(shape)
    assert 'wiring_seed' in (tmp_path / 'stripe' / 'README.md').read_text() or (
        changes.get('cell') == 'cfc-dense'
    )


def test_a_bundle_that_does_not_say_what_its_network_is_drives_and_is_not_guessed_about(
    tmp_path: Path,
) -> None:
    write(tmp_path / 'stripe', make_network(encoder='keypoints'))
    file = tmp_path / 'stripe' / CONTRACT_FILE
    document = yaml.safe_load(file.read_text())
    del document['network']['config']
    file.write_text(yaml.safe_dump(document))
    assert len(run_bundle(tmp_path / 'stripe', make_steps())) == 60
    with pytest.raises(BundleError, match=r'config is empty: .* name the --recipe'):
        load_network(tmp_path / 'stripe')


def test_weights_of_another_network_than_the_graph_are_not_looked_into(tmp_path: Path) -> None:
    for seed in (0, 1):
        write(tmp_path / str(seed), make_network(seed=seed))
    shutil.copy(tmp_path / '0' / 'weights.npz', tmp_path / '1' / 'weights.npz')
    load_network(tmp_path / '0')
    with pytest.raises(ParityError, match=r'of its graph differs by .* of its range from what'):
        load_network(tmp_path / '1')


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'cell': 'lsmt'}, 'cell must be one of cfc, ltc, cfc-dense'),
        ({'cels': 'cfc'}, 'unknown field cels'),
        ({'neurons': 10**9}, 'neurons must be within 4..4096'),
        ({'unfolds': 10**9}, 'unfolds must be within'),
        ({'neurons': 10**18}, 'neurons must be a short text or a number'),
        ({'cell': {'deep': 1}}, 'cell must be a short text or a number'),
        ({'cell': 'x' * 101}, 'cell must be a short text or a number'),
        ({'dropout': float('nan')}, 'dropout must be a short text or a number'),
        ({'channels': [1] * 33}, 'channels is too long'),
        ({str(i): 1 for i in range(33)}, 'at most 32 entries, found 33'),
    ],
)
def test_a_description_that_describes_nothing_is_refused(
    tmp_path: Path, config: dict, message: str
) -> None:
    write(tmp_path / 'stripe')
    file = tmp_path / 'stripe' / CONTRACT_FILE
    document = yaml.safe_load(file.read_text())
    document['network']['config'] = config
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(BundleError, match=message):
        load_network(shutil.move(tmp_path / 'stripe', tmp_path / 'moved'))


def camera_drive(path: Path, first: int) -> Path:
    """A second of images as the Donkeycar's camera makes them, and normalised commands."""
    entries = []
    for index in range(24):
        at = rec.START_NS + index * 50_000_000
        entries.append(rec.image_entry(first + index, at))
        entries.append(rec.command_entry(at, 0.4 + 0.01 * (index % 5), math.sin(first + index)))
    return rec.write_bag(path, entries)


def test_improving_a_shipped_policy_goes_on_with_its_own_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bags = [camera_drive(tmp_path / f'new_{i}', 100 * i) for i in range(3)]
    options = ('fit.min_steps=1', 'fit.batch_size=2', 'timing.steps=8', 'holdout=0')
    result = CliRunner().invoke(
        app,
        [
            *('improve', *map(str, bags), '--from', 'donkeycar_cfc', '--out', 'better'),
            *('--epochs', '1', *(word for option in options for word in ('--set', option))),
        ],
    )
    assert result.exit_code == 0, result.output
    assert 'donkeycar_cfc: encoder of image, core\n' in result.stderr
    contract = load_bundle('out/improve/better/round_1/better').contract
    shipped = load_bundle(ROOT / 'models' / 'donkeycar_cfc').contract
    assert contract.network.config == shipped.network.config
    assert contract.commands == shipped.commands
    assert contract.provenance['encoder']['precision'] == 'float16'


def test_training_from_a_policy_keeps_what_the_recipe_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signals too: the same recording without --from would make a car's commands of it."""
    monkeypatch.chdir(tmp_path)
    seen: list[Recipe] = []
    monkeypatch.setattr(
        'liquid_control.learn.train.trainer.train',
        lambda bags, recipe, *_, **__: seen.append(recipe),
    )
    bag = camera_drive(tmp_path / 'bag', 0)
    command = ['train', str(bag), '--out', 'x', '--from', 'donkeycar_cfc', '--neurons', '12']
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    (recipe,) = seen
    shipped = load_recipe(ROOT / 'config' / 'training' / 'donkeycar_cfc.yaml')
    assert recipe.network == replace(shipped.network, neurons=12)
    assert recipe.signals == shipped.signals
