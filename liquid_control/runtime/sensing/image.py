# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""From a camera's image to the encoder's input.

Training, replay and driving all cut and resize here, so a policy sees the same pixels everywhere.
"""

from __future__ import annotations

import cv2
import numpy as np

from liquid_control.common.errors import ImageError
from liquid_control.common.image import Pixels
from liquid_control.contract.inputs.image import ImageSpec

# Aspect ratios closer than this count as the same camera geometry.
ASPECT_TOLERANCE = 0.01


class Preprocessor:
    """Cuts and resizes an RGB image to a policy's input, uint8 [height, width, 3].

    Images are halved while they are twice as large as wanted or more, then interpolated: every
    source pixel counts, so a camera of higher resolution gives nearly the same input as the one
    trained on, in a fifth of the time of resampling by area at once.
    """

    def __init__(self, spec: ImageSpec) -> None:
        self._spec = spec

    def __call__(self, rgb: Pixels) -> Pixels:
        """Raises ImageError when the image does not fit the policy's camera geometry."""
        spec = self._spec
        height, width = rgb.shape[:2]
        x, y, crop_width, crop_height = spec.crop
        if width < crop_width or height < crop_height:
            raise ImageError(
                f'image of {width}x{height} is smaller than the crop {crop_width}x{crop_height}; '
                f'the policy was trained on {spec.source_width}x{spec.source_height}'
            )
        aspect = width * spec.source_height / (height * spec.source_width)
        if abs(aspect - 1) > ASPECT_TOLERANCE:
            raise ImageError(
                f'image of {width}x{height} has another aspect ratio than the '
                f'{spec.source_width}x{spec.source_height} the policy was trained on; '
                'set the camera to that shape'
            )
        scale_x, scale_y = width / spec.source_width, height / spec.source_height
        left, top = round(x * scale_x), round(y * scale_y)
        right, bottom = round((x + crop_width) * scale_x), round((y + crop_height) * scale_y)
        patch = rgb[top:bottom, left:right]
        if patch.shape[:2] == (spec.height, spec.width):
            return np.ascontiguousarray(patch)
        return _resize(patch, spec.width, spec.height)


def _resize(image: Pixels, width: int, height: int) -> Pixels:
    while True:
        rows, columns = image.shape[:2]
        larger = columns / width, rows / height
        if min(larger) < 2 or rows % 2 or columns % 2:
            break
        image = _scale(image, columns // 2, rows // 2, cv2.INTER_AREA)
    # Interpolation looks at two pixels: what is still larger than that it would skip.
    return _scale(image, width, height, cv2.INTER_LINEAR if max(larger) < 2 else cv2.INTER_AREA)


def _scale(image: Pixels, width: int, height: int, how: int) -> Pixels:
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
