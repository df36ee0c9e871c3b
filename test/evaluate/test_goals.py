# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Goals: what a rover's policy reaches in rooms that no training saw, told with its interval."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bundles import make_bundle

from liquid_control.contract.inputs import GoalSpec, ScanSpec, VelocitySpec
from liquid_control.evaluate.evidence import goals
from liquid_control.evaluate.evidence.study import EvidenceError
from liquid_control.rollout.dagger import Guided, guide, summarise
from liquid_control.rollout.reaching import REACHED, TOUCHED

COMMANDS = ('velocity_x', 'yaw_rate')


@pytest.fixture
def rover(tmp_path: Path) -> Path:
    """A policy of the rover that has learnt nothing."""
    inputs = {
        'scan': ScanSpec(rate=10.0, max_age=0.5, sectors=24, far=8.0, features=8),
        'goal': GoalSpec(rate=20.0, max_age=0.3),
        'velocity': VelocitySpec(rate=20.0, max_age=0.3),
    }
    return make_bundle(tmp_path / 'rover', inputs=inputs, commands=COMMANDS, control_rate=10.0)


def test_a_drive_ends_with_an_outcome_and_the_expert_s_way_beside_it(
    rover: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('liquid_control.sim.rooms_world.TIME_LIMIT', 4.0)
    study = goals.study([rover], worlds=1, others=0)
    measured = goals.drive(study.pieces[0])
    assert measured['outcome'] in (TOUCHED, 'too late')
    assert measured['driven'] > 0.0
    assert measured['expert'] > 0.5


def test_a_policy_is_guided_where_it_would_touch_something(rover: Path, tmp_path: Path) -> None:
    (bag,) = guide([Guided(7, 6.0, rover)], tmp_path / 'bags', workers=1)
    assert 0.0 <= summarise(bag).expert_share < 1.0


def test_a_policy_of_another_robot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match='is for the car: goals need a policy of the rover'):
        goals.study([make_bundle(tmp_path / 'driver')])


def test_worlds_that_are_not_for_judging_are_refused(rover: Path) -> None:
    assert {piece['seed'] for piece in goals.study([rover], worlds=2, first=5100).pieces} == {
        *range(5100, 5130)
    }
    for first in (200, 5990):
        with pytest.raises(EvidenceError, match=r'within 5000\.\.5999, found 30 from'):
            goals.study([rover], worlds=2, first=first)


def test_rates_come_with_intervals_and_ways_only_of_goals_reached() -> None:
    def driven(outcome: str, seed: int) -> tuple[dict, dict]:
        piece = {'name': 'mine', 'digest': '', 'rooms': 'as trained', 'seed': seed}
        driven = 5.5 if outcome == REACHED else 1.0
        return piece, {'outcome': outcome, 'seconds': 9.0, 'driven': driven, 'expert': 5.0}

    found = [driven(REACHED if seed else TOUCHED, seed) for seed in range(10)]
    (row,) = goals.summarise(found).tables[0].rows
    assert (row['reached, %'], row['from'], row['to']) == (90.0, 59.6, 98.2)
    assert (row[TOUCHED], row["way, of the expert's"]) == (1, 1.1)
