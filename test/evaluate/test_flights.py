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


def test_rates_come_with_intervals_and_policies_are_compared_in_the_same_worlds() -> None:
    def flown(policy: str, outcome: str, seed: int) -> tuple[dict, dict]:
        piece = {'policy': policy, 'digest': '', 'test': flights.TRAINING, 'seed': seed}
        return piece, {'outcome': outcome, 'seconds': 8.0, 'distance': 2.0, 'nearest': 1.8}

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
