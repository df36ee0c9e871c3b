# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""An outdoor place drawn from a seed: where a flight starts, the target, what stands around.

The target is a red folding chair on a stand, big enough to be seen from afar, with a front and a
back. A flight starts with the target in the image, and nothing stands on the way to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.camera import Rgb
from liquid_control.sim.difficulty import check_parts, check_strength
from liquid_control.sim.mjcf import text
from liquid_control.sim.protocols import Pose
from liquid_control.sim.seasons import SCENES, Light, Scenery, blend, draw_light, vary

DIFFICULTIES = {
    'season': 'colours and things of another season or place instead of a forest in summer',
    'distance': 'the flight starts 10 to 20 m from the target instead of 4 to 10 m',
    'rotation': 'the front of the target is turned away from the start by 45 to 180 degrees',
    'occlusion': 'foliage stands before the target, over up to 60 % of its width',
    'distractor': 'share of the worlds with a second chair, of another colour, in the image',
    'clutter': 'trees, rocks or houses around the way to the target, up to 40',
    'light': 'sun, exposure, white balance and pixel noise leave a clear noon',
    'wind': 'steady wind of up to 5 m/s, with gusts',
}
"""What can be made harder, and what strength 1 is."""

TRAINING: Mapping[str, float] = {'clutter': 0.5, 'light': 0.3, 'wind': 0.3}
"""The strengths where policies are trained; those not named are 0."""

REDRAWN = ('turn', 'scenery', 'texture', 'sun', 'exposure', 'noise')
"""What can be drawn from another seed with everything else left as it is; turn: the target's."""

_LIGHT = {
    'sun': ('sun_azimuth', 'sun_elevation', 'sun', 'ambient'),
    'exposure': ('gain',),
    'noise': ('deviation',),
}

TARGET_RGB: Rgb = (0.80, 0.08, 0.08)
TARGET_SIZE = 0.8
"""Width and height of the target seen from its front, m."""
HOLD_DISTANCE = 2.0
"""How far before the target's middle a flight ends, m."""
LARGEST_BEARING = math.radians(25.0)
"""Of the target at the start."""

_NEAR, _FAR = (4.0, 10.0), (10.0, 20.0)
_FACING, _TURNED = (0.0, math.radians(20.0)), (math.pi / 4.0, math.pi)
_HIDDEN = 0.6
_THINGS = 40
_OTHER_RGB: tuple[Rgb, ...] = (
    (0.10, 0.20, 0.75),
    (0.85, 0.75, 0.10),
    (0.50, 0.15, 0.60),
    (0.92, 0.92, 0.92),
)
_CORRIDOR = 2.0
"""Nothing stands nearer than this to the straight way to the target, m."""
_BEYOND = 1.2
"""And not nearer than this to the target on its other sides, m."""
_TILE = 128
"""Pixels of the ground's texture along each side."""


@dataclass(frozen=True, eq=False)
class Outdoors:
    """One drawn place.

    start: of the flight, hovering
    target: its middle; yaw is where its front looks to
    things: MJCF of the target and of everything that stands around
    texture: of the ground, uint8 [128, 128, 3]
    """

    scene: Scenery
    light: Light
    start: Pose
    target: Pose
    things: str
    texture: NDArray[np.uint8]


