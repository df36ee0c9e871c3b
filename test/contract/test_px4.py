# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""PX4's frames: north-east-down and forward-right-down, against ours."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from liquid_control.contract.px4 import pose_of, to_world, write_mode, write_setpoint
from liquid_control.contract.wire import FORMS
from liquid_control.runtime.control.fence import RobotPose


def setpoint(yaw: float, **told: float) -> SimpleNamespace:
    """What a flight controller is told by a robot that looks to `yaw` (rad from east)."""
    message = SimpleNamespace()
    write_setpoint(message, to_world(told, yaw), None)
    return message


@pytest.mark.parametrize(
    ('yaw', 'told', 'north_east_down'),
    [
        (0.0, {'velocity_x': 1.0}, (0.0, 1.0, 0.0)),
        (math.pi / 2, {'velocity_x': 1.0}, (1.0, 0.0, 0.0)),
        (math.pi / 2, {'velocity_y': 1.0}, (0.0, -1.0, 0.0)),
        (math.pi, {'velocity_x': 1.0, 'velocity_y': 2.0}, (-2.0, -1.0, 0.0)),
        (0.7, {'velocity_z': 1.0}, (0.0, 0.0, -1.0)),
    ],
)
def test_velocities_of_the_robot_become_north_east_and_down(
    yaw: float, told: dict[str, float], north_east_down: tuple[float, ...]
) -> None:
    message = setpoint(yaw, **told)
    assert message.velocity == pytest.approx(north_east_down, abs=1e-12)
    assert all(map(math.isnan, (*message.position, *message.acceleration, message.yaw)))


def test_turning_left_is_negative_about_the_axis_that_points_down() -> None:
    assert setpoint(0.3, yaw_rate=0.5).yawspeed == -0.5


def test_velocities_are_what_it_is_to_follow() -> None:
    message = SimpleNamespace()
    write_mode(message)
    assert vars(message) == {
        'position': False,
        'velocity': True,
        'acceleration': False,
        'attitude': False,
        'body_rate': False,
    }


@pytest.mark.parametrize(
    ('heading', 'roll', 'yaw'),
    [(0.0, 0.0, math.pi / 2), (math.pi / 2, 0.0, 0.0), (-math.pi / 2, 0.3, math.pi)],
)
def test_the_pose_is_east_north_up(heading: float, roll: float, yaw: float) -> None:
    c, s, cr, sr = (
        *(f(heading / 2) for f in (math.cos, math.sin)),
        math.cos(roll / 2),
        math.sin(roll / 2),
    )
    q = [c * cr, c * sr, s * sr, s * cr]  # heading clockwise from north, then roll to the right
    message = SimpleNamespace(pose_frame=1, position=[1.0, 2.0, -3.0], q=q)
    pose = RobotPose.of(*pose_of(message))
    assert (pose.x, pose.y, pose.z) == (2.0, 1.0, 3.0)
    assert pose.tilt == pytest.approx(roll)
    assert math.cos(pose.yaw - yaw) == pytest.approx(1.0)


def test_a_pose_of_another_frame_is_refused() -> None:
    with pytest.raises(ValueError, match='pose_frame must be 1'):
        pose_of(SimpleNamespace(pose_frame=2, position=[0.0] * 3, q=[1.0, 0.0, 0.0, 0.0]))


def test_what_velocities_cannot_say_is_not_for_it() -> None:
    form = FORMS['px4_trajectory_setpoint']
    assert form.carries(('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate'))
    assert not form.carries(('velocity_x', 'pitch_rate'))
    assert not form.carries(('steering_angle', 'speed'))
