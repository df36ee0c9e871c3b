# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Wind: a steady part from one direction and gusts about it, drawn from a seed."""

from __future__ import annotations

import math

import numpy as np

STRONGEST = 5.0
"""Steady wind at strength 1, m/s: a fresh breeze."""
_GUSTS = 0.35
"""Deviation of the gusts, as a share of the strongest steady wind."""
_GUST_TIME = 0.8
"""Over which a gust changes, s."""
_STEP = 0.01
"""Between two values, s."""

Vector = tuple[float, float, float]


class Wind:
    """Air that moves, the same everywhere. An Ornstein-Uhlenbeck process along each axis.

    Args:
        strength: 0 for still air, to 1.
    """

    def __init__(self, strength: float, seed: int) -> None:
        self._strength, self._seed = strength * STRONGEST, seed
        self._time_ns = 0
        self._gust = [0.0, 0.0, 0.0]
        self._restart()

    def at(self, time_ns: int) -> Vector:
        """Velocity of the air at a time, m/s; times rise, or begin anew."""
        if time_ns < self._time_ns:
            self._restart()
        while time_ns >= self._time_ns + round(_STEP * 1e9):
            self._time_ns += round(_STEP * 1e9)
            self._gust = [
                self._decay * value + deviation * noise
                for value, deviation, noise in zip(
                    self._gust, self._deviation, self._draw(), strict=True
                )
            ]
        x, y, z = self._gust
        return (self._steady[0] + x, self._steady[1] + y, z)

    def _restart(self) -> None:
        self._rng = np.random.default_rng([self._seed, 22])
        speed = self._strength * self._rng.uniform(0.4, 1.0)
        direction = self._rng.uniform(0.0, math.tau)
        self._steady = (speed * math.cos(direction), speed * math.sin(direction))
        self._decay = math.exp(-_STEP / _GUST_TIME)
        deviation = _GUSTS * self._strength * math.sqrt(1.0 - self._decay**2)
        self._deviation = (deviation, deviation, 0.4 * deviation)
        self._gust = [0.0, 0.0, 0.0]
        self._noise: list[list[float]] = []
        self._time_ns = 0

    def _draw(self) -> list[float]:
        if not self._noise:
            self._noise = self._rng.standard_normal((200, 3)).tolist()
        return self._noise.pop()
