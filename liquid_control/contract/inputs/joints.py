# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Joints of an arm or of wheels, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.cdr import Cursor, Serialized, Writer
from liquid_control.common.errors import BundleError, SensorError
from liquid_control.contract import bounds
from liquid_control.contract.inputs.base import (
    Array,
    Element,
    InputSpec,
    Reader,
    Reading,
    Source,
)

TYPE = 'sensor_msgs/msg/JointState'
MAX_POSITION = 1e4  # rad or m: a wheel may have turned many times
MAX_VELOCITY = 1e3  # rad/s or m/s
POSITION_SCALE, VELOCITY_SCALE = 1.5, 2.0
_MAX_NAME_LENGTH = 100
_SHOWN = 8  # names in a message


@dataclass(frozen=True, kw_only=True)
class JointsSpec(InputSpec):
    """Positions (rad or m) of the joints in their order, then velocities (rad/s or m/s)."""

    kind: ClassVar[str] = 'joints'
    suggested: ClassVar[str] = 'joints'

    joints: tuple[str, ...]
    positions: bool = True
    velocities: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.check(self.kind, BundleError, joints=len(self.joints))
        for name in self.joints:
            if not (0 < len(name) <= _MAX_NAME_LENGTH and name.isprintable()):
                raise BundleError(
                    f'joints: a name must be 1 to {_MAX_NAME_LENGTH} printable characters, '
                    f'found {name[:_MAX_NAME_LENGTH]!r}'
                )
        if len(set(self.joints)) < len(self.joints):
            raise BundleError(f'joints: a name comes twice in {", ".join(self.joints)}')
        if not (self.positions or self.velocities):
            raise BundleError('joints: positions or velocities are needed, both are left out')

    def elements(self) -> tuple[Element, ...]:
        far, fast = MAX_POSITION, MAX_VELOCITY
        positions = [
            Element(f'{name}/position', 'rad', -far, far, POSITION_SCALE, mirror=0)
            for name in self.joints
        ]
        velocities = [
            Element(f'{name}/velocity', 'rad/s', -fast, fast, VELOCITY_SCALE, mirror=0)
            for name in self.joints
        ]
        return (*(positions * self.positions), *(velocities * self.velocities))

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        return (Source('joint_states', (TYPE,)),)

    @classmethod
    def suggest(
        cls, message: Serialized, msgtype: str, *, rate: float, max_age: float
    ) -> JointsSpec:
        """All joints of the message, and what it tells of them."""
        cursor = Cursor(message, 'sensor_msgs/JointState')
        cursor.header()
        (count,) = cursor.take('I', 4)
        names = tuple(cursor.string() for _ in range(count))
        positions, velocities = len(cursor.array('f8')), len(cursor.array('f8'))
        if not names or count not in (positions, velocities):
            raise SensorError('neither positions nor velocities of its joints are told')
        return cls(
            rate=rate,
            max_age=max_age,
            joints=names,
            positions=positions == count,
            velocities=velocities == count,
        )

    def reader(self) -> Reader:
        return _JointsReader(self)

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        count = len(self.joints)
        message = Writer()
        message.header(stamp_ns, frame_id)
        message.strings(self.joints)
        message.doubles(value[:count] if self.positions else ())
        message.doubles(value[-count:] if self.velocities else ())
        message.doubles(())  # effort
        return {'': (TYPE, message.done())}


class _JointsReader:
    def __init__(self, spec: JointsSpec) -> None:
        self._spec = spec
        # A robot names its joints in every message, and always the same.
        self._known = b''
        self._count = 0
        self._places: NDArray[np.intp] = np.empty(0, np.intp)

    def take(self, role: str, message: Serialized, msgtype: str) -> Reading | None:
        cursor = Cursor(message, 'sensor_msgs/JointState')
        stamp_ns = cursor.header()
        if not (self._known and cursor.skip(self._known)):
            self._learn_names(cursor)
        positions, velocities = cursor.array('f8'), cursor.array('f8')
        spec, parts = self._spec, []
        for wanted, values, what in (
            (spec.positions, positions, 'positions'),
            (spec.velocities, velocities, 'velocities'),
        ):
            if wanted:
                if len(values) != self._count:
                    raise SensorError(f'{len(values)} {what} of {self._count} joints')
                parts.append(values[self._places])
        with np.errstate(over='ignore'):  # what float32 cannot hold becomes infinite
            value: Array = np.concatenate(parts).astype(np.float32)
        return Reading(stamp_ns, value)

    def _learn_names(self, cursor: Cursor) -> None:
        """Where in a message the wanted joints are."""
        start = cursor.at
        (count,) = cursor.take('I', 4)
        names = []
        for _ in range(count):  # a count that lies ends at the end of the message
            names.append(cursor.string())
        missing = [name for name in self._spec.joints if name not in names]
        if missing:
            others = ', '.join(name[:_MAX_NAME_LENGTH] for name in names[:_SHOWN])
            raise SensorError(
                f'no joint {missing[0]} in the message, which has {others or "none"}'
            )
        self._known, self._count = cursor.since(start), count
        self._places = np.array([names.index(name) for name in self._spec.joints], np.intp)
