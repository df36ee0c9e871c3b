# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What policies see and learn, taken from a bag's messages: images, IMU, speed, commands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from operator import le

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.common.errors import SensorError
from liquid_control.contract.commands import TWIST_AXES, axis_of
from liquid_control.contract.inputs.image import ImageReader
from liquid_control.contract.inputs.odometry import read_odometry
from liquid_control.contract.wire import ODOMETRY, check_carried, form_of, vector

# A wheel turned further than this steers nothing, rad.
MAX_STEERING_ANGLE = math.pi / 2
# Motions that a car has not: where a Twist commands them, a car's commands say something else.
BESIDES = tuple(name for name in TWIST_AXES if name not in ('velocity_x', 'yaw_rate'))
# A stick that does not rest quite in its middle is no motion, m/s or rad/s.
UNNOTICED = 0.05
# A command holds for so long without another, ns; then a robot's base stops, nobody drives it.
COMMAND_HOLD_NS = 500_000_000
# Fewer values say nothing of what is usual; and nothing is unusual within this (m/s, rad, rad/s).
_FEW = 10
_USUAL = 1.0
_SPIKE_LENGTH = 2

_IMAGES = ImageReader()


def image(reader: BagReader, message: BagMessage) -> NDArray[np.uint8]:
    """RGB image uint8 [height, width, 3] of an Image or CompressedImage.

    Raises:
        ImageError: the image cannot be decoded.
    """
    return _IMAGES.take('', reader.to_cdr(message), message.msgtype).value


def motion(message: BagMessage) -> tuple[float, float]:
    """Forward speed (m/s) and yaw rate (rad/s) of an Odometry. Raises SensorError."""
    twist = read_odometry(message.to_cdr()).twist
    return twist[0], twist[5]


def check_command(topic: str, msgtype: str, names: Sequence[str]) -> None:
    """Refuse a topic whose messages cannot tell the commands `names`. Raises BagError."""
    form = form_of(msgtype)
    if form is None:
        raise BagError(f'{topic} of type {msgtype} carries no command')
    check_carried(topic, form, names, BagError)


def command(
    message: BagMessage, names: Sequence[str], wheelbase: float | None
) -> tuple[float, ...]:
    """Values of the commands `names`; NaN where the message does not determine one.

    What is not finite commands nothing, nor does what no robot can do, nor a motion that these
    commands do not have: neither is learnt from nor compared with.

    Args:
        wheelbase: m, to tell a steering angle from a yaw rate and back.

    Raises:
        SensorError: a value is not finite or absurd, or moves what `names` do not.
        BagError: such a message carries no command.
    """
    told = told_by(message, names)
    if message.msgtype != ODOMETRY.msgtype:  # which also tells of slips and bumps
        _check_expressed(message, told, names)
    return vector(told, names, wheelbase)


def told_by(message: BagMessage, names: Sequence[str] = ()) -> dict[str, float]:
    """What a message commands, by axis.

    Takes every type that the policy node sends, and Odometry: what a robot did stands for what was
    commanded.

    Args:
        names: of the commands, for messages that do not name them.

    Raises:
        SensorError: a value is not finite or absurd.
        BagError: such a message carries no command.
    """
    form = form_of(message.msgtype)
    if form is None:
        raise BagError(f'{message.topic} of type {message.msgtype} carries no command')
    try:
        told = form.read(message.value, names)
    except ValueError as error:
        raise SensorError(f'{message.topic}: {error}') from error
    largest = _largest(tuple(told))
    if not all(map(le, map(abs, told.values()), largest)):  # NaN compares as false
        both = zip(told.values(), largest, strict=True)
        bad = next(value for value, limit in both if not abs(value) <= limit)
        what = 'absurd' if math.isfinite(bad) else 'not finite'
        raise SensorError(f'{message.topic}: command is {what}: {bad:g}')
    return told


@cache
def _largest(names: tuple[str, ...]) -> tuple[float, ...]:
    """Largest value of each command, in its unit."""
    return tuple(
        MAX_STEERING_ANGLE if name == 'steering_angle' else axis_of(name).high for name in names
    )


def _check_expressed(message: BagMessage, told: Mapping[str, float], names: Sequence[str]) -> None:
    if not any(map(told.get, BESIDES)):
        return
    for name in BESIDES:
        if told.get(name) and abs(told[name]) > UNNOTICED and name not in names:
            raise SensorError(
                f'{message.topic}: {name} of {told[name]:g} is commanded, which '
                f'{", ".join(names)} cannot say; learn it too with --commands'
            )


def spikes(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which of a command's recorded values nobody meant: those of a joystick's driver gone mad.

    They must neither be learnt nor widen what a policy may command. A spike is one or two messages
    long and far beyond all others: the largest and smallest half percent left out, at least one
    value each, by more than twice their size.

    Args:
        values: [N], in the order of their stamps; NaN where unknown.
    """
    at = np.flatnonzero(np.isfinite(values))
    known = values[at].astype(np.float64)
    result = np.zeros(len(values), bool)
    if len(known) < _FEW:
        return result
    trimmed = max(len(known) // 200, 1)
    low, high = np.sort(known)[[trimmed, -1 - trimmed]]
    room = max(2 * max(abs(low), abs(high), high - low), _USUAL)
    far = (known < low - room) | (known > high + room)
    edges = np.flatnonzero(np.diff(np.r_[False, far, False].astype(np.int8)))
    for first, end in edges.reshape(-1, 2):
        if end - first <= _SPIKE_LENGTH:
            result[at[first:end]] = True
    return result
