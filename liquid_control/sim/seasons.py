# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an outdoor world looks like: seasons and places, and the light of one flight."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from liquid_control.sim.camera import Rgb


@dataclass(frozen=True)
class Scenery:
    """Colours and things that go together.

    ground, patch: the ground and the patches on it
    leaves: colours of the crowns
    boxes: colours of rocks or houses
    trees: how many of the things that stand around are trees; the others are boxes
    box: least and largest size of a box, m
    """

    ground: Rgb
    patch: Rgb
    horizon: Rgb
    zenith: Rgb
    leaves: tuple[Rgb, Rgb, Rgb]
    boxes: tuple[Rgb, Rgb] = ((0.45, 0.43, 0.40), (0.55, 0.53, 0.50))
    trees: float = 0.85
    box: tuple[float, float] = (0.3, 0.9)


SCENES = {
    'summer': Scenery(
        ground=(0.26, 0.42, 0.17),
        patch=(0.34, 0.42, 0.20),
        horizon=(0.82, 0.88, 0.94),
        zenith=(0.35, 0.55, 0.85),
        leaves=((0.13, 0.36, 0.12), (0.20, 0.42, 0.15), (0.10, 0.30, 0.14)),
    ),
    'autumn': Scenery(
        ground=(0.45, 0.34, 0.16),
        patch=(0.56, 0.38, 0.14),
        horizon=(0.86, 0.83, 0.78),
        zenith=(0.55, 0.62, 0.75),
        leaves=((0.72, 0.40, 0.10), (0.62, 0.22, 0.08), (0.78, 0.58, 0.14)),
    ),
    'winter': Scenery(
        ground=(0.86, 0.88, 0.90),
        patch=(0.70, 0.70, 0.68),
        horizon=(0.86, 0.88, 0.91),
        zenith=(0.66, 0.72, 0.80),
        leaves=((0.72, 0.75, 0.77), (0.36, 0.33, 0.30), (0.55, 0.55, 0.54)),
    ),
    'desert': Scenery(
        ground=(0.76, 0.62, 0.42),
        patch=(0.66, 0.50, 0.33),
        horizon=(0.93, 0.87, 0.76),
        zenith=(0.42, 0.60, 0.86),
        leaves=((0.42, 0.48, 0.24), (0.50, 0.52, 0.30), (0.46, 0.44, 0.28)),
        boxes=((0.62, 0.42, 0.28), (0.70, 0.52, 0.36)),
        trees=0.4,
    ),
    'town': Scenery(
        ground=(0.42, 0.42, 0.43),
        patch=(0.52, 0.51, 0.50),
        horizon=(0.80, 0.82, 0.86),
        zenith=(0.48, 0.58, 0.74),
        leaves=((0.18, 0.38, 0.16), (0.24, 0.40, 0.18), (0.16, 0.32, 0.15)),
        boxes=((0.72, 0.66, 0.56), (0.60, 0.30, 0.24)),
        trees=0.25,
        box=(1.5, 3.5),
    ),
}
"""A forest in summer, where policies are trained; its other seasons; two other places."""


def blend(one: Scenery, other: Scenery, share: float) -> Scenery:
    """A scene between two: `share` of the other one."""

    def between(a: object, b: object) -> object:
        if isinstance(a, tuple) and isinstance(b, tuple):
            return tuple(between(x, y) for x, y in zip(a, b, strict=True))
        assert isinstance(a, float)
        assert isinstance(b, float)
        return (1.0 - share) * a + share * b

    parts = {
        e.name: between(getattr(one, e.name), getattr(other, e.name)) for e in fields(Scenery)
    }
    return Scenery(**parts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Light:
    """Sun and sensor of one flight.

    sun_azimuth, sun_elevation: rad, where the light comes from
    gain: of each colour channel of the camera, exposure included
    deviation: of the camera's noise, grey levels of 255
    """

    sun_azimuth: float
    sun_elevation: float
    sun: Rgb
    ambient: float
    gain: Rgb
    deviation: float


def draw_light(rng: np.random.Generator, strength: float) -> Light:
    """Draw light and exposure; at strength 0 a clear noon, at 1 dusk, glare and a tinted lens."""
    exposure = 1.0 + strength * rng.uniform(-0.45, 0.45)
    sunlight = 0.52 + strength * rng.uniform(-0.35, 0.30)
    warmth = 1.0 - strength * rng.uniform(0.0, 0.4)
    gain = (exposure * (1.0 + strength * rng.uniform(-0.12, 0.12, 3))).tolist()
    return Light(
        sun_azimuth=rng.uniform(-math.pi, math.pi),
        sun_elevation=1.0 + strength * rng.uniform(-0.7, 0.3),
        sun=(sunlight, sunlight * (1.0 + warmth) / 2.0, sunlight * warmth),
        ambient=0.45 + strength * rng.uniform(-0.2, 0.15),
        gain=(gain[0], gain[1], gain[2]),
        deviation=2.0 + strength * rng.uniform(0.0, 8.0),
    )


def vary(rng: np.random.Generator, rgb: Rgb, largest: float) -> Rgb:
    """A colour near another."""
    red, green, blue = np.clip(np.array(rgb) + rng.uniform(-largest, largest, 3), 0, 1).tolist()
    return (red, green, blue)
