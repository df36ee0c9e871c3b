# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The course of a robot that is to come to a place: the quadrotor's target, the rover's goal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch, Polygon

from liquid_control.evaluate.closed_loop.courses.base import Deviation, draw_line
from liquid_control.evaluate.report.figures import RED, STYLE
from liquid_control.sim.protocols import PREFIX, Motion, Pose
from liquid_control.sim.robots import simulate


@dataclass(frozen=True)
class Words:
    """How one robot's course is told.

    near: distance from the goal that is wanted, m
    """

    name: str
    success: str
    near: tuple[float, float]
    goal: str


WORDS = {
    'quadrotor': Words('quadrotor', 'came to its target and held position', (1.3, 2.7), 'target'),
    'rover': Words('rover', 'came to its goal without touching anything', (0.0, 0.25), 'goal'),
}


class TargetCourse:
    """See `liquid_control.evaluate.closed_loop.courses.base.Course`.

    The world is built as in the simulator; its robot is moved to where the odometry says that the
    robot is, so that what it touches is found as there.
    """

    def __init__(
        self, robot: str, seed: int, difficulty: Mapping[str, float] | None = None
    ) -> None:
        self.robot, self._words = robot, WORDS[robot]
        self.success = self._words.success
        self.name = f'world {seed}'
        self._simulator = simulate(robot, seed, difficulty=difficulty, camera=False)
        self._flies = 'velocity_z' in self._simulator.robot.commands

    def begin(self, stamp_ns: int, motion: Motion) -> None:
        self._place(motion)
        self._judge = self._simulator.world.judge(stamp_ns, motion)

    def look(self, stamp_ns: int, motion: Motion) -> Any:
        self._place(motion)
        self._judge.look(stamp_ns, motion)
        return self._judge.status

    def _place(self, motion: Motion) -> None:
        if self._flies:  # others are judged by geometry alone
            self._simulator.robot.place(Pose(motion.x, motion.y, motion.yaw, motion.z))

    def verdict(self, status: Any) -> str | None:
        if status.problem:
            return str(status.problem)
        return '' if status.reached else None

    def progress(self, status: Any) -> tuple[str, str]:
        speed = math.hypot(status.motion.speed, status.motion.velocity_y, status.motion.velocity_z)
        return (
            f'{status.distance:5.2f} m from the {self._words.goal}',
            f'   {speed:4.2f} m/s',
        )

    def figures(self, statuses: Sequence[Any]) -> dict[str, Any]:
        places = np.array([(s.motion.x, s.motion.y, s.motion.z) for s in statuses])
        driven = float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())
        last = statuses[-1]
        seconds = (last.stamp_ns - statuses[0].stamp_ns) / 1e9
        return {
            'reached': bool(last.reached),
            'problem': last.problem,
            'start_distance': round(statuses[0].distance, 3),
            'goal_distance': round(last.distance, 3),
            'distance': round(driven, 3),
            'seconds': round(seconds, 3),
            'mean_speed': round(driven / seconds if seconds else 0.0, 4),
        }

    def rows(self, figures: dict[str, Any]) -> list[tuple[str, str]]:
        goal = self._words.goal
        return [
            ('reached', 'yes' if figures['reached'] else figures['problem'] or 'no'),
            (
                f'{goal}, from the robot',
                f'{figures["start_distance"]:.2f} m at the start, '
                f'{figures["goal_distance"]:.2f} m at the end',
            ),
            (
                'distance',
                f'{figures["distance"]:.1f} m in {figures["seconds"]:.1f} s, '
                f'{figures["mean_speed"]:.2f} m/s',
            ),
        ]

    def deviation(self, statuses: Sequence[Any]) -> Deviation:
        values = np.array([status.distance for status in statuses], np.float64)
        return Deviation(f'from the {self._words.goal}, m', values, self._words.near)

    @rc_context(STYLE | {'axes.grid': False})
    def draw(self, statuses: Sequence[Any], title: str) -> Figure:
        figure = Figure(figsize=(10, 8))
        axes = figure.subplots()
        for outline in _outlines(self._simulator.model, self._simulator.data):
            axes.add_patch(outline)
        x, y, *_ = self._simulator.world.goal
        furthest = self._words.near[1]
        axes.add_patch(Circle((x, y), furthest, fill=False, color=RED, linestyle=':', zorder=2))
        axes.plot(x, y, '*', color=RED, markersize=14, zorder=4, label=self._words.goal)
        axes.legend(loc='upper right')
        draw_line(figure, axes, statuses)
        places = np.array([*((s.motion.x, s.motion.y) for s in statuses), (x, y)])
        middle, half = places.mean(axis=0), max(np.ptp(places, axis=0).max(), 4.0) * 0.75
        axes.set_xlim(middle[0] - half, middle[0] + half)
        axes.set_ylim(middle[1] - half, middle[1] + half)
        axes.set_title(title)
        return figure


def _outlines(model: mujoco.MjModel, data: mujoco.MjData) -> Iterator[Patch]:
    """What stands in a world, seen from above."""
    mujoco.mj_forward(model, data)
    for index in range(model.ngeom):
        kind = model.geom_type[index]
        owner = model.body(model.geom_bodyid[index]).name
        if owner.startswith(PREFIX) or kind == mujoco.mjtGeom.mjGEOM_PLANE:
            continue
        colour = tuple(model.geom_rgba[index][:3].tolist())
        x, y, _ = data.geom_xpos[index].tolist()
        if kind == mujoco.mjtGeom.mjGEOM_BOX:
            turn = data.geom_xmat[index].reshape(3, 3)[:2, :2]
            half = model.geom_size[index][:2]
            corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * half
            yield Polygon(corners @ turn.T + (x, y), color=colour, alpha=0.8, zorder=1)
        else:
            radius = float(model.geom_size[index][0])
            yield Circle((x, y), radius, color=colour, alpha=0.8, zorder=1)
