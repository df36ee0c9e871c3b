# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command vectors as messages and back; messages are told by their fields, whoever made them.

A message says something of some axes; what it does not say of a command is derived from them
where that can be done. A car's steering angle becomes a yaw rate by the bicycle model with the
commanded speed, so that the receiver recovers the very angle:
yaw_rate = speed * tan(steering_angle) / wheelbase. Normalised commands have no unit and travel
in a Twist as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liquid_control.common.errors import ConfigError, LiquidControlError
from liquid_control.contract import px4
from liquid_control.contract.commands import (
    AXES,
    FORWARD,
    NORMALISED,
    TURNING,
    TWIST_AXES,
    axis_of,
)

# Below this speed a Twist's yaw rate says nothing about the steering angle, m/s.
MIN_SPEED = 1e-3

Told = dict[str, float]
"""What a message says, by axis."""


def derive(told: Mapping[str, float], name: str, wheelbase: float | None) -> float:
    """One command from what a message says; NaN where that does not determine it.

    Args:
        wheelbase: distance between the axles, m; None: no angle becomes a yaw rate.
    """
    if name in told:
        return told[name]
    if name in FORWARD:
        return _forward(told, name)
    if name == 'steering':
        return told.get('yaw_rate', math.nan)
    if name == 'steering_angle' and wheelbase is not None and 'yaw_rate' in told:
        speed = _forward(told, 'speed')
        return (
            math.atan(wheelbase * told['yaw_rate'] / speed) if abs(speed) > MIN_SPEED else math.nan
        )
    if name == 'yaw_rate' and 'steering' in told:
        return told['steering']
    if name == 'yaw_rate' and wheelbase is not None and 'steering_angle' in told:
        return _forward(told, 'speed') * math.tan(told['steering_angle']) / wheelbase
    return math.nan


def _forward(told: Mapping[str, float], wanted: str) -> float:
    """The forward command under another name; a speed in m/s is no throttle."""
    names = ('velocity_x',) if wanted == 'throttle' else FORWARD
    return next((told[name] for name in names if name in told), math.nan)


def vector(
    told: Mapping[str, float], names: Sequence[str], wheelbase: float | None
) -> tuple[float, ...]:
    """The command vector that a message says; NaN where it does not determine a value."""
    return tuple(derive(told, name, wheelbase) for name in names)


def unused(told: Mapping[str, float], names: Sequence[str]) -> list[str]:
    """Axes of which a message asks something, and from which none of these commands is made."""
    used = set(names)
    for alike in (FORWARD, TURNING):
        if used & set(alike):
            used |= set(alike)
    return [name for name, value in told.items() if value and name not in used]


def read_twist(message: Any) -> Told:
    """The axes of a geometry_msgs/Twist."""
    linear, angular = message.linear, message.angular
    values = (linear.x, linear.y, linear.z, angular.x, angular.y, angular.z)
    return dict(zip(TWIST_AXES, values, strict=True))


def twist_axes(told: Mapping[str, float], wheelbase: float | None = None) -> Told:
    """The six axes of a Twist that says these commands; what is not commanded is zero."""
    axes = {name: float(derive(told, name, wheelbase)) for name in TWIST_AXES}
    return {name: 0.0 if math.isnan(value) else value for name, value in axes.items()}


def write_twist(message: Any, told: Mapping[str, float], wheelbase: float | None) -> None:
    """Fill a geometry_msgs/Twist."""
    x, y, z, roll, pitch, yaw = twist_axes(told, wheelbase).values()
    message.linear.x, message.linear.y, message.linear.z = x, y, z
    message.angular.x, message.angular.y, message.angular.z = roll, pitch, yaw


def _read_ackermann(message: Any, names: Sequence[str]) -> Told:
    return {'steering_angle': message.drive.steering_angle, 'speed': message.drive.speed}


def _write_ackermann(message: Any, told: Mapping[str, float], wheelbase: float | None) -> None:
    message.drive.steering_angle = float(told['steering_angle'])
    message.drive.speed = float(told['speed'])


def _read_array(message: Any, names: Sequence[str]) -> Told:
    if len(message.data) != len(names):
        raise ValueError(
            f'{len(message.data)} numbers where {len(names)} are commanded: {", ".join(names)}'
        )
    return dict(zip(names, map(float, message.data), strict=True))


