# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The ground as a canvas: metres to pixels, strokes, and smooth noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.track import AREA_HALF_SIZE

PIXELS_PER_METRE = 160
WIDTH = round(2 * AREA_HALF_SIZE[0] * PIXELS_PER_METRE)
HEIGHT = round(2 * AREA_HALF_SIZE[1] * PIXELS_PER_METRE)

_SUBPIXEL_BITS = 4

Layer = NDArray[np.float32]
"""[HEIGHT, WIDTH, 1], or 3 for colours."""


def to_pixels(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Metres to OpenCV's fixed-point pixels, [N, 1, 2]."""
    x = (points[:, 0] + AREA_HALF_SIZE[0]) * PIXELS_PER_METRE
    y = (AREA_HALF_SIZE[1] - points[:, 1]) * PIXELS_PER_METRE
    scaled = np.stack([x, y], axis=1) * 2**_SUBPIXEL_BITS
    pixels: NDArray[np.int32] = scaled.round().astype(np.int32).reshape(-1, 1, 2)
    return pixels


def stroke(lines: list[NDArray[np.int32]], width: float, closed: bool = True) -> NDArray[np.bool_]:
    """Pixels of lines drawn `width` m wide, [HEIGHT, WIDTH]."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    thickness = max(1, round(width * PIXELS_PER_METRE))
    cv2.polylines(mask, lines, closed, 255, thickness, cv2.LINE_8, _SUBPIXEL_BITS)
    return mask > 0


def patches(rng: np.random.Generator, size: int, amplitude: float) -> Layer:
    """Smooth grey noise with blobs of about `size` pixels, [HEIGHT, WIDTH, 1]."""
    shape = (HEIGHT // size + 2, WIDTH // size + 2)
    coarse = rng.standard_normal(shape, dtype=np.float32) * np.float32(amplitude)
    return np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT)), np.float32)[..., None]
