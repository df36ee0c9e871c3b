# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A car whose steering and motor do not do quite what they are told."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from liquid_control.sim import car
from liquid_control.sim.car import PHYSICS_STEP_NS, Car
from liquid_control.sim.protocols import Command, Pose

_DELAY_NS, _PLAY, _FASTER = 120_000_000, 0.06, 0.4
"""At strength 1: ns, rad to either side, share of the speed."""


class WornCar(Car):
    """A car with delay and play, or with more speed than it is asked for.

    Args:
        strength: of 'delay', 'slack' and 'fast'.
    """

    def __init__(self, strength: Mapping[str, float]) -> None:
        self._late = round(strength.get('delay', 0.0) * _DELAY_NS / PHYSICS_STEP_NS)
        self._play = strength.get('slack', 0.0) * _PLAY
        self._gain = 1.0 + strength.get('fast', 0.0) * _FASTER

    def place(self, pose: Pose) -> None:
        """At rest, with the steering in the middle of its play."""
        self._waiting: deque[Command] = deque([car.command()] * self._late)
        self._angle = 0.0
        super().place(pose)

    def advance(self, command: Command) -> None:
        """One step under the command of some time ago."""
        self._waiting.append(command)
        due = self._waiting.popleft()
        angle = due['steering_angle']
        self._angle = min(max(self._angle, angle - self._play), angle + self._play)
        super().advance(car.command(self._angle, self._gain * due['speed']))
