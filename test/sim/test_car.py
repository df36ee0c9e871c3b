# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The car and its IMU obey physics, in the axes and units that they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquid_control.sim.car import MAX_ACCELERATION, TRACK_WIDTH, WHEELBASE, ackermann
from liquid_control.sim.car import command as car_command
from liquid_control.sim.protocols import Command
from liquid_control.sim.robots import CarSimulator, simulate_car
from liquid_control.sim.sensors import (
    GYROSCOPE_NOISE,
    sample_deviation,
)
from liquid_control.sim.simulator import Schedule

SECOND = 1_000_000_000


@pytest.fixture
def simulator() -> CarSimulator:
    return simulate_car(0, camera=False)


def imu(simulator: CarSimulator, command: Command, seconds: float) -> np.ndarray:
    """IMU values [N, 6] of a stretch of driving."""
    samples = simulator.step(command, round(seconds * SECOND))
    return np.array([sample.value for sample in samples if sample.sensor == 'imu'])


def test_imu_at_rest_feels_gravity_upwards_and_no_rotation(simulator: CarSimulator) -> None:
    mean = imu(simulator, car_command(), 1.0).mean(axis=0)
    assert mean[:3] == pytest.approx([0.0, 0.0, 9.81], abs=0.15)
    assert mean[3:] == pytest.approx([0.0, 0.0, 0.0], abs=0.02)


def test_imu_noise_has_the_stated_density(simulator: CarSimulator) -> None:
    deviation = imu(simulator, car_command(), 5.0)[:, 3:].std(axis=0)
    assert deviation == pytest.approx(sample_deviation(200.0)[3:], rel=0.15)
    assert deviation == pytest.approx([GYROSCOPE_NOISE * math.sqrt(200.0)] * 3, rel=0.15)


def test_a_left_turn_has_positive_yaw_rate_and_leftward_acceleration(
    simulator: CarSimulator,
) -> None:
    imu(simulator, car_command(0.2, 1.5), 1.5)
    mean = imu(simulator, car_command(0.2, 1.5), 1.0).mean(axis=0)
    expected_rate = simulator.motion.speed * math.tan(0.2) / WHEELBASE
    assert mean[5] == pytest.approx(expected_rate, rel=0.1)
    # The IMU sits between the axles: centripetal acceleration speed * yaw rate points left.
    assert mean[1] == pytest.approx(simulator.motion.speed * mean[5], rel=0.15)


def test_speeding_up_is_felt_forward_and_stays_on_the_motor_ramp(simulator: CarSimulator) -> None:
    acceleration = imu(simulator, car_command(0.0, 1.5), 0.4)[:, 0]
    assert acceleration.max() == pytest.approx(MAX_ACCELERATION, rel=0.2)
    assert acceleration.mean() > MAX_ACCELERATION / 2


def test_the_car_drives_as_fast_as_it_is_told_and_stops(simulator: CarSimulator) -> None:
    simulator.step(car_command(0.0, 1.0), 2 * SECOND)
    assert simulator.motion.speed == pytest.approx(1.0, rel=0.05)
    simulator.step(car_command(), 1 * SECOND)
    assert simulator.motion.speed == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize('angle', [-0.4, 0.1, 0.4])
def test_both_front_wheels_turn_about_the_same_point(angle: float) -> None:
    left, right = ackermann(angle)
    centre = WHEELBASE / math.tan(angle)
    assert WHEELBASE / math.tan(left) == pytest.approx(centre - TRACK_WIDTH / 2)
    assert WHEELBASE / math.tan(right) == pytest.approx(centre + TRACK_WIDTH / 2)


def test_stamps_follow_the_rates_without_drift(simulator: CarSimulator) -> None:
    seen = simulator.step(car_command(0.0, 1.0), 2 * SECOND)
    stamps = [sample.stamp_ns for sample in seen]
    assert stamps == sorted(stamps)
    assert [sample.stamp_ns for sample in seen if sample.sensor == 'imu'] == [
        (index + 1) * SECOND // 200 for index in range(400)
    ]
    assert [sample.stamp_ns for sample in seen if sample.sensor == 'odom'] == [
        (index + 1) * SECOND // 50 for index in range(100)
    ]


def test_a_rate_that_divides_nothing_keeps_its_count() -> None:
    schedule = Schedule(30.0)
    assert sum(schedule.is_due(step * 2_500_000) for step in range(1, 4001)) == 300
