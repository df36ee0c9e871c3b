# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training says what it does and what came of it, and a policy is not worse than a constant."""

from __future__ import annotations

import io
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from support.exports import make_network
from support.stripe_drives import COMMANDS, RECIPE, write_drive

from liquid_control.common.errors import ConfigError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract
from liquid_control.learn.data import split
from liquid_control.learn.export.exporter import ExportError
from liquid_control.learn.train import callbacks
from liquid_control.learn.train.imitation import Imitation
from liquid_control.learn.train.recipe import Augment, Fit, Recipe
from liquid_control.learn.train.scores import scores
from liquid_control.learn.train.trainer import train

torch.set_num_threads(1)
PLAIN = Augment(gamma=0.0, tint=0.0, shadow=0.0, noise=0.0)
SHORT = replace(RECIPE, augment=PLAIN, fit=Fit(epochs=1, passes=0.1, min_steps=1, batch_size=8))


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp('drives') / 'drive', seconds=12.0, sway=0.4)


def run(bag: Path, folder: Path, recipe: Recipe, **options: object) -> tuple[Contract, str]:
    """The contract, and what was said on the way."""
    console = Console(file=io.StringIO(), width=300)
    contract = train(
        [bag],
        recipe,
        folder / 'policy',
        store=folder / 'store',
        runs=folder / 'runs',
        console=console,
        **options,  # type: ignore[arg-type]
    )
    assert contract is not None
    return contract, console.file.getvalue()  # type: ignore[attr-defined]


def epochs_of(folder: Path) -> int:
    rows = (folder / 'runs' / 'policy' / 'metrics.csv').read_text().splitlines()[1:]
    return max(int(row.split(',')[0]) for row in rows) + 1


def test_seconds_of_driving_are_enough_steps_to_learn_from(bag: Path, tmp_path: Path) -> None:
    """Also a command that varies by a few hundredths of its range."""
    thorough = replace(RECIPE, augment=PLAIN, fit=Fit(epochs=4, learning_rate=2e-2))
    contract, said = run(bag, tmp_path, thorough)
    assert 'in batches of 4: 50 steps an epoch, 4 epochs, at most 200 steps' in said
    metrics = contract.provenance['metrics']
    assert metrics['validation, steering_angle']['r2'] > 0.7
    assert metrics['training, speed']['r2'] > 0.7
    assert 'notes' not in contract.provenance


def test_what_is_held_out_and_how_long_it_takes_is_said(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, 'EVERY', 0.0)
    contract, said = run(bag, tmp_path, replace(SHORT, fit=replace(SHORT.fit, min_steps=3)))
    lines = said.splitlines()
    assert 'held out to evaluate on: the end of drive, 2.0 of 12.0 s' in lines
    assert contract.provenance['held out'] == 'the end of drive, 2.0 of 12.0 s'
    steps = [line for line in lines if line.startswith('step ')]
    assert [line.split('  ')[0] for line in steps[:3]] == [f'step {i} of 3' for i in (1, 2, 3)]
    assert all('so far, at most' in line for line in steps)
    assert any(line.startswith('epoch 1/1  ') for line in lines)


def test_a_line_comes_only_now_and_then(bag: Path, tmp_path: Path) -> None:
    assert callbacks.EVERY <= 30
    _, said = run(bag, tmp_path, replace(SHORT, fit=replace(SHORT.fit, min_steps=3)))
    assert 'step 1 of 3' not in said


def test_a_command_that_was_not_learnt_is_named_and_a_speed_gives_its_mean(
    bag: Path, tmp_path: Path
) -> None:
    hopeless = replace(SHORT.fit, learning_rate=1e-12)
    contract, said = run(bag, tmp_path, replace(SHORT, fit=hopeless))
    notes = contract.provenance['notes']
    assert 'speed was not learnt: R² -' in notes['speed']
    assert 'the policy gives its mean, 1' in notes['speed']
    assert 'do not rely on it' in notes['steering_angle']
    assert all(note in ' '.join(said.split()) for note in notes.values())
    card = (tmp_path / 'policy' / 'README.md').read_text()
    assert 'Not learnt well' in card
    # The mean of the training part is within a deviation of the judged part's.
    assert contract.provenance['metrics']['training, speed']['r2'] == pytest.approx(0.0, abs=0.05)


def test_a_poor_fit_of_the_training_data_themselves_is_a_warning(
    bag: Path, tmp_path: Path
) -> None:
    weak = replace(RECIPE, holdout=0.0, fit=Fit(epochs=1, min_steps=20, learning_rate=2e-3))
    contract, said = run(bag, tmp_path, weak)
    r2 = contract.provenance['metrics']['training, steering_angle']['r2']
    assert r2 < 0.5
    assert 'steering_angle was' in said
    assert '--epochs' in contract.provenance['notes']['steering_angle']


def test_a_constant_command_is_called_constant(tmp_path: Path) -> None:
    steady = write_drive(tmp_path / 'steady', seconds=4.0)
    contract, said = run(steady, tmp_path, SHORT)
    assert contract.provenance['metrics']['training, speed']['r2'] == 'constant'
    assert 'speed never changes in what was learnt from' in contract.provenance['notes']['speed']
    assert 'speed never changes' in said
    card = (tmp_path / 'policy' / 'README.md').read_text()
    assert 'constant' in card
    written = (tmp_path / 'policy' / 'policy.yaml').read_text()
    assert not re.search(r'\bnan\b', card + said + written)
    assert load_bundle(tmp_path / 'policy').contract == contract


