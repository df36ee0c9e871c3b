# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Courses: what odometry tells of a drive is what the simulator's own judge says."""

from __future__ import annotations

from pathlib import Path

import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.evaluate.closed_loop.courses import open_course, robot_of
from liquid_control.rollout.flight_expert import FlightExpert
from liquid_control.rollout.tasks import open_task
from liquid_control.sim.outdoors_world import CRASHED, HELD
from liquid_control.sim.protocols import Motion
from liquid_control.sim.quadrotor import command
from liquid_control.sim.robots import simulate_quadrotor
from liquid_control.sim.rooms import draw_rooms

SEED, TICK = 4, 50_000_000


@pytest.mark.parametrize(('crashes', 'outcome'), [(False, HELD), (True, CRASHED)])
def test_a_flight_is_judged_from_its_odometry_as_in_the_simulator(
    crashes: bool, outcome: str, tmp_path: Path
) -> None:
    course, statuses = open_course('quadrotor', SEED), []
    with simulate_quadrotor(SEED, camera=False) as simulator:
        expert = FlightExpert(simulator.world.target)
        course.begin(0, simulator.motion)
        while not simulator.status.outcome:
            down = command(velocity_x=0.3, velocity_z=-0.5)
            asked = down if crashes else expert.command(simulator.motion)
            for sample in simulator.step(asked, TICK):
                if sample.sensor == 'odom':
                    statuses.append(course.look(sample.stamp_ns, sample.value))
        assert simulator.status.outcome == statuses[-1].outcome == outcome

    assert course.verdict(statuses[0]) is None
    assert bool(course.verdict(statuses[-1])) is crashes
    figures = course.figures(statuses)
    assert (figures['reached'], bool(figures['problem'])) == (not crashes, crashes)
    assert figures['seconds'] == pytest.approx(simulator.time_ns / 1e9, abs=0.1)
    told = dict(course.rows(figures))
    assert told['reached'] == ('yes' if not crashes else figures['problem'])
    low, high = course.deviation(statuses).good
    assert crashes or low < course.deviation(statuses).values[-1] < high
    course.draw(statuses, 'a flight').savefig(tmp_path / 'path.png')


def test_the_robot_is_told_from_what_a_policy_commands() -> None:
    assert robot_of(['speed', 'steering_angle']) == 'car'
    assert robot_of(['velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate']) == 'quadrotor'
    with pytest.raises(ConfigError, match='no simulated robot takes throttle'):
        robot_of(['throttle'])
    with pytest.raises(ConfigError, match='the robot must be one of car'):
        open_course('boat', 1)


def test_a_drive_to_a_goal_is_judged_from_its_odometry_people_included() -> None:
    seed = next(seed for seed in range(20) if draw_rooms(seed).movers)
    course = open_course('rover', seed)
    with open_task('rover', seed) as task:
        simulator = task.simulator
        course.begin(0, simulator.motion)
        while not simulator.status.reached:
            for sample in simulator.step(task.expert(), 2 * TICK):
                if sample.sensor == 'odom':
                    status = course.look(sample.stamp_ns, sample.value)
        assert course.verdict(status) == simulator.status.problem == ''
    x, y = draw_rooms(seed).movers[0].place(60.0)
    course.look(60 * 10**9, Motion(x, y, 0.0, 0.0, 0.0))
    status = course.look(60 * 10**9 + 1, Motion(x, y, 0.0, 0.0, 0.0))
    assert 'touched something' in (course.verdict(status) or '')
