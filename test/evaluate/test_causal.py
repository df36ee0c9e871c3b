# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Interventions: what is changed is changed alone, and responses tell policies apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.evaluate.evidence.causal import causal
from liquid_control.evaluate.evidence.causal.branches import branch, measure, warm_up
from liquid_control.evaluate.evidence.causal.interventions import (
    BEND,
    NOTHING,
    Change,
    bent,
    in_the_way,
)
from liquid_control.evaluate.evidence.study import EvidenceError
from liquid_control.evaluate.statistics import rank_agreement
from liquid_control.runtime.inference.policy import Policy
from liquid_control.sim.outdoors import draw_outdoors
from liquid_control.sim.protocols import Pose
from liquid_control.sim.robots import simulate_car
from liquid_control.sim.rooms import draw_rooms
from liquid_control.sim.track import generate_track
from liquid_control.sim.track_world import TrackWorld

MODELS = Path(__file__).parents[2] / 'models'
BUNDLE = MODELS / 'track_cfc'
WORLD = 5000


def test_a_part_of_a_world_is_redrawn_alone() -> None:
    own, other = TrackWorld(WORLD), TrackWorld(WORLD, redrawn={'sun': 1})
    sun = TrackWorld(1).appearance
    assert other.appearance == replace(
        own.appearance,
        sun_azimuth=sun.sun_azimuth,
        sun_elevation=sun.sun_elevation,
        sun_rgb=sun.sun_rgb,
        ambient=sun.ambient,
    )
    place, elsewhere = draw_outdoors(WORLD, {}), draw_outdoors(WORLD, {}, redrawn={'texture': 1})
    assert (place.things, place.light) == (elsewhere.things, elsewhere.light)
    assert (place.texture != elsewhere.texture).any()
    with pytest.raises(ConfigError, match=r'redrawn must be one of .*found .gravity'):
        TrackWorld(WORLD, redrawn={'gravity': 1})


def test_a_road_is_bent_ahead_and_only_there() -> None:
    track = generate_track(WORLD)
    moved = np.linalg.norm(bent(track, 5.0, BEND).points - track.points, axis=1)
    stations = np.arange(len(moved)) * track.spacing
    assert moved.max() == pytest.approx(BEND, rel=0.01)
    assert moved[(stations < 5.0) | (stations > 8.0)].max() == 0.0


def test_something_stands_in_the_way_where_there_is_room() -> None:
    rooms = draw_rooms(WORLD, {'furniture': 0.0, 'rooms': 0.0, 'movers': 0.0})
    middle = Pose(rooms.size[0] / 2, rooms.size[1] / 2)
    found = in_the_way(rooms, middle, 1)  # type: ignore[arg-type]  # a pose has what it needs
    assert found is not None
    assert len(found.rounds) == len(rooms.rounds) + 1
    assert in_the_way(rooms, Pose(0.2, 0.2, np.pi), 1) is None  # type: ignore[arg-type]


def test_a_branch_from_the_same_state_answers_a_move_and_not_the_sky() -> None:
    policy = Policy.load(BUNDLE)
    with simulate_car(WORLD) as simulator:
        (window,) = warm_up(policy, 'car', simulator, 1)
        before, again, left = (
            branch(policy, 'car', simulator, window, change)
            for change in (NOTHING, NOTHING, Change('offset', move=Pose(y=0.12)))
        )
    assert before == again
    assert before
    assert left
    to_the_right = left.last[0] - before.last[0]
    assert to_the_right / (left.expert[0] - before.expert[0]) == pytest.approx(1.0, abs=0.5)
    with simulate_car(WORLD, redrawn={'sky': 1}) as elsewhere:
        sky = branch(policy, 'car', elsewhere, window, NOTHING)
    assert sky
    assert abs(sky.last[0] - before.last[0]) < 0.05 * abs(to_the_right)
    assert sky.expert == before.expert


