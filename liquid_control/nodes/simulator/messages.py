# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot's samples as ROS messages.

Each message is made once and filled anew for every sample: at 450 messages a second, making them
would cost more than sending them.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image, Imu, LaserScan

from liquid_control.common.stamps import split_ns
from liquid_control.rollout.messages import (
    BASE_FRAME_ID,
    CAMERA_FRAME_ID,
    IMU_FRAME_ID,
    ODOMETRY_FRAME_ID,
    SCAN_FRAME_ID,
    diagonal,
)
from liquid_control.sim import lidar
from liquid_control.sim.judge import LapStatus
from liquid_control.sim.protocols import Sample, Status
from liquid_control.sim.sensors import sample_deviation
from liquid_control.sim.simulator import Simulator

TOPICS: dict[str, tuple[type, str]] = {
    'image': (Image, 'camera/image_raw'),
    'imu': (Imu, 'imu/data'),
    'odom': (Odometry, 'odom'),
    'scan': (LaserScan, 'scan'),
    'goal': (PoseStamped, 'goal_pose'),
}
"""Of the sensors by their names."""


class SampleMessages:
    """Fills one message of each type; what is returned is good until the next call."""

    def __init__(self, simulator: Simulator[Any, Any]) -> None:
        self._simulator = simulator
        self._fill: dict[str, Callable[[Sample], Any]] = {
            'image': self.image,
            'imu': self.imu,
            'odom': self.odometry,
            'scan': self.scan,
            'goal': self.goal,
        }
        imu_rate = next((s.rate for s in simulator.sensors if s.name == 'imu'), 1.0)
        acceleration, _, _, rotation, _, _ = (sample_deviation(imu_rate) ** 2).tolist()
        self._imu = Imu()
        self._imu.header.frame_id = IMU_FRAME_ID
        self._imu.orientation_covariance[0] = -1.0  # REP-145: no orientation is measured
        self._imu.linear_acceleration_covariance = diagonal(acceleration)
        self._imu.angular_velocity_covariance = diagonal(rotation)
        self._odometry = Odometry(child_frame_id=BASE_FRAME_ID)
        self._odometry.header.frame_id = ODOMETRY_FRAME_ID
        self._image = Image(encoding='rgb8')
        self._image.header.frame_id = CAMERA_FRAME_ID
        self._scan = LaserScan(range_min=lidar.NEAR, range_max=lidar.FAR)
        self._scan.header.frame_id = SCAN_FRAME_ID
        self._goal = PoseStamped()
        self._goal.header.frame_id = ODOMETRY_FRAME_ID
        self._goal.pose.orientation.w = 1.0
        self.offset_ns = 0
        """From the robot's time to that of the stamps."""

    def fill(self, sample: Sample) -> Any:
        """The message of any sample."""
        return self._fill[sample.sensor](sample)

    def imu(self, sample: Sample) -> Imu:
        """Linear acceleration with gravity and angular velocity, no orientation (REP-145)."""
        message = self._imu
        self._set_stamp(message.header.stamp, sample.stamp_ns)
        acceleration, rotation = message.linear_acceleration, message.angular_velocity
        acceleration.x, acceleration.y, acceleration.z = sample.value[:3].tolist()
        rotation.x, rotation.y, rotation.z = sample.value[3:].tolist()
        return message

    def odometry(self, sample: Sample) -> Odometry:
        """Pose in the world's frame, which is the frame `odom`, and velocity of `base_link`."""
        message, motion = self._odometry, sample.value
        self._set_stamp(message.header.stamp, sample.stamp_ns)
        pose, twist = message.pose.pose, message.twist.twist
        pose.position.x, pose.position.y, pose.position.z = motion.x, motion.y, motion.z
        turn, linear, angular = pose.orientation, twist.linear, twist.angular
        turn.x, turn.y, turn.z, turn.w = motion.orientation
        linear.x, linear.y, linear.z = motion.speed, motion.velocity_y, motion.velocity_z
        angular.x, angular.y, angular.z = motion.roll_rate, motion.pitch_rate, motion.yaw_rate
        return message

    def scan(self, sample: Sample) -> LaserScan:
        """A whole turn, counterclockwise from behind, all of it at one time."""
        message, rays = self._scan, len(sample.value)
        self._set_stamp(message.header.stamp, sample.stamp_ns)
        message.angle_increment = 2.0 * math.pi / rays
        message.angle_min, message.angle_max = -math.pi, math.pi - message.angle_increment
        message.ranges = array('f', sample.value.tobytes())
        return message

    def goal(self, sample: Sample) -> PoseStamped:
        """Where the robot is sent, in the frame of its odometry."""
        message = self._goal
        self._set_stamp(message.header.stamp, sample.stamp_ns)
        place = message.pose.position
        place.x, place.y, place.z = sample.value
        return message

    def image(self, sample: Sample) -> Image:
        """The image as rgb8."""
        message = self._image
        self._set_stamp(message.header.stamp, sample.stamp_ns)
        message.height, message.width, channels = sample.value.shape
        message.step = message.width * channels
        # An array passes through rclpy as it is; bytes or lists are checked value by value.
        message.data = array('B', sample.value.tobytes())
        return message

    def status(self, real_time_factor: float) -> DiagnosticArray:
        """How the task goes, as key-value pairs in SI units; level WARN while it does not."""
        status = self._simulator.status
        if isinstance(status, LapStatus):
            good, text, values = self._laps(status)
        else:
            good, text, values = not status.problem, status.problem or 'on its way', told(status)
        values |= {
            'speed': f'{status.motion.speed:.3f}',
            'real_time_factor': f'{real_time_factor:.3f}',
        }
        robot = self._simulator.robot.name
        message = DiagnosticArray()
        self._set_stamp(message.header.stamp, status.stamp_ns)
        message.status.append(
            DiagnosticStatus(
                level=DiagnosticStatus.OK if good else DiagnosticStatus.WARN,
                name='simulator: track' if robot == 'car' else f'simulator: {robot}',
                message=text,
                hardware_id=f'simulated_{robot}',
                values=[KeyValue(key=key, value=value) for key, value in values.items()],
            )
        )
        return message

    def _laps(self, status: LapStatus) -> tuple[bool, str, dict[str, str]]:
        place, on_road = status.place, status.place.on_road
        values = {
            'lap': str(len(status.lap_times) + 1),
            'laps_finished': str(len(status.lap_times)),
            'last_lap_time': f'{status.lap_times[-1]:.3f}' if status.lap_times else '',
            'progress': f'{status.progress:.3f}',
            'track_length': f'{self._simulator.world.track.length:.3f}',
            'offset': f'{place.offset:.4f}',
            'max_offset': f'{status.max_offset:.4f}',
            'heading_error': f'{place.heading_error:.4f}',
            'on_road': str(on_road).lower(),
            'departures': str(status.departures),
        }
        return on_road, 'on the road' if on_road else 'off the road', values

    def _set_stamp(self, stamp: Time, time_ns: int) -> None:
        stamp.sec, stamp.nanosec = split_ns(time_ns + self.offset_ns)


def told(status: Status) -> dict[str, str]:
    """The plain values of a status."""
    values = {}
    for entry in fields(status):  # type: ignore[arg-type]  # a dataclass, as all of them are
        value = getattr(status, entry.name)
        if isinstance(value, float):
            values[entry.name] = f'{value:.4f}'
        elif isinstance(value, str | bool) or (
            isinstance(value, int) and entry.name != 'stamp_ns'
        ):
            values[entry.name] = str(value).lower()
    return values
