"""A driver of the rover that knows the map and where everybody will walk.

It follows the shortest way by pure pursuit, turns on the spot where the way begins beside or
behind it, and gives way: of the speeds that it might go it takes the highest that keeps its
distance from everybody for the next seconds.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from liquid_control.rollout.planner import WayMap
from liquid_control.sim import rover
from liquid_control.sim.protocols import Command, Motion
from liquid_control.sim.rooms import MOVER_RADIUS, Rooms

Array = NDArray[np.float64]

_LOOKAHEAD = 0.45
"""m along the way."""
_TURN = 2.2
"""Yaw rate per angle to where it looks, 1/s."""
_ON_THE_SPOT = 0.9
"""rad; from this angle on it only turns."""
_HORIZON = np.arange(0.0, 2.51, 0.25)
"""How far it looks ahead for people, s."""
_DISTANCE = 0.15
"""That it keeps from people, edge to edge, m."""
_AT_GOAL = 0.1
"""Nearer than this it stands, m."""
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
_MARGIN = 0.04
"""That it keeps from what stands, m, as far as the way allows."""


class RoverExpert:
    """Drives to one goal."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._ways = WayMap(rooms, rover.RADIUS + _MARGIN)

    def command(self, motion: Motion, time_ns: int) -> Command:
        """Return the command for a pose and a time."""
        way = self._ways.follow(motion.x, motion.y, 1.3)
        ahead = way[min(round(_LOOKAHEAD / 0.1), len(way) - 1)]
        left = math.dist((motion.x, motion.y), self._rooms.goal)
        if left < _LOOKAHEAD:
            ahead = np.array(self._rooms.goal)
        if left < _AT_GOAL:
            return rover.command()
        bearing = math.atan2(ahead[1] - motion.y, ahead[0] - motion.x) - motion.yaw
        bearing = math.remainder(bearing, math.tau)
        speed = rover.MAX_SPEED * max(1.0 - abs(bearing) / _ON_THE_SPOT, 0.0)
        speed = min(speed, 0.05 + 0.8 * left)
        yaw_rate = min(max(_TURN * bearing, -rover.MAX_YAW_RATE), rover.MAX_YAW_RATE)
        return rover.command(self._give_way(motion, way, speed, time_ns), yaw_rate)

    def _give_way(self, motion: Motion, way: Array, speed: float, time_ns: int) -> float:
        """The highest share of the speed that keeps everybody away; back, if none does."""
        if not self._rooms.movers:
            return speed
        times = time_ns / 1e9 + _HORIZON
        people = np.stack([mover.places(times) for mover in self._rooms.movers])
        here = np.array([motion.x, motion.y])
        keep = rover.RADIUS + MOVER_RADIUS + _DISTANCE
        if np.hypot(*np.moveaxis(people - here, -1, 0)).min() > keep + rover.MAX_SPEED * 3.0:
            return speed
        best, furthest = 0.0, -1.0
        forward = np.array([math.cos(motion.yaw), math.sin(motion.yaw)])
        for share in (*_SHARES, -0.4):
            going = share * speed if share >= 0.0 else share * rover.MAX_SPEED
            along = np.abs(going) * _HORIZON
            if going >= 0.0:
                reach = np.arange(len(way)) * 0.1
                mine = np.stack([np.interp(along, reach, way[:, axis]) for axis in (0, 1)], axis=1)
            else:
                mine = here - forward * np.minimum(along, 0.4)[:, None]
                if self._ways.clearance_at(mine).min() < 0.03:
                    continue
            nearest = float(np.hypot(*np.moveaxis(people - mine, -1, 0)).min())
            if nearest > keep and share >= 0.0:
                return going
            if nearest > furthest + 0.02:
                best, furthest = going, nearest
        return best
