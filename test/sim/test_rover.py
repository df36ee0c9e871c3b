# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The rover, its lidar and its rooms: what is drawn can be driven, what is seen is there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquid_control.sim import rover
from liquid_control.sim.lidar import FAR
from liquid_control.sim.protocols import Pose
from liquid_control.sim.robots import RoverSimulator, simulate_rover
from liquid_control.sim.rooms import DIFFICULTIES, MOVER_RADIUS, draw_rooms

SECOND = 1_000_000_000
EMPTY = dict.fromkeys(DIFFICULTIES, 0.0)


@pytest.fixture
def simulator() -> RoverSimulator:
    return simulate_rover(3, difficulty=EMPTY)


@pytest.mark.parametrize(('velocity_x', 'yaw_rate'), [(0.3, 0.0), (0.3, 1.0), (-0.2, 0.0)])
def test_it_drives_and_turns_as_it_is_told(
    simulator: RoverSimulator, velocity_x: float, yaw_rate: float
) -> None:
    simulator.reset(Pose(3.0, 2.0))
    simulator.step(rover.command(velocity_x, yaw_rate), SECOND)
    assert simulator.motion.speed == pytest.approx(velocity_x, abs=0.02)
    assert simulator.motion.yaw_rate == pytest.approx(yaw_rate, abs=0.03)


def test_it_turns_on_the_spot(simulator: RoverSimulator) -> None:
    before = simulator.motion
    simulator.step(rover.command(0.0, -1.0), 2 * SECOND)
    after = simulator.motion
    assert math.remainder(after.yaw - before.yaw, math.tau) == pytest.approx(-1.9, abs=0.15)
    assert math.dist((before.x, before.y), (after.x, after.y)) < 0.01


def test_the_lidar_measures_the_walls(simulator: RoverSimulator) -> None:
    width, depth = simulator.world.rooms.size
    simulator.reset(Pose(2.0, 1.5, math.pi / 2))
    scans = [s.value for s in simulator.step(rover.command(), SECOND) if s.sensor == 'scan']
    assert len(scans) == 10
    behind, right, ahead, left = scans[-1][[0, 90, 180, 270]]
    expected = pytest.approx([1.5, width - 2.0, depth - 1.5, 2.0], abs=0.01)
    assert [behind, right, ahead, left] == expected


def test_a_lidar_with_faults_is_noisy_and_loses_returns() -> None:
    one, other = (
        np.array([s.value for s in each.step(rover.command(), SECOND) if s.sensor == 'scan'])
        for each in (simulate_rover(3, difficulty={**EMPTY, 'lidar': share}) for share in (0, 1))
    )
    lost = np.isinf(other)
    assert 0 < lost.mean() < 0.05
    assert np.std((other - one)[~lost]) == pytest.approx(0.02, rel=0.3)


def test_driving_into_a_wall_counts_as_touched_once(simulator: RoverSimulator) -> None:
    simulator.reset(Pose(0.6, 2.0, math.pi))
    simulator.step(rover.command(0.3), 4 * SECOND)
    assert simulator.status.touches == 1
    assert 'touched' in simulator.status.problem
    assert simulator.motion.x == pytest.approx(rover.RADIUS, abs=0.02)


def test_people_are_where_their_walk_says(simulator: RoverSimulator) -> None:
    seed = next(seed for seed in range(20) if draw_rooms(seed).movers)
    simulator = simulate_rover(seed)
    mover = simulator.world.rooms.movers[0]
    for seconds in (1.0, 3.5):
        simulator.step(rover.command(), round(seconds * SECOND) - simulator.time_ns)
        place = simulator.data.body('mover_0').xpos[:2]
        assert place == pytest.approx(mover.place(seconds), abs=0.01)
    simulator.reset(Pose(*(mover.place(0.0))))
    simulator.step(rover.command(), SECOND // 10)
    assert simulator.status.touching


@pytest.mark.parametrize('seed', range(15))
def test_start_and_goal_are_free_and_the_same_for_the_same_seed(seed: int) -> None:
    rooms, again = draw_rooms(seed), draw_rooms(seed)
    assert (rooms.start, rooms.goal, rooms.movers) == (again.start, again.goal, again.movers)
    ends = np.array([[rooms.start.x, rooms.start.y], rooms.goal])
    assert rooms.shapes.clearance(ends).min() >= 0.4
    assert math.dist(*ends) >= 2.5
    times = np.linspace(0.0, 60.0, 200)
    for mover in rooms.movers:
        places = mover.places(times)
        assert rooms.shapes.clearance(places).min() > MOVER_RADIUS
        for end in ends:
            assert np.hypot(*(places - end).T).min() > rover.RADIUS + MOVER_RADIUS + 0.4


def test_strength_zero_is_an_empty_room_with_walls_alone() -> None:
    rooms = draw_rooms(5, EMPTY)
    assert len(rooms.walls) == 4
    assert (rooms.furniture, rooms.rounds, rooms.movers) == ((), (), ())
    assert math.hypot(*rooms.size) < FAR
