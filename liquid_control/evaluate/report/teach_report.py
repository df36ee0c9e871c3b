# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The report of a lesson: how your own policy drives beside you, on the same track."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.closed_loop.record import DriveRecord
from liquid_control.evaluate.report.figures import BLUE, ORANGE, STYLE
from liquid_control.evaluate.report.page import document, figure, paragraph, section, table

_SMOOTHED = 5  # ticks; a keyboard's steering is a staircase


def summary(
    you: Sequence[DriveRecord],
    it: DriveRecord,
    waits: Sequence[float],
    left_out: int,
    policy: Path,
    folder: Path,
) -> dict[str, Any]:
    """What summary.json holds.

    Args:
        you, it: what the person and the policy drove.
        waits: s from a last lap by hand until its policy was ready, for each training.
        left_out: laps by hand that nothing was learnt from.
        folder: where the summary will lie.
    """
    contract = load_bundle(policy).contract
    return {
        'policy': os.path.relpath(policy, folder),
        'waits': [round(wait, 1) for wait in waits],
        'left_out': left_out,
        'taught': round(sum(_seconds(drive) for drive in you), 1),
        'neurons': contract.network.neurons,
        'metrics': contract.provenance.get('metrics', {}),
        'you': _figures(you),
        'policy_drive': _figures([it]),
    }


def write_report(
    you: Sequence[DriveRecord],
    it: DriveRecord,
    figures: dict[str, Any],
    *,
    reason: str,
    page: Path,
) -> None:
    """Write the page; reason: why the policy's drive counts as failed, '' when it does not."""
    times = ', '.join(f'{wait:.0f} s' for wait in figures['waits'])
    sections = [
        section(
            'You and your policy',
            paragraph(
                f'{figures["taught"]:.0f} s of your driving taught a network of '
                f'{figures["neurons"]} neurons; it was ready {times} after your last lap. '
                f'Laps that left the road and do not count: {figures["left_out"]}.'
            )
            + table(rows(figures), header=('', 'you', 'your policy')),
        ),
        section('Steering along the lap', figure(_draw_steering(you, it))),
        section('Your path', figure(_draw_path(you[-1], 'driven by hand'))),
        section('Its path', figure(_draw_path(it, 'driven by your policy'))),
    ]
    verdict = reason or 'your policy finished its laps on the road'
    page.write_text(
        document('A lesson', verdict, failed=bool(reason), sections=sections), encoding='utf-8'
    )


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The comparison as a person reads it."""
    you, it = figures['you'], figures['policy_drive']
    lines: tuple[tuple[str, Callable[[Any], str]], ...] = (
        ('laps', lambda one: ', '.join(f'{lap:.1f} s' for lap in one['lap_times']) or 'none'),
        ('left the road', lambda one: f'{one["off_track"]} times'),
        ('speed', lambda one: f'{one["mean_speed"]:.2f} m/s'),
        ('from the centre line', lambda one: f'{100 * one["mean_offset"]:.1f} cm on average, '
         f'{100 * one["max_offset"]:.1f} cm at most'),
        ('steering moved', lambda one: f'{one["steering_rate"]:.2f} rad/s'),
    )  # fmt: skip
    return [(name, tell(you), tell(it)) for name, tell in lines]


def _figures(drives: Sequence[DriveRecord]) -> dict[str, Any]:
    statuses = [status for drive in drives for status in drive.statuses]
    offsets = np.abs([status.place.offset for status in statuses])
    speeds = np.array([status.motion.speed for status in statuses])
    steering = [_steering(drive)[1] for drive in drives]
    moved = sum(float(np.abs(np.diff(values)).sum()) for values in steering)
    return {
        'lap_times': [round(lap, 2) for drive in drives for lap in drive.statuses[-1].lap_times],
        'off_track': sum(drive.statuses[-1].departures for drive in drives),
        'mean_speed': round(float(speeds.mean()), 3),
        'mean_offset': round(float(offsets.mean()), 4),
        'max_offset': round(float(offsets.max()), 4),
        'steering_rate': round(moved / max(sum(map(_seconds, drives)), 1e-3), 3),
    }


def _seconds(drive: DriveRecord) -> float:
    return float(drive.ticks.stamp_ns[-1] - drive.ticks.stamp_ns[0]) / 1e9


def _steering(drive: DriveRecord) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Station along the lap (m) and steering angle (rad) at every tick."""
    ticks = drive.ticks
    poses = np.searchsorted(drive.path_ns, ticks.stamp_ns).clip(max=len(drive.path_ns) - 1)
    stations = np.array([drive.statuses[pose].place.station for pose in poses])
    return stations, ticks.sent[:, ticks.names.index('steering_angle')]


def _draw_path(drive: DriveRecord, title: str) -> Figure:
    return drive.course.draw(drive.statuses, title)


@rc_context(STYLE)
def _draw_steering(you: Sequence[DriveRecord], it: DriveRecord) -> Figure:
    drawn = Figure(figsize=(10, 3.2))
    axes = drawn.subplots()
    for drives, colour, label in ((you, BLUE, 'you'), ([it], ORANGE, 'your policy')):
        for i, drive in enumerate(drives):
            station, angle = _steering(drive)
            width = min(_SMOOTHED, len(angle))  # a drive may have ended at once
            kernel = np.ones(width) / width
            smooth = np.convolve(angle, kernel, 'same')
            axes.plot(station, smooth, '.', color=colour, markersize=2.5, alpha=0.6,
                      label=label if i == 0 else None)  # fmt: skip
    axes.set_xlabel('m along the centre line')
    axes.set_ylabel('steering angle, rad')
    axes.legend(loc='upper right', markerscale=4)
    return drawn
