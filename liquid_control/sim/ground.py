# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The painted ground: grass, asphalt and road markings as one texture."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.appearance import Appearance
from liquid_control.sim.camera import Rgb
from liquid_control.sim.canvas import (
    Layer,
    Mask,
    Picture,
    fill,
    mix,
    patches,
    stroke,
    tinted,
    to_pixels,
)
from liquid_control.sim.road import markings, surface
from liquid_control.sim.road.difficulties import DIFFICULTIES
from liquid_control.sim.track import Track


def paint_ground(
    track: Track,
    appearance: Appearance,
    seed: int,
    strength: Mapping[str, float] = MappingProxyType({}),
) -> NDArray[np.uint8]:
    """Return the ground seen from above, RGB uint8 [HEIGHT, WIDTH, 3], row 0 at the largest y.

    Args:
        strength: of `liquid_control.sim.road.difficulties.DIFFICULTIES`.
    """
    rng = np.random.default_rng([seed, 3])
    line = to_pixels(track.points)
    grass_shade = patches(rng, 3, 0.05) + patches(rng, 50, 0.05)
    road_shade = patches(rng, 1, 0.02) + patches(rng, 30, 0.025)

    season = appearance.season
    picture = tinted(grass_shade, season.grass)
    edges = stroke([line], track.width + 2 * appearance.edge_width)
    road = stroke([line], track.width)
    dashes = _dashes(track, line, appearance) if appearance.dash_length > 0.0 else None
    if not any(strength.get(name) for name in DIFFICULTIES):
        fill(picture, edges, appearance.edge_rgb)
        fill(picture, road, season.road, road_shade)
        if dashes is not None:
            fill(picture, dashes, appearance.centre_rgb)
    else:
        lines = edges & ~road
        paint = [(lines, appearance.edge_rgb)]
        if dashes is not None:
            lines &= ~dashes
            paint.append((dashes, appearance.centre_rgb))
        _paint_hard(picture, road_shade, edges, paint, track, appearance, seed, strength)
    picture *= np.float32(255.0)
    channels = [np.clip(layer, 0.0, 255.0, out=layer).astype(np.uint8) for layer in picture]
    return np.asarray(cv2.GaussianBlur(cv2.merge(channels), (3, 3), 0), np.uint8)


def _paint_hard(
    picture: Picture,
    asphalt: Layer,
    road: Mask,
    paint: list[tuple[Mask, Rgb]],
    track: Track,
    appearance: Appearance,
    seed: int,
    strength: Mapping[str, float],
) -> None:
    """Paint a road that is hard to follow: from the ground up to what lies on everything."""
    asphalt = surface.texture(asphalt, strength, seed)
    left = markings.paint_left(track, strength, seed)
    if lines := surface.crossings(track, strength, seed):
        outer, inner = surface.crossing_masks(lines, appearance.edge_width)
        fill(picture, outer, appearance.edge_rgb)
        left[inner] = 0.0
        road = road | inner
    fill(picture, road, appearance.season.road, asphalt)
    for where, colour in paint:
        mix(picture, where, colour, left)
    markings.draw_double(picture, track, strength, seed)
    surface.strew(picture, track, strength, seed, appearance.season.leaf)
    surface.darken(picture, road, track, strength, seed, appearance.season.horizon)


def _dashes(track: Track, line: NDArray[np.int32], appearance: Appearance) -> Mask:
    points = max(2, round(appearance.dash_length / track.spacing))
    dashes = [
        line[np.arange(start, start + points) % len(line)]
        for start in range(0, len(line) - points, 2 * points)
    ]
    return stroke(dashes, appearance.centre_width, closed=False)