def draw_outdoors(
    seed: int,
    difficulty: Mapping[str, float],
    scene: str | None = None,
    redrawn: Mapping[str, int] | None = None,
) -> Outdoors:
    """Draw a place: same seed and difficulty, same place.

    Args:
        difficulty: strengths; what it does not name is as in `TRAINING`.
        scene: a name in `SCENES`, whatever the strength of 'season' says.
        redrawn: one of `REDRAWN` -> the seed that it is drawn from instead.
    """
    check_strength(difficulty, DIFFICULTIES)
    redrawn = redrawn or {}
    check_parts(redrawn, REDRAWN)
    strength = dict.fromkeys(DIFFICULTIES, 0.0) | dict(TRAINING) | dict(difficulty)
    # A generator for each part: what one difficulty draws does not change what the others do.
    places, turns, colours, hiding, beside, around, above = (
        np.random.default_rng([redrawn.get(name, seed), 21, part])
        for part, name in enumerate(('', 'turn', '', '', '', 'scenery', ''))
    )
    season = SCENES[scene] if scene else _season(colours, strength['season'])
    start, target, direction = _places(places, strength['distance'])
    side = 1.0 if turns.random() < 0.5 else -1.0
    turned = side * _between(turns, _FACING, _TURNED, strength['rotation'])
    target = Pose(target.x, target.y, direction + math.pi + turned, target.z)
    things = [
        *_chair(target, vary(colours, TARGET_RGB, 0.05), 'target'),
        *_foliage(hiding, season, target, direction, _HIDDEN * strength['occlusion']),
        *_distractor(beside, start, target, direction, strength['distractor']),
        *_around(around, season, math.hypot(target.x, target.y), direction, strength['clutter']),
    ]
    if 'texture' in redrawn:
        colours = np.random.default_rng([redrawn['texture'], 21, 2])
    light = draw_light(above, strength['light'])
    for part in redrawn.keys() & _LIGHT.keys():
        other = draw_light(np.random.default_rng([redrawn[part], 21, 6]), strength['light'])
        light = replace(light, **{name: getattr(other, name) for name in _LIGHT[part]})
    return Outdoors(
        scene=season,
        light=light,
        start=start,
        target=target,
        things=''.join(things),
        texture=_texture(colours, season),
    )


def _season(rng: np.random.Generator, strength: float) -> Scenery:
    other = SCENES[rng.choice([name for name in SCENES if name != 'summer'])]
    return blend(SCENES['summer'], other, strength)


def _places(rng: np.random.Generator, strength: float) -> tuple[Pose, Pose, float]:
    """Start, target, and the direction from one to the other, rad."""
    distance, direction = _between(rng, _NEAR, _FAR, strength), rng.uniform(-math.pi, math.pi)
    height = rng.uniform(0.9, 2.2)
    start = Pose(
        x=0.0,
        y=0.0,
        yaw=direction + rng.uniform(-LARGEST_BEARING, LARGEST_BEARING),
        z=max(height + rng.uniform(-1.0, 1.0), 0.8),
    )
    x, y = distance * math.cos(direction), distance * math.sin(direction)
    return start, Pose(x, y, 0.0, height), direction


def _between(
    rng: np.random.Generator,
    easy: tuple[float, float],
    hard: tuple[float, float],
    strength: float,
) -> float:
    """A value from a range between two."""
    low, high = ((1.0 - strength) * a + strength * b for a, b in zip(easy, hard, strict=True))
    return float(rng.uniform(low, high))


def _chair(pose: Pose, rgb: Rgb, name: str) -> Iterator[str]:
    """Back, seat and a thin stand; the front looks along the pose's yaw."""
    half = TARGET_SIZE / 2.0
    dark = (0.6 * rgb[0], 0.6 * rgb[1], 0.6 * rgb[2])
    yield (
        f'<body name="{name}" pos="{pose.x:.3f} {pose.y:.3f} {pose.z:.3f}" '
        f'euler="0 0 {pose.yaw:.4f}">'
        f'<geom type="box" pos="-.10 0 0" size=".05 {half} {half}" rgba="{text(rgb)} 1"/>'
        f'<geom type="box" pos=".15 0 {-half / 2}" size=".25 {half} .05" rgba="{text(dark)} 1"/>'
        f'<geom type="cylinder" pos="0 0 {-(half + pose.z) / 2:.3f}" '
        f'size=".03 {max((pose.z - half) / 2, 0.01):.3f}" rgba=".25 .25 .27 1"/></body>\n'
    )


def _foliage(
    rng: np.random.Generator, scene: Scenery, target: Pose, direction: float, share: float
) -> Iterator[str]:
    """A hedge before the target, over a share of its width from one side."""
    if share == 0.0:
        return
    side = 1.0 if rng.random() < 0.5 else -1.0
    half = TARGET_SIZE * share / 2.0
    offset = side * (TARGET_SIZE / 2.0 - half)
    x = target.x - 0.55 * math.cos(direction) - offset * math.sin(direction)
    y = target.y - 0.55 * math.sin(direction) + offset * math.cos(direction)
    height = (target.z + TARGET_SIZE) / 2.0
    yield (
        f'<geom type="box" pos="{x:.3f} {y:.3f} {height:.3f}" euler="0 0 {direction:.4f}" '
        f'size=".12 {half:.3f} {height:.3f}" rgba="{text(_leaf(rng, scene))} 1"/>\n'
    )


