# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a world looks like: colours, light, camera mounting and sensor noise, drawn from a seed.

Ranges are wide enough that a policy trained on many seeds meets an unseen one as just another
day, and narrow enough that a person would still drive every one of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from liquid_control.sim.camera import Rgb
from liquid_control.sim.road.difficulties import generator


@dataclass(frozen=True)
class Season:
    """The colours that go together."""

    grass: Rgb
    road: Rgb
    leaf: Rgb
    horizon: Rgb
    zenith: Rgb


SEASONS = {
    'summer': Season(
        grass=(0.22, 0.42, 0.18),
        road=(0.37, 0.36, 0.36),
        leaf=(0.15, 0.40, 0.15),
        horizon=(0.82, 0.88, 0.94),
        zenith=(0.35, 0.55, 0.85),
    ),
    'autumn': Season(
        grass=(0.47, 0.36, 0.17),
        road=(0.34, 0.33, 0.33),
        leaf=(0.72, 0.38, 0.10),
        horizon=(0.88, 0.84, 0.78),
        zenith=(0.55, 0.62, 0.75),
    ),
    'winter': Season(
        grass=(0.84, 0.86, 0.88),
        road=(0.42, 0.42, 0.44),
        leaf=(0.70, 0.74, 0.76),
        horizon=(0.88, 0.90, 0.93),
        zenith=(0.62, 0.70, 0.82),
    ),
    'desert': Season(
        grass=(0.76, 0.64, 0.45),
        road=(0.40, 0.39, 0.38),
        leaf=(0.45, 0.50, 0.22),
        horizon=(0.92, 0.88, 0.80),
        zenith=(0.40, 0.58, 0.85),
    ),
}

HELD_OUT_SEASONS = {
    'town': Season(
        grass=(0.52, 0.50, 0.47),
        road=(0.30, 0.30, 0.31),
        leaf=(0.20, 0.40, 0.20),
        horizon=(0.80, 0.82, 0.86),
        zenith=(0.48, 0.58, 0.74),
    ),
    'clay': Season(
        grass=(0.55, 0.25, 0.16),
        road=(0.46, 0.40, 0.37),
        leaf=(0.35, 0.42, 0.20),
        horizon=(0.92, 0.80, 0.70),
        zenith=(0.50, 0.60, 0.80),
    ),
    'heath': Season(
        grass=(0.42, 0.28, 0.42),
        road=(0.40, 0.38, 0.40),
        leaf=(0.55, 0.30, 0.50),
        horizon=(0.80, 0.80, 0.88),
        zenith=(0.45, 0.48, 0.70),
    ),
    'lava': Season(
        grass=(0.12, 0.11, 0.11),
        road=(0.33, 0.32, 0.32),
        leaf=(0.25, 0.25, 0.20),
        horizon=(0.70, 0.70, 0.72),
        zenith=(0.40, 0.45, 0.55),
    ),
}
"""Places that no training sees; the difficulty 'elsewhere' leads there."""


@dataclass(frozen=True)
class Appearance:
    """One world's appearance. The defaults are a clear summer noon and a nominal camera."""

    season: Season = SEASONS['summer']
    edge_rgb: Rgb = (0.85, 0.85, 0.85)
    edge_width: float = 0.05
    """Width of the two edge lines, m."""
    centre_rgb: Rgb = (0.92, 0.78, 0.15)
    centre_width: float = 0.035
    dash_length: float = 0.3
    """Length of a dash of the centre line and of the gap after it, m; 0 for no centre line."""
    sun_azimuth: float = 2.4
    """Direction the light comes from, rad from the x axis."""
    sun_elevation: float = 1.0
    """Height of the sun above the horizon, rad."""
    sun_rgb: Rgb = (0.55, 0.55, 0.52)
    ambient: float = 0.45
    camera_height: float = 0.185
    """Height of the lens above the ground, m."""
    camera_pitch: float = 0.26
    """Downward tilt of the optical axis, rad."""
    camera_fov: float = 62.0
    """Vertical field of view, degrees."""
    white_balance: Rgb = (1.0, 1.0, 1.0)
    """Gain of each colour channel, exposure included."""
    pixel_noise: float = 3.0
    """Standard deviation of the sensor's noise, grey levels of 255."""


DIFFICULTIES = {
    'scene': 'season, colours, width and kind of the road markings, sun and ambient light',
    'mounting': 'height, pitch and field of view of the camera',
    'sensor': 'exposure, white balance and noise of the camera',
}
"""What a strength from 0 (the defaults of `Appearance`) to 1 is given for."""

