# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The table of what a policy may command: each axis with its unit, its bounds and its stop.

Everything that must know a command asks this table: contracts and robot files, the envelope, the
wire, recordings and training. Axes are those of REP-103: x forward, y left, z up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from liquid_control.common.errors import ConfigError, LiquidControlError
from liquid_control.contract.bounds import MAX_ANGULAR_VELOCITY, MAX_SPEED

# Of a joint: rad or m, rad/s or m/s.
MAX_JOINT_POSITION = 1000.0
MAX_JOINT_VELOCITY = 1000.0

Family = Literal['twist', 'car', 'normalised', 'joint']
Stop = Literal['zero', 'hold']


@dataclass(frozen=True)
class Axis:
    """One number of a command vector."""

    name: str
    units: tuple[str, ...]
    """The first is the usual one."""
    low: float
    high: float
    """No robot goes beyond; in the axis' unit."""
    family: Family
    stop: Stop
    """'zero': a motion, which ends; 'hold': a place, of a wheel or of a joint, which stays."""
    mirrors: bool | None = False
    """Whether it changes its sign where left becomes right; None: nobody can say."""

    @property
    def moves(self) -> bool:
        """Whether it moves the robot by itself."""
        return self.stop == 'zero'


def _axis(
    name: str,
    unit: str,
    limit: float,
    family: Family,
    *,
    stop: Stop = 'zero',
    mirrors: bool = False,
) -> Axis:
    return Axis(name, (unit,), -limit, limit, family, stop, mirrors)


AXES = {
    axis.name: axis
    for axis in (
        _axis('velocity_x', 'm/s', MAX_SPEED, 'twist'),
        _axis('velocity_y', 'm/s', MAX_SPEED, 'twist', mirrors=True),
        _axis('velocity_z', 'm/s', MAX_SPEED, 'twist'),
        _axis('roll_rate', 'rad/s', MAX_ANGULAR_VELOCITY, 'twist', mirrors=True),
        _axis('pitch_rate', 'rad/s', MAX_ANGULAR_VELOCITY, 'twist'),
        _axis('yaw_rate', 'rad/s', MAX_ANGULAR_VELOCITY, 'twist', mirrors=True),
        _axis('steering_angle', 'rad', math.pi, 'car', stop='hold', mirrors=True),
        _axis('speed', 'm/s', MAX_SPEED, 'car'),
        _axis('steering', '1', 2.0, 'normalised', stop='hold', mirrors=True),
        _axis('throttle', '1', 2.0, 'normalised'),
    )
}
"""By name; joints are named by their robot, see `axis_of`."""

TWIST_AXES = tuple(axis.name for axis in AXES.values() if axis.family == 'twist')
# One of each makes a car's command; a yaw rate turns a car as well.
FORWARD = ('speed', 'throttle', 'velocity_x')
TURNING = ('steering_angle', 'yaw_rate', 'steering')
_CAR_FORWARD = ('speed', 'throttle')
NORMALISED = ('steering', 'throttle')

# A joint's name as URDF files have them, then what of it is commanded.
_JOINT = re.compile(r'[A-Za-z0-9_][\w.\-]{0,60}/(position|velocity)')
_JOINT_AXES = {
    'position': Axis(
        '', ('rad', 'm'), -MAX_JOINT_POSITION, MAX_JOINT_POSITION, 'joint', 'hold', None
    ),
    'velocity': Axis(
        '', ('rad/s', 'm/s'), -MAX_JOINT_VELOCITY, MAX_JOINT_VELOCITY, 'joint', 'zero', None
    ),
}


def find_axis(name: str) -> Axis | None:
    """The axis of a command's name, None where there is none."""
    if name in AXES:
        return AXES[name]
    joint = _JOINT.fullmatch(name)
    return replace(_JOINT_AXES[joint[1]], name=name) if joint else None


def axis_of(name: str, error: type[LiquidControlError] = ConfigError) -> Axis:
    """The axis of a command's name.

    Args:
        error: what to raise.
    """
    axis = find_axis(name)
    if axis is None:
        raise error(
            f'no command is called {name[:100]!r}: there are {", ".join(AXES)}, and '
            'JOINT/position and JOINT/velocity of the joints of an arm'
        )
    return axis


def check_limits(where: str, name: str, error: type[LiquidControlError], *values: float) -> None:
    """Refuse limits of a command that no robot has, NaN included."""
    axis = axis_of(name, error)
    for value in values:
        if not axis.low <= value <= axis.high:
            raise error(
                f'{where} must be within {axis.low:g}..{axis.high:g} {axis.units[0]}, '
                f'found {value:g}'
            )


def check_together(names: Sequence[str], error: type[LiquidControlError] = ConfigError) -> None:
    """Refuse commands that no robot takes at once.

    Axes of a Twist go together as they like; a car has one turning and at most one forward
    command; joints stand alone.

    Args:
        error: what to raise.
    """
    if len(set(names)) != len(names) or not names:
        raise error(f'commands must be one or more, each once, found {list(names)}')
    families = {axis_of(name, error).family for name in names}
    if families in ({'twist'}, {'joint'}):
        return
    turning = [name for name in names if name in TURNING]
    forward = [name for name in names if name in _CAR_FORWARD]
    if len(turning) != 1 or len(forward) > 1 or len(turning) + len(forward) != len(names):
        raise error(
            f'commands {list(names)} cannot stand together: expected any of '
            f'{", ".join(TWIST_AXES)}; or one of {", ".join(TURNING)} with at most one of '
            f'{", ".join(_CAR_FORWARD)}; or joints alone'
        )
