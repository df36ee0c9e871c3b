"""The report of a drive: one self-contained HTML page, made from the recording."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2

from liquid_control.common.image import Pixels
from liquid_control.evaluate.closed_loop.figures import (
    draw_commands,
    draw_neurons,
    draw_path,
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
    """Write the page and the picture of the path.

    Args:
        summary: of the drive, see `drive_record.summary`.
        reason: why the drive counts as failed, '' when it does not.
        page, trajectory: HTML and PNG file to write.
    """
    title = f'{summary["policy"]} on track {summary["seed"]}'
    laps = summary['laps']
    path = draw_path(drive, f'{title}: {laps} lap{"" if laps == 1 else "s"}')
    path.savefig(trajectory, dpi=DPI)
    verdict = reason or 'finished its laps on the road'
    sections = [
        section('Figures', table(rows(summary))),
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


def rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The summary as a person reads it: label and value."""
    lateness, latency = summary['lateness_ms'], summary['sense_to_act_ms']
    laps = ', '.join(f'{lap:.2f} s' for lap in summary['lap_times'])
    return [
        ('laps', f'{summary["laps"]}{f" ({laps})" if laps else ""}'),
        (
            'left the road',
            'never' if not summary['off_track'] else f'{summary["off_track"]} times',
        ),
        ('distance', f'{summary["distance"]:.1f} m at {summary["mean_speed"]:.2f} m/s'),
        (
            'from the centre line',
            f'{100 * summary["mean_offset"]:.1f} cm on average, '
            f'{100 * summary["max_offset"]:.1f} cm at most',
        ),
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
    for seconds, picture in frames:
        _, png = cv2.imencode('.png', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        shown.append(
            f'<figure>{image(png.tobytes())}<figcaption>{seconds:.1f} s</figcaption></figure>'
        )
    return f'<div class="frames">{"".join(shown)}</div>'
