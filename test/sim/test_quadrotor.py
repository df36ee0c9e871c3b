"""The quadrotor: follows setpoints in wind, flies to what it should, and is judged fairly."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from liquid_control.sim.camera import Camera
from liquid_control.sim.quadrotor.appearance import SCENES
from liquid_control.sim.quadrotor.expert import Expert
from liquid_control.sim.quadrotor.flight_controller import SETPOINT_DELAY, Setpoint
from liquid_control.sim.quadrotor.judge import CRASHED, HELD, LOST_OUTCOME, TIMED_OUT, Judge
from liquid_control.sim.quadrotor.model import PHYSICS_STEP_NS, build_model
from liquid_control.sim.quadrotor.quadrotor import Quadrotor
from liquid_control.sim.quadrotor.wind import Wind
from liquid_control.sim.quadrotor.world import TRAINING, Conditions, World, draw_world

STEP = PHYSICS_STEP_NS / 1e9


def hovering(world: World, *, wind: float = 0.0) -> Quadrotor:
    quadrotor = Quadrotor(build_model(world))
    quadrotor.place(world.start, Wind(wind, STEP, np.random.default_rng(3)))
    return quadrotor


def fly(quadrotor: Quadrotor, setpoint: Setpoint, seconds: float) -> None:
    for _ in range(round(seconds / STEP)):
        quadrotor.advance(setpoint)


def judged(world: World, setpoint: Setpoint | None, *, wind: float = 0.0) -> str:
    """Fly until there is an outcome; without a setpoint the expert does."""
    quadrotor, expert, steps = hovering(world, wind=wind), Expert(world), 0
    judge = Judge(world, quadrotor.motion())
    while not judge.status.outcome:
        fly(quadrotor, setpoint or expert.command(quadrotor.motion()), 20 * STEP)
        steps += 20
        judge.look(steps * PHYSICS_STEP_NS, quadrotor.motion(), quadrotor.touches)
    return judge.status.outcome


def red_pixels(world: World) -> int:
    quadrotor = hovering(world)
    camera = Camera(quadrotor.model, 160, 120)
    red, green, blue = (camera.render(quadrotor.data) / 255.0).transpose(2, 0, 1)
    camera.close()
    return int(((red > 0.25) & (red > 3.0 * green) & (red > 3.0 * blue)).sum())


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_velocities_follow_their_setpoints_in_wind(axis: int) -> None:
    wanted = [0.0, 0.0, 0.0]
    wanted[axis] = 0.6
    quadrotor = hovering(draw_world(1), wind=0.5)
    fly(quadrotor, Setpoint(*wanted, yaw_rate=0.0), 4.0)
    found = []
    for _ in range(100):
        fly(quadrotor, Setpoint(*wanted, yaw_rate=0.0), 0.02)
        found.append(quadrotor.motion().velocity)
    assert np.mean(found, axis=0) == pytest.approx(wanted, abs=0.15)


def test_turns_at_the_yaw_rate_without_leaving_its_place() -> None:
    quadrotor = hovering(draw_world(1))
    start = quadrotor.motion()
    fly(quadrotor, Setpoint(yaw_rate=0.5), 2.0)
    end = quadrotor.motion()
    assert math.remainder(end.yaw - start.yaw, math.tau) == pytest.approx(1.0, abs=0.12)
    assert math.dist((start.x, start.y, start.z), (end.x, end.y, end.z)) < 0.05


def test_a_setpoint_acts_after_its_delay() -> None:
    quadrotor = hovering(draw_world(1))
    fly(quadrotor, Setpoint(velocity_x=1.0), SETPOINT_DELAY)
    assert quadrotor.motion().tilt < 1e-4
    fly(quadrotor, Setpoint(velocity_x=1.0), 0.3)
    assert quadrotor.motion().tilt > 0.05


def test_a_hovering_imu_feels_gravity_alone() -> None:
    quadrotor = hovering(draw_world(1))
    fly(quadrotor, Setpoint(), 0.1)
    assert quadrotor.inertial() == pytest.approx([0, 0, 9.81, 0, 0, 0], abs=0.02)


def test_the_expert_holds_before_the_target_in_every_scene_and_wind() -> None:
    outcomes = [
        judged(draw_world(seed, replace(TRAINING, scene=scene)), None, wind=seed / 4)
        for seed, scene in enumerate(SCENES)
    ]
    assert outcomes == [HELD] * len(SCENES)


def test_a_flight_ends_as_it_went() -> None:
    world = draw_world(2)
    assert judged(world, Setpoint(velocity_z=-0.5)) == CRASHED
    assert judged(world, Setpoint(velocity_x=-2.0, velocity_z=0.3)) == LOST_OUTCOME
    assert judged(world, Setpoint()) == TIMED_OUT


def test_the_same_seed_draws_the_same_world_in_another_season() -> None:
    summer, again = draw_world(7), draw_world(7)
    winter = draw_world(7, replace(TRAINING, scene='winter'))
    assert (summer.scenery, summer.light) == (again.scenery, again.light)
    assert (summer.start, summer.target) == (winter.start, winter.target)
    assert summer.scenery != winter.scenery


def test_the_target_is_in_the_first_picture_smaller_from_afar_and_behind_foliage() -> None:
    near = Conditions(scene='winter', distance=(4.0, 5.0))
    seen, hidden = (red_pixels(draw_world(4, replace(near, occlusion=o))) for o in (0.0, 0.5))
    far = red_pixels(draw_world(4, replace(near, distance=(12.0, 13.0))))
    assert seen > 60
    assert 0 < far < 0.3 * seen
    assert 0.2 * seen < hidden < 0.8 * seen
