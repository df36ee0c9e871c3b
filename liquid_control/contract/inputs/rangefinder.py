# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A single range finder: sonar, infrared or a laser that looks one way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from liquid_control.common.cdr import Cursor, Serialized, Writer
from liquid_control.common.errors import BundleError, SensorError
from liquid_control.contract import bounds
from liquid_control.contract.inputs.base import (
    EachMessage,
    Element,
    InputSpec,
    Reader,
    Reading,
    Source,
    to_float32,
)

TYPE = 'sensor_msgs/msg/Range'


@dataclass(frozen=True, kw_only=True)
class RangeSpec(InputSpec):
    """How far away the nearest thing is, m; as REP-117 wants it, +inf is nothing within `far`."""

    kind: ClassVar[str] = 'range'

    far: float
    """m; what is further away is as far as this."""
    near: float = 0.0
    """m; what is nearer is as near as this."""

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.check(self.kind, BundleError, near=self.near, far=self.far)
        if not self.near < self.far:
            raise BundleError(f'range: near must be below far, found {self.near} and {self.far}')

    def elements(self) -> tuple[Element, ...]:
        # Which way it looks, nobody says.
        return (Element('range', 'm', self.near, self.far, self.far, mirror=0),)

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        return (Source(cls.kind if name == cls.kind else f'{name}/{cls.kind}', (TYPE,)),)

    @classmethod
    def suggest(
        cls, message: Serialized, msgtype: str, *, rate: float, max_age: float
    ) -> RangeSpec:
        """What the sensor can measure."""
        cursor = Cursor(message, 'sensor_msgs/Range')
        cursor.header()
        cursor.take('B', 1)
        _, shortest, longest, _ = cursor.take('4f', 4)
        if not 0 <= shortest < longest < math.inf:
            raise SensorError(f'{shortest:g} to {longest:g} m is no range to measure in')
        near, far = round(shortest, 3), round(longest, 3)
        return cls(rate=rate, max_age=max_age, near=near, far=far)

    def reader(self) -> Reader:
        return EachMessage(self._read)

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        found = float(value[0])
        message = Writer()
        message.header(stamp_ns, frame_id)
        message.put('B', 0)  # ultrasound
        message.put('f', 0.1, self.near, self.far)
        message.put('f', found if found < to_float32(self.far)[0] else math.inf)
        message.put('f', 0.0)  # variance, since ROS 2 Iron
        return {'': (TYPE, message.done())}

    def _read(self, message: Serialized) -> Reading:
        cursor = Cursor(message, 'sensor_msgs/Range')
        stamp_ns = cursor.header()
        cursor.take('B', 1)  # radiation_type
        _, shortest, longest, found = cursor.take('4f', 4)
        if math.isnan(found):
            raise SensorError('the range is not a number')
        if found > longest:
            found = self.far
        elif found < shortest:
            found = self.near
        return Reading(stamp_ns, to_float32(min(max(found, self.near), self.far)))
