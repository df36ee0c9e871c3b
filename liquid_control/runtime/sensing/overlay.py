# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a policy looks at, drawn over the camera's image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.common.image import Pixels
from liquid_control.contract.inputs.image import ImageSpec

# Wider images are made smaller: a mask has no more to show.
WIDTH = 320
_COLOUR = np.array([255.0, 96.0, 0.0], np.float32)
_DIMMED = 0.7  # of the image's brightness


def overlay(rgb: Pixels, mask: NDArray[np.float32], spec: ImageSpec) -> Pixels:
    """The camera's image in grey, with colour where the mask counts.

    Only the mask has colour, so the strongest less the weakest channel of a pixel is the mask
    again, 0 to 255.

    Args:
        rgb: of the camera.
        mask: 0 to 1, over the part of the image that the policy sees.
    """
    height, width = rgb.shape[:2]
    if width > WIDTH:
        height, width = max(1, round(height * WIDTH / width)), WIDTH
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    x, y, wide, high = spec.crop
    across, down = width / spec.source_width, height / spec.source_height
    left, right = round(x * across), max(round((x + wide) * across), round(x * across) + 1)
    top, bottom = round(y * down), max(round((y + high) * down), round(y * down) + 1)
    weight = np.zeros((height, width), np.float32)
    part = weight[top:bottom, left:right]
    part[...] = cv2.resize(mask, part.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return tinted(rgb, weight)


def tinted(rgb: Pixels, weight: NDArray[np.float32]) -> Pixels:
    """A picture in grey, with colour by a weight of the same size, 0 to 1."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) * _DIMMED
    weight = np.clip(weight, 0, 1)
    return np.asarray((grey * (1 - weight))[..., None] + _COLOUR * weight[..., None], np.uint8)
