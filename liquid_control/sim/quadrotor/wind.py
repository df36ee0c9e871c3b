"""Wind: a steady part from one direction and gusts about it, drawn from a seed."""

from __future__ import annotations

import math

import numpy as np

from liquid_control.sim.quadrotor.flight_controller import Vector

STRONGEST = 5.0
"""Steady wind at strength 1, m/s: a fresh breeze."""
GUSTS = 0.35
"""Deviation of the gusts, as a share of the steady wind's largest."""
GUST_TIME = 0.8
"""Over which a gust changes, s."""
DRAG = 0.30
"""Of the quadrotor in moving air, N per m/s."""


class Wind:
    """Air that moves; deterministic for a seed. An Ornstein-Uhlenbeck process on each axis.

    Args:
        strength: 0 for still air to 1.
        step: time between two calls of `force`, s.
    """

    def __init__(self, strength: float, step: float, rng: np.random.Generator) -> None:
        speed, direction = strength * STRONGEST * rng.uniform(0.4, 1.0), rng.uniform(0, math.tau)
        self._steady = (speed * math.cos(direction), speed * math.sin(direction), 0.0)
        self._decay = math.exp(-step / GUST_TIME)
        deviation = GUSTS * strength * STRONGEST * math.sqrt(1.0 - self._decay**2)
        self._deviation = (deviation, deviation, 0.4 * deviation)
        self._gust = [0.0, 0.0, 0.0]
        self._rng = rng
        self._noise: list[list[float]] = []

    def force(self, velocity: Vector) -> Vector:
        """Advance by one step; return the drag on a body that moves (m/s) in the world, N."""
        if not self._noise:
            self._noise = self._rng.standard_normal((400, 3)).tolist()
        noise, force = self._noise.pop(), []
        for axis in range(3):
            self._gust[axis] *= self._decay
            self._gust[axis] += self._deviation[axis] * noise[axis]
            air = self._steady[axis] + self._gust[axis]
            force.append(DRAG * (air - velocity[axis]))
        return (force[0], force[1], force[2])
