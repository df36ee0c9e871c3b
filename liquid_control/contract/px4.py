# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""PX4's own messages: velocities in the world's frame north-east-down, and the pose it reports.

Ours are REP-103: the robot's frame is forward-left-up, the world's east-north-up. A flight
controller that is told by MAVROS takes a TwistStamped and needs none of this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NAMES = ('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate')
_UNUSED = (math.nan, math.nan, math.nan)
"""How a TrajectorySetpoint says that something is not commanded."""
# px4_msgs/VehicleOdometry: pose_frame, of a position that is north-east-down.
_POSE_FRAME_NED = 1


def to_world(told: Mapping[str, float], yaw: float) -> dict[str, float]:
    """The same commands with velocity_x to the east and velocity_y to the north.

    Args:
        yaw: of the robot, rad from east, anticlockwise.
    """
    ahead, left = told.get('velocity_x', 0.0), told.get('velocity_y', 0.0)
    cos, sin = math.cos(yaw), math.sin(yaw)
    return {
        **told,
        'velocity_x': ahead * cos - left * sin,
        'velocity_y': ahead * sin + left * cos,
    }


def write_setpoint(message: Any, told: Mapping[str, float], wheelbase: float | None) -> None:
    """Fill a px4_msgs/TrajectorySetpoint with velocities of the world's frame east-north-up."""
    east, north, up, left = (float(told.get(name, 0.0)) for name in NAMES)
    message.position = message.acceleration = message.jerk = list(_UNUSED)
    message.velocity = [north, east, -up]
    message.yaw, message.yawspeed = math.nan, -left


def write_mode(message: Any) -> None:
    """Fill a px4_msgs/OffboardControlMode: velocities are what is commanded."""
    message.position = message.acceleration = message.attitude = message.body_rate = False
    message.velocity = True


def pose_of(message: Any) -> tuple[tuple[float, float, float], tuple[float, float, float, float]]:
    """Position and orientation (x y z w) east-north-up of a px4_msgs/VehicleOdometry.

    Raises:
        ValueError: they are of another frame.
    """
    if message.pose_frame != _POSE_FRAME_NED:
        raise ValueError(
            f'vehicle_odometry: pose_frame must be {_POSE_FRAME_NED} (NED), '
            f'found {message.pose_frame}'
        )
    north, east, down = map(float, message.position)
    w, x, y, z = map(float, message.q)  # of forward-right-down in north-east-down
    # The world turned by a half turn about north+east, the robot by one about its x axis.
    half = math.sqrt(0.5)
    return (east, north, -down), (half * (x + y), half * (x - y), half * (w - z), half * (w + z))
