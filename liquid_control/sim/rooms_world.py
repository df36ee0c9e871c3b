# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The world of the rover: rooms to cross, to a goal, without touching anything."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np

from liquid_control.sim.protocols import Motion, Pose
from liquid_control.sim.rooms import DIFFICULTIES, MOVER_RADIUS, Rooms, draw_rooms
from liquid_control.sim.rover import RADIUS

REACHED = 0.25
"""The goal is reached within this distance, m."""
TIME_LIMIT = 90.0
"""s; from one corner to the opposite one it takes about 40."""

_HEIGHT = 0.5
_TOUCH = 0.005
"""Nearer than this counts as touched, m: at a touch MuJoCo keeps bodies about so far apart."""


@dataclass(frozen=True)
class ReachStatus:
    """How far a drive to a goal has come.

    distance: straight to the goal, m
    driven: length of the path so far, m
    touches: how often something was touched
    """

    stamp_ns: int
    motion: Motion
    distance: float
    driven: float = 0.0
    seconds: float = 0.0
    touching: bool = False
    touches: int = 0

    @property
    def reached(self) -> bool:
        """Whether the robot is at the goal."""
        return self.distance <= REACHED

    @property
    def problem(self) -> str:
        """Touching anything fails a drive, and so does taking too long."""
        if self.touches:
            return f'the rover touched something after {self.seconds:.1f} s'
        if self.seconds > TIME_LIMIT and not self.reached:
            return f'the goal was not reached within {TIME_LIMIT:.0f} s'
        return ''


class ReachJudge:
    """Follows one drive to a goal, from where the robot is and when."""

    def __init__(
        self, rooms: Rooms, motion: Motion, stamp_ns: int, radius: float = RADIUS
    ) -> None:
        self._rooms, self._radius = rooms, radius
        self._start_ns = stamp_ns
        self.status = ReachStatus(stamp_ns, motion, math.dist((motion.x, motion.y), rooms.goal))

    def look(self, stamp_ns: int, motion: Motion) -> None:
        """Take note of where the robot is at a time."""
        before = self.status
        here = (motion.x, motion.y)
        room = self._rooms.clearance(np.array([here]), np.array([stamp_ns / 1e9]))
        touching = room <= self._radius + _TOUCH
        self.status = ReachStatus(
            stamp_ns=stamp_ns,
            motion=motion,
            distance=math.dist(here, self._rooms.goal),
            driven=before.driven + math.dist(here, (before.motion.x, before.motion.y)),
            seconds=(stamp_ns - self._start_ns) / 1e9,
            touching=touching,
            touches=before.touches + (touching and not before.touching),
        )


class RoomsWorld:
    """Rooms with furniture and people, and a goal somewhere in them.

    Args:
        seed: draws all of it.
        difficulty: strength of each of `DIFFICULTIES`; 1 where nothing is said.
        radius: of the robot, m: whatever comes nearer to it touches it.
        rooms: instead of the seed's.
    """

    difficulties: ClassVar[Mapping[str, str]] = DIFFICULTIES
    judge_rate: ClassVar[float] = 20.0

    def __init__(
        self,
        seed: int,
        difficulty: Mapping[str, float] | None = None,
        *,
        radius: float = RADIUS,
        rooms: Rooms | None = None,
    ) -> None:
        self.seed, self._radius = seed, radius
        self.rooms = rooms or draw_rooms(seed, difficulty or {})
        self.lidar_strength = (difficulty or {}).get('lidar', 1.0)

    @property
    def start(self) -> Pose:
        """Where a drive begins."""
        return self.rooms.start

    @property
    def goal(self) -> tuple[float, float, float]:
        """Where it ends: x, y, z, m."""
        return (*self.rooms.goal, 0.0)

    def spec(self) -> mujoco.MjSpec:
        """Floor, walls, furniture and people."""
        return mujoco.MjSpec.from_string(_describe(self.rooms))

    def paint(self, model: mujoco.MjModel) -> None:
        """Nothing is painted."""

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Find the people."""
        self._data = data
        self._mocap = [
            int(model.body(f'mover_{index}').mocapid[0]) for index in range(len(self.rooms.movers))
        ]

    def advance(self, time_ns: int) -> None:
        """Let the people walk."""
        for mover, index in zip(self.rooms.movers, self._mocap, strict=True):
            self._data.mocap_pos[index, :2] = mover.place(time_ns / 1e9)

    def judge(self, stamp_ns: int, motion: Motion) -> ReachJudge:
        """Reached, touched, or too late."""
        return ReachJudge(self.rooms, motion, stamp_ns, self._radius)


def _describe(rooms: Rooms) -> str:
    width, depth = rooms.size
    return f"""
<mujoco model="rooms">
  <compiler angle="radian" autolimits="true"/>
  <visual>
    <quality offsamples="0"/>
    <headlight ambient=".5 .5 .5" diffuse=".4 .4 .4" specular="0 0 0"/>
  </visual>
  <asset>
    <texture name="floor" type="2d" builtin="checker" width="64" height="64"
             rgb1=".72 .66 .58" rgb2=".68 .62 .54"/>
    <material name="floor" texture="floor" texrepeat="8 6"/>
  </asset>
  <worldbody>
    <light directional="true" pos="0 0 6" dir=".3 .2 -1" castshadow="false"/>
    <geom name="floor" type="plane" pos="{width / 2} {depth / 2} 0" size="{width} {depth} 1"
          material="floor"/>
    <site name="goal" type="cylinder" size="{REACHED} .003" rgba=".1 .7 .2 .6"
          pos="{rooms.goal[0]} {rooms.goal[1]} .003"/>
    {''.join(_things(rooms))}
  </worldbody>
</mujoco>"""


def _things(rooms: Rooms) -> Iterator[str]:
    high = _HEIGHT / 2
    for boxes, colour in ((rooms.walls, '.85 .85 .82'), (rooms.furniture, '.55 .38 .22')):
        for box in boxes:
            yield (
                f'<geom type="box" pos="{box.x} {box.y} {high}" euler="0 0 {box.yaw}" '
                f'size="{box.half_x} {box.half_y} {high}" rgba="{colour} 1"/>\n'
            )
    for disc in rooms.rounds:
        yield (
            f'<geom type="cylinder" pos="{disc.x} {disc.y} {high}" '
            f'size="{disc.radius} {high}" rgba=".35 .45 .30 1"/>\n'
        )
    for index, mover in enumerate(rooms.movers):
        x, y = mover.place(0.0)
        yield (
            f'<body name="mover_{index}" mocap="true" pos="{x} {y} {high}">'
            f'<geom type="cylinder" size="{MOVER_RADIUS} {high}" rgba=".75 .2 .2 1"/></body>\n'
        )
