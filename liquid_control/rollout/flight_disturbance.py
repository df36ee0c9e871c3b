# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pushes on the setpoints, so that expert flights also show how to recover.

They are added to what the flight controller is told, never to the command that is recorded: every
recorded command is the expert's answer to the pose that a push led to (Laskey et al., "DART: Noise
Injection for Robust Imitation Learning", CoRL 2017).
"""

from __future__ import annotations

import numpy as np

from liquid_control.sim.protocols import Command

_MEAN_CALM = 1.5
"""Mean time between two pushes, s."""
_DURATION = (0.3, 1.2)
_LARGEST = (0.8, 0.8, 0.6, 0.9)
"""Of a push along x, y and z, m/s, and about the vertical, rad/s; in the order of commands."""
_SHARE = 0.7
"""Of the axes that a push takes part in."""


class FlightDisturbance:
    """Random pushes; deterministic for a seed."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._push = (0.0, 0.0, 0.0, 0.0)
        self._change_ns = round(rng.exponential(_MEAN_CALM) * 1e9)

    def apply(self, command: Command, time_ns: int) -> Command:
        """Return what the flight controller is told when the expert says `command`."""
        if time_ns >= self._change_ns:
            self._change(time_ns)
        return {
            name: value + push
            for (name, value), push in zip(command.items(), self._push, strict=True)
        }

    def _change(self, time_ns: int) -> None:
        if any(self._push):
            self._push = (0.0, 0.0, 0.0, 0.0)
            pause = self._rng.exponential(_MEAN_CALM)
        else:
            largest = np.array(_LARGEST) * (self._rng.random(4) < _SHARE)
            x, y, z, yaw = (largest * self._rng.uniform(-1.0, 1.0, 4)).tolist()
            self._push = (x, y, z, yaw)
            pause = self._rng.uniform(*_DURATION)
        self._change_ns = time_ns + round(pause * 1e9)
