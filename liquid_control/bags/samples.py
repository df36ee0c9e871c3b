"""What policies see and learn, taken from a bag's messages: pictures, IMU, speed, commands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.common.errors import SensorError
from liquid_control.common.image import decode_compressed, to_rgb
from liquid_control.contract.bounds import MAX_ANGULAR_VELOCITY, MAX_SPEED
from liquid_control.runtime.control.command import from_twist, to_twist
from liquid_control.runtime.sensing.cdr import (
    read_compressed_image,
    read_image,
    read_imu,
    read_odometry_speed,
)

# A wheel turned further than this steers nothing, rad.
MAX_STEERING_ANGLE = math.pi / 2
# A command holds for so long without another, ns; then a robot's base stops, nobody drives it.
COMMAND_HOLD_NS = 500_000_000
# Fewer values say nothing of what is usual; and nothing is unusual within this (m/s, rad, rad/s).
_FEW = 10
_USUAL = 1.0
_SPIKE_LENGTH = 2


def picture(reader: BagReader, message: BagMessage) -> NDArray[np.uint8]:
    """RGB picture uint8 [height, width, 3] of an Image or CompressedImage.

    Raises:
        ImageError: the picture cannot be decoded.
    """
    if message.msgtype == 'sensor_msgs/msg/CompressedImage':
        compressed = read_compressed_image(reader.to_cdr(message))
        return decode_compressed(compressed.data, compressed.format)
    image = read_image(reader.to_cdr(message))
    return to_rgb(image.encoding, image.width, image.height, image.step, image.data)


def imu(reader: BagReader, message: BagMessage) -> NDArray[np.float32]:
    """Linear acceleration (m/s^2) and angular velocity (rad/s) of an Imu, [6]."""
    return read_imu(reader.to_cdr(message))[1]


def speed(reader: BagReader, message: BagMessage) -> float:
    """Forward speed of an Odometry, m/s."""
    return read_odometry_speed(reader.to_cdr(message))[1]


def motion(message: BagMessage) -> tuple[float, float]:
    """Forward speed (m/s) and yaw rate (rad/s) of an Odometry."""
    twist: Any = message.value.twist.twist
    return twist.linear.x, twist.angular.z


def command(message: BagMessage, names: Sequence[str], wheelbase: float) -> tuple[float, ...]:
    """Values of the commands `names`; NaN where the message does not determine one.

    What is not finite commands nothing, nor does what no ground robot can do: neither is learnt
    from nor compared with.

    Takes a TwistStamped, Twist, Odometry (what the robot did stands for what was commanded) or
    AckermannDriveStamped.

    Args:
        wheelbase: m, to tell a steering angle from a yaw rate and back.

    Raises:
        SensorError: a value is not finite or absurd.
        BagError: such a message carries no command.
    """
    value: Any = message.value
    kind = message.msgtype.rsplit('/', 1)[-1]
    if kind == 'AckermannDriveStamped':
        drive = {'steering_angle': value.drive.steering_angle, 'speed': value.drive.speed}
        _check(message, drive['speed'], MAX_SPEED)
        _check(message, drive['steering_angle'], MAX_STEERING_ANGLE)
        twist = from_twist(
            names, *to_twist(tuple(drive), tuple(drive.values()), wheelbase), wheelbase
        )
        # The angle itself: through a Twist it would be lost where the car stands.
        return tuple(drive.get(name, other) for name, other in zip(names, twist, strict=True))
    if kind == 'Odometry':
        value = value.twist.twist
    elif kind == 'TwistStamped':
        value = value.twist
    elif kind != 'Twist':
        raise BagError(f'{message.topic} of type {message.msgtype} carries no command')
    _check(message, value.linear.x, MAX_SPEED)
    _check(message, value.angular.z, MAX_ANGULAR_VELOCITY)
    return from_twist(names, value.linear.x, value.angular.z, wheelbase)


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


def _check(message: BagMessage, value: float, limit: float) -> None:
    """Refuse a value that is not finite or beyond a limit; NaN compares as false."""
    if not abs(value) <= limit:
        what = 'absurd' if math.isfinite(value) else 'not finite'
        raise SensorError(f'{message.topic}: command is {what}: {value:g}')
