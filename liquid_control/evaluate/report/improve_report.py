# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an improvement shows: a table and figures of its rounds, from its improve.json alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.table import Table

from liquid_control.evaluate.report.figures import BLUE, GREY, STYLE
from liquid_control.evaluate.report.page import document, figure, section, table

FILE = 'report.html'


def write_improve_report(record: Path, page: Path) -> None:
    """Write the page of the rounds in an improve.json."""
    history = json.loads(record.read_text())
    rounds = history['rounds']
    best = [entry for entry in rounds if entry['kept']][-1]['number']
    verdict = f'round {best} is the best' if best else 'no round was better than the start'
    header, *lines = _rows(rounds)
    sections = [
        section('Rounds', figure(_draw(rounds)) + table(lines, header)),
        section('Evaluated on', _details(rounds[-1]['evaluation']['details'])),
        section('Settings', table(_settings(history['settings']))),
    ]
    text = document(history['name'], verdict, failed=not best, sections=sections)
    page.write_text(text, encoding='utf-8')


def rounds_table(record: Path) -> Table:
    """The rounds of an improve.json, for the terminal."""
    history = json.loads(record.read_text())
    header, *lines = _rows(history['rounds'])
    shown = Table(title=history['name'], title_justify='left')
    shown.add_column(header[0])
    for name in header[1:]:
        shown.add_column(name, justify='right')
    for line in lines:
        shown.add_row(*line)
    return shown


def _rows(rounds: list[dict[str, Any]]) -> list[list[str]]:
    """A column for each round, the first row its heading; what it has no value for is a dash."""
    lines = [
        ['', *('start' if not entry['number'] else f'round {entry["number"]}' for entry in rounds)]
    ]
    for measured in (
        [entry['evaluation']['metrics'] for entry in rounds],
        [entry['collected'] for entry in rounds],
    ):
        for name in dict.fromkeys(name for values in measured for name in values):
            lines.append([name, *(_number(values.get(name)) for values in measured)])
    lines.append(['wall time, s', *(f'{sum(entry["seconds"].values()):.0f}' for entry in rounds)])
    verdicts = ['–', *('kept' if entry['kept'] else 'left out' for entry in rounds[1:])]
    return [*lines, ['verdict', *verdicts]]


@rc_context(STYLE)
def _draw(rounds: list[dict[str, Any]]) -> Figure:
    """One panel for each metric, round by round; grey where the round was left out."""
    metrics = list(rounds[0]['evaluation']['metrics'])
    drawn = Figure(figsize=(10, 3.2))
    numbers = [entry['number'] for entry in rounds]
    for axes, name in zip(drawn.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        values = [entry['evaluation']['metrics'][name] for entry in rounds]
        colours = [BLUE if entry['kept'] else GREY for entry in rounds]
        axes.bar(numbers, values, width=0.6, color=colours)
        for number, value in zip(numbers, values, strict=True):
            axes.annotate(
                _number(value),
                (number, value),
                xytext=(0, 4),
                textcoords='offset points',
                ha='center',
            )
        axes.set_title(name)
        axes.set_xlabel('round')
        axes.set_ylim(0, 1.12 * max(*values, 1e-6))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return drawn


def _details(details: list[dict[str, Any]]) -> str:
    """What the last round's policy did on each track or recording."""
    if not details:
        return ''
    header = list(details[0])
    return '<p>The policy of the last round.</p>' + table(
        [[_number(entry[name]) for name in header] for entry in details],
        [name.replace('_', ' ') for name in header],
    )


def _settings(settings: dict[str, Any]) -> list[list[str]]:
    return [
        [
            name.replace('_', ' '),
            ', '.join(map(str, value)) if isinstance(value, list) else str(value),
        ]
        for name, value in settings.items()
    ]


def _number(value: Any) -> str:
    if value is None:
        return '–'
    if not isinstance(value, float):
        return str(value)
    return f'{value:.3g}' if abs(value) < 100 else f'{value:.0f}'
