# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What lies on a road: shadows, crossings, water, and the surfaces of other places."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.camera import Rgb
from liquid_control.sim.canvas import (
    HEIGHT,
    WIDTH,
    Layer,
    Mask,
    Picture,
    mix,
    patches,
    short_stroke,
    stroke,
    to_pixels,
)
from liquid_control.sim.road.difficulties import generator
from liquid_control.sim.track import Track

HELD_OUT_TEXTURES = ('cobbles', 'slabs', 'leaves', 'tar')
"""Roads that no training sees; 'elsewhere' draws one of them."""

MOST_REFLECTANCE = 0.35
_MOST_SHADOWS, _MOST_CROSSINGS = 24, 4
_TAR = (0.08, 0.08, 0.08)
_CROSSING_WIDTH, _CROSSING_LENGTH = 0.6, 2.5

Lines = list[NDArray[np.int32]]


def crossing_places(
    track: Track, strength: Mapping[str, float], seed: int
) -> list[tuple[float, float, float]]:
    """Where other roads cross: x, y (m) and their direction (rad)."""
    count = math.ceil(_MOST_CROSSINGS * strength.get('crossings', 0.0))
    rng, places = generator(seed, 'crossings'), []
    for index in range(count):
        x, y, yaw = track.pose_at((index + rng.uniform(0.2, 0.8)) * track.length / count)
        places.append((x, y, yaw + _across(rng)))
    return places


def crossings(track: Track, strength: Mapping[str, float], seed: int) -> Lines:
    """Middles of the roads that cross, as lines to be stroked."""
    places = crossing_places(track, strength, seed)
    return [to_pixels(_bar(*place, _CROSSING_LENGTH)) for place in places]


def crossing_masks(lines: Lines, edge_width: float) -> tuple[Mask, ...]:
    """Pixels of the crossing roads with their edge lines, and of their asphalt."""
    edges = stroke(lines, _CROSSING_WIDTH + 2 * edge_width, closed=False)
    return edges, stroke(lines, _CROSSING_WIDTH, closed=False)


def texture(road: Layer, strength: Mapping[str, float], seed: int) -> Layer:
    """The shade of the asphalt, as far from what is trained on as 'elsewhere' says."""
    share = np.float32(strength.get('elsewhere', 0.0))
    kind = held_out_texture(seed)
    if not share or kind not in ('cobbles', 'slabs'):
        return road
    size = 16 if kind == 'cobbles' else 90
    rng = generator(seed, 'texture')
    stones = rng.uniform(-0.1, 0.1, (HEIGHT // size + 1, WIDTH // size + 1)).astype(np.float32)
    big = cv2.resize(stones, None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST)
    big = big[:HEIGHT, :WIDTH].copy()
    joint = max(2, size // 10)
    for shift in range(joint):
        big[shift::size], big[:, shift::size] = -0.15, -0.15
    laid: Layer = road + share * big
    return laid


def held_out_texture(seed: int) -> str:
    """Which of `HELD_OUT_TEXTURES` a seed draws."""
    return str(generator(seed, 'elsewhere').choice(HELD_OUT_TEXTURES))


def strew(
    picture: Picture, track: Track, strength: Mapping[str, float], seed: int, leaf: Rgb
) -> None:
    """Leaves, or seams of tar, over everything."""
    share = np.float32(strength.get('elsewhere', 0.0))
    kind, rng = held_out_texture(seed), generator(seed, 'strewn')
    if not share:
        return
    if kind == 'leaves':
        mix(picture, patches(rng, 6, 1.0) > 1.3, leaf, share)
    elif kind == 'tar':
        for _ in range(30):
            x, y, yaw = track.pose_at(rng.uniform(0.0, track.length), rng.uniform(-0.3, 0.3))
            seam = _bar(x, y, yaw + rng.uniform(-0.6, 0.6), rng.uniform(0.3, 1.2))
            (rows, columns), mask = short_stroke(to_pixels(seam), rng.uniform(0.015, 0.04))
            mix(picture[:, rows, columns], mask, _TAR, share)


def darken(
    picture: Picture, road: Mask, track: Track, strength: Mapping[str, float], seed: int,
    sky: Rgb,
) -> None:  # fmt: skip
    """Water on the road, and shadows over everything."""
    if wet := np.float32(strength.get('wet', 0.0)):
        for layer in picture:
            np.multiply(layer, 1 - np.float32(0.45) * wet, out=layer, where=road)
        puddles = road & (patches(generator(seed, 'wet'), 70, 1.0) > 1.1)
        mix(picture, puddles, sky, wet * np.float32(0.5))
    shadows = strength.get('shadows', 0.0)
    rng = generator(seed, 'shadows')
    if count := round(_MOST_SHADOWS * shadows):
        shade = np.zeros((HEIGHT, WIDTH), np.uint8)
        for _ in range(count):
            x, y, yaw = track.pose_at(rng.uniform(0.0, track.length))
            bar = to_pixels(_bar(x, y, yaw + _across(rng), rng.uniform(0.6, 1.6)))
            window, mask = short_stroke(bar, rng.uniform(0.04, 0.5))
            shade[window][mask] = 255
        soft = cv2.blur(shade, (9, 9)).astype(np.float32)
        picture *= 1 - soft * np.float32((0.35 + 0.3 * shadows) / 255)


def _across(rng: np.random.Generator) -> float:
    return math.pi / 2 + rng.uniform(-0.5, 0.5)


def _bar(x: float, y: float, yaw: float, half_length: float) -> NDArray[np.float64]:
    dx, dy = half_length * math.cos(yaw), half_length * math.sin(yaw)
    return np.array([[x - dx, y - dy], [x + dx, y + dy]])
