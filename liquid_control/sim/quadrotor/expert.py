"""A pilot that sees where the target is: flies straight to it and holds in front of it."""

from __future__ import annotations

import math

from liquid_control.sim.quadrotor.flight_controller import Setpoint
from liquid_control.sim.quadrotor.quadrotor import Motion
from liquid_control.sim.quadrotor.world import HOLD_DISTANCE, World

MAX_SPEED = 1.5
"""Towards the target, m/s."""
MAX_RETREAT = 0.5
MAX_CLIMB = 0.7
MAX_YAW_RATE = 0.9

_APPROACH, _CLIMB, _TURN = 0.6, 0.9, 1.2
"""Speed per distance, per height and yaw rate per angle that are left, 1/s."""


class Expert:
    """Flies one world: proportional to what is left, within limits."""

    def __init__(self, world: World) -> None:
        self._target = world.target

    def command(self, motion: Motion) -> Setpoint:
        """Return the setpoint for a pose."""
        dx, dy = self._target.x - motion.x, self._target.y - motion.y
        bearing = math.remainder(math.atan2(dy, dx) - motion.yaw, math.tau)
        left = _APPROACH * (math.hypot(dx, dy) - HOLD_DISTANCE)
        # No faster than the picture turns to the target: at right angles it only turns.
        speed = min(max(left, -MAX_RETREAT), MAX_SPEED) * max(math.cos(bearing), 0.0)
        climb, turn = _CLIMB * (self._target.z - motion.z), _TURN * bearing
        return Setpoint(
            velocity_x=speed * math.cos(bearing),
            velocity_y=speed * math.sin(bearing),
            velocity_z=min(max(climb, -MAX_CLIMB), MAX_CLIMB),
            yaw_rate=min(max(turn, -MAX_YAW_RATE), MAX_YAW_RATE),
        )
