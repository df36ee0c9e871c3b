# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A closed track: the centre line, and where a point lies relative to it.

Everything that judges driving (offset, heading error, progress, *off the road*) is defined here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

ROAD_WIDTH = 0.75
"""Width of the asphalt between the edge lines, m; `narrow_width` where it is less."""

_NARROWEST = 0.45
"""At strength 1, m; the car is 0.29 m wide."""

AREA_HALF_SIZE = (6.4, 4.4)
"""Half extents of the painted ground along x and y, m; every track lies inside it."""

_POINTS = 800
_MARGIN = 0.9
"""Smallest distance from the centre line to the edge of the painted ground, m."""
_MIN_RADIUS = 0.85
"""Tightest bend, m. The car turns within 0.6 m, so a driver always has steering in reserve."""
_MIN_CLEARANCE = ROAD_WIDTH + 0.45
"""Smallest distance between the centre lines of two parts of the track, m."""


@dataclass(frozen=True)
class TrackPose:
    """Where a pose lies relative to the track.

    station: m along the centre line from the track's origin, in [0, length)
    offset: m from the centre line, + to its left seen in driving direction
    heading_error: rad, heading minus direction of the track, + when turned to the left
    half_width: of the road, m
    """

    station: float
    offset: float
    heading_error: float
    half_width: float = ROAD_WIDTH / 2

    @property
    def on_road(self) -> bool:
        """Whether the reference point is within half the road's width of the centre line.

        The reference point is the car's `base_link`, the middle of the rear axle. This is the
        project's one definition of being on or off the road.
        """
        return abs(self.offset) <= self.half_width


@dataclass(frozen=True, eq=False)
class Track:
    """A closed centre line sampled evenly and driven in the order of its points.

    points: float64 [N, 2] m, the last point joins the first
    width: of the asphalt between the edge lines, m
    """

    points: NDArray[np.float64]
    width: float = ROAD_WIDTH

    @cached_property
    def spacing(self) -> float:
        """Distance between neighbouring points, m."""
        return self.length / len(self.points)

    @cached_property
    def length(self) -> float:
        """Length of one lap along the centre line, m."""
        steps = np.roll(self.points, -1, axis=0) - self.points
        return float(np.linalg.norm(steps, axis=1).sum())

    @cached_property
    def tangents(self) -> NDArray[np.float64]:
        """Unit vectors along the driving direction, [N, 2]."""
        chords = np.roll(self.points, -1, axis=0) - np.roll(self.points, 1, axis=0)
        unit: NDArray[np.float64] = chords / np.linalg.norm(chords, axis=1, keepdims=True)
        return unit

    @cached_property
    def _along_x(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.points[:, 0])

    @cached_property
    def _along_y(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.points[:, 1])

    @cached_property
    def _directions(self) -> list[tuple[float, float, float]]:
        """Of each point the tangent and its angle, rad; plain numbers are quicker than arrays."""
        return [(x, y, math.atan2(y, x)) for x, y in self.tangents.tolist()]

    @cached_property
    def normals(self) -> NDArray[np.float64]:
        """Unit vectors to the left of the driving direction, [N, 2]."""
        return np.stack([-self.tangents[:, 1], self.tangents[:, 0]], axis=1)

    @cached_property
    def curvature(self) -> NDArray[np.float64]:
        """Signed curvature, 1/m, + in left bends, [N]."""
        turn = _cross(self.tangents, np.roll(self.tangents, -1, axis=0))
        raw = np.arcsin(np.clip(turn, -1.0, 1.0)) / self.spacing
        kernel = np.ones(5) / 5.0
        return np.convolve(np.concatenate([raw[-2:], raw, raw[:2]]), kernel, mode='valid')

    def locate(self, x: float, y: float, yaw: float) -> TrackPose:
        """Project a pose (m, m, rad) on the centre line."""
        delta_x, delta_y = x - self._along_x, y - self._along_y
        squared = delta_x * delta_x
        squared += delta_y * delta_y
        nearest = int(squared.argmin())
        dx, dy = delta_x.item(nearest), delta_y.item(nearest)
        tx, ty, direction = self._directions[nearest]
        return TrackPose(
            station=(nearest * self.spacing + dx * tx + dy * ty) % self.length,
            offset=dy * tx - dx * ty,
            heading_error=wrap_angle(yaw - direction),
            half_width=self.width / 2,
        )

    def pose_at(self, station: float, offset: float = 0.0) -> tuple[float, float, float]:
        """Return x (m), y (m) and yaw (rad) at a station (m), `offset` m to the left of it."""
        index = round(station / self.spacing) % len(self.points)
        x, y = (self.points[index] + offset * self.normals[index]).tolist()
        tx, ty = self.tangents[index].tolist()
        return x, y, math.atan2(ty, tx)


def generate_track(seed: int) -> Track:
    """Draw a track from a seed: same seed, same track.

    The radius about the middle is a sum of a few harmonics, which gives bends to both sides;
    shapes too tight for the car, or that come too close to themselves, are drawn again.
    """
    rng = np.random.default_rng([seed, 1])
    while True:
        track = Track(_draw_shape(rng))
        if (
            np.abs(track.curvature).max() <= 1.0 / _MIN_RADIUS
            and _clearance(track) > _MIN_CLEARANCE
        ):
            return track


def narrow_width(strength: float) -> float:
    """Width of a road that is narrower than usual, m.

    Args:
        strength: 0 for `ROAD_WIDTH`, to 1.
    """
    return ROAD_WIDTH - strength * (ROAD_WIDTH - _NARROWEST)


def wrap_angle(angle: float) -> float:
    """Return the same angle in [-pi, pi), rad."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


def _draw_shape(rng: np.random.Generator) -> NDArray[np.float64]:
    angle = np.linspace(0.0, 2.0 * np.pi, 4000, endpoint=False)
    radius = np.ones_like(angle)
    for harmonic, largest in ((2, 0.26), (3, 0.22), (4, 0.12), (5, 0.06)):
        phase = rng.uniform(0.0, 2.0 * np.pi)
        radius += rng.uniform(0.0, largest) * np.cos(harmonic * angle + phase)
    shape = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    low, high = shape.min(axis=0), shape.max(axis=0)
    largest_size = 2.0 * (np.array(AREA_HALF_SIZE) - _MARGIN)
    size = largest_size * rng.uniform((0.8, 0.85), (1.0, 1.0))
    shape = (shape - (low + high) / 2.0) * size / (high - low)
    if rng.random() < 0.5:
        shape = shape[::-1]
    return _resample(shape, _POINTS)


def _resample(closed: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    ring = np.concatenate([closed, closed[:1]])
    station = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    even = np.linspace(0.0, station[-1], count, endpoint=False)
    return np.stack([np.interp(even, station, ring[:, axis]) for axis in (0, 1)], axis=1)


def _clearance(track: Track) -> float:
    """Smallest distance between parts more than 2.5 m apart along the track, m."""
    points = track.points[::4]
    distance = np.linalg.norm(points[:, None] - points[None, :], axis=2)
    index = np.arange(len(points))
    apart = np.abs(index[:, None] - index[None, :])
    apart = np.minimum(apart, len(points) - apart) * 4 * track.spacing
    return float(distance[apart > 2.5].min())


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
