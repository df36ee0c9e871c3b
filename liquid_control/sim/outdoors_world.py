# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The world of the quadrotor: outdoors, with a target to fly to and to hold position before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import mujoco

from liquid_control.sim.mjcf import paint, sunlight, text
from liquid_control.sim.outdoors import (
    DIFFICULTIES,
    HOLD_DISTANCE,
    TRAINING,
    Outdoors,
    draw_outdoors,
)
from liquid_control.sim.protocols import Motion, Pose
from liquid_control.sim.wind import Wind

DISTANCE_TOLERANCE = 0.7
"""Of the distance to the target, m: between 1.3 and 2.7 m counts as before it."""
HEIGHT_TOLERANCE = 0.5
"""Of the height above or below the target's middle, m."""
ANGLE_TOLERANCE = math.radians(12.0)
"""Of the heading off the target."""
HOLD_TIME = 3.0
"""How long it holds there, without a break, s."""
MAX_TILT = math.radians(60.0)
"""Beyond it a flight counts as a crash."""
LOST = 5.0
"""A flight is lost when it is further than this beyond its first distance from the target, m."""
SLOWEST = 0.35
"""Slowest mean approach that is in time, m/s."""
GRACE = 15.0
"""And what comes on top for finding and holding, s."""

HELD, CRASHED, STRAYED, LATE = 'held', 'crashed', 'lost', 'timed out'
"""How a flight ends."""

_MAX_IMAGE = (640, 480)


@dataclass(frozen=True)
class HoldStatus:
    """A flight so far.

    distance: from the target's middle, m, height included
    bearing: of the target off the heading, rad, + to the left
    height: above the target's middle, m
    held: for how long it has been holding its place before the target, s
    nearest: to the target so far, m
    outcome: '' while the flight goes on; else how it ended
    """

    stamp_ns: int
    motion: Motion
    distance: float
    bearing: float
    height: float
    held: float = 0.0
    nearest: float = math.inf
    outcome: str = ''

    @property
    def reached(self) -> bool:
        """Whether it came to the target and held its place there."""
        return self.outcome == HELD

    @property
    def problem(self) -> str:
        """Why the flight failed."""
        return {
            CRASHED: f'the quadrotor crashed {self.distance:.1f} m from the target',
            STRAYED: f'the quadrotor was lost {self.distance:.1f} m from the target',
            LATE: f'the target was not reached and held in time, {self.nearest:.1f} m at best',
        }.get(self.outcome, '')


class HoldJudge:
    """Follows one flight; after its outcome nothing changes any more."""

    def __init__(self, target: Pose, data: mujoco.MjData, motion: Motion, stamp_ns: int) -> None:
        self._target, self._data, self._start_ns = target, data, stamp_ns
        self.status = self._see(stamp_ns, motion)
        self._first = self.status.distance

    def look(self, stamp_ns: int, motion: Motion) -> None:
        """Take note of where it is at a time."""
        before, now = self.status, self._see(stamp_ns, motion)
        if before.outcome:
            return
        holds = (
            abs(now.distance - HOLD_DISTANCE) <= DISTANCE_TOLERANCE
            and abs(now.bearing) <= ANGLE_TOLERANCE
            and abs(now.height) <= HEIGHT_TOLERANCE
        )
        held = before.held + (stamp_ns - before.stamp_ns) / 1e9 if holds else 0.0
        now = replace(now, held=held, nearest=min(before.nearest, now.distance))
        self.status = replace(now, outcome=self._outcome(now))

    def _outcome(self, now: HoldStatus) -> str:
        tilt = math.acos(math.cos(now.motion.pitch) * math.cos(now.motion.roll))
        if self._data.ncon or tilt > MAX_TILT:
            return CRASHED
        if now.held >= HOLD_TIME:
            return HELD
        if now.distance > self._first + LOST:
            return STRAYED
        seconds = (now.stamp_ns - self._start_ns) / 1e9
        return LATE if seconds >= GRACE + self._first / SLOWEST else ''

    def _see(self, stamp_ns: int, motion: Motion) -> HoldStatus:
        target = self._target
        dx, dy, dz = target.x - motion.x, target.y - motion.y, target.z - motion.z
        bearing = math.remainder(math.atan2(dy, dx) - motion.yaw, math.tau)
        distance = math.sqrt(dx * dx + dy * dy + dz * dz)
        return HoldStatus(stamp_ns, motion, distance, bearing, -dz, nearest=distance)


