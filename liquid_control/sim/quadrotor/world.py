"""An outdoor world drawn from a seed: where the flight starts, the target, what stands around.

The target is a red folding chair on a stand, big enough to be seen from afar, with a front and a
back. A flight starts with the target in the picture, and no tree stands on the way to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.quadrotor.appearance import SCENES, Light, Rgb, Scene, draw_light, vary

TARGET_RGB: Rgb = (0.80, 0.08, 0.08)
TARGET_SIZE = 0.8
"""Width and height of the target seen from its front, m."""
HOLD_DISTANCE = 2.0
"""How far from the target's middle a flight ends, m."""
DISTRACTORS: tuple[Rgb, ...] = (
    (0.10, 0.20, 0.75),
    (0.85, 0.75, 0.10),
    (0.50, 0.15, 0.60),
    (0.92, 0.92, 0.92),
)
"""Colours of a second chair that nobody asked for."""

_CORRIDOR = 2.0
"""Nothing stands nearer than this to the straight way to the target, m."""
_BEYOND = 1.2
"""And not nearer than this to the target on its other sides, m."""


@dataclass(frozen=True)
class Conditions:
    """What a flight meets; the defaults are the training scene. Strengths are 0 to 1.

    scene: a name in SCENES
    distance: least and largest distance of the start from the target, m
    bearing: largest angle of the target off the heading at the start, rad
    rotation: least and largest turn of the target's front away from the start, rad
    occlusion: share of the target's width behind foliage, seen from the start
    distractor: whether a chair of another colour stands beside the target
    clutter: how much stands around
    light: how far light, exposure and noise of the sensor leave a clear noon
    wind: strength of `Wind`
    """

    scene: str = 'summer'
    distance: tuple[float, float] = (4.0, 10.0)
    bearing: float = math.radians(25.0)
    rotation: tuple[float, float] = (0.0, math.radians(20.0))
    occlusion: float = 0.0
    distractor: bool = False
    clutter: float = 0.5
    light: float = 0.3
    wind: float = 0.3

    def __post_init__(self) -> None:
        if self.scene not in SCENES:
            raise ValueError(f'scene must be one of {", ".join(SCENES)}, got {self.scene!r}')
        for name in ('occlusion', 'clutter', 'light', 'wind'):
            if not 0.0 <= (found := getattr(self, name)) <= 1.0:
                raise ValueError(f'{name} must be within 0..1, got {found}')
        for name in ('distance', 'rotation'):
            low, high = getattr(self, name)
            if not 0.0 <= low <= high:
                raise ValueError(f'{name} must be two rising numbers >= 0, got {low}, {high}')


TRAINING = Conditions()


@dataclass(frozen=True)
class Pose:
    """Where something is: x, y, z m; yaw rad, + to the left of the x axis."""

    x: float
    y: float
    z: float
    yaw: float


@dataclass(frozen=True, eq=False)
class World:
    """One drawn world.

    start: of the quadrotor, hovering
    target: its middle; yaw is where its front looks to
    scenery: MJCF of everything that stands around
    texture: of the ground, uint8 [128, 128, 3]
    """

    conditions: Conditions
    start: Pose
    target: Pose
    light: Light
    scenery: str
    texture: NDArray[np.uint8]

    @property
    def scene(self) -> Scene:
        """The colours of the season."""
        return SCENES[self.conditions.scene]


def draw_world(seed: int, conditions: Conditions = TRAINING) -> World:
    """Draw a world: same seed and conditions, same world."""
    # A generator for each part: what one condition draws does not change what the others do.
    rng, colours, hiding, beside, around, above = (
        np.random.default_rng([seed, 21, part]) for part in range(6)
    )
    scene = SCENES[conditions.scene]
    distance = rng.uniform(*conditions.distance)
    direction = rng.uniform(-math.pi, math.pi)
    height = rng.uniform(0.9, 2.2)
    start = Pose(
        x=0.0,
        y=0.0,
        z=max(height + rng.uniform(-1.0, 1.0), 0.8),
        yaw=direction + rng.uniform(-1.0, 1.0) * conditions.bearing,
    )
    side = 1.0 if rng.random() < 0.5 else -1.0
    turn = side * rng.uniform(*conditions.rotation)
    target = Pose(
        x=distance * math.cos(direction),
        y=distance * math.sin(direction),
        z=height,
        yaw=direction + math.pi + turn,
    )
    scenery = [
        *_chair(target, vary(colours, TARGET_RGB, 0.05), 'target'),
        *_occluder(hiding, scene, target, direction, conditions.occlusion),
        *_distractor(beside, start, target, direction, conditions.distractor),
        *_around(around, scene, target, distance, direction, conditions.clutter),
    ]
    return World(
        conditions=conditions,
        start=start,
        target=target,
        light=draw_light(above, conditions.light),
        scenery=''.join(scenery),
        texture=_texture(colours, scene),
    )


def _chair(pose: Pose, rgb: Rgb, name: str) -> Iterator[str]:
    """Back, seat and a thin stand; the front looks along the pose's yaw."""
    half = TARGET_SIZE / 2.0
    dark = (0.6 * rgb[0], 0.6 * rgb[1], 0.6 * rgb[2])
    yield (
        f'<body name="{name}" pos="{pose.x:.3f} {pose.y:.3f} {pose.z:.3f}" '
        f'euler="0 0 {pose.yaw:.4f}">'
        f'<geom type="box" pos="-.10 0 0" size=".05 {half} {half}" rgba="{colour(rgb)} 1"/>'
        f'<geom type="box" pos=".15 0 {-half / 2}" size=".25 {half} .05" rgba="{colour(dark)} 1"/>'
        f'<geom type="cylinder" pos="0 0 {-(half + pose.z) / 2:.3f}" '
        f'size=".03 {max((pose.z - half) / 2, 0.01):.3f}" rgba=".25 .25 .27 1"/></body>\n'
    )


