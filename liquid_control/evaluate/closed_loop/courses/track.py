# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The car's course: laps on a track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from liquid_control.evaluate.closed_loop.courses.base import Array, Deviation, draw_line
from liquid_control.evaluate.report.figures import GREY, RED, STYLE
from liquid_control.sim.judge import LapStatus
from liquid_control.sim.protocols import Motion
from liquid_control.sim.track import Track
from liquid_control.sim.track_world import TrackWorld

_SLOWEST = 0.3  # m/s; a car slower than this on average does not finish


class TrackCourse:
    """See `liquid_control.evaluate.closed_loop.courses.base.Course`."""

    robot = 'car'
    success = 'finished its laps on the road'

    def __init__(
        self,
        seed: int,
        laps: int,
        patient: bool = False,
        difficulty: Mapping[str, float] | None = None,
    ) -> None:
        self.name = f'track {seed}'
        self._world = TrackWorld(seed, difficulty)
        self.track = self._world.track
        self._laps, self._patient = laps, patient

    def begin(self, stamp_ns: int, motion: Motion) -> None:
        self._start_ns = stamp_ns
        # The stamps are those of simulated time, in which the cars on the road drive.
        self._judge = self._world.judge(stamp_ns, motion)

    def look(self, stamp_ns: int, motion: Motion) -> LapStatus:
        self._judge.look(stamp_ns, motion)
        return self._judge.status

    def verdict(self, status: LapStatus) -> str | None:
        if status.departures:
            return (
                f'the car left the road {status.place.station:.1f} m into lap '
                f'{len(status.lap_times) + 1}'
            )
        if status.collisions:
            return f'the car touched something {status.place.station:.1f} m along the track'
        if len(status.lap_times) >= self._laps:
            return ''
        longest = self._laps * self.track.length / _SLOWEST
        if (status.stamp_ns - self._start_ns) / 1e9 > longest and not self._patient:
            return f'the car did not finish at {_SLOWEST} m/s or more'
        return None

    def progress(self, status: LapStatus) -> tuple[str, str]:
        number = min(len(status.lap_times) + 1, self._laps)
        share = min(max(status.progress / self.track.length - (number - 1), 0.0), 1.0)
        return (
            f'lap {number}/{self._laps}',
            f' {share:4.0%}   {status.motion.speed:4.2f} m/s   '
            f'{100 * status.place.offset:+5.1f} cm from the centre',
        )

    def figures(self, statuses: Sequence[LapStatus]) -> dict[str, Any]:
        last = statuses[-1]
        return {
            'laps': len(last.lap_times),
            'lap_times': [round(lap, 3) for lap in last.lap_times],
            'off_track': last.departures,
            'collisions': last.collisions,
            'distance': round(last.progress, 3),
            'max_offset': round(last.max_offset, 4),
            'mean_offset': round(float(np.abs(_offsets(statuses)).mean()), 4),
            'mean_speed': round(float(np.mean([s.motion.speed for s in statuses])), 4),
        }

    def rows(self, figures: dict[str, Any]) -> list[tuple[str, str]]:
        laps = ', '.join(f'{lap:.2f} s' for lap in figures['lap_times'])
        off = figures['off_track']
        return [
            ('laps', f'{figures["laps"]}{f" ({laps})" if laps else ""}'),
            ('left the road', 'never' if not off else f'{off} times'),
            *([('touched something', f'{hits} times')] if (hits := figures['collisions']) else []),
            ('distance', f'{figures["distance"]:.1f} m at {figures["mean_speed"]:.2f} m/s'),
            (
                'from the centre line',
                f'{100 * figures["mean_offset"]:.1f} cm on average, '
                f'{100 * figures["max_offset"]:.1f} cm at most',
            ),
        ]

    def deviation(self, statuses: Sequence[LapStatus]) -> Deviation:
        half = 100 * self.track.width / 2
        return Deviation('left of centre, cm', 100 * _offsets(statuses), (-half, half))

    @rc_context(STYLE | {'axes.grid': False})
    def draw(self, statuses: Sequence[LapStatus], title: str) -> Figure:
        width, height = np.ptp(self.track.points, axis=0) + 2 * self.track.width
        figure = Figure(figsize=(10, 0.8 + 8.6 * height / width))
        axes = figure.subplots()
        _draw_road(axes, self.track)
        draw_line(figure, axes, statuses)
        off = [s.motion for s in statuses if not s.place.on_road]
        if off:
            places = np.array([(motion.x, motion.y) for motion in off])
            axes.plot(*places.T, '.', color=RED, zorder=4, label='off the road')
            axes.legend(loc='upper right')
        axes.set_title(title)
        return figure


def _offsets(statuses: Sequence[LapStatus]) -> Array:
    return np.array([status.place.offset for status in statuses], np.float64)


def _draw_road(axes: Any, track: Track) -> None:
    centre = np.concatenate([track.points, track.points[:1]])
    normals = np.concatenate([track.normals, track.normals[:1]])
    left, right = centre + normals * track.width / 2, centre - normals * track.width / 2
    axes.fill(*np.concatenate([left, right[::-1]]).T, color='#c9ced6', linewidth=0, zorder=0)
    for edge in (left, right):
        axes.plot(*edge.T, color='white', linewidth=2.2, zorder=1)
        axes.plot(*edge.T, color=GREY, linewidth=0.8, zorder=1)
    axes.plot(*centre.T, color='white', linewidth=1, linestyle=(0, (6, 6)), zorder=1)
