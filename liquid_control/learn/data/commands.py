# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a recording decides by itself about commands: which ones they are, and their ranges."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.errors import BagError
from liquid_control.contract.commands import NORMALISED, Axis, axis_of, check_together
from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.wire import ODOMETRY
from liquid_control.learn.data.kinematics import STANDING, TURNING, Commanded

OnStatus = Callable[[str], None]

# A command may go this much beyond what was recorded.
ROOM = 1.2
# Commands this much larger than nearly all others are mistakes of the one who sent them.
OUTLIER = 4.0
# What moves in a smaller share of the commands than this, nobody meant.
USED = 0.02
# Sticks give more different values than this; keys and buttons give fewer.
STICK = 10
# Whose commands are shares of full steering and full throttle.
_NORMALISED_TOPIC = re.compile(
    r'joy|donkey|norm|pwm|servo|throttle|(?:^|[/_])rc(?:[/_]|$)', re.IGNORECASE
)
CAR, TURNING_BASE = ('steering_angle', 'speed'), ('velocity_x', 'yaw_rate')


def choose_commands(
    told: Commanded, topic: str, on_status: OnStatus, wanted: Sequence[str] = ()
) -> tuple[str, ...]:
    """Names of the commands that a recording is about.

    Args:
        on_status: told what was concluded.
        wanted: what the user named; it has the last word.

    Raises:
        BagError: the recording leaves a choice that only its owner can make.
        ConfigError: what is wanted cannot stand together.
    """
    if wanted:
        check_together(wanted)
        samples.check_command(topic, told.msgtype, wanted)
        return tuple(wanted)
    if told.steers:
        return CAR
    if not told.axes:
        raise BagError(
            f'{topic} of type {told.msgtype} does not say which joints it commands: name them in '
            'the order of the controller, like --commands shoulder/position,elbow/position or '
            '--commands left_wheel/velocity,right_wheel/velocity'
        )
    besides = [name for name in samples.BESIDES if _is_used(told, axis_of(name))]
    if besides and told.msgtype != ODOMETRY.msgtype:  # which also tells of slips and bumps
        names = ('velocity_x', *besides, 'yaw_rate')
        on_status(
            f'{topic}: the robot is told {", ".join(besides)}, so {", ".join(names)} are learnt'
        )
        return names
    if _looks_normalised(told, topic):
        raise BagError(
            f'{topic}: linear.x and angular.z stay within -1..1 and may be shares of full '
            'throttle and full steering, or m/s and rad/s; say which: --commands '
            f'{",".join(NORMALISED)} or --commands {_names_in_si(told)}'
        )
    if told.turns_on_the_spot():
        on_status(
            f'{topic}: the robot turns on the spot, so velocity_x and yaw_rate are learnt, and no '
            f'steering angle; of a car: --commands {",".join(CAR)}'
        )
        return TURNING_BASE
    on_status(
        f'{topic}: nothing turns on the spot, so steering_angle and speed of a car are learnt; of '
        f'a base that turns by its wheels: --commands {",".join(TURNING_BASE)}'
    )
    return CAR


def command_specs(
    told: Commanded, names: Sequence[str], wheelbase: float, topic: str, on_status: OnStatus
) -> tuple[CommandSpec, ...]:
    """The commands with ranges as they were recorded, and some room.

    Args:
        wheelbase: m.
        on_status: told what does not count.

    Raises:
        BagError: one of them never says anything.
    """
    return tuple(_spec(told, axis_of(name), wheelbase, topic, on_status) for name in names)


def _spec(
    told: Commanded, axis: Axis, wheelbase: float, topic: str, on_status: OnStatus
) -> CommandSpec:
    values = told.values(axis.name, wheelbase)
    if axis.name == 'steering_angle' and not told.steers:
        values = values[np.abs(told.speed) > STANDING]  # near rest a yaw rate says little of it
    known = values[np.isfinite(values)]
    if not len(known):
        raise BagError(f'{topic}: the robot never moves, there is nothing to learn')
    unit = axis.units[0]
    if axis.family == 'normalised':
        return CommandSpec(axis.name, unit, -1.0 if (known < -STANDING).any() else 0.0, 1.0)
    if axis.family == 'joint' and axis.stop == 'hold':
        room = max((ROOM - 1) * float(np.ptp(known)), STANDING)
        return CommandSpec(axis.name, unit, *_within(axis, known.min() - room, known.max() + room))
    limit = _limit(known, axis.name.replace('_', ' '), unit, topic, on_status)
    forward = axis.name in ('speed', 'velocity_x') and not (known < -STANDING).any()
    return CommandSpec(axis.name, unit, *_within(axis, 0.0 if forward else -limit, limit))


def _within(axis: Axis, low: float, high: float) -> tuple[float, float]:
    return max(round(float(low), 6), axis.low), min(round(float(high), 6), axis.high)


def _is_used(told: Commanded, axis: Axis) -> bool:
    values = told.axes.get(axis.name)
    if values is None:
        return False
    least = STANDING if axis.units[0] == 'm/s' else TURNING
    return bool((np.abs(values) > least).mean() > USED)


def _looks_normalised(told: Commanded, topic: str) -> bool:
    """Whether a Twist may hold shares of full throttle and steering, by range and topic."""
    throttle, steering = np.abs(told.speed), np.abs(told.yaw_rate)
    if max(throttle.max(initial=0.0), steering.max(initial=0.0)) > 1.0 or told.is_followed():
        return False
    pushed_to_the_stop = steering.max(initial=0.0) == 1.0 and len(np.unique(steering)) > STICK
    return pushed_to_the_stop or _NORMALISED_TOPIC.search(topic) is not None


def _names_in_si(told: Commanded) -> str:
    return ','.join(TURNING_BASE if told.turns_on_the_spot() else CAR)


def _limit(
    values: NDArray[np.float64], what: str, unit: str, topic: str, on_status: OnStatus
) -> float:
    """A round limit with some room above what was commanded; what stands out does not count."""
    sizes = np.abs(values)
    used = sizes[sizes > STANDING]
    usual = OUTLIER * np.quantile(used, 0.95) if len(used) else np.inf
    if (strange := int((sizes > usual).sum())) > 0:
        on_status(
            f'{topic}: {strange} of {len(sizes)} commands go up to {sizes.max():.3g} {unit}, the '
            f'others to {sizes[sizes <= usual].max():.3g}: they do not count for the range of '
            f'the {what}'
        )
    step = 0.5 if unit == 'm/s' else 0.05
    return _round_up(float(sizes[sizes <= usual].max(initial=0.0)) * ROOM, step)


def _round_up(value: float, unit: float) -> float:
    return round(max(math.ceil(value / unit), 1) * unit, 6)
