# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What moves, from a laser scanner and odometry: how far something has come into free space.

The turn of the scanner a moment ago says what was free; odometry says where that was, seen from
here. A return from there is something that has come: a person, a door, another robot. A thing
that stands comes nowhere, however the robot drives and turns, and neither does what was hidden.
The scanner is thought to look out of the origin of the robot; off it by a few centimetres it
still does, for what is nearer than the noise is not counted.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.cdr import Serialized
from liquid_control.common.errors import BundleError, SensorError
from liquid_control.contract import bounds
from liquid_control.contract.inputs import odometry, scan
from liquid_control.contract.inputs.base import (
    Array,
    Element,
    Reader,
    Reading,
    Source,
    check_topic,
)

SCAN, ODOM = 'scan', 'odom'

REACH = 1.0  # m: further than this into free space is as far
NOISE = 0.06  # m: three deviations of a cheap scanner's range
SIDE = 0.035  # rad: what was so near beside a beam may be what it hits now
# The turn to compare with may be so old, in shares of `over`; between two scans lies a tenth of a
# second on most robots.
_AGES = (0.9, 1.6)
# Odometry may be so much older or newer than the scan, s; the pose is carried on by its twist.
_APART = 0.2
# Odometry that is further than this from where its velocity led, in m or rad, was set anew; what
# it may be off by after so many seconds, for it need not know its velocity.
_SET_ANEW, _OFF = 0.1, 3.0


@dataclass(frozen=True, kw_only=True)
class MovingSpec(scan.ScanSpec):
    """In each sector of a scan, how far something has come into what was free before, m."""

    kind: ClassVar[str] = 'moving'
    suggested: ClassVar[str] = 'asked'

    over: float = 0.5
    """What was seen so long ago is compared with, s."""
    odom_topic: str = ''
    """Relative; `topic` is that of the scan."""

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.check(self.kind, BundleError, over=self.over)
        check_topic(self.kind, self.odom_topic)

    def elements(self) -> tuple[Element, ...]:
        return tuple(
            Element(f'came_{index}', 'm', 0.0, REACH, REACH) for index in range(self.sectors)
        )

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        return (
            Source('scan', (scan.TYPE,), role=SCAN),
            Source(odometry.TOPIC, (odometry.TYPE,), role=ODOM, leading=False),
        )

    def sources(self, name: str) -> tuple[Source, ...]:
        turn, odom = self.usual_sources(name)
        return (
            replace(turn, topic=self.topic or turn.topic),
            replace(odom, topic=self.odom_topic or odom.topic),
        )

    @property
    def looks_back(self) -> float:
        return self.over + 1 / self.rate

    def describe(self) -> str:
        return (
            f'how far something has come within {self.over:g} s into what was free, in '
            f'{self.sectors} sectors of {self.field_of_view:g} rad together, up to {REACH:g} m'
        )

    def reader(self) -> Reader:
        return _MovingReader(self)

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        """Something has come from as far as is seen; after zeros, `over` before, it is read so."""
        came = np.asarray(value, np.float32)
        ranges = np.where(came > 0, self.far - NOISE - came, self.far).astype(np.float32)
        here = odometry.OdometryMessage(
            stamp_ns, frame_id, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0,) * 6
        )
        return {
            ODOM: (odometry.TYPE, odometry.write_odometry(here)),
            SCAN: super().write(ranges, stamp_ns, frame_id)[''],
        }


class Place(NamedTuple):
    """Where a robot is: m, m, rad."""

    x: float
    y: float
    yaw: float


