# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The quadrotor: follows setpoints in wind, flies to what it should, and is judged fairly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.rollout.flight_expert import FlightExpert
from liquid_control.sim.flight_controller import SETPOINT_DELAY
from liquid_control.sim.outdoors_world import CRASHED, HELD, LATE, STRAYED
from liquid_control.sim.protocols import Command
from liquid_control.sim.quadrotor import command
from liquid_control.sim.robots import QuadrotorSimulator, simulate_quadrotor
from liquid_control.sim.seasons import SCENES
from liquid_control.sim.sensors import Imu

SECOND = 1_000_000_000
TICK = SECOND // 20


def hovering(seed: int = 1, *, wind: float = 0.0) -> QuadrotorSimulator:
    return simulate_quadrotor(seed, difficulty={'wind': wind}, camera=False)


def ended(simulator: QuadrotorSimulator, asked: Command | None) -> str:
    """Fly until there is an outcome; without a command the expert does."""
    expert = FlightExpert(simulator.world.target)
    while not simulator.status.outcome:
        simulator.step(asked or expert.command(simulator.motion), TICK)
    return simulator.status.outcome


def red_pixels(**difficulty: float) -> int:
    """Of the target in the first image in winter, with little around."""
    strength = {'clutter': 0.0, 'light': 0.0, 'wind': 0.0} | difficulty
    with simulate_quadrotor(
        4, difficulty=strength, scene='winter', image_width=160, image_height=120
    ) as simulator:
        image = simulator.step(command(), TICK)[-1].value
    red, green, blue = (image / 255.0).transpose(2, 0, 1)
    return int(((red > 0.25) & (red > 3.0 * green) & (red > 3.0 * blue)).sum())


@pytest.mark.parametrize('axis', ['velocity_x', 'velocity_y', 'velocity_z'])
def test_velocities_follow_their_setpoints_in_wind(axis: str) -> None:
    simulator, asked = hovering(wind=0.5), command(**{axis: 0.6})
    simulator.step(asked, 4 * SECOND)
    found = []
    for _ in range(40):
        simulator.step(asked, TICK)
        motion = simulator.motion
        found.append([motion.speed, motion.velocity_y, motion.velocity_z])
    assert np.mean(found, axis=0) == pytest.approx(list(asked.values())[:3], abs=0.15)


def test_turns_at_the_yaw_rate_without_leaving_its_place() -> None:
    simulator = hovering()
    start = simulator.motion
    simulator.step(command(yaw_rate=0.5), 2 * SECOND)
    end = simulator.motion
    assert math.remainder(end.yaw - start.yaw, math.tau) == pytest.approx(1.0, abs=0.12)
    assert math.dist((start.x, start.y, start.z), (end.x, end.y, end.z)) < 0.05


def test_a_setpoint_acts_after_its_delay() -> None:
    simulator = hovering()
    simulator.step(command(velocity_x=1.0), round(SETPOINT_DELAY * SECOND))
    assert abs(simulator.motion.pitch) < 1e-4
    simulator.step(command(velocity_x=1.0), 6 * TICK)
    assert simulator.motion.pitch > 0.05  # nose down, to go forward


def test_a_hovering_imu_feels_gravity_alone() -> None:
    simulator = hovering()
    samples = [s.value for s in simulator.step(command(), SECOND) if s.sensor == 'imu']
    assert isinstance(simulator.sensors[0], Imu)
    assert np.mean(samples, axis=0) == pytest.approx([0, 0, 9.81, 0, 0, 0], abs=0.15)


def test_the_expert_holds_before_the_target_in_every_scene_and_wind() -> None:
    difficulties = [{'wind': seed / 4, 'rotation': 1.0} for seed in range(len(SCENES))]
    outcomes = [
        ended(simulate_quadrotor(seed, difficulty=hard, camera=False, scene=scene), None)
        for seed, (scene, hard) in enumerate(zip(SCENES, difficulties, strict=True))
    ]
    assert outcomes == [HELD] * len(SCENES)


def test_a_flight_ends_as_it_went() -> None:
    simulator, ends = hovering(2), []
    for asked in (
        command(velocity_z=-0.5),
        command(velocity_x=-2.0, velocity_z=0.3),
        command(),
    ):
        simulator.reset()
        ends.append((ended(simulator, asked), bool(simulator.status.problem)))
    assert ends == [(CRASHED, True), (STRAYED, True), (LATE, True)]


def test_the_same_seed_is_the_same_flight_again() -> None:
    simulator, poses = hovering(7, wind=1.0), []
    for _ in range(2):
        simulator.reset()
        simulator.step(command(velocity_x=0.5), 2 * SECOND)
        poses.append(simulator.motion)
    assert poses[0] == poses[1]


def test_a_season_changes_the_colours_and_nothing_of_the_task() -> None:
    summer = hovering(7).world.place
    autumn = simulate_quadrotor(7, difficulty={'season': 1.0}, camera=False).world.place
    assert (summer.start, summer.target) == (autumn.start, autumn.target)
    assert summer.things != autumn.things


def test_the_target_is_seen_smaller_from_afar_and_behind_foliage() -> None:
    near = red_pixels()
    assert near > 60
    assert 0 < red_pixels(distance=1.0) < 0.5 * near
    assert 0.2 * near < red_pixels(occlusion=0.8) < 0.8 * near


def test_an_unknown_difficulty_is_refused() -> None:
    with pytest.raises(ConfigError, match='difficulty must be one of season, distance'):
        simulate_quadrotor(1, difficulty={'fog': 1.0}, camera=False)
