# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A runner that knows where the target is: flies straight to it and holds position before it."""

from __future__ import annotations

import math

from liquid_control.sim import quadrotor
from liquid_control.sim.outdoors import HOLD_DISTANCE
from liquid_control.sim.protocols import Command, Motion, Pose

MAX_SPEED = 1.5
"""Towards the target, m/s."""
MAX_RETREAT = 0.5
MAX_CLIMB = 0.7
MAX_YAW_RATE = 0.9

_APPROACH, _CLIMB, _TURN = 0.6, 0.9, 1.2
"""Speed per distance, per height and yaw rate per angle that are left, 1/s."""


class FlightExpert:
    """Proportional to what is left, within limits."""

    def __init__(self, target: Pose) -> None:
        self._target = target

    def command(self, motion: Motion) -> Command:
        """Return the setpoint for a pose."""
        dx, dy = self._target.x - motion.x, self._target.y - motion.y
        bearing = math.remainder(math.atan2(dy, dx) - motion.yaw, math.tau)
        left = _APPROACH * (math.hypot(dx, dy) - HOLD_DISTANCE)
        # The more the target is off to the side, the more it turns before it goes.
        speed = min(max(left, -MAX_RETREAT), MAX_SPEED) * max(math.cos(bearing), 0.0)
        climb, turn = _CLIMB * (self._target.z - motion.z), _TURN * bearing
        return quadrotor.command(
            velocity_x=speed * math.cos(bearing),
            velocity_y=speed * math.sin(bearing),
            velocity_z=min(max(climb, -MAX_CLIMB), MAX_CLIMB),
            yaw_rate=min(max(turn, -MAX_YAW_RATE), MAX_YAW_RATE),
        )
