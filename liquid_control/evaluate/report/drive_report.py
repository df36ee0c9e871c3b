# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The report of a drive: one self-contained HTML page, made from the recording."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2

from liquid_control.common.image import Pixels
from liquid_control.evaluate.closed_loop.courses import Course
from liquid_control.evaluate.closed_loop.figures import (
    draw_commands,
    draw_neurons,
    draw_timing,
)
from liquid_control.evaluate.closed_loop.record import DriveRecord
from liquid_control.evaluate.report.figures import DPI
from liquid_control.evaluate.report.page import document, figure, image, section, table


def write_report(
    drive: DriveRecord,
    summary: dict[str, Any],
    *,
    reason: str,
    page: Path,
    trajectory: Path,
) -> None:
    """Write the page and the figure of the path.

    Args:
        summary: of the drive, see `drive_record.summary`.
        reason: why the drive counts as failed, '' when it does not.
        page, trajectory: HTML and PNG file to write.
    """
    title = f'{summary["policy"]} on {drive.course.name}'
    path = drive.course.draw(drive.statuses, title)
    path.savefig(trajectory, dpi=DPI)
    verdict = reason or drive.course.success
    sections = [
        section('Figures', table(rows(drive.course, summary))),
        section('Path', image(trajectory.read_bytes())),
        section('Commands', figure(draw_commands(drive))),
        section(
            'Neurons',
            '<p>Recurrent state of every neuron after each control tick.</p>'
            + figure(draw_neurons(drive)),
        ),
        section('Timing', figure(draw_timing(drive))),
    ]
    if drive.frames:
        sections.append(section('What the camera saw', _frames(drive.frames)))
    page.write_text(
        document(title, verdict, failed=bool(reason), sections=sections), encoding='utf-8'
    )


def rows(course: Course, summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The summary as a person reads it: label and value."""
    lateness, latency = summary['lateness_ms'], summary['sense_to_act_ms']
    return [
        *course.rows(summary),
        (
            'control',
            f'{summary["rate_hz"]:.2f} Hz, {summary["ticks"]} ticks, {summary["missed"]} missed, '
            f'{summary["limited"]} limited',
        ),
        ('lateness', _percentiles(lateness)),
        ('camera to command', _percentiles(latency)),
        ('encoder', _percentiles(summary['encoder_ms'])),
        ('core', _percentiles(summary['core_ms'])),
        ('real-time factor', f'{summary["real_time_factor"]:.2f}'),
        ('recording', summary['recording']),
    ]


def _percentiles(values: dict[str, float | None]) -> str:
    return ', '.join(
        f'{name} {"–" if value is None else f"{value:.2f} ms"}' for name, value in values.items()
    )


def _frames(frames: Iterable[tuple[float, Pixels]]) -> str:
    shown = []
    for seconds, frame in frames:
        _, png = cv2.imencode('.png', cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        shown.append(
            f'<figure>{image(png.tobytes())}<figcaption>{seconds:.1f} s</figcaption></figure>'
        )
    return f'<div class="frames">{"".join(shown)}</div>'
