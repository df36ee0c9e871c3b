# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ways through rooms: how far every place is from the goal, around everything that stands there.

The distance solves the eikonal equation on a grid, as fast marching does (Sethian, "A fast
marching level set method for monotonically advancing fronts", PNAS 1996), by relaxing all cells
at once; its gradient is the shortest way, without the corners of a grid's own paths.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.rooms import Rooms

Array = NDArray[np.float64]

CELL = 0.1
"""m."""


class WayMap:
    """Distances to the goal of one place.

    Args:
        radius: of the robot, m: its middle stays out of what is nearer.
        comfort: up to here, m beyond the radius, nearness makes a way longer: at a wall a metre
            counts for `1 + reluctance`.
    """

    def __init__(
        self, rooms: Rooms, radius: float, *, comfort: float = 0.35, reluctance: float = 6.0
    ) -> None:
        columns, rows = (round(size / CELL) + 1 for size in rooms.size)
        x, y = np.meshgrid(np.arange(columns) * CELL, np.arange(rows) * CELL, indexing='ij')
        points = np.stack([x.ravel(), y.ravel()], axis=1)
        self.clearance = rooms.shapes.clearance(points).reshape(columns, rows) - radius
        near = np.clip(1.0 - self.clearance / comfort, 0.0, 1.0)
        cost = CELL * (1.0 + reluctance * near**2)
        cost[self.clearance <= 0.0] = np.inf
        self.distance = _relax(cost, rooms.goal)
        # Inside of things the gradient still leads out: one cell more than the farthest.
        finite = self.distance[np.isfinite(self.distance)]
        self._filled = np.where(np.isfinite(self.distance), self.distance, finite.max() + 1.0)

    def at(self, points: Array) -> Array:
        """Distance to the goal along the way from points [N, 2], m [N]."""
        return _interpolate(self._filled, points)

    def clearance_at(self, points: Array) -> Array:
        """How far the robot's edge is from what stands there, m [N]."""
        return _interpolate(self.clearance, points)

    def follow(self, x: float, y: float, length: float, step: float = CELL) -> Array:
        """Points of the way that begins here, `step` apart, up to a length: [N, 2]."""
        here = np.array([x, y])
        way = [here]
        around: Array = 0.6 * CELL * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        for _ in range(max(round(length / step), 1)):
            right, left, up, down = self.at(here + around).tolist()
            slope = math.hypot(right - left, up - down)
            if slope < 1e-9:
                break
            here = here - step * np.array([right - left, up - down]) / slope
            way.append(here)
        return np.array(way)


def _relax(cost: Array, goal: tuple[float, float]) -> Array:
    """Solve |gradient of distance| = cost per cell; infinite where nothing leads."""
    distance = np.full((cost.shape[0] + 2, cost.shape[1] + 2), np.inf)
    inner = distance[1:-1, 1:-1]
    column, row = round(goal[0] / CELL), round(goal[1] / CELL)
    x, y = np.indices(cost.shape)
    seed = np.hypot(x * CELL - goal[0], y * CELL - goal[1])
    seed[(np.abs(x - column) > 2) | (np.abs(y - row) > 2) | ~np.isfinite(cost)] = np.inf
    inner[:] = seed
    for _ in range(8 * sum(cost.shape)):
        a = np.minimum(distance[:-2, 1:-1], distance[2:, 1:-1])
        b = np.minimum(distance[1:-1, :-2], distance[1:-1, 2:])
        low, high = np.minimum(a, b), np.maximum(a, b)
        with np.errstate(invalid='ignore'):
            apart = high - low
            both = (a + b + np.sqrt(np.maximum(2.0 * cost**2 - apart**2, 0.0))) / 2.0
            new = np.where(apart < cost, both, low + cost)
        new = np.fmin(inner, new)
        if np.array_equal(new, inner):
            break
        inner[:] = new
    solved: Array = inner.copy()
    return solved


def _interpolate(grid: Array, points: Array) -> Array:
    """Bilinear, in metres; beyond the edge as on it."""
    x = np.clip(points[:, 0] / CELL, 0.0, grid.shape[0] - 1.001)
    y = np.clip(points[:, 1] / CELL, 0.0, grid.shape[1] - 1.001)
    column, row = x.astype(int), y.astype(int)
    right, up = x - column, y - row
    left, down = 1.0 - right, 1.0 - up
    values: Array = (
        grid[column, row] * left * down
        + grid[column + 1, row] * right * down
        + grid[column, row + 1] * left * up
        + grid[column + 1, row + 1] * right * up
    )
    return values
