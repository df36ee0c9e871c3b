# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The envelope: no sequence of commands gets past the limits."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_control.common.errors import ConfigError
from liquid_control.contract.commands import axis_of
from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.robot import CommandLimits, Robot
from liquid_control.runtime.control.safety import Envelope

COMMANDS = (
    CommandSpec('steering_angle', 'rad', -0.6, 0.6),
    CommandSpec('speed', 'm/s', 0.0, 3.0),
)
STEERING = CommandLimits(
    -0.5, 0.5, max_rate=4.0, max_acceleration=40.0, fast_speed=2.0, max_rate_fast=1.0
)
SPEED = CommandLimits(-1.0, 2.0, max_rate=2.0, max_fall_rate=5.0)
ROBOT = Robot('car', {'steering_angle': STEERING, 'speed': SPEED}, wheelbase=0.325)


def envelope() -> Envelope:
    return Envelope(COMMANDS, ROBOT)


wild = st.floats(allow_nan=False, allow_infinity=False, width=32)
steps = st.floats(1e-3, 0.5)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(wild, wild, steps, st.booleans()), min_size=1, max_size=30))
def test_no_sequence_gets_past_the_limits(
    sequence: list[tuple[float, float, float, bool]],
) -> None:
    limits = envelope()
    steering, speed = 0.0, 0.0
    for target_steering, target_speed, dt, brake in sequence:
        limited = limits.brake(dt) if brake else limits.limit((target_steering, target_speed), dt)
        new_steering, new_speed = limited.values
        assert -0.5 <= new_steering <= 0.5
        assert 0.0 <= new_speed <= 2.0, 'the tighter of contract and robot holds'
        assert abs(new_steering - steering) <= STEERING.rate_at(speed) * dt * (1 + 1e-6) + 1e-9
        assert -5.0 * dt * (1 + 1e-6) - 1e-9 <= new_speed - speed
        assert new_speed - speed <= 2.0 * dt * (1 + 1e-6) + 1e-9
        steering, speed = new_steering, new_speed


def test_it_says_which_limit_acted() -> None:
    limits = envelope()
    assert limits.limit((0.0, 9.0), 0.05).limited_by == 'clamp speed'
    assert limits.limit((0.0, 1.9), 0.05).limited_by == 'rate speed'
    assert limits.limit((0.0, limits.values[1]), 0.05).limited_by == ''
    assert limits.limit((0.02, limits.values[1]), 0.01).limited_by == 'acceleration steering_angle'


def test_a_reachable_target_is_reached_exactly() -> None:
    limits = envelope()
    for _ in range(100):
        limited = limits.limit((0.3, 1.0), 0.05)
    assert limited.values == (0.3, 1.0)
    assert limited.limited_by == ''


def test_steering_slows_down_with_speed() -> None:
    assert STEERING.rate_at(0.0) == 4.0
    assert STEERING.rate_at(1.0) == 2.5
    assert STEERING.rate_at(9.0) == 1.0


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_passes(bad: float) -> None:
    limits = envelope()
    limits.limit((0.1, 0.1), 0.05)
    before = limits.values
    for call in (lambda: limits.limit((bad, 0.0), 0.05), lambda: limits.clamp((0.0, bad))):
        with pytest.raises(ValueError, match='not finite'):
            call()
    assert limits.values == before


def test_a_person_has_the_robots_range_and_the_way_back_is_limited() -> None:
    limits = envelope()
    assert limits.clamp((0.0, -0.8)).values == (0.0, -0.8), 'the policy cannot reverse, people can'
    assert limits.limit((0.0, 1.0), 0.1).values[1] == pytest.approx(-0.6)
    assert limits.brake(0.1).values[1] == pytest.approx(-0.1)


def test_braking_ends_turning_on_the_spot_and_holds_a_steering_angle() -> None:
    turning = CommandSpec('yaw_rate', 'rad/s', -2.0, 2.0)
    robot = Robot('diff', {'speed': SPEED, 'yaw_rate': CommandLimits(-2.0, 2.0, 4.0)})
    limits = Envelope((COMMANDS[1], turning), robot)
    limits.clamp((0.0, 2.0))
    assert not limits.at_rest
    assert limits.brake(0.25).values == (0.0, 1.0)
    assert limits.brake(0.25).values == (0.0, 0.0)
    assert limits.at_rest
    car = envelope()
    car.clamp((0.3, 0.0))
    assert car.at_rest
    assert car.brake(0.25).values == (0.3, 0.0)


def test_robot_without_limits_for_a_command_is_refused() -> None:
    robot = Robot('arm', {'speed': SPEED})
    with pytest.raises(ConfigError, match='no limits for steering_angle'):
        Envelope(COMMANDS, robot)


