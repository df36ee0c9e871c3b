# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether attention stays where it is when the camera is noisy: SSIM against the clean mask."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from liquid_control.runtime.inference.attention import Attention, Mask

# Standard deviations of the noise, grey levels of 255.
NOISES = (2.0, 5.0, 10.0, 20.0, 40.0)
TRIALS = 8
# As the authors of the measure chose: window, and what keeps the quotients finite.
_SIGMA, _C1, _C2 = 1.5, 0.01**2, 0.03**2


def ssim(a: Mask, b: Mask) -> float:
    """Mean structural similarity of two masks, 0 to 1 each; 1 where they are the same.

    Wang et al., Image quality assessment: from error visibility to structural similarity, 2004.
    """

    def smooth(values: Mask) -> NDArray[np.float64]:
        blurred = cv2.GaussianBlur(values.astype(np.float64), (11, 11), _SIGMA)
        return np.asarray(blurred, np.float64)

    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    both = smooth(a * b) - mean_a * mean_b
    means = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return float((means * (2 * both + _C2) / (var_a + var_b + _C2)).mean())


def under_noise(
    attention: Attention, pixels: NDArray[np.uint8], rng: np.random.Generator
) -> dict[str, list[float]]:
    """Noise -> SSIM of every trial with the mask of the clean image."""
    clean = attention.look(pixels)
    found = {}
    for noise in NOISES:
        noisy = (
            np.clip(pixels + rng.normal(0, noise, pixels.shape), 0, 255).astype(np.uint8)
            for _ in range(TRIALS)
        )
        found[f'{noise:g}'] = [ssim(clean, attention.look(each)) for each in noisy]
    return found


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's, of two lists without many equal values; NaN where one is constant."""
    ranks = [np.argsort(np.argsort(np.asarray(each).ravel())) for each in (a, b)]
    if any(np.ptp(np.asarray(each)) < 1e-12 for each in (a, b)):
        return float('nan')
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
