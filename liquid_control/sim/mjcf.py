# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the descriptions of several worlds have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable

import mujoco
import numpy as np
from numpy.typing import NDArray


def text(values: Iterable[float]) -> str:
    """A colour or a direction as MJCF spells it."""
    return ' '.join(f'{value:.4f}' for value in values)


def sunlight(azimuth: float, elevation: float) -> tuple[float, float, float]:
    """Where the light of a sun shines to, as a unit vector; rad."""
    return (
        -math.cos(elevation) * math.cos(azimuth),
        -math.cos(elevation) * math.sin(azimuth),
        -math.sin(elevation),
    )


def paint(model: mujoco.MjModel, texture: str, pixels: NDArray[np.uint8]) -> None:
    """Fill a texture [H, W, 3] that was described without its pixels."""
    start = model.tex_adr[model.texture(texture).id]
    model.tex_data[start : start + pixels.size] = pixels.ravel()
