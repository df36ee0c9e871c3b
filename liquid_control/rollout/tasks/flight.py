# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The quadrotor's task: to the target, and position held before it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from liquid_control.rollout.flight_disturbance import FlightDisturbance
from liquid_control.rollout.flight_expert import FlightExpert
from liquid_control.sim.outdoors_world import CRASHED
from liquid_control.sim.protocols import Command
from liquid_control.sim.robots import QuadrotorSimulator

_MORE_BEARING = math.radians(10.0)
"""By how much the target may be further off the heading than at the start of a flight."""
_NEARER = 0.3
"""Share of the way to the target that may lie behind already."""

_LOSING, _AHEAD = math.radians(26.0), math.radians(8.0)
"""The expert takes over with the target further off the heading, and hands back with it nearer."""
_CLOSE, _CLEAR = 1.2, 1.6
"""And nearer to the target, or farther from it, m."""


class FlightTask:
    """See `liquid_control.rollout.tasks.base.Task`."""

    def __init__(self, simulator: QuadrotorSimulator) -> None:
        self.simulator = simulator
        self._expert = FlightExpert(simulator.world.target)

    def begin(self, rng: np.random.Generator) -> None:
        """Somewhere on the way, turned a little more than flights begin."""
        start, target = self.simulator.world.start, self.simulator.world.target
        share = rng.uniform(0.0, _NEARER)
        self.simulator.reset(
            replace(
                start,
                x=start.x + share * (target.x - start.x),
                y=start.y + share * (target.y - start.y),
                yaw=start.yaw + rng.uniform(-_MORE_BEARING, _MORE_BEARING),
            )
        )
        self._disturbance = FlightDisturbance(rng)

    def expert(self) -> Command:
        """Straight to the target."""
        return self._expert.command(self.simulator.motion)

    def disturbed(self, command: Command) -> Command:
        """Pushed along every axis."""
        return self._disturbance.apply(command, self.simulator.time_ns)

    def needs_expert(self, driving: bool) -> bool:
        """When the target leaves the image or is about to be hit; until it is ahead again."""
        status = self.simulator.status
        if driving:
            return abs(status.bearing) > _AHEAD or status.distance < _CLEAR
        return abs(status.bearing) > _LOSING or status.distance < _CLOSE

    @property
    def over(self) -> bool:
        """After a crash."""
        return self.simulator.status.outcome == CRASHED
