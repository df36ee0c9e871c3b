# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The rover's task: to a goal among things that stand and people who walk, touching nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from liquid_control.rollout.rover_expert import RoverExpert
from liquid_control.sim.protocols import Command
from liquid_control.sim.robots import RoverSimulator
from liquid_control.sim.rover import RADIUS

_AFTERWARDS_NS = 1_500_000_000
"""How long it is shown at the goal, so that standing there is learnt too."""

# Pushes: how long, how far apart, how much they turn it (rad/s) and slow it down.
_DURATION, _MEAN_CALM = (0.3, 0.9), 1.5
_TURN, _SHARE = 1.2, (0.6, 1.2)
_KEPT = 0.15
"""Nearer than this to anything it is not turned away from where it wants to go, m."""

_PREVIEW = 0.4
"""How far ahead the expert looks for what would be touched, s."""
_TAKE_OVER, _HAND_BACK = 0.05, 0.12
"""m between the rover and whatever is nearest."""


class ReachTask:
    """See `liquid_control.rollout.tasks.base.Task`."""

    def __init__(self, simulator: RoverSimulator) -> None:
        self.simulator = simulator
        self._rooms = simulator.world.rooms
        self._expert = RoverExpert(self._rooms)
        self._reached_ns: int | None = None

    def begin(self, rng: np.random.Generator) -> None:
        """At the start, turned anywhere."""
        self._rng = rng
        self._turn, self._share, self._change_ns = 0.0, 1.0, 0
        start = self.simulator.world.start
        self.simulator.reset(replace(start, yaw=rng.uniform(-math.pi, math.pi)))
        self._reached_ns = None

    def expert(self) -> Command:
        """The shortest way, giving way to people."""
        return self._expert.command(self.simulator.motion, self.simulator.time_ns)

    def disturbed(self, command: Command) -> Command:
        """Turned aside, slowed down or hurried."""
        if self.simulator.time_ns >= self._change_ns:
            pause = self._rng.exponential(_MEAN_CALM)
            if self._turn == 0.0:
                self._turn = self._rng.uniform(-_TURN, _TURN)
                self._share = self._rng.uniform(*_SHARE)
                pause = self._rng.uniform(*_DURATION)
            else:
                self._turn, self._share = 0.0, 1.0
            self._change_ns = self.simulator.time_ns + round(pause * 1e9)
        turn = self._turn if self.room() > _KEPT else 0.0
        return {
            'velocity_x': command['velocity_x'] * self._share,
            'yaw_rate': command['yaw_rate'] + turn,
        }

    def needs_expert(self, driving: bool) -> bool:
        """Where something is about to be touched; until there is room again."""
        return self.room() < (_HAND_BACK if driving else _TAKE_OVER)

    @property
    def over(self) -> bool:
        """Some time after the goal was reached."""
        if self._reached_ns is None and self.simulator.status.reached:
            self._reached_ns = self.simulator.time_ns
        return (
            self._reached_ns is not None
            and self.simulator.time_ns >= self._reached_ns + _AFTERWARDS_NS
        )

    def room(self) -> float:
        """Distance to whatever is nearest, now or a moment ahead, m."""
        motion, seconds = self.simulator.motion, self.simulator.time_ns / 1e9
        ahead = _PREVIEW * motion.speed
        points = np.array(
            [
                [motion.x, motion.y],
                [motion.x + ahead * math.cos(motion.yaw), motion.y + ahead * math.sin(motion.yaw)],
            ]
        )
        times = seconds + np.array([0.0, _PREVIEW])
        return self._rooms.clearance(points, times) - RADIUS
