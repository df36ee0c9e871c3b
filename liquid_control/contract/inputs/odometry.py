# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How fast the robot moves, from odometry: its forward speed alone, or all of its velocity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from liquid_control.common.cdr import Cursor, Serialized, Writer
from liquid_control.common.errors import BundleError, SensorError
from liquid_control.contract import bounds
from liquid_control.contract.bounds import MAX_ANGULAR_VELOCITY, MAX_SPEED
from liquid_control.contract.inputs.base import (
    ABOUT,
    ALONG,
    EachMessage,
    Element,
    InputSpec,
    Reader,
    Reading,
    Source,
    by_axis,
    to_float32,
)

TYPE = 'nav_msgs/msg/Odometry'
TOPIC = 'odom'
FRAME = 'odom'  # REP-105
CHILD_FRAME = 'base_link'

SPEED_SCALE = 10.0  # m/s, of a car
VELOCITY_SCALE = 3.0  # m/s, of a robot that turns on the spot or flies
ANGULAR_VELOCITY_SCALE = 2.0  # rad/s
# A quaternion's length may be off by so much.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class OdometryMessage:
    """A nav_msgs/Odometry without its covariances."""

    stamp_ns: int
    frame_id: str
    position: tuple[float, float, float]
    """m, in the frame `frame_id`."""
    orientation: tuple[float, float, float, float]
    """x y z w."""
    twist: tuple[float, ...]
    """Velocity x y z (m/s) and angular velocity x y z (rad/s) in the robot's own frame."""


def read_odometry(message: Serialized) -> OdometryMessage:
    """Raises SensorError."""
    cursor = Cursor(message, 'nav_msgs/Odometry')
    stamp_ns, frame_id = cursor.time(), cursor.string()
    cursor.blob()  # child_frame_id
    # pose 7, covariance 36, twist 6
    values = cursor.take('49d', 8)
    return OdometryMessage(stamp_ns, frame_id, values[:3], values[3:7], values[43:49])


def write_odometry(odometry: OdometryMessage) -> bytes:
    """Covariances are zero, which stands for unknown."""
    message = Writer()
    message.header(odometry.stamp_ns, odometry.frame_id or FRAME)
    message.string(CHILD_FRAME)
    message.put('d', *odometry.position, *odometry.orientation, *[0.0] * 36)
    message.put('d', *odometry.twist, *[0.0] * 36)
    return message.done()


def yaw_of(orientation: tuple[float, float, float, float]) -> float:
    """The yaw of a quaternion x y z w, rad.

    Raises:
        SensorError: it is not of length 1.
    """
    qx, qy, qz, qw = orientation
    length = math.sqrt(qx * qx + qy * qy + qz * qz + qw * qw)
    if not abs(length - 1) <= _TOLERANCE:
        raise SensorError(f'orientation is no quaternion of length 1: {qx:g} {qy:g} {qz:g} {qw:g}')
    return math.atan2(2 * (qw * qz + qx * qy), 1 - 2 * (qy * qy + qz * qz))


def _standing(stamp_ns: int, frame_id: str, twist: tuple[float, ...]) -> dict[str, Any]:
    """The message of a robot at the origin that moves as `twist` says."""
    odometry = OdometryMessage(stamp_ns, frame_id, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), twist)
    return {'': (TYPE, write_odometry(odometry))}


@dataclass(frozen=True, kw_only=True)
class SpeedSpec(InputSpec):
    """Forward speed, m/s."""

    kind: ClassVar[str] = 'speed'
    suggested: ClassVar[str] = 'blind'

    scale: float = SPEED_SCALE
    """One unit as the network sees it, m/s: tanh(value / scale)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.check(self.kind, BundleError, scale=self.scale)

    def elements(self) -> tuple[Element, ...]:
        return (Element('speed', 'm/s', -MAX_SPEED, MAX_SPEED, self.scale),)

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        return (Source(TOPIC, (TYPE,)),)

    def reader(self) -> Reader:
        return EachMessage(_read_speed)

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        return _standing(stamp_ns, frame_id, (float(value[0]), 0.0, 0.0, 0.0, 0.0, 0.0))


@dataclass(frozen=True, kw_only=True)
class VelocitySpec(InputSpec):
    """Velocity x y z (m/s) and angular velocity x y z (rad/s) in the robot's frame."""

    kind: ClassVar[str] = 'velocity'

    def elements(self) -> tuple[Element, ...]:
        return (
            *by_axis('velocity', 'm/s', MAX_SPEED, VELOCITY_SCALE, ALONG),
            *by_axis(
                'angular_velocity', 'rad/s', MAX_ANGULAR_VELOCITY, ANGULAR_VELOCITY_SCALE, ABOUT
            ),
        )

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        return (Source(TOPIC, (TYPE,)),)

    def reader(self) -> Reader:
        return EachMessage(_read_velocity)

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        return _standing(stamp_ns, frame_id, tuple(float(number) for number in value))


def _read_speed(message: Serialized) -> Reading:
    stamp_ns, twist = _read_twist(message)
    return Reading(stamp_ns, to_float32(twist[0]))


def _read_velocity(message: Serialized) -> Reading:
    stamp_ns, twist = _read_twist(message)
    return Reading(stamp_ns, to_float32(*twist))


def _read_twist(message: Serialized) -> tuple[int, tuple[float, ...]]:
    """Stamp and velocities alone: at every tick, without the rest."""
    cursor = Cursor(message, 'nav_msgs/Odometry')
    stamp_ns = cursor.header()
    cursor.blob()  # child_frame_id
    return stamp_ns, cursor.take('49d', 8)[43:]