def _distractor(
    rng: np.random.Generator, start: Pose, target: Pose, direction: float, share: float
) -> Iterator[str]:
    """A chair of another colour beside the target, about as far away and in the image."""
    if rng.random() >= share:
        return
    angle = math.radians(rng.uniform(10.0, 22.0)) * (1.0 if rng.random() < 0.5 else -1.0)
    reach = math.hypot(target.x - start.x, target.y - start.y) + rng.uniform(-0.5, 1.5)
    if reach < 6.0:  # not on top of the target
        reach = max(reach, 1.6 / abs(math.sin(angle)))
    x, y = reach * math.cos(direction + angle), reach * math.sin(direction + angle)
    rgb = vary(rng, _OTHER_RGB[rng.integers(len(_OTHER_RGB))], 0.05)
    yield from _chair(Pose(x, y, direction + angle + math.pi, target.z), rgb, 'distractor')


def _around(
    rng: np.random.Generator, scene: Scenery, distance: float, direction: float, clutter: float
) -> Iterator[str]:
    """Trees and boxes about the way to the target, none on it."""
    along, across = math.cos(direction), math.sin(direction)
    for _ in range(round(_THINGS * clutter)):
        forward, left = rng.uniform(-4.0, distance + 12.0), rng.uniform(-12.0, 12.0)
        size, turn = rng.uniform(0.7, 1.5), rng.uniform(0.0, math.pi)
        is_tree, leaf = rng.random() < scene.trees, _leaf(rng, scene)
        half = rng.uniform(*scene.box, 3) / 2.0
        paint = vary(rng, scene.boxes[rng.integers(len(scene.boxes))], 0.06)
        radius = 0.8 * size if is_tree else math.hypot(half[0], half[1])
        beyond = max(forward - distance, 0.0)
        if math.hypot(beyond, left) < radius + (_BEYOND if beyond else _CORRIDOR):
            continue
        x, y = forward * along - left * across, forward * across + left * along
        if is_tree:
            yield from _tree(x, y, size, leaf)
        else:
            yield (
                f'<geom class="scenery" type="box" pos="{x:.3f} {y:.3f} {half[2]:.3f}" '
                f'euler="0 0 {turn:.3f}" size="{half[0]:.3f} {half[1]:.3f} {half[2]:.3f}" '
                f'rgba="{text(paint)} 1"/>\n'
            )


def _tree(x: float, y: float, size: float, leaf: Rgb) -> Iterator[str]:
    trunk, crown = 0.9 * size, 0.8 * size
    yield (
        f'<geom class="scenery" type="cylinder" pos="{x:.3f} {y:.3f} {trunk:.3f}" '
        f'size="{0.11 * size:.3f} {trunk:.3f}" rgba=".33 .24 .16 1"/>\n'
        f'<geom class="scenery" type="ellipsoid" pos="{x:.3f} {y:.3f} {2.6 * size:.3f}" '
        f'size="{crown:.3f} {crown:.3f} {1.5 * crown:.3f}" rgba="{text(leaf)} 1"/>\n'
    )


def _leaf(rng: np.random.Generator, scene: Scenery) -> Rgb:
    return vary(rng, scene.leaves[rng.integers(len(scene.leaves))], 0.05)


def _texture(rng: np.random.Generator, scene: Scenery) -> NDArray[np.uint8]:
    """Patches of about a quarter of the tile, with grain; the tile joins itself."""
    tile = np.kron(rng.random((8, 8)), np.ones((_TILE // 8, _TILE // 8)))
    down, right = np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None, :]
    low_pass = np.exp(-(down**2 + right**2) / (2.0 * 0.03**2))
    wave = np.fft.irfft2(np.fft.rfft2(tile) * low_pass, tile.shape)
    share = ((wave - wave.min()) / np.ptp(wave))[..., None]
    mixed = share * np.array(scene.patch) + (1.0 - share) * np.array(scene.ground)
    mixed += rng.normal(0.0, 0.035, (_TILE, _TILE, 1))
    pixels: NDArray[np.uint8] = (np.clip(mixed, 0.0, 1.0) * 255.0).astype(np.uint8)
    return pixels