def made_up(name: str, follows: float, distracted: float) -> list[tuple[dict, dict]]:
    rng, found = np.random.default_rng(0), []
    for world in range(10):
        responses = []
        for pose in range(4):
            wanted, noise = rng.normal(0.0, 0.1), rng.normal(0.0, 0.01, 2)
            for cause, change, gain in ((True, 'offset', follows), (False, 'sun', distracted)):
                responses.append(
                    {
                        'pose': pose,
                        'change': change,
                        'cause': cause,
                        'first': [0.0],
                        'policy': [gain * wanted + noise[0]],
                        'expert': [wanted if cause else 0.0],
                    }
                )
        piece: dict[str, Any] = {'name': name, 'robot': 'car', 'commands': ['steering_angle']}
        found.append(({**piece, 'world': world}, {'poses': 4, 'responses': responses}))
    return found


def test_what_compares_with_before_has_heard_it_when_a_branch_begins() -> None:
    found = measure({'policy': str(MODELS / 'rover_cfc'), 'world': WORLD, 'poses': 1})
    turned = [each for each in found['responses'] if each['change'] == 'heading']
    assert turned
    assert all(np.isfinite(each['policy']).all() for each in turned)


def test_a_policy_that_follows_the_sun_is_told_from_one_that_follows_the_road() -> None:
    summary = causal.CausalSummary({'road': 0.6, 'sun': 0.2})
    report = summary([*made_up('road', 1.0, 0.0), *made_up('sun', 0.2, 0.8)])
    causes = {row['policy']: row for row in report.tables[0].rows}
    assert causes['road']['share from causes'].startswith('9')
    assert float(causes['sun']['share from causes'].split('%')[0]) < 10
    assert 0.9 < float(causes['road']['slope'].split()[0]) < 1.1
    assert causes['road']['slope at once'].startswith('0 ')
    tables = {table.name: table for table in report.tables}
    assert all(row['told apart'] for row in tables['differences'].rows)
    assert [row['policy'] for row in tables['ranking'].rows] == ['road', 'sun']
    assert 'p = 0.5' in tables['ranking'].caption


@pytest.mark.filterwarnings('error')
def test_of_a_policy_that_stands_nothing_is_said() -> None:
    found = {name: made_up(name, 1.0, 0.3) for name in ('road', 'once', 'never')}
    for _, measured in [found['once'][0], *found['never']]:
        for response in measured['responses']:
            response['policy'] = [0.0]
    both = causal.CausalSummary({'road': 0.6, 'once': 0.4})([*found['road'], *found['once']])
    tables = {table.name: table for table in both.tables}
    assert all('nan' not in row['mean'] for row in tables['differences'].rows)
    assert len(tables['differences'].rows) == 2

    never = causal.CausalSummary({'road': 0.6, 'never': 0.0})([*found['road'], *found['never']])
    tables = {table.name: table for table in never.tables}
    assert [row['difference of'] for row in tables['differences'].rows] == ['slope']
    assert 'ranking' not in tables


def test_rankings_agree_by_chance_as_often_as_counted(tmp_path: Path) -> None:
    assert rank_agreement([1, 2, 3, 4], [1, 2, 3, 4]) == (1.0, 1 / 24)
    assert rank_agreement([1, 2, 3], [3, 2, 1]) == (-1.0, 1.0)
    # Of more than can all be ordered, orders are drawn.
    assert rank_agreement(range(12), range(12)) == (1.0, pytest.approx(1e-4, rel=0.01))
    assert rank_agreement(range(12), [5, 2, 9, 0, 7, 4, 11, 1, 8, 3, 10, 6])[1] > 0.05
    table = tmp_path / 'thresholds.csv'
    table.write_text('policy,strength\na,0.5\na,inf\nb,0.25\n')
    assert causal.read_thresholds(table) == {'a': 0.75, 'b': 0.25}
    table.write_text('policy,score\na,1\n')
    with pytest.raises(EvidenceError, match='with the columns policy and strength'):
        causal.study([BUNDLE], robust=table)
