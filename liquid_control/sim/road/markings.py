# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Road markings that are worn, missing, or there twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.canvas import (
    HEIGHT,
    WIDTH,
    Layer,
    Picture,
    mix,
    patches,
    short_stroke,
    stroke,
    to_pixels,
)
from liquid_control.sim.road.difficulties import generator
from liquid_control.sim.track import Track

_MOST_MISSING, _MOST_DOUBLE = 0.9, 0.7
_STRETCH = (0.8, 3.0)
"""Length of a stretch without a marking, or with two, m."""
_LINE_WIDTH = 0.05
_ROADWORKS = (0.95, 0.75, 0.10)
"""Colour of the markings of roadworks."""


def paint_left(track: Track, strength: Mapping[str, float], seed: int) -> Layer:
    """Share of the paint that is still on the road, 0 to 1."""
    left = np.ones((HEIGHT, WIDTH), np.float32)
    if worn := strength.get('worn', 0.0):
        rng = generator(seed, 'worn')
        noise = patches(rng, 5, 0.3) + patches(rng, 60, 0.3)
        noise += np.float32(0.85)
        noise *= np.float32(-worn)
        noise += np.float32(1.0)
        left = np.clip(noise, 0.0, 1.0, out=noise)
    if missing := strength.get('missing', 0.0):
        rng = generator(seed, 'missing')
        half = track.width / 2
        for offset in (half + _LINE_WIDTH / 2, -half - _LINE_WIDTH / 2, 0.0):
            gaps = [
                to_pixels(_beside(track, stations, offset))
                for stations in _stretches(track, _MOST_MISSING * missing, rng)
            ]
            left[stroke(gaps, 2.5 * _LINE_WIDTH, closed=False)] = 0.0
    return left


def draw_double(picture: Picture, track: Track, strength: Mapping[str, float], seed: int) -> None:
    """Draw old markings that drift away from the valid ones."""
    if not (double := strength.get('double', 0.0)):
        return
    rng = generator(seed, 'double')
    for line in (1.0, 0.0, -1.0):
        for stations in _stretches(track, _MOST_DOUBLE * double, rng):
            start = line * track.width / 2 + rng.uniform(-0.1, 0.1)
            drift = np.linspace(start, start + rng.uniform(-0.25, 0.25), len(stations))
            colour = _ROADWORKS if rng.random() < 0.5 else (0.85, 0.85, 0.85)
            old = to_pixels(_beside(track, stations, drift))
            (rows, columns), mask = short_stroke(old, _LINE_WIDTH)
            mix(picture[:, rows, columns], mask, colour, np.float32(0.4 + 0.5 * double))


def _stretches(
    track: Track, share: float, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Indices of the track's points in stretches that make up a share of it."""
    at = rng.uniform(0.0, _STRETCH[1])
    while at < track.length:
        length = rng.uniform(*_STRETCH)
        count = max(2, round(length / track.spacing))
        yield (round(at / track.spacing) + np.arange(count)) % len(track.points)
        at += length + max(length * (1.0 - share) / share * rng.uniform(0.5, 1.5), 0.05)


def _beside(
    track: Track, stations: NDArray[np.int64], offset: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    along: NDArray[np.float64] = np.broadcast_to(offset, len(stations))[:, None]
    points: NDArray[np.float64] = track.points[stations] + along * track.normals[stations]
    return points
