# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A robot's samples and commands as serialized ROS messages: for bags, policies and topics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2

from liquid_control.common.cdr import Writer
from liquid_control.contract.inputs.odometry import OdometryMessage, write_odometry
from liquid_control.contract.wire import twist_axes
from liquid_control.sim import lidar
from liquid_control.sim.car import WHEELBASE
from liquid_control.sim.protocols import Command, Motion, Sample
from liquid_control.sim.robots import IMU_RATE
from liquid_control.sim.sensors import sample_deviation
from liquid_control.sim.simulator import Simulator

IMAGE_TOPIC = '/camera/image_raw/compressed'
IMU_TOPIC = '/imu/data'
ODOMETRY_TOPIC = '/odom'
SCAN_TOPIC = '/scan'
GOAL_TOPIC = '/goal_pose'
COMMAND_TOPIC = '/cmd_vel'

COMMAND_TYPE = 'geometry_msgs/msg/TwistStamped'

BY_SENSOR = {
    'image': (IMAGE_TOPIC, 'sensor_msgs/msg/CompressedImage'),
    'imu': (IMU_TOPIC, 'sensor_msgs/msg/Imu'),
    'odom': (ODOMETRY_TOPIC, 'nav_msgs/msg/Odometry'),
    'scan': (SCAN_TOPIC, 'sensor_msgs/msg/LaserScan'),
    'goal': (GOAL_TOPIC, 'geometry_msgs/msg/PoseStamped'),
}
"""Topic and type, by the name of the sensor."""

CAMERA_FRAME_ID = 'camera_optical_frame'
IMU_FRAME_ID = 'imu_link'
ODOMETRY_FRAME_ID = 'odom'
BASE_FRAME_ID = 'base_link'
SCAN_FRAME_ID = 'base_scan'

COMMAND_NAMES = ('steering_angle', 'speed')

# Sharp enough that a policy cannot tell these frames from the raw ones that it will see live.
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


class Message(NamedTuple):
    """One serialized message."""

    topic: str
    msgtype: str
    data: bytes


def types_of(simulator: Simulator[Any, Any]) -> dict[str, str]:
    """Topics and types of a robot's recordings: its sensors and its commands."""
    sensors = dict(BY_SENSOR[sensor.name] for sensor in simulator.sensors)
    return sensors | {COMMAND_TOPIC: COMMAND_TYPE}


def encode(sample: Sample, imu_rate: float = IMU_RATE) -> Message:
    """A sample as the message that a robot would send.

    Args:
        imu_rate: Hz; the covariance of an IMU sample follows from it.
    """
    topic, msgtype = BY_SENSOR[sample.sensor]
    imu = sample.sensor == 'imu'
    data = _imu(sample, imu_rate) if imu else _ENCODERS[sample.sensor](sample)
    return Message(topic, msgtype, data)


def encode_command(command: Command, stamp_ns: int) -> bytes:
    """A command as a TwistStamped."""
    message = Writer()
    message.header(stamp_ns, BASE_FRAME_ID)
    message.put('d', *twist_axes(command, WHEELBASE).values())
    return message.done()


def _image(sample: Sample) -> bytes:
    done, data = cv2.imencode('.jpg', sample.value[..., ::-1], _JPEG)
    if not done:
        raise RuntimeError('OpenCV could not encode an image as JPEG')
    message = Writer()
    message.header(sample.stamp_ns, CAMERA_FRAME_ID)
    message.string('jpeg')
    message.blob(data.tobytes())
    return message.done()


def _imu(sample: Sample, rate: float) -> bytes:
    acceleration, _, _, rotation, _, _ = (sample_deviation(rate) ** 2).tolist()
    values = sample.value.tolist()
    message = Writer()
    message.header(sample.stamp_ns, IMU_FRAME_ID)
    message.put('d', 0.0, 0.0, 0.0, 1.0)
    message.put('d', -1.0, *[0.0] * 8)  # REP-145: no orientation is measured
    message.put('d', *values[3:], *diagonal(rotation))
    message.put('d', *values[:3], *diagonal(acceleration))
    return message.done()


def _odometry(sample: Sample) -> bytes:
    motion: Motion = sample.value
    return write_odometry(
        OdometryMessage(
            sample.stamp_ns,
            ODOMETRY_FRAME_ID,
            (motion.x, motion.y, motion.z),
            motion.orientation,
            (
                motion.speed,
                motion.velocity_y,
                motion.velocity_z,
                motion.roll_rate,
                motion.pitch_rate,
                motion.yaw_rate,
            ),
        )
    )


def _scan(sample: Sample) -> bytes:
    """A whole turn, counterclockwise from behind, all of it at one time."""
    rays = len(sample.value)
    step = 2.0 * math.pi / rays
    message = Writer()
    message.header(sample.stamp_ns, SCAN_FRAME_ID)
    message.put('f', -math.pi, math.pi - step, step, 0.0, 0.0, lidar.NEAR, lidar.FAR)
    message.floats(sample.value)
    message.floats(())  # intensities
    return message.done()


def _goal(sample: Sample) -> bytes:
    message = Writer()
    message.header(sample.stamp_ns, ODOMETRY_FRAME_ID)
    message.put('d', *sample.value, 0.0, 0.0, 0.0, 1.0)
    return message.done()


_ENCODERS: dict[str, Callable[[Sample], bytes]] = {
    'image': _image,
    'odom': _odometry,
    'scan': _scan,
    'goal': _goal,
}


def diagonal(variance: float) -> list[float]:
    """Return a 3x3 covariance of independent axes, row by row."""
    return [variance, 0.0, 0.0, 0.0, variance, 0.0, 0.0, 0.0, variance]