class OutdoorsWorld:
    """A forest in summer, or as far from it as the difficulty says.

    Args:
        seed: draws all of it.
        difficulty: strength of each of `DIFFICULTIES`; that of `TRAINING` where nothing is said.
        scene: a name in `liquid_control.sim.seasons.SCENES` instead of what 'season' draws.
        redrawn: one of `REDRAWN` -> the seed that it is drawn from instead.
    """

    difficulties: ClassVar[Mapping[str, str]] = DIFFICULTIES
    judge_rate: ClassVar[float] = 100.0

    def __init__(
        self,
        seed: int,
        difficulty: Mapping[str, float] | None = None,
        scene: str | None = None,
        redrawn: Mapping[str, int] | None = None,
    ) -> None:
        self.seed = seed
        self.place: Outdoors = draw_outdoors(seed, difficulty or {}, scene, redrawn)
        self._wind = Wind((difficulty or {}).get('wind', TRAINING['wind']), seed)

    @property
    def start(self) -> Pose:
        """Hovering, with the target in the image."""
        return self.place.start

    @property
    def target(self) -> Pose:
        """The target's middle, and where its front looks to."""
        return self.place.target

    @property
    def goal(self) -> tuple[float, float, float]:
        """The target's middle: x, y, z, m."""
        return self.target.x, self.target.y, self.target.z

    def spec(self) -> mujoco.MjSpec:
        """The place, its ground still unpainted."""
        return mujoco.MjSpec.from_string(_describe(self.place))

    def paint(self, model: mujoco.MjModel) -> None:
        """Paint the ground."""
        paint(model, 'ground', self.place.texture)

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """The air is the model's."""
        self._air, self._data = model.opt.wind, data

    def advance(self, time_ns: int) -> None:
        """Let the wind blow."""
        self._air[:] = self._wind.at(time_ns)

    def judge(self, stamp_ns: int, motion: Motion) -> HoldJudge:
        """Held, crashed, lost, or too late."""
        return HoldJudge(self.target, self._data, motion, stamp_ns)


def _describe(place: Outdoors) -> str:
    light, scene = place.light, place.scene
    sun = sunlight(light.sun_azimuth, light.sun_elevation)
    side = place.texture.shape[0]
    return f"""
<mujoco model="outdoors">
  <compiler angle="radian" autolimits="true"/>
  <statistic extent="1" center="0 0 1"/>
  <visual>
    <global offwidth="{_MAX_IMAGE[0]}" offheight="{_MAX_IMAGE[1]}"/>
    <quality numslices="12" numstacks="8" offsamples="0"/>
    <map znear=".03" zfar="70" fogstart="18" fogend="60" force=".1"/>
    <headlight ambient="{text((light.ambient,) * 3)}" diffuse=".15 .15 .15" specular="0 0 0"/>
    <rgba fog="{text(scene.horizon)} 1" haze="{text(scene.horizon)} 1"/>
  </visual>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" width="32" height="192"
             rgb1="{text(scene.zenith)}" rgb2="{text(scene.horizon)}"/>
    <texture name="ground" type="2d" builtin="flat" width="{side}" height="{side}"/>
    <material name="ground" texture="ground" texuniform="true" texrepeat=".12 .12" specular="0"/>
  </asset>
  <default>
    <geom condim="1"/>
    <default class="scenery"><geom group="1"/></default>
  </default>
  <worldbody>
    <light name="sun" directional="true" pos="0 0 20" dir="{text(sun)}"
           diffuse="{text(light.sun)}" specular="0 0 0" castshadow="false"/>
    <geom name="ground" type="plane" size="80 80 20" material="ground"/>
    {place.things}
  </worldbody>
</mujoco>"""
