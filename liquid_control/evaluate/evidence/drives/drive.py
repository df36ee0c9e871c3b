# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Policies over unseen worlds: finished laps, departures, watchdog stops, offset, smoothness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.drives.lap import (
    FAILURES,
    SMOOTH,
    driven,
    failed,
    failures,
    measure,
    stretch,
)
from liquid_control.evaluate.evidence.study import (
    Measured,
    Piece,
    Report,
    Study,
    Table,
    grouped,
)
from liquid_control.evaluate.evidence.worlds import unseen_worlds
from liquid_control.evaluate.statistics import Interval, clustered_mean, paired_differences, wilson

WORLDS, QUICK_WORLDS = 20, 3


def study(
    bundles: list[Path],
    *,
    worlds: int = WORLDS,
    seed: int = 0,
    quick: bool = False,
    difficulty: Mapping[str, float] = MappingProxyType({}),
) -> Study:
    """One lap in each of so many worlds that no training sees, the same for all policies.

    Args:
        difficulty: of the worlds, see `TrackWorld`.

    Raises:
        EvidenceError: there are not so many.
    """
    seeds = unseen_worlds(QUICK_WORLDS if quick else worlds, seed)
    pieces = [
        {**policy, 'world': world, **harder(difficulty), **stretch(quick)}
        for policy in policies(bundles)
        for world in seeds
    ]
    return Study('drive', measure, pieces, summarise)


def harder(difficulty: Mapping[str, float]) -> dict[str, Any]:
    """The entry of a piece that says how hard its world is; none where it is as ever."""
    return {'difficulty': dict(sorted(difficulty.items()))} if difficulty else {}


def policies(bundles: list[Path]) -> list[Piece]:
    """What a piece says of its policy, of each."""
    found: list[Piece] = []
    for path in bundles:
        bundle = load_bundle(path)
        found.append({'policy': str(path), 'name': bundle.contract.name, 'digest': bundle.digest})
    return found


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """A row for each policy, and which can be told apart."""
    laps = {name: entries for (name,), entries in grouped(found, 'name').items()}
    worlds = [piece['world'] for piece, _ in found][: len(next(iter(laps.values())))]
    rows = [{'policy': name, **row(entries, worlds)} for name, entries in laps.items()]
    tables = [
        Table(
            'drive',
            f'{driven(found[0][0])} in each of {len(worlds)} unseen worlds',
            rows,
            'Finished: in one go, with Wilson intervals. Others: mean with an interval by a '
            f'bootstrap over worlds. Fast: share of the steering above {SMOOTH:g} Hz.',
        )
    ]
    verdict = f'{sum(not failed(lap) for _, lap in found)} of {len(found)} laps finished'
    if len(laps) > 1:
        table, told = differences(laps)
        tables.append(table)
        verdict += '; ' + (f'told apart by the offset: {told}' if told else 'none told apart')
    scores = {name: scored(entries, worlds) for name, entries in laps.items()}
    return Report('Drive', verdict, tables, scores=scores)


def finished(laps: Sequence[Measured]) -> Interval:
    """Share of laps that were finished in one go."""
    return wilson(sum(not failed(lap) for lap in laps), len(laps))


def per_km(what: str, laps: Sequence[Measured], worlds: Sequence[int]) -> Interval:
    """How often one of `FAILURES` happened in a km, over laps in these worlds."""
    kilometres = [lap['distance'] / 1000 for lap in laps]
    shares = [lap[what] / km for lap, km in zip(laps, kilometres, strict=True)]
    return clustered_mean(shares, worlds, weights=kilometres)


def scored(
    laps: Sequence[Measured], worlds: Sequence[int], where: str = ''
) -> dict[str, Interval]:
    """What counts most of a policy's laps.

    Args:
        where: to end the headings with.
    """
    departures = per_km('departures', laps, worlds)
    return {f'finished{where}': finished(laps), f'departures/km{where}': departures}


def failures_per_km(laps: Sequence[Measured], worlds: Sequence[int]) -> dict[str, str]:
    """How often a car was put back, by what for."""
    return {f'{FAILURES[name]}/km': str(per_km(name, laps, worlds)) for name in FAILURES}


def row(entries: list[Measured], worlds: list[int]) -> dict[str, Any]:
    """What a policy's laps come to."""

    def mean(name: str) -> Any:
        return clustered_mean([lap[name] for lap in entries], worlds)

    return {
        'finished': str(finished(entries)),
        **failures_per_km(entries, worlds),
        'offset, m': str(mean('offset')),
        '95 %, m': str(mean('offset_95')),
        'steering, rad/s': str(mean('variation')),
        'fast': str(mean('fast')),
        'speed, m/s': sum(lap['distance'] for lap in entries)
        / max(sum(lap['duration'] for lap in entries), 1e-9),
    }


def differences(laps: dict[str, list[Measured]]) -> tuple[Table, str]:
    """Paired by world: failures and offsets of every policy against every other."""
    rows, told = [], []
    for what in ('failures', 'offset'):
        scores = {
            name: [
                float(failures(lap)) if what == 'failures' else lap['offset'] for lap in entries
            ]
            for name, entries in laps.items()
        }
        for entry in paired_differences(scores):
            rows.append(entry.row(what))
            if entry.told_apart and what == 'offset':
                told.append(' and '.join(entry.names))
    caption = 'In the same worlds; p by flipped signs. Smallest: the difference that so many '
    caption += 'worlds would have shown four times in five.'
    return Table('differences', 'Policies against each other', rows, caption), ', '.join(told)
