# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The ground as a canvas: metres to pixels, strokes, colours, and smooth noise.

A colour channel is an array by itself, and what is short is painted within a window: that is
several times as fast as with all three channels of a pixel together, pixel by pixel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.camera import Rgb
from liquid_control.sim.track import AREA_HALF_SIZE

PIXELS_PER_METRE = 160
WIDTH = round(2 * AREA_HALF_SIZE[0] * PIXELS_PER_METRE)
HEIGHT = round(2 * AREA_HALF_SIZE[1] * PIXELS_PER_METRE)

_SUBPIXEL_BITS = 4

Layer = NDArray[np.float32]
"""[HEIGHT, WIDTH]."""
Picture = NDArray[np.float32]
"""Red, green and blue, each a `Layer`."""
Mask = NDArray[np.bool_]
"""Of a canvas or of a window."""
Window = tuple[slice, slice]
"""Rows and columns of a canvas."""


def to_pixels(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Metres to OpenCV's fixed-point pixels, [N, 1, 2]."""
    x = (points[:, 0] + AREA_HALF_SIZE[0]) * PIXELS_PER_METRE
    y = (AREA_HALF_SIZE[1] - points[:, 1]) * PIXELS_PER_METRE
    scaled = np.stack([x, y], axis=1) * 2**_SUBPIXEL_BITS
    pixels: NDArray[np.int32] = scaled.round().astype(np.int32).reshape(-1, 1, 2)
    return pixels


def stroke(lines: list[NDArray[np.int32]], width: float, closed: bool = True) -> Mask:
    """Pixels of lines drawn `width` m wide."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    _draw(mask, lines, width, closed)
    return mask.view(np.bool_)


def short_stroke(line: NDArray[np.int32], width: float) -> tuple[Window, Mask]:
    """Where a line lies that is drawn `width` m wide, and its pixels there."""
    beside = _thickness(width) + 2
    low = np.maximum(line.min(axis=(0, 1)) // 2**_SUBPIXEL_BITS - beside, 0)
    high = line.max(axis=(0, 1)) // 2**_SUBPIXEL_BITS + beside
    left, top = low.tolist()
    right, bottom = np.clip(high, low, (WIDTH, HEIGHT)).tolist()
    mask = np.zeros((bottom - top, right - left), np.uint8)
    if mask.size:
        _draw(mask, [line - low.astype(np.int32) * 2**_SUBPIXEL_BITS], width, closed=False)
    return (slice(top, bottom), slice(left, right)), mask.view(np.bool_)


def _draw(
    mask: NDArray[np.uint8], lines: list[NDArray[np.int32]], width: float, closed: bool
) -> None:
    cv2.polylines(mask, lines, closed, 1, _thickness(width), cv2.LINE_8, _SUBPIXEL_BITS)


def _thickness(width: float) -> int:
    return max(1, round(width * PIXELS_PER_METRE))


def tinted(shade: Layer, colour: Rgb) -> Picture:
    """A colour, lighter and darker."""
    return np.stack([shade + np.float32(value) for value in colour])


def fill(picture: Picture, where: Mask, colour: Rgb, shade: Layer | None = None) -> None:
    """Paint with a colour, or with a lighter and darker one."""
    for layer, value in zip(picture, colour, strict=True):
        paint = np.float32(value) if shade is None else shade + np.float32(value)
        np.copyto(layer, paint, where=where)


def mix(picture: Picture, where: Mask, colour: Rgb, share: np.float32 | Layer) -> None:
    """Add a share of a colour: one for all, or one for each pixel."""
    part = share[where] if isinstance(share, np.ndarray) else share
    for layer, value in zip(picture, colour, strict=True):
        before = layer[where]
        layer[where] = before + part * (np.float32(value) - before)


def patches(rng: np.random.Generator, size: int, amplitude: float) -> Layer:
    """Smooth grey noise with blobs of about `size` pixels."""
    shape = (HEIGHT // size + 2, WIDTH // size + 2)
    coarse = rng.standard_normal(shape, dtype=np.float32) * np.float32(amplitude)
    return np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT)), np.float32)
