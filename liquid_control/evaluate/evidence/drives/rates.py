# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Policies at other rates and with irregular ticks than trained, told the elapsed time or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from liquid_control.evaluate.evidence.drives.drive import finished, harder, policies, row
from liquid_control.evaluate.evidence.drives.lap import driven, failed, measure, stretch
from liquid_control.evaluate.evidence.study import (
    Measured,
    Piece,
    Report,
    Study,
    Table,
    grouped,
)
from liquid_control.evaluate.evidence.worlds import unseen_worlds
from liquid_control.evaluate.statistics import paired_differences

WORLDS, QUICK_WORLDS = 10, 2
# Hz, and the largest deviation of a tick as a share of the period.
CLOCKS = ((5.0, 0.0), (10.0, 0.0), (20.0, 0.0), (20.0, 0.8), (50.0, 0.0), (100.0, 0.0))


def study(
    bundles: list[Path],
    *,
    worlds: int = WORLDS,
    seed: int = 0,
    quick: bool = False,
    difficulty: Mapping[str, float] = MappingProxyType({}),
    clocks: Sequence[tuple[float, float]] | None = None,
    told: Sequence[bool] = (True, False),
) -> Study:
    """Laps at every clock, told and not told.

    Args:
        difficulty: of the worlds, see `TrackWorld`.
        clocks: see `CLOCKS`; all of these without it.
        told: whether to tell the elapsed time.

    Raises:
        EvidenceError: there are not so many worlds.
    """
    seeds = unseen_worlds(QUICK_WORLDS if quick else worlds, seed)
    clocks = clocks or (CLOCKS[1:4:2] if quick else CLOCKS)
    same, hard = policies(bundles), {**harder(difficulty), **stretch(quick)}
    pieces = [
        {**policy, 'world': world, 'rate': rate, 'jitter': jitter, 'told': each, **hard}
        for rate, jitter in clocks
        for each in told
        for policy in same
        for world in seeds
    ]
    return Study('rates', measure, pieces, summarise)


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """A row for each policy and clock, and whether being told makes a difference."""
    groups = grouped(found, 'name', 'rate', 'jitter', 'told')
    worlds = sorted({piece['world'] for piece, _ in found})
    rows, pairs = [], []
    for (name, rate, jitter, told), laps in groups.items():
        rows.append(
            {
                'policy': name,
                'rate, Hz': rate,
                'jitter': jitter,
                'told': told,
                **row(laps, worlds),
            }
        )
        other = groups.get((name, rate, jitter, False))
        if told and other is not None:
            scores = {
                'told': [lap['offset'] for lap in laps],
                'not told': [lap['offset'] for lap in other],
            }
            (difference,) = paired_differences(scores)
            pairs.append(
                {
                    'policy': name,
                    'rate, Hz': rate,
                    'jitter': jitter,
                    'offset, told − not told, m': str(difference.mean),
                    'p': difference.p,
                    'smallest to be seen': difference.detectable,
                }
            )
    tables = [
        Table(
            'rates',
            f'{driven(found[0][0])} in each of {len(worlds)} unseen worlds, at other rates',
            rows,
            'Told: the elapsed time; not told: the period that the policy was trained at. Jitter: '
            'largest deviation of a tick, as a share of the period.',
        ),
    ]
    if pairs:
        words = 'What being told the elapsed time is worth'
        tables.append(Table('told', words, pairs, 'p without correction.'))
    verdict = f'{sum(not failed(lap) for _, lap in found)} of {len(found)} laps finished'
    known = {
        name: {'finished at other rates': finished(laps)}
        for (name,), laps in grouped((each for each in found if each[0]['told']), 'name').items()
    }
    return Report('Rates', verdict, tables, scores=known)
