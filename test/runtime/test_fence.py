# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The fence: what a robot may do near it and beyond it, whoever flies."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_control.common.errors import SensorError
from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.robot import CommandLimits, Fence, Robot
from liquid_control.runtime.control.fence import RobotPose, outside
from liquid_control.runtime.control.safety import Envelope

FENCE = Fence(radius=10.0, height=(0.5, 4.0), tilt=0.6)
NAMES = ('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate')
LIMITS = {
    'velocity_x': CommandLimits(-2.0, 3.0, max_rate=3.0, max_fall_rate=4.0),
    'velocity_y': CommandLimits(-2.0, 2.0, max_rate=3.0, max_fall_rate=4.0),
    'velocity_z': CommandLimits(-1.0, 1.0, max_rate=2.0),
    'yaw_rate': CommandLimits(-1.0, 1.0, max_rate=4.0),
}
UNITS = {'yaw_rate': 'rad/s'}


def envelope(*names: str) -> Envelope:
    specs = [
        CommandSpec(n, UNITS.get(n, 'm/s'), LIMITS[n].min, LIMITS[n].max) for n in names or NAMES
    ]
    return Envelope(specs, Robot('drone', LIMITS, fence=FENCE))


def pose(
    x: float = 0.0, y: float = 0.0, z: float = 2.0, yaw: float = 0.0, tilt: float = 0.0
) -> RobotPose:
    return RobotPose(x, y, z, yaw, tilt)


def moved(at: RobotPose, command: tuple[float, ...], dt: float) -> RobotPose:
    """Where an ideal robot is a moment later."""
    ahead, left, up, turn = command
    cos, sin = math.cos(at.yaw), math.sin(at.yaw)
    return RobotPose(
        at.x + (ahead * cos - left * sin) * dt,
        at.y + (ahead * sin + left * cos) * dt,
        at.z + up * dt,
        at.yaw + turn * dt,
        0.0,
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-9, 9)] * 4), min_size=1, max_size=6), st.floats(-3, 3))
def test_no_policy_leaves_the_fence(targets: list[tuple[float, ...]], yaw: float) -> None:
    limits, at = envelope(), pose(yaw=yaw)
    for target in targets:
        for _ in range(100):
            at = moved(at, limits.limit(target, 0.05, at).values, 0.05)
            assert math.hypot(at.x, at.y) <= FENCE.radius + 0.35
            assert FENCE.height[0] - 0.05 <= at.z <= FENCE.height[1] + 0.05


@pytest.mark.parametrize('yaw', [0.0, 1.2, math.pi])
def test_outside_the_way_back_is_free_and_the_way_on_is_not(yaw: float) -> None:
    limits, at = envelope(), pose(x=12.0, z=5.0, yaw=yaw)
    out = (math.cos(yaw), -math.sin(yaw), 0.5, 0.3)
    refused = limits.clamp(out, at)
    assert refused.values == pytest.approx((0.0, 0.0, 0.0, 0.3), abs=1e-9)
    assert refused.limited_by.startswith('fence velocity')
    back = (-out[0], -out[1], -0.5, 0.3)
    assert limits.clamp(back, at).values == pytest.approx(back)
    assert limits.clamp(out).values == pytest.approx(out), (
        'where it is not known, a person decides'
    )


def test_what_cannot_strafe_is_slowed_down_too() -> None:
    limits = envelope('velocity_x', 'yaw_rate')
    assert limits.clamp((3.0, 0.0), pose(x=9.9)).values[0] == pytest.approx(
        math.sqrt(2 * 0.7 * 4.0 * 0.1)
    )
    assert limits.clamp((3.0, 0.0), pose(x=9.9, yaw=math.pi)).values == (3.0, 0.0)


@pytest.mark.parametrize(
    ('at', 'reason'),
    [
        (pose(), ''),
        (pose(x=8.0, y=8.0), 'fence: 11.3 m from home, at most 10'),
        (pose(z=4.5), 'fence: 4.5 m high, within 0.5..4'),
        (pose(z=0.1), 'fence: 0.1 m high, within 0.5..4'),
        (pose(tilt=0.7), 'fence: tilted by 0.70 rad, at most 0.6'),
    ],
)
def test_it_says_which_limit_does_not_hold(at: RobotPose, reason: str) -> None:
    assert outside(FENCE, at) == reason


@pytest.mark.parametrize(
    ('orientation', 'yaw', 'tilt'),
    [
        ((0, 0, 0, 1), 0.0, 0.0),
        ((0, 0, math.sin(0.5), math.cos(0.5)), 1.0, 0.0),
        ((math.sin(0.2), 0, 0, math.cos(0.2)), 0.0, 0.4),
        ((0, -math.sin(0.2), 0, -math.cos(0.2)), 0.0, 0.4),
        ((1, 0, 0, 0), 0.0, math.pi),
    ],
)
def test_yaw_and_tilt_are_those_of_the_orientation(
    orientation: Any, yaw: float, tilt: float
) -> None:
    at = RobotPose.of((1.0, 2.0, 3.0), orientation)
    assert at[:3] == (1.0, 2.0, 3.0)
    assert at.tilt == pytest.approx(tilt, abs=1e-6)
    assert math.sin(at.yaw) == pytest.approx(math.sin(yaw), abs=1e-6)


@pytest.mark.parametrize('orientation', [(0, 0, 0, 0), (1, 1, 1, 1), (math.nan, 0, 0, 1)])
def test_what_is_no_orientation_is_refused(orientation: Any) -> None:
    with pytest.raises(SensorError, match='pose: '):
        RobotPose.of((0.0, 0.0, 0.0), orientation)
