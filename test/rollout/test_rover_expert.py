# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The rover's expert reaches its goal among people; its recordings are those of a TurtleBot."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from liquid_control.bags.reader import BagReader
from liquid_control.contract.inputs import GoalSpec, ScanSpec
from liquid_control.rollout import messages
from liquid_control.rollout.collect import PlannedDrive, record
from liquid_control.rollout.planner import WayMap
from liquid_control.rollout.tasks import open_task
from liquid_control.sim.rooms import draw_rooms

PERIOD_NS = 100_000_000


@pytest.mark.parametrize('seed', [0, 20])
def test_the_expert_reaches_the_goal_without_touching_anything(seed: int) -> None:
    with open_task('rover', seed) as task:
        while not task.over and not task.simulator.status.problem:
            task.simulator.step(task.expert(), PERIOD_NS)
        status = task.simulator.status
    assert status.reached
    assert status.problem == ''
    assert abs(status.motion.speed) < 0.05  # and stays there


def test_a_pushed_expert_is_turned_aside_and_touches_nothing() -> None:
    with open_task('rover', 4) as task:
        task.begin(np.random.default_rng(1))
        pushed = []
        while not task.over and task.simulator.time_ns < 60e9:
            command = task.expert()
            actuated = task.disturbed(command)
            pushed.append(actuated['yaw_rate'] - command['yaw_rate'])
            task.simulator.step(actuated, PERIOD_NS)
        assert task.simulator.status.reached
        assert task.simulator.status.touches == 0
    assert np.ptp(pushed) > 0.5


def test_the_way_leads_through_the_door_and_not_through_the_wall() -> None:
    rooms = next(r for r in map(draw_rooms, range(50)) if len(r.walls) == 6)
    wall = rooms.walls[4]
    here = (rooms.size[0] - rooms.goal[0], rooms.goal[1])
    ways = WayMap(rooms, 0.2)
    way = ways.follow(*here, 15.0)
    assert math.dist(way[-1], rooms.goal) < 0.15
    assert rooms.shapes.clearance(way).min() > 0.15
    crossing = way[np.abs(way[:, 0] - wall.x).argmin()]
    assert (way[:, 0] < wall.x).any() == (way[:, 0] > wall.x).any()
    assert abs(crossing[1] - wall.y) > wall.half_y


def test_a_recording_has_the_topics_of_a_turtlebot_and_is_read_as_inputs(tmp_path: Path) -> None:
    with BagReader(record(PlannedDrive(4, 2.0, robot='rover'), tmp_path)) as reader:
        count = dict.fromkeys(reader.topics, 0)
        goal = GoalSpec(rate=20.0, max_age=1.0).reader()
        scan = ScanSpec(rate=10.0, max_age=1.0, sectors=72, far=8.0, features=8).reader()
        seen = []
        for message in reader.messages():
            count[message.topic] += 1
            if message.topic == messages.SCAN_TOPIC:
                nearest = scan.take('', message.raw, reader.topics[message.topic])
            elif message.topic == messages.GOAL_TOPIC:
                goal.take('goal', message.raw, reader.topics[message.topic])
            elif message.topic == messages.ODOMETRY_TOPIC:
                seen.append(goal.take('odom', message.raw, reader.topics[message.topic]))
    assert count == {'/odom': 40, '/scan': 20, '/goal_pose': 2, '/cmd_vel': 40}
    assert nearest is not None
    assert nearest.value.shape == (72,)
    rooms = draw_rooms(4)
    start = (rooms.start.x, rooms.start.y)
    assert seen[-1].value[0] == pytest.approx(math.dist(start, rooms.goal), abs=0.8)
