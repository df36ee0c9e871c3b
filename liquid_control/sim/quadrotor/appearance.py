"""What an outdoor world looks like: seasons and scenes, light, lens and sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Rgb = tuple[float, float, float]
"""Red, green and blue, each 0 to 1."""


@dataclass(frozen=True)
class Scene:
    """Colours and things that go together.

    ground, patch: the ground and the patches on it
    leaf: colours of the crowns
    trees: how many of the things that stand around are trees; the others are boxes
    box: sizes of the boxes, m: rocks or houses
    """

    ground: Rgb
    patch: Rgb
    leaf: tuple[Rgb, ...]
    horizon: Rgb
    zenith: Rgb
    trees: float = 0.85
    box: tuple[float, float] = (0.3, 0.9)
    box_colours: tuple[Rgb, ...] = ((0.45, 0.43, 0.40), (0.55, 0.53, 0.50))


SCENES = {
    'summer': Scene(
        ground=(0.26, 0.42, 0.17),
        patch=(0.34, 0.42, 0.20),
        leaf=((0.13, 0.36, 0.12), (0.20, 0.42, 0.15), (0.10, 0.30, 0.14)),
        horizon=(0.82, 0.88, 0.94),
        zenith=(0.35, 0.55, 0.85),
    ),
    'autumn': Scene(
        ground=(0.45, 0.34, 0.16),
        patch=(0.56, 0.38, 0.14),
        leaf=((0.72, 0.40, 0.10), (0.62, 0.22, 0.08), (0.78, 0.58, 0.14)),
        horizon=(0.86, 0.83, 0.78),
        zenith=(0.55, 0.62, 0.75),
    ),
    'winter': Scene(
        ground=(0.86, 0.88, 0.90),
        patch=(0.70, 0.70, 0.68),
        leaf=((0.72, 0.75, 0.77), (0.36, 0.33, 0.30), (0.55, 0.55, 0.54)),
        horizon=(0.86, 0.88, 0.91),
        zenith=(0.66, 0.72, 0.80),
    ),
    'desert': Scene(
        ground=(0.76, 0.62, 0.42),
        patch=(0.66, 0.50, 0.33),
        leaf=((0.42, 0.48, 0.24), (0.50, 0.52, 0.30)),
        horizon=(0.93, 0.87, 0.76),
        zenith=(0.42, 0.60, 0.86),
        trees=0.4,
        box_colours=((0.62, 0.42, 0.28), (0.70, 0.52, 0.36)),
    ),
    'town': Scene(
        ground=(0.42, 0.42, 0.43),
        patch=(0.52, 0.51, 0.50),
        leaf=((0.18, 0.38, 0.16),),
        horizon=(0.80, 0.82, 0.86),
        zenith=(0.48, 0.58, 0.74),
        trees=0.25,
        box=(1.5, 3.5),
        box_colours=((0.72, 0.66, 0.56), (0.60, 0.30, 0.24), (0.50, 0.54, 0.60)),
    ),
}
"""A forest in summer, the scene of training; other seasons of it; two other places."""


@dataclass(frozen=True)
class Lens:
    """How the camera is built in. fov: vertical, degrees; pitch: downward tilt, rad."""

    fov: float = 60.0
    pitch: float = 0.0


@dataclass(frozen=True)
class Light:
    """Sun and sensor of one flight. The defaults are a clear noon and a nominal camera.

    white_balance: gain of each colour channel, exposure included
    pixel_noise: deviation of the sensor's noise, grey levels of 255
    """

    sun_azimuth: float = 2.4
    sun_elevation: float = 1.0
    sun: Rgb = (0.55, 0.55, 0.52)
    ambient: float = 0.45
    white_balance: Rgb = (1.0, 1.0, 1.0)
    pixel_noise: float = 3.0


def draw_light(rng: np.random.Generator, strength: float) -> Light:
    """Draw light and exposure; at strength 0 a clear noon, at 1 dusk, glare and a tinted lens."""
    exposure = 1.0 + strength * rng.uniform(-0.45, 0.45)
    sunlight = 0.52 + strength * rng.uniform(-0.35, 0.30)
    warmth = 1.0 - strength * rng.uniform(0.0, 0.4)
    tint = (exposure * (1.0 + strength * rng.uniform(-0.12, 0.12, 3))).tolist()
    return Light(
        sun_azimuth=rng.uniform(-math.pi, math.pi),
        sun_elevation=1.0 + strength * rng.uniform(-0.7, 0.3),
        sun=(sunlight, sunlight * (1.0 + warmth) / 2.0, sunlight * warmth),
        ambient=0.45 + strength * rng.uniform(-0.2, 0.15),
        white_balance=(tint[0], tint[1], tint[2]),
        pixel_noise=2.0 + strength * rng.uniform(0.0, 8.0),
    )


def vary(rng: np.random.Generator, rgb: Rgb, largest: float) -> Rgb:
    """A colour near another."""
    red, green, blue = np.clip(np.array(rgb) + rng.uniform(-largest, largest, 3), 0, 1).tolist()
    return (red, green, blue)
