# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What lies between a scene and its picture: darkness, glare, dirt, and the time a picture takes.

Each effect is a factor, a veil or a warp of the rendered image, worked out once for the lens as
far as it does not hang on how the robot moves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.camera import Effect
from liquid_control.sim.protocols import Motion
from liquid_control.sim.renderer import Image
from liquid_control.sim.road.difficulties import generator
from liquid_control.sim.road.lens import Lens, Map

_EXPOSURE, _TAPS = 0.040, 5
"""The longest exposure, s; how many moments of it are averaged."""
_READOUT = 0.033
"""The longest time between the first row and the last, s."""
_STARLIGHT, _BEAM, _REACH = 0.05, 0.45, 1.2
"""At night: share of the day's light, half width of the beam (rad), how far it reaches (m)."""
_SUN_HEIGHT = (0.10, 0.25)
"""Of a sun that blinds, rad."""
_MOST_DROPS, _COVERED = 14, 0.33


def effects(
    lens: Lens, strength: Mapping[str, float], seed: int, sun_azimuth: float
) -> list[Effect]:
    """What strengths ask for, in the order in which light meets it."""
    blur, shutter, night, glare, drops = (
        strength.get(name, 0.0) for name in ('blur', 'shutter', 'night', 'glare', 'drops')
    )
    found: list[Effect] = []
    if blur or shutter:
        found.append(Moving(lens, exposure=blur * _EXPOSURE, readout=shutter * _READOUT))
    if night:
        found.append(Night(lens, night))
    if glare:
        height = generator(seed, 'glare').uniform(*_SUN_HEIGHT)
        found.append(Glare(lens, glare, sun_azimuth, height))
    if drops:
        found.append(Drops(lens, drops, generator(seed, 'drops')))
    return found


class Moving:
    """A picture that takes time: rows one after another, each for as long as it is exposed.

    Args:
        exposure: of a row, s.
        readout: from the first row to the last, s.
    """

    def __init__(self, lens: Lens, *, exposure: float, readout: float) -> None:
        self._lens = lens
        rows = np.linspace(readout, 0.0, lens.height, dtype=np.float32)[:, None]
        moments = np.linspace(0.0, exposure, _TAPS) if exposure else np.zeros(1)
        self._ago = [rows + np.float32(moment) for moment in moments]

    def apply(self, image: Image, motion: Motion) -> Image:
        """See `Effect`."""
        flow = self._lens.flow(motion.speed, motion.yaw_rate)
        seen = [self._lens.earlier(image, flow, ago) for ago in self._ago]
        if len(seen) == 1:
            return seen[0]
        total = np.zeros(image.shape, np.float32)
        for each in seen:
            cv2.accumulate(each, total)
        total *= np.float32(1.0 / len(seen))
        total += np.float32(1e-3)  # a whole number stays what it is
        mean: Image = total.astype(np.uint8)
        return mean


class Night:
    """Two headlights in the dark."""

    def __init__(self, lens: Lens, strength: float) -> None:
        beam = np.exp(-((lens.bearing / _BEAM) ** 2)) / (1.0 + (lens.distance / _REACH) ** 2)
        # Above the lamps there is little of their light.
        beam *= np.clip(1.0 - lens.elevation / 0.1, 0.0, 1.0)
        light = (_STARLIGHT + beam)[..., None] * np.array([1.0, 0.95, 0.82])
        self._light = (1.0 - strength * (1.0 - np.minimum(light, 1.0))).astype(np.float32)

    def apply(self, image: Image, motion: Motion) -> Image:
        """See `Effect`."""
        lit: Image = (image * self._light).astype(np.uint8)
        return lit


class Glare:
    """A low sun: a veil over all of the picture, and light that the road throws back."""

    def __init__(self, lens: Lens, strength: float, azimuth: float, height: float) -> None:
        self._strength, self._azimuth = np.float32(strength), azimuth
        self._bearing = lens.bearing
        fades = np.where(lens.elevation > 0.0, lens.elevation - height, lens.elevation)
        self._fades = np.exp(-((fades / 0.5) ** 2)).astype(np.float32)

    def apply(self, image: Image, motion: Motion) -> Image:
        """See `Effect`."""
        sun = math.remainder(self._azimuth - motion.yaw, 2.0 * math.pi)
        facing = np.float32(max(0.0, math.cos(sun)) ** 2)
        if facing < 0.01:
            return image
        column: Map = np.exp(-(((self._bearing - np.float32(sun)) / np.float32(0.25)) ** 2))
        veil = (
            self._strength * facing * (np.float32(0.45) + np.float32(0.55) * column * self._fades)
        )
        glaring = np.empty_like(image)
        for channel in range(3):
            before = image[..., channel].astype(np.float32)
            glaring[..., channel] = before + veil * (np.float32(255.0) - before)
        return glaring


class Drops:
    """Drops and dirt that stay where they are on the lens."""

    def __init__(self, lens: Lens, strength: float, rng: np.random.Generator) -> None:
        rows, columns = np.mgrid[: lens.height, : lens.width].astype(np.float32)
        cover = np.zeros((lens.height, lens.width), np.float32)
        area = _COVERED * lens.height * lens.width / _MOST_DROPS
        for _ in range(math.ceil(_MOST_DROPS * strength)):
            radius = math.sqrt(area / math.pi) * rng.uniform(0.5, 1.4)
            # Where the road is seen, below the horizon, as often as it can be.
            y, x = rng.uniform(0.25, 1.0) * lens.height, rng.uniform(0.0, 1.0) * lens.width
            far = ((rows - y) ** 2 + ((columns - x) * rng.uniform(0.7, 1.3)) ** 2) / radius**2
            cover = np.maximum(cover, np.clip(1.3 - far, 0.0, 1.0) * rng.uniform(0.6, 1.0))
        colour = rng.uniform(60.0, 150.0) * np.array([1.0, 0.95, 0.85])
        self._through: NDArray[np.float32] = np.repeat((1.0 - cover)[..., None], 3, axis=2)
        self._dirt = (cover[..., None] * colour).astype(np.float32)

    def apply(self, image: Image, motion: Motion) -> Image:
        """See `Effect`."""
        through: NDArray[np.float32] = image * self._through
        through += self._dirt
        return through.astype(np.uint8)