def _read_setpoint(message: Any, names: Sequence[str]) -> Told:
    raise ValueError("velocities of the world's frame: its odometry tells those of the robot")


def _write_array(message: Any, told: Mapping[str, float], wheelbase: float | None) -> None:
    message.data = [float(value) for value in told.values()]


@dataclass(frozen=True)
class Form:
    """One type of message that carries commands."""

    msgtype: str
    stamped: bool
    """Whether it has a header with its time."""
    read: Callable[[Any, Sequence[str]], Told]
    """What a message says; ValueError where it cannot be these commands."""
    write: Callable[[Any, Mapping[str, float], float | None], None]
    """Fill a message with the commands by name, in the order of the contract."""
    carries: Callable[[Sequence[str]], bool]
    """Whether commands of these names can be told by it."""
    whole: tuple[str, ...] = ()
    """Commands without which it cannot be filled."""
    package: str = ''
    """Where the message comes from if not with ROS itself."""
    in_world: bool = False
    """Whether its velocities are east, north and up: who sends it must know the robot's yaw."""
    override: str = ''
    """The form of a person's commands where it is not this one."""

    @property
    def kind(self) -> str:
        """The message's own name."""
        return self.msgtype.rpartition('/')[2]


def _in_twist(names: Sequence[str]) -> bool:
    return all(name in AXES for name in names)


def _in_si(names: Sequence[str]) -> bool:
    return _in_twist(names) and not set(names) & set(NORMALISED)


FORMS = {
    'twist_stamped': Form(
        'geometry_msgs/msg/TwistStamped',
        stamped=True,
        read=lambda message, names: read_twist(message.twist),
        write=lambda message, told, wheelbase: write_twist(message.twist, told, wheelbase),
        carries=_in_twist,
    ),
    'twist': Form(
        'geometry_msgs/msg/Twist',
        stamped=False,
        read=lambda message, names: read_twist(message),
        write=write_twist,
        carries=_in_twist,
    ),
    'ackermann': Form(
        'ackermann_msgs/msg/AckermannDriveStamped',
        stamped=True,
        read=_read_ackermann,
        write=_write_ackermann,
        carries=lambda names: set(names) <= {'steering_angle', 'speed', 'yaw_rate', 'velocity_x'},
        whole=('steering_angle', 'speed'),
        package='apt-get install ros-$ROS_DISTRO-ackermann-msgs',
    ),
    'float64_multi_array': Form(
        'std_msgs/msg/Float64MultiArray',
        stamped=False,
        read=_read_array,
        write=_write_array,
        carries=lambda names: True,
    ),
    'px4_trajectory_setpoint': Form(
        'px4_msgs/msg/TrajectorySetpoint',
        stamped=False,
        read=_read_setpoint,
        write=px4.write_setpoint,
        carries=lambda names: set(names) <= {*px4.NAMES},
        package='clone https://github.com/PX4/px4_msgs into the workspace, of the version of PX4',
        in_world=True,
        override='twist_stamped',
    ),
}
"""By `command_type` of the policy node."""

# What a robot did may stand for what was commanded.
ODOMETRY = Form(
    'nav_msgs/msg/Odometry',
    stamped=True,
    read=lambda message, names: read_twist(message.twist.twist),
    write=lambda message, told, wheelbase: write_twist(message.twist.twist, told, wheelbase),
    carries=_in_si,
)
_BY_TYPE = {form.msgtype: form for form in (*FORMS.values(), ODOMETRY) if not form.in_world}


def form_of(msgtype: str) -> Form | None:
    """The form of a message type, None where it carries no commands."""
    return _BY_TYPE.get(msgtype)


def check_carried(
    where: str, form: Form, names: Sequence[str], error: type[LiquidControlError] = ConfigError
) -> None:
    """Refuse commands that a message cannot tell.

    Args:
        where: how the message names what it belongs to.
        error: what to raise.
    """
    if form.carries(names):
        return
    units = sorted({axis_of(name, error).units[0] for name in names})
    fits = [each.kind for each in FORMS.values() if each.carries(names) and not each.in_world]
    raise error(
        f'{where} is a {form.kind}, which cannot tell {", ".join(names)} ({", ".join(units)}): '
        f'expected {" or ".join(fits)}'
    )
