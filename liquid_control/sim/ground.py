# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The painted ground: grass, asphalt and road markings as one texture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.appearance import Appearance
from liquid_control.sim.track import AREA_HALF_SIZE, ROAD_WIDTH, Track

PIXELS_PER_METRE = 160
WIDTH = round(2 * AREA_HALF_SIZE[0] * PIXELS_PER_METRE)
HEIGHT = round(2 * AREA_HALF_SIZE[1] * PIXELS_PER_METRE)

_SUBPIXEL_BITS = 4


def paint_ground(track: Track, appearance: Appearance, seed: int) -> NDArray[np.uint8]:
    """Return the ground seen from above, RGB uint8 [HEIGHT, WIDTH, 3], row 0 at the largest y."""
    rng = np.random.default_rng([seed, 3])
    line = _to_pixels(track.points)
    grass_shade = _patches(rng, 3, 0.05) + _patches(rng, 50, 0.05)
    road_shade = _patches(rng, 1, 0.02) + _patches(rng, 30, 0.025)

    image = grass_shade + np.asarray(appearance.season.grass, np.float32)
    image[_stroke([line], ROAD_WIDTH + 2 * appearance.edge_width)] = appearance.edge_rgb
    road = _stroke([line], ROAD_WIDTH)
    image[road] = road_shade[road] + np.asarray(appearance.season.road, np.float32)
    if appearance.dash_length > 0.0:
        image[_dashes(track, line, appearance)] = appearance.centre_rgb
    texture = np.clip(image * np.float32(255.0), 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(texture, (3, 3), 0), np.uint8)


def _to_pixels(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Metres to OpenCV's fixed-point pixels, [N, 1, 2]."""
    x = (points[:, 0] + AREA_HALF_SIZE[0]) * PIXELS_PER_METRE
    y = (AREA_HALF_SIZE[1] - points[:, 1]) * PIXELS_PER_METRE
    scaled = np.stack([x, y], axis=1) * 2**_SUBPIXEL_BITS
    pixels: NDArray[np.int32] = scaled.round().astype(np.int32).reshape(-1, 1, 2)
    return pixels


def _stroke(
    lines: list[NDArray[np.int32]], width: float, closed: bool = True
) -> NDArray[np.bool_]:
    """Pixels of lines drawn `width` m wide, [HEIGHT, WIDTH]."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    thickness = max(1, round(width * PIXELS_PER_METRE))
    cv2.polylines(mask, lines, closed, 255, thickness, cv2.LINE_8, _SUBPIXEL_BITS)
    return mask > 0


def _dashes(track: Track, line: NDArray[np.int32], appearance: Appearance) -> NDArray[np.bool_]:
    points = max(2, round(appearance.dash_length / track.spacing))
    dashes = [
        line[np.arange(start, start + points) % len(line)]
        for start in range(0, len(line) - points, 2 * points)
    ]
    return _stroke(dashes, appearance.centre_width, closed=False)


def _patches(rng: np.random.Generator, size: int, amplitude: float) -> NDArray[np.float32]:
    """Smooth grey noise with blobs of about `size` pixels, [HEIGHT, WIDTH, 1]."""
    shape = (HEIGHT // size + 2, WIDTH // size + 2)
    coarse = rng.standard_normal(shape, dtype=np.float32) * np.float32(amplitude)
    return np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT)), np.float32)[..., None]