class FreeSpace:
    """Turns of a scanner, each with the one before it that is old enough."""

    def __init__(self, spec: MovingSpec) -> None:
        self._far, self._sectors = np.float32(spec.far), scan.Sectors(spec)
        self._youngest_ns, self._oldest_ns = (round(spec.over * 1e9 * age) for age in _AGES)
        self._turns: deque[tuple[scan.Turn, Place]] = deque()

    def came(self, turn: scan.Turn, place: Place) -> Array | None:
        """What has come into free space, m [sectors]; None where it cannot be said yet."""
        turns = self._turns
        if turns and turn.stamp_ns <= turns[-1][0].stamp_ns:
            turns.clear()
        turns.append((turn, place))
        while len(turns) > 1 and turn.stamp_ns - turns[1][0].stamp_ns >= self._youngest_ns:
            turns.popleft()
        before, there = turns[0]
        if not self._youngest_ns <= turn.stamp_ns - before.stamp_ns <= self._oldest_ns:
            return None
        away, bearing = self._seen_from(there, turn, place)
        came = self._free(before, bearing) - away - NOISE
        # Of a beam without a measurement nothing is known; of one with it, nothing has come.
        came = np.where(np.isnan(turn.ranges), np.nan, np.nan_to_num(came, nan=0.0))
        return self._sectors.gather(turn, np.clip(came, 0.0, REACH).astype(np.float32), np.fmax)

    def set_anew(self, before: Place, after: Place) -> None:
        """The robot is where it was; odometry calls that another place."""
        turned = after.yaw - before.yaw
        cos, sin = math.cos(turned), math.sin(turned)

        def moved(place: Place) -> Place:
            x, y = place.x - before.x, place.y - before.y
            return Place(
                after.x + cos * x - sin * y, after.y + sin * x + cos * y, place.yaw + turned
            )

        self._turns = deque((turn, moved(place)) for turn, place in self._turns)

    def _seen_from(
        self, there: Place, turn: scan.Turn, place: Place
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Distance and bearing of the returns of a turn as seen from another place."""
        ranges = np.minimum(turn.ranges, self._far)
        angles = turn.first + turn.step * np.arange(len(ranges)) + place.yaw
        x = place.x - there.x + ranges * np.cos(angles)
        y = place.y - there.y + ranges * np.sin(angles)
        return np.hypot(x, y), np.arctan2(y, x) - there.yaw

    def _free(self, turn: scan.Turn, bearing: NDArray[Any]) -> NDArray[Any]:
        """How far it was free there in these directions, m; NaN where the scanner did not look."""
        ranges, step = np.minimum(turn.ranges, self._far), abs(turn.step)
        count, closed = len(ranges), len(ranges) * step > 2 * math.pi - step / 2
        side = min(max(round(SIDE / step), 1), (count - 1) // 2)
        padded = np.pad(ranges, side, mode='wrap' if closed else 'edge')
        around = np.lib.stride_tricks.sliding_window_view(padded, 2 * side + 1)
        beyond_first = np.remainder((bearing - turn.first) * math.copysign(1, turn.step), math.tau)
        index = np.rint(np.nan_to_num(beyond_first) / step).astype(np.intp)
        if closed:
            index %= count
        free: NDArray[Any] = np.fmin.reduce(around, axis=1)[np.minimum(index, count - 1)]
        return np.where(index < count, free, np.nan)


class _MovingReader:
    def __init__(self, spec: MovingSpec) -> None:
        self._near = np.float32(spec.near)
        self._free_space = FreeSpace(spec)
        self._odometry: odometry.OdometryMessage | None = None

    def take(self, role: str, message: Serialized, msgtype: str) -> Reading | None:
        if role == ODOM:
            # One that cannot be used replaces the one before all the same.
            before, self._odometry = self._odometry, None
            now = odometry.read_odometry(message)
            if before is not None:
                self._follow(before, now)
            self._odometry = now
            return None
        turn = scan.read_turn(message, self._near)
        if turn.step == 0 or not len(turn.ranges):
            raise SensorError(f'{len(turn.ranges)} beams in steps of {turn.step:g} rad')
        if self._odometry is None:
            return None
        came = self._free_space.came(turn, _place_at(self._odometry, turn.stamp_ns))
        return None if came is None else Reading(turn.stamp_ns, came)

    def _follow(self, before: odometry.OdometryMessage, now: odometry.OdometryMessage) -> None:
        """Odometry goes on, or was set anew, which is not the robot's way."""
        seconds = (now.stamp_ns - before.stamp_ns) / 1e9
        if not 0 <= seconds <= _APART:
            return
        expected, found = _place_at(before, now.stamp_ns), _place_at(now, now.stamp_ns)
        off = math.hypot(found.x - expected.x, found.y - expected.y)
        turned = abs(math.remainder(found.yaw - expected.yaw, math.tau))
        if max(off, turned) > _SET_ANEW + _OFF * seconds:
            self._free_space.set_anew(expected, found)


def _place_at(known: odometry.OdometryMessage, stamp_ns: int) -> Place:
    """Where the robot was at this time: what odometry says, carried on by its velocity."""
    seconds = (stamp_ns - known.stamp_ns) / 1e9
    if abs(seconds) > _APART:
        raise SensorError(
            f'scan and odometry must be {_APART} s apart at most, found {abs(seconds):.2f} s: do '
            'their clocks agree, and does odometry still come?'
        )
    yaw = odometry.yaw_of(known.orientation)
    velocity_x, velocity_y, turning = known.twist[0], known.twist[1], known.twist[5]
    cos, sin = math.cos(yaw), math.sin(yaw)
    place = Place(
        known.position[0] + (cos * velocity_x - sin * velocity_y) * seconds,
        known.position[1] + (sin * velocity_x + cos * velocity_y) * seconds,
        yaw + turning * seconds,
    )
    if not all(map(math.isfinite, place)):
        raise SensorError('odometry is not finite')
    return place
