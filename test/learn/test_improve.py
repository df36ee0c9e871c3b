# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every round learns from all so far, only what is better is kept, and a kill costs little."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.stripe_drives import RECIPE, write_drive
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.common.assets import CONTRACT_FILE
from liquid_control.common.errors import ConfigError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract
from liquid_control.contract.modes import Mode
from liquid_control.learn.data.ingest import bag_digest
from liquid_control.learn.export.exporter import ExportError
from liquid_control.learn.export.rebuild import recipe_of
from liquid_control.learn.improve import loop as improve_module
from liquid_control.learn.improve.collectors import RecordedCollector
from liquid_control.learn.improve.improvement import FILE, Evaluation, Improvement
from liquid_control.learn.improve.loop import improve
from liquid_control.learn.train.imitation import Imitation
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.trainer import train

SHORT = replace(RECIPE, holdout=0.0, fit=replace(RECIPE.fit, epochs=2, passes=0.5))
QUIET = Console(quiet=True)


@pytest.fixture(scope='module')
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy to start from, and the recording that it learnt from."""
    folder = tmp_path_factory.mktemp('home')
    bag = write_drive(folder / 'first', phase=0.3)
    train(
        [bag], SHORT, folder / 'start', store=folder / 'store', runs=folder / 'runs', console=QUIET
    )
    return folder


@dataclass
class Rehearsal:
    """A collector whose recordings and verdicts are known beforehand.

    scores: of the start and of each round's policy.
    """

    bags: Path
    scores: Sequence[float]
    recorded: list[tuple[int, str]] = field(default_factory=list)
    evaluated: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=lambda: {'collector': 'rehearsal'})

    def recipe(self, recipe: Recipe) -> Recipe:
        return recipe

    def record(self, number: int, policy: Path, folder: Path) -> list[Path]:
        self.recorded.append((number, load_bundle(policy).digest))
        path = self.bags / f'round_{number}'
        return [path if path.exists() else write_drive(path, phase=float(number), seconds=2.0)]

    def describe(self, bags: Sequence[Path]) -> dict[str, float]:
        return {'recordings': float(len(bags))}

    def evaluate(self, policy: Path) -> Evaluation:
        self.evaluated.append(policy.parent.name)
        number = int(policy.parent.name.removeprefix('round_')) if 'round_' in str(policy) else 0
        return Evaluation((self.scores[number],), {'failures': self.scores[number]})


def run(home: Path, folder: Path, collector: Rehearsal, rounds: int = 2, **options: Any) -> Any:
    return improve(
        home / 'start',
        folder / 'better',
        SHORT,
        collector,
        rounds=rounds,
        bags=[home / 'first'],
        store=home / 'store',
        runs=folder / 'runs',
        console=QUIET,
        **options,
    )


def learnt_from(bundle: Path) -> set[str]:
    return {entry['bag'] for entry in load_bundle(bundle).contract.provenance['datasets']}


def test_every_round_learns_from_all_so_far_and_the_best_is_written(
    home: Path, tmp_path: Path
) -> None:
    collector = Rehearsal(tmp_path, scores=[3.0, 2.0, 1.0])
    told: list[int] = []
    result = run(
        home,
        tmp_path,
        collector,
        command='liquid-control improve ...',
        on_round=lambda folder: told.append(
            len(json.loads((folder / FILE).read_text())['rounds'])
        ),
    )
    assert [entry.kept for entry in result.rounds] == [True, True, True]
    digests = [entry.digest for entry in result.rounds]
    assert collector.recorded == [(1, digests[0]), (2, digests[1])]  # the best so far drives
    assert learnt_from(Path(result.rounds[1].policy)) == {'first', 'round_1'}
    assert learnt_from(tmp_path / 'better') == {'first', 'round_1', 'round_2'}
    assert told == [1, 2, 3]
    contract = load_bundle(tmp_path / 'better').contract
    assert contract.name == 'better'
    assert contract.provenance['after'] == {'failures': 1.0}
    card = (tmp_path / 'better' / 'README.md').read_text()
    assert digests[0] in card
    assert 'liquid-control improve ...' in card
    assert all(entry['sha256'] in card for entry in contract.provenance['datasets'])


def test_a_round_that_is_not_better_is_left_out_but_its_recordings_stay(
    home: Path, tmp_path: Path
) -> None:
    collector = Rehearsal(tmp_path, scores=[2.0, 2.0, 1.0])
    result = run(home, tmp_path, collector)
    assert [entry.kept for entry in result.rounds] == [True, False, True]
    assert {digest for _, digest in collector.recorded} == {result.rounds[0].digest}
    assert learnt_from(tmp_path / 'better') == {'first', 'round_1', 'round_2'}


def test_where_no_round_is_better_nothing_is_written(home: Path, tmp_path: Path) -> None:
    result = run(home, tmp_path, Rehearsal(tmp_path, scores=[1.0, 2.0]), rounds=1)
    assert result.best.number == 0
    assert not (tmp_path / 'better').exists()


def test_a_killed_improvement_goes_on_in_the_round_it_was_in(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(home, tmp_path / 'whole', Rehearsal(tmp_path / 'whole', scores=[3.0, 2.0, 1.0]))

    class Killed(BaseException):
        pass

    start, epochs = Imitation.on_train_batch_start, []

    def die(module: Imitation, *arguments: Any) -> None:
        epochs.append(module.current_epoch)
        if len(trained) == 2 and module.current_epoch == 1:
            raise Killed
        start(module, *arguments)

    trained: list[Path] = []

    def counted(bags: Sequence[Path], recipe: Recipe, path: Path, **options: Any) -> Any:
        trained.append(path)
        return train(bags, recipe, path, **options)

    monkeypatch.setattr(improve_module, 'train', counted)
    collector = Rehearsal(tmp_path / 'killed', scores=[3.0, 2.0, 1.0])
    with monkeypatch.context() as patch:
        patch.setattr(Imitation, 'on_train_batch_start', die)
        with pytest.raises(Killed):
            run(home, tmp_path / 'killed', collector)
    assert collector.evaluated == [home.name, 'round_1']

    again = run(home, tmp_path / 'killed', collector)
    assert collector.evaluated == [home.name, 'round_1', 'round_2']  # rounds done stay done
    assert [path.parent.name for path in trained] == ['round_1', 'round_2', 'round_2']
    weights = [Path(result.rounds[2].policy) / 'weights.npz' for result in (whole, again)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    # Done is done: nothing happens, more rounds can follow.
    run(home, tmp_path / 'killed', collector)
    assert len(collector.evaluated) == 3


def test_ctrl_c_in_training_ends_the_loop_and_makes_no_policy(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Imitation.on_train_batch_start

    def press(module: Imitation, *arguments: Any) -> None:
        start(module, *arguments)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(Imitation, 'on_train_batch_start', press)
        with pytest.raises(KeyboardInterrupt):
            run(home, tmp_path, Rehearsal(tmp_path, scores=[2.0, 1.0]), rounds=1)
    assert signal.getsignal(signal.SIGINT) is before
    assert not (tmp_path / 'runs' / 'better' / 'round_1' / 'better').exists()
    assert len(json.loads((tmp_path / 'runs' / 'better' / FILE).read_text())['rounds']) == 1


def test_rounds_of_other_settings_are_not_mixed(home: Path, tmp_path: Path) -> None:
    collector = Rehearsal(tmp_path, scores=[1.0, 2.0])
    run(home, tmp_path, collector, rounds=0)
    collector.settings = {'collector': 'another'}
    with pytest.raises(ConfigError, match=r'other settings \(collector\)'):
        run(home, tmp_path, collector, rounds=0)


def test_a_policy_is_not_written_over_itself(home: Path) -> None:
    with pytest.raises(ConfigError, match='name another directory'):
        improve(home / 'start', home / 'start', SHORT, Rehearsal(home, [1.0]), rounds=1)


def test_recordings_make_a_policy_better_and_evaluate_it_on_those_it_has_not_seen(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bags = [home / 'first', *(write_drive(tmp_path / f'new_{i}', phase=i + 1.0) for i in range(2))]
    thorough = replace(SHORT, fit=replace(SHORT.fit, epochs=6, passes=6.0))
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text(json.dumps(asdict(thorough)))
    result = CliRunner().invoke(
        app,
        [
            'improve',
            *map(str, bags),
            *('--from', str(home / 'start')),
            *('--out', 'models/mine'),
            *('--recipe', str(recipe)),
        ],
    )
    assert result.exit_code == 0, result.output
    folder = tmp_path / 'out' / 'improve' / 'mine'
    history = Improvement.resume('mine', {}, folder)
    before, after = (entry.evaluation for entry in history.rounds)
    assert after.score < before.score
    evaluated = {entry['bag'] for entry in after.details}
    assert len(evaluated) == 1
    assert evaluated < {'new_0', 'new_1'}
    assert learnt_from(tmp_path / 'models' / 'mine') == {'first', 'new_0', 'new_1'} - evaluated
    assert 'steering_angle, mean error, rad' in (folder / 'report.html').read_text()


def test_recordings_are_evaluated_only_where_a_person_drove(home: Path, tmp_path: Path) -> None:
    alone = [
        write_drive(tmp_path / f'alone_{i}', phase=i + 3.0, seconds=1.0, mode=Mode.AUTONOMOUS)
        for i in range(3)
    ]
    person = write_drive(tmp_path / 'person', phase=2.0, seconds=1.0, mode=Mode.DISENGAGED)
    bags = [home / 'first', *alone, person]
    collector = RecordedCollector(
        bags, home / 'start', SHORT, store=tmp_path / 'store', console=QUIET
    )
    assert collector.settings['held out'] == [bag_digest(person)]
    assert collector.record(1, home / 'start', tmp_path) == [home / 'first', *alone]
    (evaluated,) = collector.evaluate(home / 'start').details
    assert evaluated == {'bag': 'person', 'evaluated, s': pytest.approx(1.0, abs=0.1)}
    with pytest.raises(ConfigError, match='a person drove in 1 of the 4 recordings given'):
        RecordedCollector(
            [home / 'first', *alone], home / 'start', SHORT, store=tmp_path / 'store'
        )


def test_recordings_that_are_all_known_cannot_evaluate(home: Path) -> None:
    with pytest.raises(ConfigError, match='0 of them new'):
        RecordedCollector([home / 'first'], home / 'start', SHORT, store=home / 'store')


@pytest.mark.parametrize('said', [5, None, 'a', [3], [{'sha256': [1]}], {'a': 1}])
def test_whatever_a_bundle_says_of_its_past_it_can_be_improved(
    home: Path, tmp_path: Path, said: object
) -> None:
    start = shutil.copytree(home / 'start', tmp_path / 'start')
    contract = Contract.parse((start / CONTRACT_FILE).read_bytes())
    replace(contract, provenance={'datasets': said}).dump(start / CONTRACT_FILE)
    with pytest.raises(ConfigError, match='1 of them new'):
        RecordedCollector([home / 'first'], start, SHORT, store=home / 'store', console=QUIET)


def test_a_policy_s_own_contract_is_recipe_enough_to_go_on_from_it(home: Path) -> None:
    recipe = recipe_of(load_bundle(home / 'start').contract)
    assert recipe.signals == SHORT.signals
    assert recipe.network == SHORT.network


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ([], '0 of the 0 recordings given'),
        (['--rounds', '1', '--evaluation-seeds', '2000'], 'evaluate on smaller ones'),
        (['--rounds', '1', '--evaluation-seeds', 'all'], '--evaluation-seeds must be like'),
        (['--rounds', '1', '--drives', '0'], 'found 0 drives'),
    ],
)
def test_a_wrong_option_is_one_line(
    options: list[str], message: str, home: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(
        app, ['improve', '--from', str(home / 'start'), '--out', str(tmp_path / 'x'), *options]
    )
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_where_nothing_can_be_written_no_round_begins(home: Path, tmp_path: Path) -> None:
    (tmp_path / 'better').mkdir()
    (tmp_path / 'better' / 'thesis.txt').write_text('precious')
    collector = Rehearsal(tmp_path, scores=[2.0, 1.0])
    with pytest.raises(ExportError, match='no policy bundle but something else'):
        run(home, tmp_path, collector, rounds=1)
    assert not collector.evaluated
