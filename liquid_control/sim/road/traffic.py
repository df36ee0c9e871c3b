# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Cones, parked cars and cars that drive to and fro, and the way past them.

Each has a stretch of the track to itself. What moves is a function of time alone, so that a drive
can be judged again from its recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from liquid_control.sim.camera import Rgb
from liquid_control.sim.car import WHEELBASE
from liquid_control.sim.protocols import Motion
from liquid_control.sim.road.difficulties import generator
from liquid_control.sim.rooms import Rectangle, Shapes
from liquid_control.sim.track import Track

MOST = {'cones': 3, 'parked': 2, 'moving': 2}
_STRETCHES = sum(MOST.values()) + 1  # the first one, where a lap begins, is free

_CONE = (0.05, 0.05)
_CAR = (0.20, 0.09)
"""Half length and half width, m."""
_FURTHEST, _NEAREST = 0.28, 0.12
"""From the centre line at strength 0 and 1, m."""
_SHUTTLE, _PERIOD = 0.8, (8.0, 12.0)
"""How far a car drives to either side of its middle, m, and how long there and back takes, s."""

CAR_HALF_WIDTH = 0.145
_ROOM = 0.08
"""Between the car and what it passes, m."""
_EARLY, _LATE, _RAMP = 0.75, 0.30, 0.9
"""The way past is reached so far before a thing, left so far behind it, and takes so long, m."""
_AHEAD, _BEHIND = 1.2, 0.6
"""A car is put down with so much free road, m."""


@dataclass(frozen=True)
class Thing:
    """Something on the road.

    station: of its middle, m along the track; offset: m to the left of the centre line
    half_length, half_width: m
    shuttle: how far it drives to and fro, m; period: s; phase: rad
    """

    station: float
    offset: float
    half_length: float
    half_width: float
    colour: Rgb
    shuttle: float = 0.0
    period: float = 1.0
    phase: float = 0.0

    def station_at(self, seconds: float) -> float:
        """Where it is at a time, m."""
        if not self.shuttle:
            return self.station
        return self.station + self.shuttle * math.sin(
            2.0 * math.pi * seconds / self.period + self.phase
        )


class Traffic:
    """All that is on one road.

    Args:
        strength: of 'cones', 'parked' and 'moving'.
    """

    def __init__(self, track: Track, strength: Mapping[str, float], seed: int) -> None:
        self._track = track
        self.things = tuple(_draw(track, strength, seed))
        still = not any(thing.shuttle for thing in self.things)
        self._still = self._shapes(0.0) if still else None

    def rectangle(self, thing: Thing, seconds: float) -> Rectangle:
        """Where a thing stands."""
        x, y, yaw = self._track.pose_at(thing.station_at(seconds), thing.offset)
        return Rectangle(x, y, thing.half_length, thing.half_width, yaw)

    def gap(self, motion: Motion, seconds: float) -> float:
        """Room between the car and whatever is nearest, m; at most 0 where they touch."""
        if not self.things:
            return math.inf
        along = np.linspace(0.0, WHEELBASE, 4)[:, None]
        forward = np.array([math.cos(motion.yaw), math.sin(motion.yaw)])
        points = np.array([motion.x, motion.y]) + along * forward
        shapes = self._still or self._shapes(seconds)
        return float(shapes.clearance(points).min()) - CAR_HALF_WIDTH

    def way_past(self, station: float, seconds: float) -> float:
        """How far to the left of the centre line one drives at a place, m."""
        way = 0.0
        for thing in self.things:
            gap = self._along(thing.station_at(seconds), station)
            reach = thing.half_length + (_EARLY if gap > 0.0 else _LATE)
            share = min(max(1.0 - (abs(gap) - reach) / _RAMP, 0.0), 1.0)
            way += share * share * (3.0 - 2.0 * share) * self._side(thing)
        return way

    def is_near(self, station: float, seconds: float) -> bool:
        """Whether one is about to pass something."""
        gaps = [self._along(thing.station_at(seconds), station) for thing in self.things]
        return any(-_BEHIND - _CAR[0] < gap < _EARLY + _RAMP for gap in gaps)

    def free_ahead(self, station: float) -> float:
        """How much further on a car can be put down as time begins, m."""
        further = 0.0
        while any(
            -_BEHIND < self._along(thing.station_at(0.0), station + further) < _AHEAD
            for thing in self.things
        ):
            further += 0.1
        return further

    def _along(self, thing: float, station: float) -> float:
        half = self._track.length / 2
        return (thing - station + half) % self._track.length - half

    def _side(self, thing: Thing) -> float:
        """The offset at which one passes it, on the wider side."""
        needed = thing.half_width + CAR_HALF_WIDTH + _ROOM
        free = thing.offset - math.copysign(needed, thing.offset)
        # What stands far enough aside is passed on the centre line.
        return free if free * thing.offset < 0.0 else 0.0

    def _shapes(self, seconds: float) -> Shapes:
        return Shapes(tuple(self.rectangle(thing, seconds) for thing in self.things), ())


def _draw(track: Track, strength: Mapping[str, float], seed: int) -> Iterator[Thing]:
    rng = generator(seed, 'traffic')
    places = (1 + rng.permutation(_STRETCHES - 1)) * track.length / _STRETCHES
    middle = track.length / _STRETCHES / 2
    index = 0
    for kind, most in MOST.items():
        own = strength.get(kind, 0.0)
        half_length, half_width = _CONE if kind == 'cones' else _CAR
        for number in range(most):
            side = 1.0 if rng.random() < 0.5 else -1.0
            inwards, period, phase = (
                rng.uniform(0.6, 1.0),
                rng.uniform(*_PERIOD),
                rng.uniform(0.0, 6.3),
            )
            colour = rng.uniform(0.1, 0.9, 3).tolist()
            offset = _FURTHEST - own * inwards * (_FURTHEST - _NEAREST)
            # On a narrow road things stand where there is still a way past them.
            least = half_width + CAR_HALF_WIDTH + _ROOM - (track.width / 2 - 0.08)
            if number < math.ceil(most * own):
                yield Thing(
                    station=float(places[index]) + middle,
                    offset=side * max(offset, least),
                    half_length=half_length,
                    half_width=half_width,
                    colour=(1.0, 0.4, 0.05) if kind == 'cones' else tuple(colour),
                    shuttle=_SHUTTLE if kind == 'moving' else 0.0,
                    period=period,
                    phase=phase,
                )
            index += 1
