# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Disturbances of the actuation, so that expert drives also show how to recover.

They are added to what the car does, never to the command that is recorded: every recorded command
is the expert's answer to the pose that the disturbance led to (Laskey et al., "DART: Noise
Injection for Robust Imitation Learning", CoRL 2017).
"""

from __future__ import annotations

import math

import numpy as np

from liquid_control.sim import car
from liquid_control.sim.protocols import Command
from liquid_control.sim.track import ROAD_WIDTH, TrackPose

MAX_START_OFFSET = 0.25
"""Distance from the centre line at which a disturbed drive may start, m."""
MAX_START_HEADING_ERROR = math.radians(20.0)

_MEAN_CALM = 1.2
"""Mean time between two pushes, s."""
_DURATION = (0.3, 0.9)
_STEERING = (0.12, 0.42)
"""Size of a push, rad of steering angle, to either side."""
_SPEED_FACTOR = (0.75, 1.1)
_MARGIN = 0.27
"""No push leads outward beyond this distance from the centre line, m: it leaves 10 cm of road.
On a narrow road it is less, in proportion."""


class Disturbance:
    """Random pushes on the steering and a wandering speed; deterministic for a seed."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._push = 0.0
        self._speed_factor = 1.0
        self._change_ns = round(rng.exponential(_MEAN_CALM) * 1e9)

    def apply(self, command: Command, place: TrackPose, time_ns: int) -> Command:
        """Return what the car does when it is told `command` at a place and time."""
        if time_ns >= self._change_ns:
            self._change(time_ns)
        drift = place.offset + 0.4 * math.sin(place.heading_error)
        margin = _MARGIN * place.half_width / (ROAD_WIDTH / 2)
        if self._push * drift > 0.0 and abs(drift) > margin:
            self._push = 0.0
        return car.command(
            steering_angle=command['steering_angle'] + self._push,
            speed=command['speed'] * self._speed_factor,
        )

    def _change(self, time_ns: int) -> None:
        if self._push == 0.0:
            side = 1.0 if self._rng.random() < 0.5 else -1.0
            self._push = side * self._rng.uniform(*_STEERING)
            self._speed_factor = self._rng.uniform(*_SPEED_FACTOR)
            pause = self._rng.uniform(*_DURATION)
        else:
            self._push = 0.0
            pause = self._rng.exponential(_MEAN_CALM)
        self._change_ns = time_ns + round(pause * 1e9)