def test_scores_of_a_command_that_is_never_known_are_left_out() -> None:
    recorded = torch.tensor([[0.1, float('nan')], [0.2, float('nan')]])
    found = scores(torch.zeros(2, 2), recorded, COMMANDS)
    assert found['speed'] == {'r2': 'unknown'}
    assert found['steering_angle']['rmse'] == pytest.approx(0.158, abs=1e-3)


def test_a_finished_training_goes_on_with_more_epochs(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split, 'LONG_ENOUGH_TO_CHOOSE', 0.0)
    two = replace(SHORT, fit=replace(SHORT.fit, epochs=2, patience=1, learning_rate=1e-12))
    run(bag, tmp_path, two)
    assert epochs_of(tmp_path) == 2
    # It had waited for as long as its patience lasts, and waits anew.
    run(bag, tmp_path, replace(two, fit=replace(two.fit, epochs=3)), resume=True)
    assert epochs_of(tmp_path) == 3
    with pytest.raises(ConfigError, match='for 3 epochs: --resume goes on for as many or for mo'):
        run(bag, tmp_path, two, resume=True)


def test_resuming_what_is_finished_writes_the_same_policy_again(bag: Path, tmp_path: Path) -> None:
    first, _ = run(bag, tmp_path, SHORT)
    again, _ = run(bag, tmp_path, SHORT, resume=True)
    assert again.hashes == first.hashes
    (tmp_path / 'runs' / 'policy' / 'last.ckpt').write_bytes(b'junk')
    with pytest.raises(ConfigError, match='is damaged; train without --resume'):
        run(bag, tmp_path, SHORT, resume=True)


def test_a_training_does_not_go_on_with_other_recordings(bag: Path, tmp_path: Path) -> None:
    run(bag, tmp_path, SHORT)
    other = write_drive(tmp_path / 'other', seconds=4.0)
    with pytest.raises(ConfigError, match='trained with other recordings'):
        run(other, tmp_path, SHORT, resume=True)


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file may grow beyond the limit, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_nothing_can_be_written_no_training_begins(bag: Path, tmp_path: Path) -> None:
    (tmp_path / 'a_file').write_text('precious')
    (tmp_path / 'a_folder').mkdir()
    (tmp_path / 'a_folder' / 'thesis.txt').write_text('precious')
    for target, message in {
        tmp_path / 'a_file': 'no policy bundle but something else',
        tmp_path / 'a_folder': 'no policy bundle but something else',
        tmp_path / 'a_file' / 'policy': 'cannot be written: Not a directory',
        Path('/proc/policy'): 'cannot be written: No such file or directory',
        Path('.'): 'name must be 1 to 100 printable characters',
        Path('..'): 'name a directory to make',
        tmp_path / ('x' * 101): 'name must be 1 to 100 printable characters',
    }.items():
        with pytest.raises((ExportError, ConfigError, Exception), match=message) as caught:
            train([tmp_path / 'no_bag'], SHORT, target, runs=tmp_path / 'runs')
        assert '\n' not in str(caught.value)
    with small_files(1_000_000), pytest.raises(ExportError, match='File too large'):
        train([tmp_path / 'no_bag'], SHORT, tmp_path / 'policy', runs=tmp_path / 'runs')
    assert (tmp_path / 'a_file').read_text() == 'precious'
    assert {path.name for path in tmp_path.iterdir()} <= {'a_file', 'a_folder', 'runs'}


def test_what_the_robot_would_refuse_is_refused_before_training(tmp_path: Path) -> None:
    for changes, message in (
        ({'elapsed_range': (0.3, 0.2)}, 'increasing'),
        ({'network': replace(RECIPE.network, channels=(64, 128, 256))}, 'smaller image'),
    ):
        with pytest.raises(Exception, match=message):
            train([tmp_path / 'no_bag'], replace(SHORT, **changes), tmp_path / 'policy')


@torch.no_grad()
def test_a_new_network_begins_at_the_mean_and_reaches_as_far_as_commands_go() -> None:
    network = make_network()
    network.start_at([0.1, 2.5], [0.02, 0.001])
    outputs = torch.tensor([[0.0, 0.0], [1.0, 1.0], [-1.0, -1.0]])
    commands = network.commands(outputs)
    torch.testing.assert_close(commands[0], torch.tensor([0.1, 2.5]))
    assert (commands[1:, 0] - 0.1).abs() == pytest.approx([0.06, 0.06], abs=0.01)
    network.hold(1, 1.25)
    assert network.commands(outputs)[:, 1].tolist() == pytest.approx([1.25] * 3)


def test_a_command_that_is_not_followed_does_not_choose_the_weights() -> None:
    module = Imitation(make_network(), RECIPE, [0.1, 0.1])
    recorded = torch.tensor([[0.1, 1.0], [-0.1, 1.2]])
    near, far = recorded + torch.tensor([0.05, 0.3]), recorded + torch.tensor([0.08, 0.2])

    def judged(given: torch.Tensor) -> float:
        return float(module._chosen_by(given, recorded, torch.ones(2)))

    assert judged(near) < judged(far)
    assert judged(near) < judged(near + torch.tensor([0.0, 0.1]))  # worse is still worse
