# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The world of the car: a painted track with scenery and light, and laps to be driven."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

import mujoco
import numpy as np

from liquid_control.sim import canvas, ground
from liquid_control.sim.appearance import (
    DIFFICULTIES,
    PARTS,
    Appearance,
    draw_appearance,
    redraw,
)
from liquid_control.sim.camera import Rgb
from liquid_control.sim.difficulty import check_parts, check_strength
from liquid_control.sim.judge import LapJudge
from liquid_control.sim.mjcf import paint, sunlight, text
from liquid_control.sim.protocols import Motion, Pose
from liquid_control.sim.road import difficulties as road
from liquid_control.sim.road.surface import MOST_REFLECTANCE
from liquid_control.sim.road.traffic import Thing, Traffic
from liquid_control.sim.track import AREA_HALF_SIZE, Track, generate_track, narrow_width

_MAX_IMAGE = (640, 480)


class TrackWorld:
    """A track with its scenery, and the light it is seen in.

    Args:
        seed: draws all of it.
        difficulty: strength of each of `difficulties`. Of the look (`appearance.DIFFICULTIES`) 1
            where nothing is said, 0 gives every seed the same clear summer noon and nominal
            camera; of what makes a road hard (`road.difficulties`) 0 where nothing is said.
        redrawn: a part -> the seed that it is drawn from instead; one of `REDRAWN`.
        track: instead of the seed's.
    """

    REDRAWN: ClassVar[tuple[str, ...]] = (*PARTS, 'scenery', 'texture')

    difficulties: ClassVar[Mapping[str, str]] = {**DIFFICULTIES, **road.DIFFICULTIES}
    judge_rate: ClassVar[float] = 100.0

    def __init__(
        self,
        seed: int,
        difficulty: Mapping[str, float] | None = None,
        *,
        redrawn: Mapping[str, int] | None = None,
        track: Track | None = None,
    ) -> None:
        self.seed = seed
        self.strength = dict(difficulty or {})
        check_strength(self.strength, self.difficulties)
        self.track = track or replace(
            generate_track(seed), width=narrow_width(self.strength.get('narrow', 0.0))
        )
        self.traffic = Traffic(self.track, self.strength, seed)
        self.appearance = draw_appearance(seed, self.strength)
        redrawn = redrawn or {}
        check_parts(redrawn, self.REDRAWN)
        for part in redrawn.keys() & PARTS.keys():
            other = draw_appearance(redrawn[part], self.strength)
            self.appearance = redraw(self.appearance, part, other)
        self._scenery_seed = redrawn.get('scenery', seed)
        self._texture_seed = redrawn.get('texture', seed)

    @property
    def start(self) -> Pose:
        """On the centre line, at its origin."""
        return self.pose_at()

    def pose_at(
        self, *, station: float = 0.0, offset: float = 0.0, heading_error: float = 0.0
    ) -> Pose:
        """A pose relative to the track.

        Args:
            station: where along the centre line, m.
            offset: m to the left of it.
            heading_error: rad, + turned to the left of the track's direction.
        """
        x, y, yaw = self.track.pose_at(station, offset)
        return Pose(x, y, yaw + heading_error)

    def spec(self) -> mujoco.MjSpec:
        """The world, its ground still unpainted."""
        reflectance = MOST_REFLECTANCE * self.strength.get('wet', 0.0)
        things = ''.join(
            _thing(index, thing, self.traffic) for index, thing in enumerate(self.traffic.things)
        )
        return mujoco.MjSpec.from_string(
            _describe(self.track, self.appearance, self._scenery_seed, reflectance, things)
        )

    def paint(self, model: mujoco.MjModel) -> None:
        """Paint the ground, for cameras to see."""
        pixels = ground.paint_ground(
            self.track, self.appearance, self._texture_seed, self.strength
        )
        paint(model, 'ground', pixels)

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Find the cars that drive."""
        self._data = data
        self._moving = [
            (thing, int(model.body(f'thing_{index}').mocapid[0]))
            for index, thing in enumerate(self.traffic.things)
            if thing.shuttle
        ]

    def advance(self, time_ns: int) -> None:
        """Let the cars on the road drive."""
        for thing, index in self._moving:
            place = self.traffic.rectangle(thing, time_ns / 1e9)
            self._data.mocap_pos[index, :2] = place.x, place.y
            self._data.mocap_quat[index] = _upright(place.yaw)

    def judge(self, stamp_ns: int, motion: Motion) -> LapJudge:
        """Laps, departures from the road, and collisions."""
        return LapJudge(
            self.track, motion, stamp_ns, self.traffic if self.traffic.things else None
        )


def _upright(yaw: float) -> tuple[float, float, float, float]:
    return math.cos(yaw / 2.0), 0.0, 0.0, math.sin(yaw / 2.0)


def _thing(index: int, thing: Thing, traffic: Traffic) -> str:
    """A cone or a car on the road; it is seen, and the judge knows of it."""
    place = traffic.rectangle(thing, 0.0)
    body = f'<body name="thing_{index}" mocap="true" pos="{place.x:.4f} {place.y:.4f} 0" '
    body += f'euler="0 0 {place.yaw:.4f}">'
    length, width = thing.half_length, thing.half_width
    if length == width:
        return body + _geom('mesh', 0, 0, 0, (), thing.colour, 'mesh="cone"') + '</body>'
    parts = _geom('box', 0, 0, 0.07, (length, width, 0.05), thing.colour)
    parts += _geom('box', -0.03, 0, 0.145, (length * 0.55, width * 0.9, 0.03), (0.1, 0.12, 0.15))
    return f'{body}{parts}</body>'


def _describe(
    track: Track, appearance: Appearance, seed: int, reflectance: float, things: str
) -> str:
    half_x, half_y = AREA_HALF_SIZE
    season = appearance.season
    sun = sunlight(appearance.sun_azimuth, appearance.sun_elevation)
    corners = np.linspace(0.0, 2.0 * np.pi, 9)[:-1]
    cone = ' '.join(f'{0.05 * math.cos(c):.4f} {0.05 * math.sin(c):.4f} 0' for c in corners)
    return f"""
