"""The report of a drive: one self-contained HTML page, made from the recording."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
from matplotlib.figure import Figure

from liquid_control.evaluate.drive_pictures import (
    draw_commands,
    draw_neurons,
    draw_path,
    draw_timing,
)
from liquid_control.evaluate.drive_record import DriveRecord
from liquid_control.evaluate.pictures import DPI
from liquid_control.runtime.image import Pixels

_STYLE = """
:root { color-scheme: light; --ink: #1f2430; --soft: #667085; --line: #e3e6ea; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { margin: 0 0 4px; font-size: 28px; }
h2 { margin: 0 0 12px; font-size: 18px; }
p { margin: 0 0 12px; color: var(--soft); }
section { background: white; border: 1px solid var(--line); border-radius: 10px;
  padding: 20px 24px; margin-top: 20px; }
.verdict { display: inline-block; padding: 3px 12px; border-radius: 999px; font-weight: 600;
  color: white; background: #1a7f4b; }
.verdict.failed { background: #c1121f; }
table { border-collapse: collapse; width: 100%; }
td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { color: var(--soft); white-space: nowrap; width: 1%; padding-right: 32px; }
td:last-child { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: none; }
img { max-width: 100%; height: auto; display: block; }
.frames { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; }
figure { margin: 0; }
figure img { width: 100%; border-radius: 6px; image-rendering: pixelated; }
figcaption { color: var(--soft); font-size: 13px; margin-top: 4px; }
"""


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
        _section('Figures', _table(rows(summary))),
        _section('Path', _image(trajectory.read_bytes())),
        _section('Commands', _figure(draw_commands(drive))),
        _section(
            'Neurons',
            '<p>Recurrent state of every neuron after each control tick.</p>'
            + _figure(draw_neurons(drive)),
        ),
        _section('Timing', _figure(draw_timing(drive))),
    ]
    if drive.frames:
        sections.append(_section('What the camera saw', _frames(drive.frames)))
    page.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><main>'
        f'<h1>{html.escape(title)}</h1>'
        f'<span class="verdict{" failed" if reason else ""}">{html.escape(verdict)}</span>'
        f'{"".join(sections)}</main></body></html>\n',
        encoding='utf-8',
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


def _section(title: str, content: str) -> str:
    return f'<section><h2>{title}</h2>{content}</section>'


def _table(lines: Iterable[tuple[str, str]]) -> str:
    cells = (
        f'<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>'
        for name, value in lines
    )
    return f'<table>{"".join(cells)}</table>'


def _figure(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, format='png')
    return _image(buffer.getvalue())


def _frames(frames: Iterable[tuple[float, Pixels]]) -> str:
    shown = []
    for seconds, picture in frames:
        _, png = cv2.imencode('.png', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        shown.append(
            f'<figure>{_image(png.tobytes())}<figcaption>{seconds:.1f} s</figcaption></figure>'
        )
    return f'<div class="frames">{"".join(shown)}</div>'


def _image(png: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
