# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Summaries and tables of benchmarks/rate.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table

CAMERA_RATE = 30.0
FLOORS = ('bare', 'bare, short slices')
# Measured sample by sample; everything else is a count or an amount, added up over the turns.
_SERIES = ('lateness', 'sense_to_act', 'encoder', 'core', 'delivery')
_TICKING = ('bare', 'ours', 'peer')
_PEAKS = ('rss', 'start_to_command', 'activation_to_command')


def summarise(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """Contestant -> its figures over all its turns; series as percentiles in ms.

    A percentile is the median of those of the turns, so that a turn in which the machine was busy
    with something else does not decide it; the maximum is that of all turns.
    """
    row: dict[str, Any] = {}
    for contestant in turns[0]:
        mine = [turn[contestant] for turn in turns]
        row[contestant] = summary = {}
        for key in mine[0]:
            if key in _SERIES:
                summary[key] = _percentiles([each[key] for each in mine])
            elif key in _PEAKS:
                summary[key] = max(each[key] for each in mine)
            elif key != 'window':
                summary[key] = sum(each[key] for each in mine)
    return row


def _percentiles(turns: list[list[float]]) -> dict[str, float]:
    measured = [1e3 * np.asarray(turn) for turn in turns if turn]
    if not measured:
        return dict.fromkeys(('p50', 'p99', 'max'), float('nan'))
    p50, p99 = np.median([np.percentile(turn, (50, 99)) for turn in measured], axis=0)
    return {'p50': float(p50), 'p99': float(p99), 'max': float(max(map(np.max, measured)))}


def tables(rows: list[dict[str, Any]]) -> list[Table]:
    """Lateness, CPU, and sense-to-act; ratios of ours to the bare loop and to the peer."""
    return [_lateness(rows, ('ours', 'peer')), _cpu(rows), _sense_to_act(rows)]


def beside(rows: list[dict[str, Any]], contestant: str) -> list[Table]:
    """Lateness and missed cycles while the node does more besides, and while it does not."""
    table = _lateness(rows, ('ours', contestant))
    if swaps := sum(row[contestant]['swaps'] for row in rows):
        table.title = f'{table.title}; {swaps} swaps'
    return [table]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for column in ('camera', 'load', 'Hz', *columns):
        table.add_column(column, justify='right')
    return table


def _add(table: Table, row: dict[str, Any], *cells: str) -> None:
    table.add_row(row['camera'], row['load'], f'{row["rate_hz"]:g}', *cells)


def _lateness(rows: list[dict[str, Any]], others: tuple[str, ...]) -> Table:
    table = _table(
        'lateness, ms: p50 / p99 / max, and missed cycles of how many',
        *(f'{name}{what}' for name in (*FLOORS, *others) for what in ('', ' missed')),
        *(f'{other} : {floor}, p99' for other in others for floor in FLOORS),
    )
    for row in rows:
        late = {name: row[name]['lateness'] for name in (*FLOORS, *others)}
        cells = []
        for name, found in late.items():
            cells.append(' / '.join(f'{found[key]:.2f}' for key in ('p50', 'p99', 'max')))
            cells.append(f'{row[name]["missed"]} / {row[name]["ticks"]}')
        for other in others:
            cells += [f'{late[other]["p99"] / late[floor]["p99"]:.2f}' for floor in FLOORS]
        _add(table, row, *cells)
    return table


def _cpu(rows: list[dict[str, Any]]) -> Table:
    table = _table(
        'CPU of the process, ms a tick and % of a core; frames arrived of those sent; memory',
        'bare', 'receiver', 'ours', 'peer', 'ours : peer', 'ours : bare',
        'frames: receiver', 'ours', 'peer', 'MB: ours', 'peer', 'start to command s',
    )  # fmt: skip
    for row in rows:
        ours, peer, bare, receiver = (row[n] for n in ('ours', 'peer', 'bare', 'receiver'))
        tick = {name: 1e3 * row[name]['cpu'] / row[name]['ticks'] for name in _TICKING}
        share = {name: tick[name] * row['rate_hz'] / 10 for name in _TICKING}
        seconds = bare['ticks'] / row['rate_hz']
        cells = {name: f'{tick[name]:.2f}, {share[name]:.1f} %' for name in _TICKING}
        _add(
            table,
            row,
            cells['bare'],
            f'{100 * receiver["cpu"] / seconds:.1f} %',
            cells['ours'],
            cells['peer'],
            f'{tick["ours"] / tick["peer"]:.2f}',
            f'{tick["ours"] / tick["bare"]:.1f}',
            *(f'{each["frames"]} / {each["frames_sent"]}' for each in (receiver, ours, peer)),
            f'{ours["rss"] / 1e6:.0f}',
            f'{peer["rss"] / 1e6:.0f}',
            f'{ours["start_to_command"]:.1f}',
        )
    return table


def _sense_to_act(rows: list[dict[str, Any]]) -> Table:
    table = _table(
        'camera stamp to command received, ms: p50 / p99; what cannot be avoided, p50',
        'ours', 'peer', 'ours : peer', 'delivery', 'encoder', 'core', 'sum', 'ours : sum',
        'wait for a tick', 'ours : sum with it',
    )  # fmt: skip
    for row in rows:
        ours, peer = row['ours'], row['peer']
        acted = {name: row[name]['sense_to_act'] for name in ('ours', 'peer')}
        parts = (
            row['receiver']['delivery']['p50'], ours['encoder']['p50'], ours['core']['p50']
        )  # fmt: skip
        # Features wait for the next tick, half a period on average, whoever keeps a rate; of two
        # frames in one period only the newer is waited with.
        waiting = 500 / max(row['rate_hz'], CAMERA_RATE)
        mine = ours['sense_to_act']['p50']
        _add(
            table,
            row,
            *(f'{each["p50"]:.1f} / {each["p99"]:.1f}' for each in acted.values()),
            f'{mine / peer["sense_to_act"]["p50"]:.2f}',
            *(f'{part:.2f}' for part in parts),
            f'{sum(parts):.2f}',
            f'{mine / sum(parts):.2f}',
            f'{waiting:.1f}',
            f'{mine / (sum(parts) + waiting):.2f}',
        )
    return table
