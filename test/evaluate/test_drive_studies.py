# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Laps with disturbances: what went wrong is told apart, and so are policies, or not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.evaluate.evidence.drives import drive, hard, rates, robust
from liquid_control.evaluate.evidence.drives.lap import Lap, Untold, drive_lap
from liquid_control.evaluate.evidence.study import EvidenceError, Study, named
from liquid_control.rollout.collect import check_seed
from liquid_control.runtime.inference.policy import Policy

BUNDLE = Path(__file__).parents[2] / 'models' / 'track_cfc'
WORLD = 5000


def test_silent_cameras_end_in_a_watchdog_stop_and_pushes_in_a_departure() -> None:
    silent = drive_lap(BUNDLE, WORLD, disturbance='dropped', strength=0.95, most_failures=1)
    assert (silent.departures, silent.stops) == (0, 1)
    assert 'image' in silent.why
    again = drive_lap(BUNDLE, WORLD, disturbance='dropped', strength=0.95, most_failures=1)
    assert again == silent
    blind = drive_lap(BUNDLE, WORLD, disturbance='dropped', strength=1.0, most_failures=1)
    assert (blind.stops, blind.stuck) == (1, 0)
    assert 'never engaged' in blind.why
    pushed = drive_lap(BUNDLE, WORLD, disturbance='pushes', strength=1.0, most_failures=1)
    assert (pushed.departures, pushed.stops) == (1, 0)
    parked = {'parked': 1.0}
    hit = drive_lap(BUNDLE, 3000, difficulty=parked, most_failures=1)
    assert (hit.departures, hit.collisions, hit.stops) == (0, 1, 0)


def test_a_policy_that_is_not_told_believes_in_its_own_rate() -> None:
    policy = Policy.load(BUNDLE)
    told: list[float] = []
    policy.step = lambda inputs, elapsed: told.append(elapsed)  # type: ignore
    Untold(policy).step({}, 0.2)
    assert told == [1 / policy.contract.control_rate]


MEASURED = {
    **asdict(Lap(distance=25.0, duration=14.0, offset=0.02)),
    **{'threshold': '0.5', 'value': 0.5, 'trials': 4, 'tried': [(0.5, 1, 2)]},
}


def hard_study(bundles: list[Path], *, worlds: int) -> Study:
    return hard.study(bundles, {'night': 1.0}, worlds=worlds)


def made_up(name: str, offset: float, failures: int, count: int = 12) -> list:
    rng = np.random.default_rng(0)
    return [
        (
            {'name': name, 'world': world},
            asdict(
                Lap(
                    departures=failures * (world % 2),
                    distance=25.0,
                    duration=14.0,
                    offset=offset + 0.01 * rng.random(),
                )
            ),
        )
        for world in range(count)
    ]


def test_policies_that_differ_are_told_apart_with_what_could_have_been_seen() -> None:
    report = drive.summarise([*made_up('near', 0.01, 0), *made_up('far', 0.05, 1)])
    rows = {row['policy']: row for row in report.tables[0].rows}
    assert rows['near']['finished'].startswith('1 [0.7')
    assert rows['far']['departures/km'].startswith('20 [')
    differences = {row['difference of']: row for row in report.tables[1].rows}
    assert differences['offset']['told apart']
    assert differences['offset']['smallest to be seen'] < 0.04
    assert 'near and far' in report.verdict
    alike = drive.summarise([*made_up('one', 0.01, 0), *made_up('other', 0.01, 0)])
    assert 'none told apart' in alike.verdict


def test_policies_of_one_name_do_not_share_a_row(tmp_path: Path) -> None:
    copies = [tmp_path / folder / 'track_cfc' for folder in ('a', 'b')]
    for copy in (*copies, tmp_path / 'mine'):
        shutil.copytree(BUNDLE, copy)
    for make in (drive.study, rates.study, robust.study, hard_study):
        study = make([*copies, tmp_path / 'mine'], worlds=1)
        found = [(piece, MEASURED) for piece in study.pieces]
        rows = study.summarise(named(found)).tables[0].rows
        assert {row['policy'] for row in rows} == {'a/track_cfc', 'b/track_cfc', 'mine'}


def test_thresholds_say_which_way_laps_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lap(bundle: Path, world: int, *, strength: float, **settings: object):
        return Lap(stops=1) if strength > 0.6 else Lap()

    monkeypatch.setattr(robust, 'drive_lap', lap)
    (piece,) = robust.study([BUNDLE], disturbances=['dropped']).pieces
    measured = robust.measure(piece)
    assert abs(measured['value'] - 0.6) < 0.05
    assert measured['departures'] == 0
    assert measured['stops'] > 0
    report = robust.summarise([(piece, measured)])
    assert 'track_cfc under dropped' in report.verdict
    assert robust.in_world('night', {'wet': 0.2})(0.5) == {
        'difficulty': {'wet': 0.2, 'night': 0.5}
    }
    with pytest.raises(EvidenceError, match='--disturbance must be one of noise'):
        robust.study([BUNDLE], disturbances=['fog'])


def test_rates_compare_told_and_not_told_in_the_same_worlds() -> None:
    pieces = rates.study([BUNDLE], worlds=8).pieces
    found = [
        (piece, asdict(Lap(distance=25.0, duration=14.0, offset=0.02 + 0.01 * piece['told'])))
        for piece in pieces
    ]
    told = rates.summarise(found).tables[1].rows
    assert len(told) == len(rates.CLOCKS)
    assert all(row['p'] < 0.01 for row in told)


@pytest.mark.parametrize('study', [drive.study, rates.study, robust.study])
def test_nothing_is_learnt_in_the_worlds_of_a_drive(study: Callable[..., Study]) -> None:
    for piece in study([BUNDLE], seed=9).pieces:
        for world in piece.get('worlds') or [piece['world']]:
            with pytest.raises(ConfigError, match='held out for judging'):
                check_seed(world)
    with pytest.raises(EvidenceError, match='1000 worlds for judging'):
        study([BUNDLE], seed=10)


def test_trainings_of_a_kind_are_judged_together_at_each_strength() -> None:
    pieces = hard.study([BUNDLE], {'night': 1.0}, strengths=(0.0, 1.0), worlds=8).pieces
    assert len(pieces) == 16
    assert [piece.get('difficulty') for piece in pieces[:2]] == [None, {'night': 1.0}]
    found = [
        (
            {**piece, 'name': f'{cell}_{seed}'},
            asdict(Lap(departures=bad * round(piece['of']), distance=25.0, offset=0.02)),
        )
        for piece in pieces
        for cell, bad in (('ltc', 0), ('lstm', 2))
        for seed in range(2)
    ]
    report = hard.summarise(found)
    rows = {(row['strength'], row['policy']): row for row in report.tables[0].rows}
    assert rows[1.0, 'ltc']['trainings'] == 2
    assert rows[1.0, 'lstm']['departures/km'].startswith('80 [')
    assert rows[1.0, 'lstm']['over trainings'] == '0 ± 0'
    told = {row['strength']: row['told apart'] for row in report.tables[1].rows}
    assert told == {0.0: False, 1.0: True}
    assert '1 told apart' in report.verdict
