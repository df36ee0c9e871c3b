"""Between the policy's command vector and the wire's Twist, in both directions.

A car's command is `steering_angle` (rad, left positive) and `speed` (m/s); a Twist carries forward
speed and yaw rate (REP-103). The bicycle model joins them, with the commanded speed, so that the
receiver recovers the very angle: yaw_rate = speed * tan(steering_angle) / wheelbase.
Normalised commands (`steering`, `throttle`) have no unit and travel as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from liquid_control.common.errors import ConfigError

FORWARD = ('speed', 'throttle')
TURNING = ('steering_angle', 'yaw_rate', 'steering')
# What moves the robot by itself; turning a wheel does not. At rest there is none of it.
MOVING = (*FORWARD, 'yaw_rate')

# Below this speed a Twist's yaw rate says nothing about the steering angle, m/s.
MIN_SPEED = 1e-3


def check_names(names: Sequence[str]) -> None:
    """Refuse a command vector that has no place in a Twist.

    Raises:
        ConfigError: not exactly one turning and at most one forward command.
    """
    forward = [name for name in names if name in FORWARD]
    turning = [name for name in names if name in TURNING]
    if len(turning) != 1 or len(forward) > 1 or len(forward) + len(turning) != len(names):
        raise ConfigError(
            f'commands {list(names)} cannot be sent as a Twist: expected one of {TURNING} and at '
            f'most one of {FORWARD}'
        )


def to_twist(
    names: Sequence[str], values: Sequence[float], wheelbase: float
) -> tuple[float, float]:
    """Command vector -> (linear.x, angular.z).

    Args:
        names: command names in the order of `values`.
        wheelbase: distance between the axles, m.
    """
    command = dict(zip(names, values, strict=True))
    linear = float(command.get('speed', command.get('throttle', 0.0)))
    if 'steering_angle' in command:
        return linear, linear * math.tan(command['steering_angle']) / wheelbase
    return linear, float(command['yaw_rate'] if 'yaw_rate' in command else command['steering'])


def from_twist(
    names: Sequence[str], linear: float, angular: float, wheelbase: float
) -> tuple[float, ...]:
    """(linear.x, angular.z) -> command vector; NaN where the Twist does not determine a value."""

    def value(name: str) -> float:
        if name in FORWARD:
            return linear
        if name == 'steering_angle':
            return math.atan(wheelbase * angular / linear) if abs(linear) > MIN_SPEED else math.nan
        return angular

    return tuple(value(name) for name in names)