PARTS: Mapping[str, tuple[str, ...]] = {
    'season': ('grass', 'road', 'leaf'),
    'sky': ('horizon', 'zenith'),
    'markings': ('edge_rgb', 'edge_width', 'centre_rgb', 'centre_width', 'dash_length'),
    'sun': ('sun_azimuth', 'sun_elevation', 'sun_rgb', 'ambient'),
    'exposure': ('white_balance',),
    'noise': ('pixel_noise',),
}
"""What can be drawn from another seed with everything else left as it is."""

_MOUNTING = {'camera_height', 'camera_pitch', 'camera_fov'}
_SENSOR = {'white_balance', 'pixel_noise'}


def draw_appearance(seed: int, strength: Mapping[str, float] = MappingProxyType({})) -> Appearance:
    """Draw an appearance from a seed: same seed, same appearance.

    Args:
        strength: of each of `DIFFICULTIES`; 1 where nothing is said. And of 'elsewhere', 0 where
            nothing is said: how far it is from there to one of `HELD_OUT_SEASONS`.
    """
    drawn, nominal = _draw(seed), Appearance()

    def part(name: str) -> Any:
        kind = 'mounting' if name in _MOUNTING else 'sensor' if name in _SENSOR else 'scene'
        return _between(getattr(nominal, name), getattr(drawn, name), strength.get(kind, 1.0))

    appearance = Appearance(**{each.name: part(each.name) for each in fields(Appearance)})
    if not (elsewhere := strength.get('elsewhere', 0.0)):
        return appearance
    place = HELD_OUT_SEASONS[generator(seed, 'season').choice(list(HELD_OUT_SEASONS))]
    return replace(appearance, season=_between(appearance.season, place, elsewhere))


def redraw(appearance: Appearance, part: str, other: Appearance) -> Appearance:
    """The same appearance with one of `PARTS` taken from another one."""
    own = {each.name for each in fields(Appearance)}
    season = {name: getattr(other.season, name) for name in PARTS[part] if name not in own}
    taken = {name: getattr(other, name) for name in PARTS[part] if name in own}
    return replace(appearance, season=replace(appearance.season, **season), **taken)


def _between(low: Any, high: Any, share: float) -> Any:
    """`low` at 0, `high` at 1, number by number."""
    if share in (0.0, 1.0):
        return high if share else low
    if isinstance(low, Season):
        names = [each.name for each in fields(Season)]
        return Season(**{n: _between(getattr(low, n), getattr(high, n), share) for n in names})
    if isinstance(low, tuple):
        return tuple(_between(a, b, share) for a, b in zip(low, high, strict=True))
    return low + (high - low) * share


def _draw(seed: int) -> Appearance:
    rng = np.random.default_rng([seed, 2])
    season = SEASONS[rng.choice(list(SEASONS))]
    white = rng.random() < 0.5
    exposure = rng.uniform(0.8, 1.2)
    sunlight = rng.uniform(0.25, 0.75)
    warmth = rng.uniform(0.75, 1.0)
    return Appearance(
        season=Season(
            grass=_vary(rng, season.grass, 0.06),
            road=_vary(rng, season.road, 0.04),
            leaf=_vary(rng, season.leaf, 0.06),
            horizon=_vary(rng, season.horizon, 0.04),
            zenith=_vary(rng, season.zenith, 0.06),
        ),
        edge_rgb=_vary(rng, (0.85, 0.85, 0.85), 0.08),
        edge_width=rng.uniform(0.035, 0.07),
        centre_rgb=_vary(rng, (0.85, 0.85, 0.85) if white else (0.92, 0.75, 0.18), 0.06),
        centre_width=rng.uniform(0.025, 0.045),
        dash_length=rng.uniform(0.2, 0.45) if rng.random() < 0.8 else 0.0,
        sun_azimuth=rng.uniform(-math.pi, math.pi),
        sun_elevation=rng.uniform(0.5, 1.3),
        sun_rgb=(sunlight, sunlight * (1.0 + warmth) / 2.0, sunlight * warmth),
        ambient=rng.uniform(0.35, 0.55),
        camera_height=rng.uniform(0.17, 0.20),
        camera_pitch=rng.uniform(0.22, 0.30),
        camera_fov=rng.uniform(58.0, 66.0),
        white_balance=_vary(rng, (exposure, exposure, exposure), 0.05),
        pixel_noise=rng.uniform(1.0, 6.0),
    )


def _vary(rng: np.random.Generator, rgb: Rgb, largest: float) -> Rgb:
    red, green, blue = (np.array(rgb) + rng.uniform(-largest, largest, 3)).tolist()
    return (red, green, blue)
