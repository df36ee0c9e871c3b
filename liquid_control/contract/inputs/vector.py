# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Any numbers that have no kind of their own, in a message of plain floats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.cdr import Cursor, Serialized, Writer
from liquid_control.common.errors import BundleError
from liquid_control.contract import bounds
from liquid_control.contract.inputs.base import (
    EachMessage,
    Element,
    InputSpec,
    Reader,
    Reading,
    Source,
)

TYPE = 'std_msgs/msg/Float32MultiArray'
_MAX_UNIT_LENGTH = 20


@dataclass(frozen=True, kw_only=True)
class VectorSpec(InputSpec):
    """As many numbers as the policy was trained with; the message has no stamp but its arrival."""

    kind: ClassVar[str] = 'vector'

    length: int
    units: tuple[str, ...] = ()
    """Of each number; none: all are '1'."""
    low: float = -10.0
    """Plausible from here to `high`; all numbers alike."""
    high: float = 10.0
    scale: float = 1.0
    """One unit as the network sees it: tanh(value / scale)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.check(self.kind, BundleError, length=self.length, scale=self.scale)
        if len(self.units) not in (0, self.length) or not all(
            0 < len(unit) <= _MAX_UNIT_LENGTH and unit.isprintable() for unit in self.units
        ):
            raise BundleError(
                f'vector: units must be none or {self.length} short words, found {self.units!r}'
            )
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise BundleError(
                f'vector: low must be below high, both finite, found {self.low} and {self.high}'
            )

    def elements(self) -> tuple[Element, ...]:
        units = self.units or ('1',) * self.length
        return tuple(
            Element(f'value_{index}', unit, self.low, self.high, self.scale, mirror=0)
            for index, unit in enumerate(units)
        )

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        return (Source(name, (TYPE,)),)

    @classmethod
    def suggest(
        cls, message: Serialized, msgtype: str, *, rate: float, max_age: float
    ) -> VectorSpec:
        """As long as a message is."""
        return cls(rate=rate, max_age=max_age, length=len(_read(message).value))

    def reader(self) -> Reader:
        return EachMessage(_read)

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        message = Writer()
        message.put('I', 0, 0)  # layout: no dimensions, no offset
        message.floats(value)
        return {'': (TYPE, message.done())}


def _read(message: Serialized) -> Reading:
    cursor = Cursor(message, TYPE)
    (dimensions,) = cursor.take('I', 4)
    for _ in range(dimensions):  # a count that lies ends at the end of the message
        cursor.blob()  # label
        cursor.take('II', 4)  # size and stride
    cursor.take('I', 4)  # data_offset
    return Reading(None, cursor.array('f4').astype(np.float32))
