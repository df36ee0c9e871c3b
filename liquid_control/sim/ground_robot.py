# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What all robots on the ground have: a free joint, put down upright, seen from above."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from liquid_control.sim.protocols import PREFIX, Pose


class GroundRobot:
    """Its free joint is called `root`."""

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Find the free joint."""
        self._model, self._data = model, data
        root = model.joint(f'{PREFIX}root')
        self._position, self._velocity = int(root.qposadr[0]), int(root.dofadr[0])
        self._rotation = np.empty(9)

    def _put(self, pose: Pose, height: float) -> None:
        """At rest, with the joint at a height, m."""
        mujoco.mj_resetData(self._model, self._data)
        upright = (math.cos(pose.yaw / 2.0), 0.0, 0.0, math.sin(pose.yaw / 2.0))
        start = self._position
        self._data.qpos[start : start + 7] = (pose.x, pose.y, height, *upright)

    def _planar(self) -> tuple[float, float, float, float, float, float]:
        """x, y, yaw, velocity forward and to the left, yaw rate."""
        position, velocity = self._position, self._velocity
        x, y = self._data.qpos[position : position + 2].tolist()
        mujoco.mju_quat2Mat(self._rotation, self._data.qpos[position + 3 : position + 7])
        forward_x, forward_y = float(self._rotation[0]), float(self._rotation[3])
        velocity_x, velocity_y = self._data.qvel[velocity : velocity + 2].tolist()
        return (
            x,
            y,
            math.atan2(forward_y, forward_x),
            velocity_x * forward_x + velocity_y * forward_y,
            velocity_y * forward_x - velocity_x * forward_y,
            float(self._data.qvel[velocity + 5]),
        )
