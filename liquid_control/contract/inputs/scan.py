# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A laser scanner as a few sectors: how far away the nearest thing is in each."""

from __future__ import annotations

import math
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

TYPE = 'sensor_msgs/msg/LaserScan'
# Where nobody says otherwise: sectors of so many beams at least, and what is far enough, m.
SECTORS, BEAMS, FAR, FEATURES = 36, 2, 8.0, 16
# A beam on the edge of the field of view belongs to it, and one between two sectors to the one on
# the left, however its angle was rounded, rad.
_EDGE = 1e-5


@dataclass(frozen=True, kw_only=True)
class ScanSpec(InputSpec):
    """Sectors of equal width from right to left, the middle of them straight ahead.

    Nothing within `far` is `far`, nearer than `near` is `near`. As REP-117 wants it, +inf is no
    return and -inf too near to measure; 0 is no return too, as many drivers mean it. A sector of
    which nothing valid is known makes the message useless.
    """

    kind: ClassVar[str] = 'scan'
    suggested: ClassVar[str] = 'present'
    encoder: ClassVar[str] = 'scan'

    sectors: int
    far: float
    """m"""
    features: int
    """Size of its encoder's output."""
    near: float = 0.0
    """m"""
    field_of_view: float = 2 * math.pi
    """Of all sectors together, rad."""

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.check(
            self.kind,
            BundleError,
            sectors=self.sectors,
            features=self.features,
            near=self.near,
            far=self.far,
            field_of_view=self.field_of_view,
        )
        if not self.near < self.far:
            raise BundleError(f'scan: near must be below far, found {self.near} and {self.far}')

    @property
    def core_width(self) -> int:
        return self.features

    def elements(self) -> tuple[Element, ...]:
        return tuple(
            Element(f'sector_{index}', 'm', self.near, self.far, self.far)
            for index in range(self.sectors)
        )

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        return (Source('scan', (TYPE,)),)

    @classmethod
    def suggest(
        cls, message: Serialized, msgtype: str, *, rate: float, max_age: float
    ) -> ScanSpec:
        """As far to both sides as it measures, in sectors of some beams each."""
        cursor = Cursor(message, 'sensor_msgs/LaserScan')
        cursor.header()
        first, _, step, _, _, _, longest = cursor.take('7f', 4)
        count = len(cursor.array('f4'))
        last = first + step * (count - 1)
        if not (count > 1 and math.isfinite(last) and step != 0 and longest > 0):
            raise SensorError(f'{count} beams of up to {longest:g} m tell no field of view')
        side = min(abs(first), abs(last)) if first * last < 0 else math.pi
        view = min(2 * side + abs(step), 2 * math.pi)
        beams = round(view / abs(step))
        return cls(
            rate=rate,
            max_age=max_age,
            sectors=max(min(SECTORS, beams // BEAMS), 1),
            far=round(min(longest, FAR), 3),
            features=FEATURES,
            field_of_view=round(view, 3),
        )

    def describe(self) -> str:
        return (
            f'nearest return in {self.sectors} sectors of {self.field_of_view:g} rad together, '
            f'{self.near:g} to {self.far:g} m'
        )

    def mirrored(self, values: NDArray[Any]) -> NDArray[Any]:
        return values[..., ::-1]

    def reader(self) -> Reader:
        return _ScanReader(self)

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        """A beam in the middle of each sector."""
        width = self.field_of_view / self.sectors
        first, last = ((width - self.field_of_view) / 2, (self.field_of_view - width) / 2)
        ranges = np.where(value >= np.float32(self.far), np.inf, value)
        ranges[value <= np.float32(self.near)] = -np.inf
        message = Writer()
        message.header(stamp_ns, frame_id)
        message.put('f', first, last, width, 0.0, 0.0, self.near, self.far)
        message.floats(ranges)
        message.floats(())  # intensities
        return {'': (TYPE, message.done())}


@dataclass(frozen=True)
class Turn:
    """What a scanner saw in one turn.

    ranges: float32 [beams], m; inf where nothing returned, NaN where a measurement failed
    first, step: angle of the first beam and from beam to beam, rad
    """

    stamp_ns: int
    first: float
    step: float
    ranges: Array


def read_turn(message: Serialized, near: np.float32) -> Turn:
    """A sensor_msgs/LaserScan; what is too near to measure is `near`.

    Raises:
        SensorError: it says nothing that could be used.
    """
    cursor = Cursor(message, 'sensor_msgs/LaserScan')
    stamp_ns = cursor.header()
    # angle_min, angle_max, angle_increment, time_increment, scan_time, range_min, range_max
    first, _, step, _, _, shortest, longest = cursor.take('7f', 4)
    ranges = cursor.array('f4').astype(np.float32)
    if not 0 <= shortest < longest:
        raise SensorError(
            f'range_max must be above range_min, found {longest:g} and {shortest:g} m'
        )
    if not (math.isfinite(first) and math.isfinite(step)):
        raise SensorError(f'angles are not finite: {first:g} and steps of {step:g} rad')
    ranges[(ranges == 0) | (ranges > longest)] = np.inf
    ranges[ranges < shortest] = near  # -inf too
    return Turn(stamp_ns, first, step, ranges)


class Sectors:
    """Which beams belong to which sector; worked out when the beams change."""

    def __init__(self, spec: ScanSpec) -> None:
        self._spec = spec
        self._beams: tuple[int, float, float] | None = None
        """Number, first angle and step of the beams that the next two are made for."""
        self._order: NDArray[np.intp] = np.empty(0, np.intp)
        self._starts: NDArray[np.intp] = np.empty(0, np.intp)

    def gather(self, turn: Turn, values: Array, extreme: np.ufunc) -> Array:
        """The extreme value of each sector, [sectors].

        Args:
            values: of the beams, [beams]; NaN where nothing is known.
            extreme: np.fmin or np.fmax, which pass over NaN unless there is nothing else.

        Raises:
            SensorError: a sector has no beam, or none of which anything is known.
        """
        beams = len(turn.ranges), turn.first, turn.step
        if self._beams != beams:
            self._arrange(*beams)
        found: Array = extreme.reduceat(values[self._order], self._starts)
        unknown = np.isnan(found)
        if unknown.any():
            raise SensorError(
                f'sector {int(unknown.argmax())} of {self._spec.sectors} has no valid range (NaN)'
            )
        return found

    def _arrange(self, count: int, first: float, step: float) -> None:
        spec = self._spec
        half = spec.field_of_view / 2
        angles = first + step * np.arange(count)
        angles = np.remainder(angles + np.pi, 2 * np.pi) - np.pi
        inside = np.flatnonzero(np.abs(angles) <= half + _EDGE)
        places = (angles[inside] + half + _EDGE) * (spec.sectors / spec.field_of_view)
        sectors = np.clip(places.astype(np.intp), 0, spec.sectors - 1)
        order = np.argsort(sectors, kind='stable')
        starts = np.searchsorted(sectors[order], np.arange(spec.sectors))
        seen = np.bincount(sectors, minlength=spec.sectors) > 0
        if not seen.all():
            raise SensorError(
                f'{count} beams from {first:g} rad in steps of {step:g} rad leave sector '
                f'{int(seen.argmin())} of {spec.sectors} without any; the policy needs '
                f'{spec.field_of_view:g} rad around straight ahead'
            )
        self._order, self._starts = inside[order], starts
        self._beams = count, first, step


class _ScanReader:
    def __init__(self, spec: ScanSpec) -> None:
        self._near, self._far = np.float32(spec.near), np.float32(spec.far)
        self._sectors = Sectors(spec)

    def take(self, role: str, message: Serialized, msgtype: str) -> Reading | None:
        turn = read_turn(message, self._near)
        nearest = self._sectors.gather(turn, turn.ranges, np.fmin)
        return Reading(turn.stamp_ns, np.clip(nearest, self._near, self._far, out=nearest))
