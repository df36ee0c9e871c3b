# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The fence of a robot: where it may be, how far it may lean, and what keeps it inside.

The home is the origin of the odometry. Inside, what leads outwards is slowed down in time to stop
at the fence; outside, it is taken away, whoever commands it, and the way back is free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from liquid_control.common.errors import SensorError
from liquid_control.contract.robot import CommandLimits, Fence

# Of the deceleration of the robot: what is left is for a tick that comes late and for wind.
_SHARE = 0.7
# Of which a robot has one.
_AHEAD = ('velocity_x', 'speed')
# A quaternion whose length is further from 1 is none.
_UNIT = 0.05


class RobotPose(NamedTuple):
    """Where a robot is, in the frame of its odometry."""

    x: float
    y: float
    z: float
    """m"""
    yaw: float
    """rad, from the x axis, left positive."""
    tilt: float
    """rad, between the robot's z axis and the vertical."""

    @classmethod
    def of(cls, position: Sequence[float], orientation: Sequence[float]) -> RobotPose:
        """From position (m) and orientation (quaternion x y z w).

        Raises:
            SensorError: not finite, or no orientation.
        """
        x, y, z, w = orientation
        if not all(map(math.isfinite, (*position, x, y, z, w))):
            raise SensorError('pose: not finite')
        length = math.sqrt(x * x + y * y + z * z + w * w)
        if abs(length - 1) > _UNIT:
            raise SensorError(f'pose: the orientation has length {length:.3g}, expected 1')
        upright = 1 - 2 * (x * x + y * y) / length**2
        yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z) / length**2)
        tilt = math.acos(min(max(upright, -1.0), 1.0))
        return cls(position[0], position[1], position[2], yaw, tilt)


def outside(fence: Fence, pose: RobotPose) -> str:
    """Which limit of the fence does not hold, '' where all do."""
    distance, (low, high) = math.hypot(pose.x, pose.y), fence.height
    if distance > fence.radius:
        return f'fence: {distance:.1f} m from home, at most {fence.radius:g}'
    if not low <= pose.z <= high:
        return f'fence: {pose.z:.1f} m high, within {low:g}..{high:g}'
    if pose.tilt > fence.tilt:
        return f'fence: tilted by {pose.tilt:.2f} rad, at most {fence.tilt:g}'
    return ''


def held_back(
    fence: Fence,
    pose: RobotPose,
    command: Mapping[str, float],
    limits: Mapping[str, CommandLimits],
) -> dict[str, float]:
    """A command without what leads out of the fence.

    Args:
        command: by name; velocities are those of a robot that stands upright with the pose's yaw.
        limits: whose deceleration tells from where on it must slow down.
    """
    allowed = dict(command)
    level = [name for name in (*_AHEAD, 'velocity_y') if name in command]
    if level:
        ahead = sum(command.get(name, 0.0) for name in _AHEAD)
        left = command.get('velocity_y', 0.0)
        distance = math.hypot(pose.x, pose.y)
        bearing = math.atan2(pose.y, pose.x) - pose.yaw
        slowest = min(_fall(limits[name]) for name in level)
        speed, away = math.hypot(ahead, left), math.atan2(left, ahead) - bearing
        # While it brakes it may turn by so much, and take its speed with it.
        turn = limits['yaw_rate'].max * speed / slowest if 'yaw_rate' in command else 0.0
        away = abs(math.remainder(away, math.tau))
        outwards = speed * math.cos(max(away - turn, 0.0))
        most = _in_time(fence.radius - distance, slowest)
        if outwards > most:
            for name in level:
                allowed[name] = command[name] * most / outwards
    if 'velocity_z' in command:
        low, high = fence.height
        fall = _fall(limits['velocity_z'])
        up, down = _in_time(high - pose.z, fall), _in_time(pose.z - low, fall)
        allowed['velocity_z'] = min(max(command['velocity_z'], -down), up)
    return allowed


def _in_time(room: float, deceleration: float) -> float:
    """The speed from which a robot stops within a distance (m), m/s."""
    return math.sqrt(2 * _SHARE * deceleration * max(room, 0.0))


def _fall(limits: CommandLimits) -> float:
    return limits.max_fall_rate or limits.max_rate
