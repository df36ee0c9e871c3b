"""What policies see and learn, taken from a bag's messages: pictures, IMU, speed, commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.runtime.cdr import (
    read_compressed_image,
    read_image,
    read_imu,
    read_odometry_speed,
)
from liquid_control.runtime.command import from_twist, to_twist
from liquid_control.runtime.image import decode_compressed, to_rgb


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

    Takes a TwistStamped, Twist, Odometry (what the robot did stands for what was commanded) or
    AckermannDriveStamped.

    Args:
        wheelbase: m, to tell a steering angle from a yaw rate and back.
    """
    value: Any = message.value
    kind = message.msgtype.rsplit('/', 1)[-1]
    if kind == 'AckermannDriveStamped':
        drive = {'steering_angle': value.drive.steering_angle, 'speed': value.drive.speed}
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
    return from_twist(names, value.linear.x, value.angular.z, wheelbase)