<mujoco model="track">
  <compiler angle="radian" autolimits="true"/>
  <visual>
    <global offwidth="{_MAX_IMAGE[0]}" offheight="{_MAX_IMAGE[1]}"/>
    <quality numslices="12" numstacks="8" offsamples="0"/>
    <map znear=".005" zfar="20" fogstart="8" fogend="22" force=".1"/>
    <headlight ambient="{text((appearance.ambient,) * 3)}" diffuse=".15 .15 .15" specular="0 0 0"/>
    <rgba fog="{text(season.horizon)} 1" haze="{text(season.horizon)} 1"/>
  </visual>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" width="64" height="384"
             rgb1="{text(season.zenith)}" rgb2="{text(season.horizon)}"/>
    <texture name="ground" type="2d" builtin="flat" width="{canvas.WIDTH}"
             height="{canvas.HEIGHT}"/>
    <material name="ground" texture="ground" texuniform="false" texrepeat="1 1" specular="0"
              reflectance="{reflectance:.4f}"/>
    <material name="around" rgba="{text(season.grass)} 1" specular="0"/>
    <mesh name="cone" vertex="{cone} 0 0 .16"/>
  </asset>
  <default>
    <default class="scenery"><geom contype="0" conaffinity="0" group="1"/></default>
  </default>
  <worldbody>
    <light name="sun" directional="true" pos="0 0 6" dir="{text(sun)}"
           diffuse="{text(appearance.sun_rgb)}" specular="0 0 0" castshadow="false"/>
    <geom name="floor" type="plane" size="{half_x} {half_y} 1" material="ground"/>
    <geom class="scenery" type="plane" size="30 30 10" pos="0 0 -.01" material="around"/>
    {''.join(_scenery(track, appearance, seed))}
    {things}
  </worldbody>
</mujoco>"""


def _scenery(track: Track, appearance: Appearance, seed: int) -> Iterator[str]:
    """Trees and boxes off the road, cones along its left edge; none of it can be touched."""
    rng = np.random.default_rng([seed, 4])
    reach = np.array(AREA_HALF_SIZE) + 3.0
    for _ in range(rng.integers(20, 40)):
        x, y = rng.uniform(-reach, reach).tolist()
        size = rng.uniform(0.5, 1.3)
        is_tree = rng.random() < 0.7
        turn, paint = rng.uniform(0.0, math.pi), rng.uniform(0.2, 0.9, 3).tolist()
        if np.hypot(*(track.points - (x, y)).T).min() < track.width / 2 + 0.4:
            continue
        if is_tree:
            yield _geom(
                'cylinder', x, y, 0.2 * size, (0.04 * size, 0.2 * size), (0.35, 0.23, 0.13)
            )
            crown = (0.24 * size, 0.24 * size, 0.38 * size)
            yield _geom('ellipsoid', x, y, 0.65 * size, crown, appearance.season.leaf)
        else:
            box = (0.3 * size, 0.2 * size, 0.25 * size)
            yield _geom('box', x, y, box[2], box, paint, f'euler="0 0 {turn:.2f}"')
    spacing = rng.integers(40, 120)
    for index in range(0, len(track.points), spacing):
        x, y = track.points[index] + track.normals[index] * (track.width / 2 + 0.18)
        yield _geom('mesh', x, y, 0.0, (), (1.0, 0.4, 0.05), 'mesh="cone"')


def _geom(
    kind: str,
    x: float,
    y: float,
    z: float,
    size: tuple[float, ...],
    colour: Rgb | list[float],
    more: str = '',
) -> str:
    extent = f'size="{" ".join(f"{value:.3f}" for value in size)}"' if size else ''
    return (
        f'<geom class="scenery" type="{kind}" pos="{x:.3f} {y:.3f} {z:.3f}" {extent} '
        f'rgba="{text(colour)} 1" {more}/>\n'
    )
