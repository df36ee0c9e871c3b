# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What moves: free space that something has come into, seen by a scanner that moves itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.input_messages import LIMITS, STAMP, odometry_message, read

from liquid_control.common.cdr import Writer
from liquid_control.common.errors import SensorError
from liquid_control.contract.inputs import MovingSpec


class Room:
    """A room of 6 by 4 m with a pillar in it, seen by a scanner with a beam each degree."""

    def __init__(self, *, clockwise: bool = False) -> None:
        self.spec = MovingSpec(**LIMITS, sectors=36, far=8.0, features=2)
        self.reader = self.spec.reader()
        self._sign = -1 if clockwise else 1

    def look(
        self,
        seconds: float,
        x: float,
        y: float,
        yaw: float,
        pillar: tuple[float, float],
        told: tuple[float, float, float] | None = None,
    ) -> NDArray[Any] | None:
        """What has come, seen from there.

        Args:
            told: where odometry says the robot is.
        """
        stamp_ns = STAMP + round(seconds * 1e9)
        step = self._sign * math.tau / 360
        angles = 0.3 + step * np.arange(360) + yaw
        cos, sin = np.cos(angles), np.sin(angles)
        with np.errstate(divide='ignore'):
            ranges = np.minimum(
                (np.where(cos > 0, 6.0, 0.0) - x) / cos, (np.where(sin > 0, 4.0, 0.0) - y) / sin
            )
        ahead = (pillar[0] - x) * cos + (pillar[1] - y) * sin
        beside = (pillar[0] - x) * sin - (pillar[1] - y) * cos
        hit = (np.abs(beside) < 0.2) & (ahead > 0)
        ranges[hit] = ahead[hit] - np.sqrt(0.04 - beside[hit] ** 2)
        turn = Writer()
        turn.header(stamp_ns, 'laser')
        turn.put('f', 0.3, 0.3 + 359 * step, step, 0.0, 0.0, 0.05, 12.0)
        turn.floats(ranges)
        turn.floats(())
        odom = odometry_message(*(told or (x, y, yaw)), stamp_ns)
        messages = {**odom, 'scan': ('', turn.done())}
        reading = read(self.spec, messages, self.reader)
        return None if reading is None else reading.value


@pytest.mark.parametrize('clockwise', [False, True])
def test_what_stands_comes_nowhere_however_the_robot_moves(clockwise: bool) -> None:
    room = Room(clockwise=clockwise)
    for tick in range(40):
        way = tick * 0.1
        came = room.look(way, 1.0 + 0.4 * way, 1.0 + 0.2 * way, math.sin(3 * way), (3.0, 3.0))
        assert (came is None) == (tick < 5), 'nothing old enough to compare with'
        assert came is None or came.max() == 0


@pytest.mark.parametrize('clockwise', [False, True])
def test_somebody_who_comes_is_seen_where_he_is(clockwise: bool) -> None:
    room = Room(clockwise=clockwise)
    for tick in range(20):
        way = tick * 0.1
        # The robot drives along x, turning; somebody crosses in front of it from the left.
        came = room.look(way, 1.0 + 0.2 * way, 1.0, 0.5 * way, (3.0, 3.0 - 0.5 * way))
        if came is None:
            continue
        x, y = 3.0 - (1.0 + 0.2 * way), 2.0 - 0.5 * way
        bearing = math.remainder(math.atan2(y, x) - 0.5 * way, math.tau)
        sector = int((bearing / math.tau + 0.5) * 36)
        assert came[sector - 1 : sector + 2].max() > 0.15
        elsewhere = np.delete(came, range(sector - 2, sector + 3))
        assert elsewhere.max() == 0


def test_nothing_is_said_of_what_moves_without_something_to_compare_with() -> None:
    room, pillar = Room(), (3.0, 3.0)
    assert room.look(0.0, 1.0, 1.0, 0.0, pillar) is None
    assert room.look(0.5, 1.0, 1.0, 0.0, pillar) is not None
    assert room.look(1.5, 1.0, 1.0, 0.0, pillar) is None, 'a second without a scan'
    assert room.look(2.0, 1.0, 1.0, 0.0, pillar) is not None
    assert room.look(1.0, 1.0, 1.0, 0.0, pillar) is None, 'the clock went back'
    spec = MovingSpec(**LIMITS, sectors=12, far=6.0, features=8)
    reader = spec.reader()
    messages = spec.write(np.zeros(spec.width), STAMP)
    assert read(spec, {'scan': messages['scan']}, reader) is None, 'no odometry'
    for apart in (-300_000_000, 300_000_000):
        read(spec, odometry_message(0.0, 0.0, 0.0, STAMP + apart), reader)
        with pytest.raises(SensorError, match=r'0\.2 s apart at most, found 0\.30 s'):
            read(spec, {'scan': messages['scan']}, reader)


def test_odometry_that_is_set_anew_moves_nothing_but_hides_nothing() -> None:
    """It jumps by half a metre and turns while the robot goes on and somebody comes."""
    room, turned = Room(), 0.3

    def told(x: float) -> tuple[float, float, float]:
        return (x - 1.0) * math.cos(turned) + 0.5, (x - 1.0) * math.sin(turned) + 1.0, turned

    for index in range(18):
        seconds, x = 0.1 * index, 1.0 + 0.05 * index
        pillar = (3.0, 1.0) if index < 15 else (2.6, 1.0)
        came = room.look(seconds, x, 1.0, 0.0, pillar, told(x) if index >= 8 else None)
        if 5 <= index < 15:
            assert came is not None
            assert not came.any(), f'at {seconds:.1f} s'
    assert came is not None
    assert came.max() > 0.25
