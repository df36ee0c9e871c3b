# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The car's task: round the track, along its centre line."""

from __future__ import annotations

import math

import numpy as np

from liquid_control.rollout.disturbance import (
    MAX_START_HEADING_ERROR,
    MAX_START_OFFSET,
    Disturbance,
)
from liquid_control.rollout.expert import Expert
from liquid_control.sim.protocols import Command
from liquid_control.sim.robots import CarSimulator
from liquid_control.sim.track import ROAD_WIDTH

_PREVIEW = 0.4
"""How far ahead the expert looks for the edge of the road, m."""
_TAKE_OVER = 0.30
"""The expert takes over when the car will be further than this from the centre line, m."""
_HAND_BACK = 0.08
"""And hands back when it is, and will be, nearer than this, m."""


class TrackTask:
    """See `liquid_control.rollout.tasks.base.Task`."""

    def __init__(self, simulator: CarSimulator) -> None:
        self.simulator = simulator
        world = simulator.world
        self._expert = Expert(world.track, world.traffic if world.traffic.things else None)

    def begin(self, rng: np.random.Generator) -> None:
        """Anywhere on the road, off its middle and at an angle."""
        self._disturbance = Disturbance(rng)
        world = self.simulator.world
        station = rng.uniform(0.0, world.track.length)
        share = world.track.width / ROAD_WIDTH
        self.simulator.reset(
            world.pose_at(
                station=station + world.traffic.free_ahead(station),
                offset=share * rng.uniform(-MAX_START_OFFSET, MAX_START_OFFSET),
                heading_error=rng.uniform(-MAX_START_HEADING_ERROR, MAX_START_HEADING_ERROR),
            )
        )

    def expert(self) -> Command:
        """Pure pursuit of the centre line, or of the way past what is on the road."""
        return self._expert.command(self.simulator.motion, self.simulator.time_ns / 1e9)

    def disturbed(self, command: Command) -> Command:
        """Pushed at the steering wheel, never off the road, nor into what is on it."""
        place, time_ns = self.simulator.status.place, self.simulator.time_ns
        pushed = self._disturbance.apply(command, place, time_ns)
        if self.simulator.world.traffic.is_near(place.station, time_ns / 1e9):
            return command
        return pushed

    def needs_expert(self, driving: bool) -> bool:
        """When the car is about to leave the road; until it is back on the centre line."""
        place = self.simulator.status.place
        ahead = place.offset + _PREVIEW * math.sin(place.heading_error)
        furthest = max(abs(place.offset), abs(ahead))
        if self.simulator.world.traffic.is_near(place.station, self.simulator.time_ns / 1e9):
            # Off the centre line on purpose: handing over and back waits until they are past.
            return driving or furthest > place.half_width
        take_over = _TAKE_OVER * place.half_width / (ROAD_WIDTH / 2)
        return furthest > (_HAND_BACK if driving else take_over)

    @property
    def over(self) -> bool:
        """A track has no end."""
        return False
