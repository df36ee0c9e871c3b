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
        position, velocity = int(root.qposadr[0]), int(root.dofadr[0])
        # Views: to ask MuJoCo for an array takes longer than to read it.
        self._root = data.qpos[position : position + 7]
        self._place, self._attitude = self._root[:2], self._root[3:]
        self._rates = data.qvel[velocity : velocity + 6]
        self._rotation = np.empty(9)

    def _put(self, pose: Pose, height: float) -> None:
        """At rest, with the joint at a height, m."""
        mujoco.mj_resetData(self._model, self._data)
        upright = (math.cos(pose.yaw / 2.0), 0.0, 0.0, math.sin(pose.yaw / 2.0))
        self._root[:] = (pose.x, pose.y, height, *upright)

    def _planar(self) -> tuple[float, float, float, float, float, float]:
        """x, y, yaw, velocity forward and to the left, yaw rate."""
        x, y = self._place.tolist()
        mujoco.mju_quat2Mat(self._rotation, self._attitude)
        forward_x, _, _, forward_y, *_ = self._rotation.tolist()
        velocity_x, velocity_y, *_, yaw_rate = self._rates.tolist()
        return (
            x,
            y,
            math.atan2(forward_y, forward_x),
            velocity_x * forward_x + velocity_y * forward_y,
            velocity_y * forward_x - velocity_x * forward_y,
            yaw_rate,
        )
