# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How a drive goes, from ground truth: laps, progress and departures from the road."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from liquid_control.sim.protocols import Motion
from liquid_control.sim.track import Track, TrackPose


@dataclass(frozen=True)
class LapStatus:
    """A drive so far.

    place: the car relative to the centre line
    progress: m driven along the centre line since the start
    lap_times: s, one entry for each finished lap
    max_offset: largest distance from the centre line so far, m
    departures: how often the car left the road
    collisions: how often it touched something
    """

    stamp_ns: int
    motion: Motion
    place: TrackPose
    progress: float = 0.0
    lap_times: tuple[float, ...] = ()
    max_offset: float = 0.0
    departures: int = 0
    touching: bool = False
    collisions: int = 0

    @property
    def problem(self) -> str:
        """Leaving the road fails a drive, and so does touching anything."""
        if self.departures:
            return f'the car left the road {self.departures} times'
        return f'the car touched something {self.collisions} times' if self.collisions else ''


class Obstacles(Protocol):
    """What is on a road."""

    def gap(self, motion: Motion, seconds: float) -> float:
        """Room between the car and whatever is nearest, m; at most 0 where they touch."""


class LapJudge:
    """Follows one drive; lap times are interpolated between two looks at the car.

    Args:
        stamp_ns: when it begins, in the time of what moves on the road.
        obstacles: on the road, where there are any.
    """

    def __init__(
        self,
        track: Track,
        motion: Motion,
        stamp_ns: int = 0,
        obstacles: Obstacles | None = None,
    ) -> None:
        self._track, self._obstacles = track, obstacles
        place = track.locate(motion.x, motion.y, motion.yaw)
        self._lap_start_ns = float(stamp_ns)
        self.status = LapStatus(stamp_ns, motion, place, max_offset=abs(place.offset))

    def look(self, stamp_ns: int, motion: Motion) -> None:
        """Take note of where the car is at a time."""
        before, length = self.status, self._track.length
        place = self._track.locate(motion.x, motion.y, motion.yaw)
        advance = (place.station - before.place.station + length / 2) % length - length / 2
        progress = before.progress + advance
        lap_times = before.lap_times
        finish = (len(lap_times) + 1) * length
        if progress >= finish:
            share = (finish - before.progress) / advance
            crossed_ns = before.stamp_ns + share * (stamp_ns - before.stamp_ns)
            lap_times = (*lap_times, (crossed_ns - self._lap_start_ns) / 1e9)
            self._lap_start_ns = crossed_ns
        obstacles = self._obstacles
        touching = obstacles is not None and obstacles.gap(motion, stamp_ns / 1e9) <= 0.0
        self.status = LapStatus(
            stamp_ns=stamp_ns,
            motion=motion,
            place=place,
            progress=progress,
            lap_times=lap_times,
            max_offset=max(before.max_offset, abs(place.offset)),
            departures=before.departures + (before.place.on_road and not place.on_road),
            touching=touching,
            collisions=before.collisions + (touching and not before.touching),
        )
