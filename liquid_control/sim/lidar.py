# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A 2-D lidar, and the goal that a rover is sent to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.protocols import PREFIX, Scene

NEAR, FAR = 0.15, 12.0
"""What it measures, m; those of a small scanner."""


@dataclass(eq=False)
class Lidar:
    """A lidar that looks all around; its value is float32 [rays], m, from behind by the left.

    A ray without a return within `far` is infinite, one nearer than `near` too (REP-117 would
    have -inf there; cheap scanners know no difference).

    Args:
        rays: in a turn, the first one straight to the back.
        noise: standard deviation of a range, m.
        lost: share of returns that are lost.
    """

    name: str
    rate: float
    rays: int = 360
    near: float = NEAR
    far: float = FAR
    height: float = 0.2
    noise: float = 0.0
    lost: float = 0.0
    renders: ClassVar[bool] = False

    @property
    def angles(self) -> NDArray[np.floating[Any]]:
        """Of the rays, rad, 0 forward, + to the left, [rays]."""
        return np.arange(self.rays) * self.increment - math.pi

    @property
    def increment(self) -> float:
        """Between two rays, rad."""
        return 2.0 * math.pi / self.rays

    def mount(self, robot: mujoco.MjSpec) -> None:
        """It needs nothing: rays begin on the axis of the robot's body."""

    def bind(self, scene: Scene) -> None:
        """See everything but the robot: its geoms are in groups from 2 on."""
        self._scene = scene
        self._body = scene.model.body(f'{PREFIX}base_link').id
        self._groups = np.array([1, 1, 0, 0, 0, 0], np.uint8)
        self._hit = np.empty(self.rays, np.int32)
        self._distance = np.empty(self.rays)
        self._angles = self.angles

    def reset(self, seed: int) -> None:
        """Draw the noise anew."""
        self._rng = np.random.default_rng([seed, 9])

    def read(self, time_ns: int) -> NDArray[np.float32]:
        """One turn, all of it at the same time."""
        scene, motion = self._scene, self._scene.robot.motion()
        turned = self._angles + motion.yaw
        rays = np.stack([np.cos(turned), np.sin(turned), np.zeros(self.rays)], axis=1)
        mujoco.mj_multiRay(
            scene.model,
            scene.data,
            np.array([motion.x, motion.y, self.height]),
            rays.ravel(),
            self._groups,
            1,
            -1,
            self._hit,
            self._distance,
            None,
            self.rays,
            self.far,
        )
        ranges = self._distance + self.noise * self._rng.standard_normal(self.rays)
        gone = (self._hit < 0) | (ranges < self.near) | (ranges > self.far)
        if self.lost:
            gone |= self._rng.random(self.rays) < self.lost
        return np.where(gone, np.inf, ranges).astype(np.float32)

    def close(self) -> None:
        """Nothing to free."""


@dataclass(eq=False)
class Goal:
    """Where the robot is sent; its value is x, y, z in the frame of the odometry, m.

    It is said again and again, for whoever comes late.
    """

    name: str
    rate: float
    goal: tuple[float, float, float]
    renders: ClassVar[bool] = False

    def mount(self, robot: mujoco.MjSpec) -> None:
        """It needs nothing."""

    def bind(self, scene: Scene) -> None:
        """It knows the goal."""

    def reset(self, seed: int) -> None:
        """It has no noise."""

    def read(self, time_ns: int) -> tuple[float, float, float]:
        """The goal."""
        return self.goal

    def close(self) -> None:
        """Nothing to free."""
