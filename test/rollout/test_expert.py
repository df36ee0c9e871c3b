# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The expert stays on the road, alone and disturbed, and the judge counts its laps."""

from __future__ import annotations

import numpy as np
import pytest

from liquid_control.rollout import driver as rollout_module
from liquid_control.rollout.disturbance import Disturbance
from liquid_control.rollout.driver import drive
from liquid_control.rollout.expert import Expert
from liquid_control.sim.car import command as car_command
from liquid_control.sim.judge import LapJudge
from liquid_control.sim.protocols import Command, Sample
from liquid_control.sim.robots import simulate_car
from liquid_control.sim.track import generate_track

PERIOD_NS = 20_000_000


class ExpertDriver:
    """The expert, fed by odometry."""

    def __init__(self, seed: int) -> None:
        self._expert = Expert(generate_track(seed))
        self._command = car_command()

    def sense(self, sample: Sample) -> None:
        if sample.sensor == 'odom':
            self._command = self._expert.command(sample.value)

    def act(self, now_ns: int) -> Command:
        return self._command


@pytest.mark.parametrize('seed', [0, 6, 101, 102, 103])
def test_expert_drives_two_laps_near_the_centre_line(seed: int) -> None:
    rollout = drive(ExpertDriver(seed), seed, laps=2, camera=False)
    assert rollout.problem == ''
    assert rollout.max_offset < 0.1
    length = generate_track(seed).length
    assert len(rollout.lap_times) == 2
    assert rollout.lap_times[1] < rollout.lap_times[0]  # the first begins at rest
    assert sum(rollout.lap_times) == pytest.approx(rollout.duration, abs=0.06)
    assert 1.4 < length / rollout.lap_times[1] < 2.0


@pytest.mark.parametrize('seed', [0, 3, 9])
def test_disturbed_expert_is_pushed_aside_and_recovers(seed: int) -> None:
    simulator = simulate_car(seed, camera=False)
    simulator.reset(simulator.world.pose_at(offset=-0.25, heading_error=0.35))
    expert = Expert(simulator.world.track)
    disturbance = Disturbance(np.random.default_rng(seed))
    offsets = []
    while simulator.time_ns < 20e9:
        command = expert.command(simulator.motion)
        actuated = disturbance.apply(command, simulator.status.place, simulator.time_ns)
        simulator.step(actuated, PERIOD_NS)
        offsets.append(simulator.status.place.offset)
    assert simulator.status.departures == 0
    assert min(offsets) < -0.1
    assert max(offsets) > 0.1


def test_disturbance_is_the_same_for_the_same_seed() -> None:
    place = simulate_car(0, camera=False).status.place

    def pushes(seed: int) -> list[Command]:
        disturbance = Disturbance(np.random.default_rng(seed))
        return [disturbance.apply(car_command(0.0, 1.0), place, t * PERIOD_NS) for t in range(500)]

    assert pushes(1) == pushes(1)
    assert pushes(1) != pushes(2)
    assert {np.sign(command['steering_angle']) for command in pushes(1)} == {-1.0, 0.0, 1.0}


def test_a_blind_driver_leaves_the_road_and_is_told_so() -> None:
    class Blind(ExpertDriver):
        def act(self, now_ns: int) -> Command:
            return car_command(0.0, 1.5)

    rollout = drive(Blind(1), 1, camera=False)
    assert 'lost' in rollout.problem
    assert rollout.departures == 1
    assert rollout.lap_times == ()


def test_a_driver_that_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_module, '_SLOWEST', 5.0)

    class Asleep(ExpertDriver):
        def act(self, now_ns: int) -> Command:
            return car_command()

    rollout = drive(Asleep(1), 1, laps=1, camera=False)
    assert 'did not finish' in rollout.problem


def test_departures_are_counted_once_each_and_laps_only_forward() -> None:
    track = generate_track(2)
    simulator = simulate_car(2, camera=False)
    judge = LapJudge(track, simulator.motion)
    still = simulator.motion

    def at(station: float, offset: float, second: int) -> None:
        x, y, yaw = track.pose_at(station, offset)
        motion = type(still)(x, y, yaw, 0.0, 0.0)
        judge.look(second * 10**9, motion)

    for second, offset in enumerate((0.0, 0.5, 0.6, 0.0, -0.5), start=1):
        at(0.2 * second, offset, second)
    assert judge.status.departures == 2
    assert judge.status.max_offset == pytest.approx(0.6, abs=0.01)

    at(track.length - 0.5, 0.0, 6)  # backwards over the start line
    assert judge.status.progress < 0.0
    at(0.5, 0.0, 7)
    assert judge.status.lap_times == ()


def test_imu_of_a_drive_is_smooth() -> None:
    """Wheel contacts must not shake the accelerometer: its noise is the sensor's alone."""
    simulator = simulate_car(4, camera=False)
    simulator.step(car_command(0.1, 1.5), 10**9)
    seen = simulator.step(car_command(0.1, 1.5), 2 * 10**9)
    vertical = [sample.value[2] for sample in seen if sample.sensor == 'imu']
    assert np.std(vertical) < 0.1
