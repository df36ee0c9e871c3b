"""How a flight goes, from ground truth: reached and held, crashed, lost, or out of time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from liquid_control.sim.quadrotor.quadrotor import Motion
from liquid_control.sim.quadrotor.world import HOLD_DISTANCE, World

DISTANCE_TOLERANCE = 0.7
"""Of the distance to the target, m: between 1.3 and 2.7 m it counts as in front of it."""
HEIGHT_TOLERANCE = 0.5
"""Of the height above or below the target's middle, m."""
ANGLE_TOLERANCE = math.radians(12.0)
"""Of the heading off the target."""
HOLD_TIME = 3.0
"""How long it holds there, without a break, s."""
MAX_TILT = math.radians(60.0)
"""Beyond it the flight counts as a crash."""
LOST = 5.0
"""A flight is lost further than this beyond its first distance from the target, m."""
SPEED = 0.35
"""Slowest mean approach that is not out of time, m/s."""
GRACE = 15.0
"""And what comes on top for finding and holding, s."""

HELD, CRASHED, LOST_OUTCOME, TIMED_OUT = 'held', 'crashed', 'lost', 'timed out'


@dataclass(frozen=True)
class Status:
    """A flight so far.

    distance: from the target's middle, m, height included
    bearing: of the target off the heading, rad, + to the left
    height_error: above the target's middle, m
    held_ns: for how long it has held its place in front of the target
    outcome: '' while it goes on; else one of HELD, CRASHED, LOST_OUTCOME, TIMED_OUT
    """

    stamp_ns: int
    motion: Motion
    distance: float
    bearing: float
    height_error: float
    held_ns: int = 0
    nearest: float = math.inf
    outcome: str = ''


class Judge:
    """Follows one flight."""

    def __init__(self, world: World, motion: Motion) -> None:
        self._world = world
        self.status = self._look(0, motion)
        self._first = self.status.distance
        self._timeout_ns = (GRACE + self._first / SPEED) * 1e9

    def look(self, stamp_ns: int, motion: Motion, touches: bool) -> None:
        """Take note of where it is at a time; after an outcome nothing changes any more."""
        before = self.status
        if before.outcome:
            return
        now = self._look(stamp_ns, motion)
        holds = (
            abs(now.distance - HOLD_DISTANCE) <= DISTANCE_TOLERANCE
            and abs(now.bearing) <= ANGLE_TOLERANCE
            and abs(now.height_error) <= HEIGHT_TOLERANCE
        )
        held_ns = before.held_ns + stamp_ns - before.stamp_ns if holds else 0
        outcome = ''
        if touches or motion.tilt > MAX_TILT:
            outcome = CRASHED
        elif held_ns >= HOLD_TIME * 1e9:
            outcome = HELD
        elif now.distance > self._first + LOST:
            outcome = LOST_OUTCOME
        elif stamp_ns >= self._timeout_ns:
            outcome = TIMED_OUT
        self.status = Status(
            stamp_ns=stamp_ns,
            motion=motion,
            distance=now.distance,
            bearing=now.bearing,
            height_error=now.height_error,
            held_ns=held_ns,
            nearest=min(before.nearest, now.distance),
            outcome=outcome,
        )

    def _look(self, stamp_ns: int, motion: Motion) -> Status:
        target = self._world.target
        dx, dy, dz = target.x - motion.x, target.y - motion.y, target.z - motion.z
        bearing = math.remainder(math.atan2(dy, dx) - motion.yaw, math.tau)
        distance = math.sqrt(dx * dx + dy * dy + dz * dz)
        return Status(stamp_ns, motion, distance, bearing, -dz, nearest=distance)