def _occluder(
    rng: np.random.Generator, scene: Scene, target: Pose, direction: float, share: float
) -> Iterator[str]:
    """Foliage in front of the target, from one side."""
    if share == 0.0:
        return
    side = 1.0 if rng.random() < 0.5 else -1.0
    half = TARGET_SIZE * share / 2.0
    offset = side * (TARGET_SIZE / 2.0 - half)
    x = target.x - 0.55 * math.cos(direction) - offset * math.sin(direction)
    y = target.y - 0.55 * math.sin(direction) + offset * math.cos(direction)
    leaf = scene.leaf[rng.integers(len(scene.leaf))]
    height = (target.z + TARGET_SIZE) / 2.0
    yield (
        f'<geom type="box" pos="{x:.3f} {y:.3f} {height:.3f}" euler="0 0 {direction:.4f}" '
        f'size=".12 {half:.3f} {height:.3f}" rgba="{colour(vary(rng, leaf, 0.05))} 1"/>\n'
    )


def _distractor(
    rng: np.random.Generator, start: Pose, target: Pose, direction: float, wanted: bool
) -> Iterator[str]:
    """A chair of another colour beside the target, about as far away and in the picture."""
    angle = math.radians(rng.uniform(10.0, 22.0)) * (1.0 if rng.random() < 0.5 else -1.0)
    reach = math.hypot(target.x - start.x, target.y - start.y) + rng.uniform(-0.5, 1.5)
    reach = max(reach, 1.6 / abs(math.sin(angle)) if reach < 6.0 else reach)
    rgb = DISTRACTORS[rng.integers(len(DISTRACTORS))]
    if wanted:
        heading = direction + angle
        pose = Pose(
            start.x + reach * math.cos(heading),
            start.y + reach * math.sin(heading),
            target.z,
            heading + math.pi,
        )
        yield from _chair(pose, vary(rng, rgb, 0.05), 'distractor')


def _around(
    rng: np.random.Generator,
    scene: Scene,
    target: Pose,
    distance: float,
    direction: float,
    clutter: float,
) -> Iterator[str]:
    """Trees and boxes about the way to the target, none on it."""
    along, across = math.cos(direction), math.sin(direction)
    for _ in range(round(4 + 36 * clutter)):
        forward = rng.uniform(-4.0, distance + 12.0)
        left = rng.uniform(-12.0, 12.0)
        is_tree = rng.random() < scene.trees
        size = rng.uniform(0.7, 1.5)
        leaf = vary(rng, scene.leaf[rng.integers(len(scene.leaf))], 0.05)
        half = rng.uniform(*scene.box, 3) / 2.0
        paint = vary(rng, scene.box_colours[rng.integers(len(scene.box_colours))], 0.06)
        turn = rng.uniform(0.0, math.pi)
        radius = 0.8 * size if is_tree else float(math.hypot(half[0], half[1]))
        ahead = max(forward - distance, 0.0)
        free = _CORRIDOR if ahead == 0.0 else _BEYOND
        if math.hypot(ahead, left) < free + radius:
            continue
        x, y = forward * along - left * across, forward * across + left * along
        if is_tree:
            yield from _tree(x, y, size, leaf)
        else:
            yield (
                f'<geom class="scenery" type="box" pos="{x:.3f} {y:.3f} {half[2]:.3f}" '
                f'euler="0 0 {turn:.3f}" size="{half[0]:.3f} {half[1]:.3f} {half[2]:.3f}" '
                f'rgba="{colour(paint)} 1"/>\n'
            )


def _tree(x: float, y: float, size: float, leaf: Rgb) -> Iterator[str]:
    trunk, crown = 0.9 * size, 0.8 * size
    yield (
        f'<geom class="scenery" type="cylinder" pos="{x:.3f} {y:.3f} {trunk:.3f}" '
        f'size="{0.11 * size:.3f} {trunk:.3f}" rgba=".33 .24 .16 1"/>\n'
        f'<geom class="scenery" type="ellipsoid" pos="{x:.3f} {y:.3f} {2.6 * size:.3f}" '
        f'size="{crown:.3f} {crown:.3f} {1.5 * crown:.3f}" rgba="{colour(leaf)} 1"/>\n'
    )


def _texture(rng: np.random.Generator, scene: Scene) -> NDArray[np.uint8]:
    """Patches about a quarter of the tile in size, with grain; the tile joins itself."""
    coarse = rng.random((8, 8))
    wave = np.fft.irfft2(
        np.fft.rfft2(np.kron(coarse, np.ones((16, 16)))) * _low_pass(), (128, 128)
    )
    share = np.clip((wave - wave.min()) / (np.ptp(wave) + 1e-9), 0.0, 1.0)[..., None]
    mixed = share * np.array(scene.patch) + (1.0 - share) * np.array(scene.ground)
    mixed += rng.normal(0.0, 0.035, (128, 128, 1))
    pixels: NDArray[np.uint8] = (np.clip(mixed, 0.0, 1.0) * 255.0).astype(np.uint8)
    return pixels


def _low_pass() -> NDArray[np.float64]:
    down, right = np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None, :]
    smooth: NDArray[np.float64] = np.exp(-(down**2 + right**2) / (2 * 0.03**2))
    return smooth


def colour(values: Rgb) -> str:
    """A colour as MJCF spells it."""
    return ' '.join(f'{value:.4f}' for value in values)
