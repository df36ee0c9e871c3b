# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A driver of the rover that knows the map and where everybody will walk.

At every moment it compares straight moves in all directions: by how much way is left from where
they end, how far it would have to turn, what stands beside them, and who will walk there. What it
does so follows from what a lidar sees around it, and between two ways of about one length it goes
on with the one that it is turned to: whoever learns from it need not choose anew at every step.
Where somebody comes too near it slows down, waits, or backs away.
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

_DIRECTIONS = np.arange(48) * (math.tau / 48)
"""Of the moves that it compares, rad."""
_LOOKAHEAD = 0.45
"""Length of a move, m."""
_TURNING = 0.05
"""What a turn costs, m of way per rad^2."""
_CROWDED, _AWAY = 3.0, 0.25
"""What nearness to somebody costs, m of way per m of missing distance; up to this distance, m."""
_BLENDED, _SHARPNESS = 3, 0.01
"""Neighbours of the best move that have a say in the direction, and how little worse they are, m:
it turns smoothly where directions differ by nothing."""
_TURN = 2.2
"""Yaw rate per angle to where it goes, 1/s."""
_ON_THE_SPOT = 0.9
"""rad; from this angle on it only turns."""
_HORIZON = np.arange(0.0, 2.51, 0.25)
"""How far it looks ahead for people, s."""
_DISTANCE = 0.18
"""That it keeps from people, edge to edge, m."""
_AT_GOAL = 0.1
"""Nearer than this it stands, m."""
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
_MARGIN = 0.04
"""That it keeps from what stands, m, as far as the way allows."""
_SLOW, _ROOMY = 0.5, 0.2
"""The share of its speed that it keeps beside what stands, and where it has all of it, m."""


class RoverExpert:
    """Drives to one goal."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._ways = WayMap(rooms, rover.RADIUS + _MARGIN)

    def command(self, motion: Motion, time_ns: int) -> Command:
        """Return the command for a pose and a time."""
        here = np.array([motion.x, motion.y])
        left = math.dist(here, self._rooms.goal)
        if left < _AT_GOAL:
            return rover.command()
        people = self._people(here, time_ns / 1e9)
        direction, room = self._direction(here, motion.yaw, left, people)
        bearing = math.remainder(direction - motion.yaw, math.tau)
        speed = rover.MAX_SPEED * max(1.0 - abs(bearing) / _ON_THE_SPOT, 0.0)
        speed *= min(_SLOW + (1.0 - _SLOW) * max(room, 0.0) / _ROOMY, 1.0)
        speed = min(speed, 0.05 + 0.8 * left)
        yaw_rate = min(max(_TURN * bearing, -rover.MAX_YAW_RATE), rover.MAX_YAW_RATE)
        if people is not None:
            speed = self._give_way(here, motion.yaw, direction, speed, people)
        return rover.command(speed, yaw_rate)

    def _people(self, here: Array, seconds: float) -> Array | None:
        """Where everybody will be within the horizon, [P, T, 2]; None where nobody is near."""
        if not self._rooms.movers:
            return None
        people = np.stack([mover.places(seconds + _HORIZON) for mover in self._rooms.movers])
        near = rover.RADIUS + MOVER_RADIUS + _AWAY + rover.MAX_SPEED * _HORIZON[-1]
        return people if _apart(people, here).min() < near else None

    def _direction(
        self, here: Array, yaw: float, left: float, people: Array | None
    ) -> tuple[float, float]:
        """The best direction, rad, and the room along it, m."""
        reach = min(_LOOKAHEAD, left)
        goal = math.atan2(self._rooms.goal[1] - here[1], self._rooms.goal[0] - here[0])
        directions = goal + _DIRECTIONS
        forward = np.stack([np.cos(directions), np.sin(directions)], axis=1)
        halfway, ends = here + 0.5 * reach * forward, here + reach * forward
        room = np.minimum(self._ways.clearance_at(halfway), self._ways.clearance_at(ends))
        turns = np.remainder(directions - yaw + math.pi, math.tau) - math.pi
        cost = self._ways.at(ends) + _TURNING * turns**2 + np.maximum(-room, 0.0) * 10.0
        if people is not None:
            steps = np.minimum(rover.MAX_SPEED * _HORIZON, reach)
            moves = here + forward[:, None] * steps[:, None]
            apart = _apart(people, moves[:, None]).min(axis=(1, 2))
            missing = rover.RADIUS + MOVER_RADIUS + _AWAY - apart
            cost += _CROWDED * np.maximum(missing, 0.0)
        best = int(cost.argmin())
        around = np.arange(best - _BLENDED, best + _BLENDED + 1) % len(cost)
        weights = np.exp((cost[best] - cost[around]) / _SHARPNESS)
        x, y = weights @ forward[around]
        return math.atan2(y, x), float(room[best]) + _MARGIN

    def _give_way(
        self, here: Array, yaw: float, direction: float, speed: float, people: Array
    ) -> float:
        """The highest share of the speed that keeps everybody away; back, if none does."""
        keep = rover.RADIUS + MOVER_RADIUS + _DISTANCE
        ahead = np.array([math.cos(direction), math.sin(direction)])
        behind = -np.array([math.cos(yaw), math.sin(yaw)])
        best, furthest = 0.0, -1.0
        for share in _SHARES:
            reach = np.minimum(share * speed * _HORIZON, 2 * _LOOKAHEAD)
            nearest = float(_apart(people, here + ahead * reach[:, None]).min())
            if nearest > keep:
                return share * speed
            if nearest > furthest + 0.02:
                best, furthest = share * speed, nearest
        backwards = 0.4 * rover.MAX_SPEED
        mine = here + behind * np.minimum(backwards * _HORIZON, 0.4)[:, None]
        free = self._ways.clearance_at(mine).min() >= 0.03
        if free and float(_apart(people, mine).min()) > furthest + 0.02:
            return -backwards
        return best


def _apart(people: Array, places: Array) -> Array:
    """Distances of people [P, T, 2] from places [..., T, 2] at their times, or from one place."""
    offset = people - places
    return np.hypot(offset[..., 0], offset[..., 1])
