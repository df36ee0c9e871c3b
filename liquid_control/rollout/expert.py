# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A driver with perfect knowledge of its pose: pure pursuit, with speed limited by the bends.

Coulter, "Implementation of the Pure Pursuit Path Tracking Algorithm", CMU-RI-TR-92-01 (1992).
"""

from __future__ import annotations

import math

import numpy as np

from liquid_control.sim import car
from liquid_control.sim.car import MAX_STEERING_ANGLE, WHEELBASE
from liquid_control.sim.protocols import Command, Motion
from liquid_control.sim.road.traffic import Traffic
from liquid_control.sim.track import Track

MAX_SPEED = 1.9
MIN_SPEED = 1.0
LATERAL_ACCELERATION = 2.4
"""Largest v^2 * curvature that the expert asks of the tyres, m/s^2."""
_PREVIEW = 1.0
"""How far ahead bends limit the speed, m."""


class Expert:
    """Drives one track along its centre line, and past what is on it."""

    def __init__(self, track: Track, traffic: Traffic | None = None) -> None:
        self._track, self._traffic = track, traffic
        ahead = round(_PREVIEW / track.spacing)
        bend = np.abs(track.curvature)
        sharpest = np.max([np.roll(bend, -shift) for shift in range(ahead)], axis=0)
        limit = np.sqrt(LATERAL_ACCELERATION / np.maximum(sharpest, 1e-3))
        self._speed = np.clip(limit, MIN_SPEED, MAX_SPEED)

    def command(self, motion: Motion, seconds: float = 0.0) -> Command:
        """Return the command for a pose: steer the arc to a point ahead on its way.

        Args:
            seconds: the time, for what moves on the road.
        """
        track = self._track
        station = track.locate(motion.x, motion.y, motion.yaw).station
        lookahead = 0.40 + 0.18 * max(motion.speed, 0.0)
        ahead = round((station + lookahead) / track.spacing) % len(track.points)
        target = track.points[ahead]
        if self._traffic is not None:
            way = self._traffic.way_past(station + lookahead, seconds)
            target = target + way * track.normals[ahead]
        dx, dy = float(target[0]) - motion.x, float(target[1]) - motion.y
        left = dy * math.cos(motion.yaw) - dx * math.sin(motion.yaw)
        angle = math.atan(2.0 * WHEELBASE * left / (dx * dx + dy * dy))
        return car.command(
            steering_angle=min(max(angle, -MAX_STEERING_ANGLE), MAX_STEERING_ANGLE),
            speed=float(self._speed[round(station / track.spacing) % len(track.points)]),
        )
