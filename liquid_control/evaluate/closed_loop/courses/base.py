# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a drive of one robot is about: how it is judged, told and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liquid_control.evaluate.report.figures import RED
from liquid_control.sim.protocols import Motion, Status

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Deviation:
    """How far the robot was from what was asked, over time.

    values: [M], in the unit of the label
    good: where it ought to be
    """

    label: str
    values: Array
    good: tuple[float, float]


class Course(Protocol):
    """The task of one robot in the world of one seed, seen from outside the simulator."""

    robot: str
    name: str
    """What the robot is on, for titles: 'track 101'."""
    success: str
    """What a drive without a problem has done."""

    def begin(self, stamp_ns: int, motion: Motion) -> None:
        """Judge from here on."""

    def look(self, stamp_ns: int, motion: Motion) -> Any:
        """Take note of where the robot is at a time; return its `Status`."""

    def verdict(self, status: Any) -> str | None:
        """Why a drive is over: '' when its task is done, None while it goes on."""

    def progress(self, status: Any) -> tuple[str, str]:
        """A drive so far in one line: what stands out, and the rest."""

    def figures(self, statuses: Sequence[Any]) -> dict[str, Any]:
        """What summary.json holds of the task."""

    def rows(self, figures: dict[str, Any]) -> list[tuple[str, str]]:
        """The same as a person reads it: label and value."""

    def deviation(self, statuses: Sequence[Any]) -> Deviation:
        """What is drawn below the commands."""

    def draw(self, statuses: Sequence[Any], title: str) -> Figure:
        """The path seen from above."""


def draw_line(figure: Figure, axes: Any, statuses: Sequence[Status]) -> None:
    """A path coloured by speed, an arrow where it begins."""
    path = np.array([[s.motion.x, s.motion.y] for s in statuses])
    speed = np.array([np.hypot(s.motion.speed, s.motion.velocity_y) for s in statuses])
    top = float(speed.max())
    line = LineCollection(
        list(np.stack([path[:-1], path[1:]], axis=1)),
        array=speed[1:],
        cmap='plasma',
        # The start from rest would take the whole scale.
        clim=(min(float(np.percentile(speed, 5)), top - 0.5), top),
        linewidth=2,
        zorder=3,
        capstyle='round',
    )
    axes.add_collection(line)
    (x, y), yaw = path[0], statuses[0].motion.yaw
    axes.annotate(
        '',
        xy=(x + 0.55 * np.cos(yaw), y + 0.55 * np.sin(yaw)),
        xytext=(x, y),
        arrowprops={'arrowstyle': '-|>', 'color': RED, 'linewidth': 2.2},
        zorder=5,
    )
    axes.plot(x, y, 'o', color=RED, markersize=7, zorder=5)
    axes.set_aspect('equal')
    axes.margins(0.04)
    axes.set_xlabel('x, m')
    axes.set_ylabel('y, m')
    figure.colorbar(line, ax=axes, pad=0.02, shrink=0.8, label='speed, m/s', extend='min')
