# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""An inertial measurement unit, REP-145: x forward, y left, z up, gravity's reaction included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from liquid_control.common.cdr import Cursor, Serialized, Writer
from liquid_control.common.errors import BundleError, SensorError
from liquid_control.contract import bounds
from liquid_control.contract.bounds import MAX_ACCELERATION, MAX_ANGULAR_VELOCITY
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

TYPE = 'sensor_msgs/msg/Imu'
# What a small robot meets in normal driving lies in the straight part of tanh; a hard bump is
# squeezed instead of drowning the other inputs.
ACCELERATION_SCALE = 10.0  # m/s^2
ANGULAR_VELOCITY_SCALE = 2.0  # rad/s
# A quaternion's length may be off by so much.
_TOLERANCE = 0.01
_NOT_MEASURED = -1.0  # first entry of a covariance, REP-145


@dataclass(frozen=True, kw_only=True)
class ImuSpec(InputSpec):
    """Linear acceleration x y z (m/s^2), angular velocity x y z (rad/s), orientation x y z w."""

    kind: ClassVar[str] = 'imu'
    suggested: ClassVar[str] = 'present'

    orientation: bool = False
    """Whether the policy sees the orientation, a quaternion with w >= 0."""
    acceleration_scale: float = ACCELERATION_SCALE
    """One unit as the network sees it, m/s^2: tanh(value / scale)."""
    angular_velocity_scale: float = ANGULAR_VELOCITY_SCALE
    """Likewise, rad/s; a car on a road turns so slowly that it wants a smaller one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.check(
            self.kind,
            BundleError,
            acceleration_scale=self.acceleration_scale,
            angular_velocity_scale=self.angular_velocity_scale,
        )

    def elements(self) -> tuple[Element, ...]:
        linear, angular = self.acceleration_scale, self.angular_velocity_scale
        elements = by_axis('acceleration', 'm/s^2', MAX_ACCELERATION, linear, ALONG)
        elements += by_axis('angular_velocity', 'rad/s', MAX_ANGULAR_VELOCITY, angular, ABOUT)
        if self.orientation:
            elements += by_axis('orientation', '1', 1 + _TOLERANCE, 1.0, {**ABOUT, 'w': 1})
        return elements

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        return (Source('imu/data', (TYPE,)),)

    def reader(self) -> Reader:
        return EachMessage(self._read)

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        numbers = [float(number) for number in value]
        unknown = [_NOT_MEASURED] + [0.0] * 8
        message = Writer()
        message.header(stamp_ns, frame_id)
        message.put('d', *(numbers[6:] or (0, 0, 0, 1)))
        message.put('d', *([0.0] * 9 if self.orientation else unknown))
        message.put('d', *numbers[3:6], *[0.0] * 9)
        message.put('d', *numbers[:3], *[0.0] * 9)
        return {'': (TYPE, message.done())}

    def _read(self, message: Serialized) -> Reading:
        cursor = Cursor(message, 'sensor_msgs/Imu')
        stamp_ns = cursor.header()
        # orientation 4, covariance 9, angular velocity 3, covariance 9, linear acceleration 3
        values = cursor.take('28d', 8)
        if not self.orientation:
            return Reading(stamp_ns, to_float32(*values[25:28], *values[13:16]))
        if values[4] == _NOT_MEASURED:
            raise SensorError('the IMU measures no orientation: its covariance begins with -1')
        x, y, z, w = values[:4]
        if not abs((x * x + y * y + z * z + w * w) ** 0.5 - 1) <= _TOLERANCE:
            raise SensorError(f'orientation is no quaternion of length 1: {x:g} {y:g} {z:g} {w:g}')
        sign = 1.0 if w >= 0 else -1.0  # both signs say the same
        turned = (sign * each for each in (x, y, z, w))
        return Reading(stamp_ns, to_float32(*values[25:28], *values[13:16], *turned))