def test_ranges_that_do_not_meet_are_refused() -> None:
    robot = Robot('car', {'speed': CommandLimits(-2.0, 0.0, max_rate=1.0)})
    with pytest.raises(ConfigError, match='nothing is left'):
        Envelope((CommandSpec('speed', 'm/s', 1.0, 2.0),), robot)


ZERO = {
    'velocity_x': CommandLimits(-1.0, 2.0, max_rate=2.0, max_fall_rate=4.0),
    'velocity_y': CommandLimits(-1.0, 1.0, max_rate=2.0),
    'velocity_z': CommandLimits(-0.5, 1.0, max_rate=1.0),
    'yaw_rate': CommandLimits(-2.0, 2.0, max_rate=8.0),
    'steering_angle': CommandLimits(-0.5, 0.5, max_rate=4.0),
    'speed': SPEED,
    'steering': CommandLimits(-1.0, 1.0, max_rate=10.0),
    'throttle': CommandLimits(0.0, 0.8, max_rate=1.0, max_fall_rate=4.0),
    'elbow/position': CommandLimits(0.2, 1.4, max_rate=1.0),
    'wheel/velocity': CommandLimits(-9.0, 9.0, max_rate=20.0),
}


def of(*names: str, **more: Any) -> Envelope:
    specs = [CommandSpec(n, axis_of(n).units[0], ZERO[n].min, ZERO[n].max) for n in names]
    return Envelope(specs, Robot('robot', ZERO, wheelbase=0.3, **more))


@pytest.mark.parametrize('name', ZERO)
def test_every_motion_ends_within_its_own_deceleration_and_every_place_is_held(name: str) -> None:
    limits, bounds = of(name), ZERO[name]
    limits.clamp((bounds.max,))
    if axis_of(name).stop == 'hold':
        assert limits.at_rest
        assert limits.brake(0.05).values == limits.halt() == (bounds.max,)
        return
    fall = bounds.max_fall_rate or bounds.max_rate
    for step in range(1, 4):
        assert not limits.at_rest
        assert limits.brake(0.02).values == pytest.approx((bounds.max - step * 0.02 * fall,))
    assert limits.brake(9.0).values == (0.0,)
    assert limits.at_rest
    limits.clamp((bounds.max,))
    assert limits.halt() == (0.0,), 'the last words'


def test_axes_brake_side_by_side_until_all_are_at_rest() -> None:
    limits = of('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate')
    limits.clamp((0.0, 1.0, 0.4, -2.0))
    assert limits.brake(0.2).values == pytest.approx((0.0, 0.6, 0.2, -0.4))
    assert limits.brake(0.2).values == pytest.approx((0.0, 0.2, 0.0, 0.0))
    assert not limits.at_rest
    assert limits.brake(0.2).values == (0.0, 0.0, 0.0, 0.0), 'it hovers'
    assert limits.at_rest


def test_a_hand_may_brake_harder_on_every_axis_and_never_away_from_rest() -> None:
    limits = of('velocity_x', 'velocity_y', 'yaw_rate')
    limits.clamp((1.0, -1.0, 1.0))
    assert limits.brake(0.1, hand=(0.2, 1.0, 2.0)).values == pytest.approx((0.2, 0.0, 0.2))
    arm = of('elbow/position', 'wheel/velocity')
    arm.clamp((1.0, 5.0))
    assert arm.brake(0.1, hand=(1.2, 9.0)).values == pytest.approx((1.2, 3.0))


def test_a_policy_that_never_stands_is_stopped_all_the_same() -> None:
    limits = Envelope((CommandSpec('speed', 'm/s', 1.0, 2.0),), Robot('car', {'speed': SPEED}))
    limits.clamp((1.5,))
    for _ in range(10):
        limits.brake(0.05)
    assert limits.at_rest


def test_an_arm_starts_from_where_it_is() -> None:
    arm = of('elbow/position')
    assert arm.values == (0.2,)
    arm.place({'elbow/position': 1.0})
    assert arm.limit((0.3,), 0.1).values == pytest.approx((0.9,))


def test_a_robot_that_lands_sinks_beyond_the_policys_range() -> None:
    specs = (
        CommandSpec('velocity_x', 'm/s', -1.0, 1.0),
        CommandSpec('velocity_z', 'm/s', 0.0, 1.0),
    )
    limits = Envelope(specs, Robot('drone', ZERO, wheelbase=0.3))
    assert limits.sink(0.1, 0.4).values == pytest.approx((0.0, -0.1))
    assert limits.sink(9.0, 0.4).values == (0.0, -0.4)
