# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Cells on real recordings: each trained by one recipe with several seeds, judged on the rest.

The training seed is the unit: another seed is another network, and what two cells differ by must
be more than seeds do. The held-out part is one stretch of one drive or a few drives, however:
nothing here says how cells would differ on other roads.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from liquid_control.evaluate.evidence.study import (
    Measure,
    Measured,
    Piece,
    Report,
    Study,
    Table,
    grouped,
    spread,
)
from liquid_control.evaluate.report.figures import BLUE, GREY, STYLE
from liquid_control.evaluate.statistics import paired_differences, too_few

NAME = 'recordings'


def study(pieces: Sequence[Piece], measure: Measure, *, command: str, held_out: str) -> Study:
    """Trials of cells and seeds.

    Args:
        pieces: with 'cell', 'seed' and 'shares', seed by seed.
        measure: trains and scores one; see `liquid_control.learn.train.trial`.
        command: that the tables are of.
        held_out: in words.
    """

    def summarise(found: list[tuple[Piece, Measured]]) -> Report:
        return _summarise(found, command, held_out)

    return Study(NAME, measure, pieces, summarise, cancellable=True)


def _summarise(found: list[tuple[Piece, Measured]], command: str, held_out: str) -> Report:
    groups = {cell: trials for (cell,), trials in grouped(found, 'cell').items()}
    scores = {
        cell: [_number(trial['held out'][command]['r2']) for trial in trials]
        for cell, trials in groups.items()
    }
    order = sorted(groups, key=lambda cell: -statistics.fmean(scores[cell]))
    seeds = len(scores[order[0]])
    rows = [_row(cell, groups[cell], command) for cell in order]
    caption = f'Held out: {held_out}. Mean ± standard deviation over {seeds} training seeds.'
    tables = [Table('scores', f'{command}: cells on recordings', rows, caption)]
    verdict = f'{command}: R² {spread(scores[order[0]])} at best, by {order[0]}'
    if len(order) > 1 and seeds > 1:
        table, told = _differences({cell: scores[cell] for cell in order}, command)
        tables.append(table)
        verdict += (
            f'; worse than it beyond chance: {", ".join(told)}' if told else '; none told apart'
        )
    losses = _losses(found, order, command)
    if losses:
        tables.append(
            Table(
                'losses',
                f'{command}: root mean square error with a share of samples or steps lost',
                losses,
                'Samples lost: the newest that is left is seen. Steps missed: the command before '
                'holds, and the network is told the longer time between steps, or the usual one. '
                'Too old: at that share of ticks a robot would have stopped. '
                f'Mean ± standard deviation over {seeds} seeds, the same losses for all cells.',
            )
        )
    tables.append(Table('trials', 'Every trial', _every(found), listed=False))
    return Report('Recordings', verdict, tables, {NAME: _figure(scores, order, losses, command)})


def _row(cell: str, trials: list[Measured], command: str) -> dict[str, Any]:
    def over_seeds(part: str, name: str) -> str:
        return spread([_number(trial[part][command][name]) for trial in trials])

    return {
        'cell': cell,
        'parameters': trials[0]['parameters'],
        'R²': over_seeds('held out', 'r2'),
        'worst': min(_number(trial['held out'][command]['r2']) for trial in trials),
        'RMSE': over_seeds('held out', 'rmse'),
        'MAE': over_seeds('held out', 'mae'),
        'R² in training': over_seeds('training', 'r2'),
    }


def _differences(scores: dict[str, list[float]], command: str) -> tuple[Table, list[str]]:
    """The best cell against every other, paired by seed."""
    best, *others = scores
    found = paired_differences(scores, against=best)
    caption = 'Paired by training seed; p by flipped signs. Smallest: the difference that so many '
    caption += 'seeds would have shown four times in five.'
    caption += too_few(len(scores[best]), len(others), 'seeds')
    rows = [difference.row(f'R² of {command}') for difference in found]
    told = [entry.names[0] for entry in found if entry.told_apart and entry.mean.value < 0]
    return Table('differences', f'Cells against {best}', rows, caption), told


def _losses(
    found: list[tuple[Piece, Measured]], order: list[str], command: str
) -> list[dict[str, Any]]:
    """A row for each cell and way of losing, a column for each share."""
    rows = []
    groups = {cell: trials for (cell,), trials in grouped(found, 'cell').items()}
    shares = found[0][0]['shares']
    ways = list(dict.fromkeys(name.rpartition(', ')[0] for name in found[0][1]['tried']))
    for way in ways:
        for cell in order:
            row: dict[str, Any] = {'way': way, 'cell': cell}
            for share in shares:
                tried = [trial['tried'][f'{way}, {share:g}'] for trial in groups[cell]]
                row[f'{share:.0%}'] = spread([e['scores'][command]['rmse'] for e in tried])
            row[f'too old at {shares[-1]:.0%}'] = statistics.fmean(e['too old'] for e in tried)
            rows.append(row)
    return rows


def _every(found: list[tuple[Piece, Measured]]) -> list[dict[str, Any]]:
    return [
        {'cell': piece['cell'], 'seed': piece['seed'], 'part': part, 'command': name, **scores}
        for piece, measured in found
        for part in ('held out', 'training')
        for name, scores in measured[part].items()
    ]


def _number(value: float | str) -> float:
    """Of an R² that there is none of, not a number."""
    return value if isinstance(value, float) else math.nan


@rc_context(STYLE)
def _figure(
    scores: dict[str, list[float]], order: list[str], losses: list[dict[str, Any]], command: str
) -> Figure:
    figure = Figure(figsize=(10, 4.4))
    left, right = figure.subplots(1, 2) if losses else (figure.subplots(), None)
    for place, cell in enumerate(reversed(order)):
        left.plot(scores[cell], [place] * len(scores[cell]), '.', color=GREY)
        left.plot(statistics.fmean(scores[cell]), place, 'o', color=BLUE)
    left.set_yticks(range(len(order)), list(reversed(order)))
    left.set_title(f'{command}: R² on what was held out')
    if right is not None:
        for row in losses:
            if row['way'] == losses[0]['way']:
                shares = [heading for heading in row if heading[0].isdigit()]
                errors = [float(row[share].split()[0]) for share in shares]
                right.plot(shares, errors, marker='.', label=row['cell'])
        right.set_title(f'{command}: RMSE, {losses[0]["way"]}')
        right.legend(fontsize=7, ncols=2)
    return figure
