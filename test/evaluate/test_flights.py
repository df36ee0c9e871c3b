# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Flights by name: what is asked for is flown, and rates are told with their intervals."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bundles import make_bundle

from liquid_control.evaluate.evidence import flights
from liquid_control.evaluate.evidence.study import EvidenceError
from liquid_control.sim.outdoors_world import CRASHED, HELD, LATE
from liquid_control.sim.quadrotor import Quadrotor
from liquid_control.sim.simulator import EVALUATION_SEEDS


@pytest.fixture
def flyer(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / 'flyer', commands=Quadrotor.commands)


def test_every_policy_flies_the_same_held_out_worlds(flyer: Path) -> None:
    study = flights.study([flyer, flyer], tests=['winter', flights.TRAINING], flights=3, others=2)
    seeds = [(piece['test'], piece['seed']) for piece in study.pieces]
    first = EVALUATION_SEEDS.start
    winter = [('winter', first), ('winter', first + 1)]
    assert seeds[:5] == [*winter, *((flights.TRAINING, first + i) for i in range(3))]
    assert seeds[:5] == seeds[5:]


def test_what_cannot_be_flown_is_refused(flyer: Path, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match='--test must be one of training scene, autumn'):
        flights.study([flyer], tests=['spring'])
    with pytest.raises(EvidenceError, match='is for the car: flights need a policy that flies'):
        flights.study([make_bundle(tmp_path / 'driver')])


def flown(policy: str, outcome: str, seed: int, test: str = flights.TRAINING) -> tuple[dict, dict]:
    name = Path(policy).name
    piece = {'policy': policy, 'name': name, 'digest': '', 'test': test, 'seed': seed}
    return piece, {'outcome': outcome, 'seconds': 8.0, 'distance': 2.0, 'nearest': 1.8}


def test_rates_come_with_intervals_and_policies_are_compared_in_the_same_worlds() -> None:
    found = [flown('good', HELD, seed) for seed in range(10)]
    found += [flown('bad', CRASHED if seed % 2 else LATE, seed) for seed in range(10)]
    report = flights.summarise(found)

    good, bad = report.tables[0].rows
    assert (good['held, %'], bad['held, %']) == (100.0, 0.0)
    assert (good['from'], bad['to']) == (72.2, 27.8)
    assert (bad[CRASHED], bad[LATE]) == (5, 5)
    (difference,) = report.tables[1].rows
    assert difference['held, %'] == 100.0
    assert difference['told apart'] is True
    assert 'good 10 of 10, bad 0 of 10' in report.verdict


def test_trainings_of_a_kind_share_a_row_and_differ_by_their_spread() -> None:
    found = [
        flown(f'runs/ltc_{i}', HELD if i else LATE, seed) for i in range(2) for seed in range(4)
    ]
    found += [flown('lstm_0', HELD, seed) for seed in range(4)]

    report = flights.summarise(found)

    ltc, lstm = report.tables[0].rows
    assert (ltc['policy'], ltc['trainings'], ltc['held'], ltc['flights']) == ('ltc', 2, 4, 8)
    assert ltc['over trainings, %'] == '50 ± 71'
    assert (lstm['policy'], lstm['trainings']) == ('lstm', 1)
    (difference,) = report.tables[1].rows
    assert difference['held, %'] == -50.0


def test_many_kinds_are_drawn_as_a_map_with_the_best_above() -> None:
    found = [
        flown(f'cell-{index}', HELD if seed < index else CRASHED, seed, test)
        for index in range(flights.MANY + 1)
        for seed in range(4)
        for test in (flights.TRAINING, 'winter')
    ]
    (axes,) = flights.summarise(found).figures['held'].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f'cell-{index}' for index in reversed(range(flights.MANY + 1))]
    assert [text.get_text() for text in axes.texts[:4]] == ['100', '100', '75', '75']
