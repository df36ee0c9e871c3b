"""A robot's samples and commands as ROS messages in plain values, for bags."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.contract.wire import twist_axes
from liquid_control.sim import lidar
from liquid_control.sim.car import WHEELBASE
from liquid_control.sim.protocols import Command, Sample
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


def types_of(simulator: Simulator[Any, Any]) -> dict[str, str]:
    """Topics and types of a robot's recordings: its sensors and its commands."""
    sensors = dict(BY_SENSOR[sensor.name] for sensor in simulator.sensors)
    return sensors | {COMMAND_TOPIC: COMMAND_TYPE}


def describe(sample: Sample, imu_rate: float) -> tuple[str, dict[str, Any]]:
    """Return the topic and the message values of a sample.

    Args:
        imu_rate: Hz; the covariance of an IMU sample follows from it.
    """
    if sample.sensor == 'image':
        done, data = cv2.imencode('.jpg', sample.value[..., ::-1], _JPEG)
        if not done:
            raise RuntimeError('OpenCV could not encode a picture as JPEG')
        header = {'frame_id': CAMERA_FRAME_ID}
        return IMAGE_TOPIC, {'header': header, 'format': 'jpeg', 'data': data.reshape(-1)}
    if sample.sensor == 'imu':
        acceleration, _, _, rotation, _, _ = (sample_deviation(imu_rate) ** 2).tolist()
        return (
            IMU_TOPIC,
            {
                'header': {'frame_id': IMU_FRAME_ID},
                'orientation_covariance': [-1.0]
                + [0.0] * 8,  # REP-145: no orientation is measured
                'linear_acceleration': _vector(*sample.value[:3].tolist()),
                'linear_acceleration_covariance': diagonal(acceleration),
                'angular_velocity': _vector(*sample.value[3:].tolist()),
                'angular_velocity_covariance': diagonal(rotation),
            },
        )
    if sample.sensor == 'scan':
        return SCAN_TOPIC, _scan(sample.value)
    if sample.sensor == 'goal':
        return GOAL_TOPIC, {
            'header': {'frame_id': ODOMETRY_FRAME_ID},
            'pose': {'position': _vector(*sample.value), 'orientation': {'w': 1.0}},
        }
    motion = sample.value
    x, y, z, w = motion.orientation
    return ODOMETRY_TOPIC, {
        'header': {'frame_id': ODOMETRY_FRAME_ID},
        'child_frame_id': BASE_FRAME_ID,
        'pose': {
            'pose': {
                'position': _vector(motion.x, motion.y, motion.z),
                'orientation': {'x': x, 'y': y, 'z': z, 'w': w},
            }
        },
        'twist': {
            'twist': {
                'linear': _vector(motion.speed, motion.velocity_y, motion.velocity_z),
                'angular': _vector(motion.roll_rate, motion.pitch_rate, motion.yaw_rate),
            }
        },
    }


def _scan(ranges: NDArray[np.float32]) -> dict[str, Any]:
    """A whole turn, counterclockwise from behind."""
    step = 2.0 * math.pi / len(ranges)
    return {
        'header': {'frame_id': SCAN_FRAME_ID},
        'angle_min': -math.pi,
        'angle_max': math.pi - step,
        'angle_increment': step,
        'range_min': lidar.NEAR,
        'range_max': lidar.FAR,
        'ranges': ranges,
    }


def describe_command(command: Command) -> dict[str, Any]:
    """Return the values of a command's TwistStamped."""
    x, y, z, roll, pitch, yaw = twist_axes(command, WHEELBASE).values()
    return {
        'header': {'frame_id': BASE_FRAME_ID},
        'twist': {'linear': _vector(x, y, z), 'angular': _vector(roll, pitch, yaw)},
    }


def diagonal(variance: float) -> list[float]:
    """Return a 3x3 covariance of independent axes, row by row."""
    return [variance, 0.0, 0.0, 0.0, variance, 0.0, 0.0, 0.0, variance]


def _vector(x: float, y: float, z: float) -> dict[str, float]:
    return {'x': x, 'y': y, 'z': z}
