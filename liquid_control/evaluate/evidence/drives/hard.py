# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Networks in worlds that grow harder: which of them, or which kinds of them, fail first.

Policies that are called alike but for a number at the end, such as `ltc_0` and `ltc_1`, are
trainings of one kind with several seeds: they share a row, and are compared as one.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from liquid_control.evaluate.evidence.drives.drive import (
    failures_per_km,
    finished,
    harder,
    policies,
    scored,
)
from liquid_control.evaluate.evidence.drives.lap import (
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
    kind,
    spread,
)
from liquid_control.evaluate.evidence.worlds import unseen_worlds
from liquid_control.evaluate.report.figures import STYLE
from liquid_control.evaluate.statistics import (
    clustered_mean,
    paired_differences,
    too_few,
    wilson,
)

NAME = 'hard'
WORLDS, QUICK_WORLDS = 20, 2
STRENGTHS = (0.0, 0.5, 1.0)

Laps = dict[tuple[str, int], Measured]
"""By policy and world."""


def study(
    bundles: list[Path],
    shares: Mapping[str, float],
    *,
    strengths: Sequence[float] = STRENGTHS,
    worlds: int = WORLDS,
    seed: int = 0,
    quick: bool = False,
) -> Study:
    """A lap for every policy, world and strength.

    Args:
        shares: difficulties, and what a strength is multiplied by for each.

    Raises:
        EvidenceError: there are not so many worlds.
    """
    seeds = unseen_worlds(QUICK_WORLDS if quick else worlds, seed)
    pieces = [
        {
            **policy,
            'world': world,
            'of': strength,
            **harder({name: share * strength for name, share in shares.items() if strength}),
            **stretch(quick),
        }
        for world in seeds
        for strength in strengths
        for policy in policies(bundles)
    ]
    return Study(NAME, measure, pieces, summarise)


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """A row for each kind and strength, and which kinds can be told apart at each."""
    at: dict[float, dict[str, Laps]] = {}
    for piece, lap in found:
        kinds = at.setdefault(piece['of'], {})
        kinds.setdefault(kind(piece['name']), {})[piece['name'], piece['world']] = lap
    rows = [
        {'strength': strength, 'policy': name, **_row(laps)}
        for strength, kinds in at.items()
        for name, laps in kinds.items()
    ]
    worlds = len({piece['world'] for piece, _ in found})
    tables = [
        Table(
            NAME,
            f'{driven(found[0][0])} in each of {worlds} unseen worlds, at each strength',
            rows,
            'Finished: in one go, by a Wilson interval of all laps, and mean ± standard deviation '
            'over trainings. Others: with an interval by a bootstrap over worlds.',
        )
    ]
    told = []
    if len(next(iter(at.values()))) > 1:
        pairs = [row for strength, kinds in at.items() for row in _differences(strength, kinds)]
        told = [row for row in pairs if row['told apart']]
        tables.append(
            Table(
                'differences',
                'Failures a lap: kinds against each other in the same worlds',
                pairs,
                'Mean over trainings, paired by world; p by flipped signs, after Holm at each '
                'strength. Smallest: the difference that so many worlds would have shown four '
                'times in five. What trainings differ by is not in p: see their spread.'
                + too_few(worlds, len(pairs) // len(at), 'worlds'),
            )
        )
    verdict = f'{sum(not failed(lap) for _, lap in found)} of {len(found)} laps finished; '
    verdict += f'{len(told)} told apart' if told else 'none told apart'
    scores = {
        policy: {
            heading: value
            for strength, kinds in at.items()
            for heading, value in _scores(policy, kinds, strength).items()
        }
        for policy in dict.fromkeys(piece['name'] for piece, _ in found)
    }
    return Report('Hard worlds', verdict, tables, {NAME: _figure(at)}, scores=scores)


def _scores(policy: str, kinds: Mapping[str, Laps], strength: float) -> dict[str, Any]:
    own = {world: lap for (name, world), lap in kinds[kind(policy)].items() if name == policy}
    return scored(list(own.values()), list(own), f', {NAME} {strength:g}')


def _row(laps: Laps) -> dict[str, Any]:
    worlds = [world for _, world in laps]
    each: dict[str, list[bool]] = {}
    for (name, _), lap in laps.items():
        each.setdefault(name, []).append(not failed(lap))
    every = list(laps.values())
    return {
        'trainings': len(each),
        'finished': str(finished(every)),
        'over trainings': spread([statistics.fmean(ended) for ended in each.values()]),
        **failures_per_km(every, worlds),
        'offset, m': str(clustered_mean([lap['offset'] for lap in laps.values()], worlds)),
    }


def _differences(strength: float, kinds: Mapping[str, Laps]) -> list[dict[str, Any]]:
    scores = {}
    for name, laps in kinds.items():
        by_world: dict[int, list[int]] = {}
        for (_, world), lap in laps.items():
            by_world.setdefault(world, []).append(failures(lap))
        scores[name] = [statistics.fmean(by_world[world]) for world in sorted(by_world)]
    return [
        {'strength': strength, **entry.row('failures')} for entry in paired_differences(scores)
    ]


@rc_context(STYLE)
def _figure(at: Mapping[float, Mapping[str, Laps]]) -> Figure:
    figure = Figure(figsize=(8, 4.4))
    axes = figure.subplots()
    for name in next(iter(at.values())):
        shares = [wilson(sum(map(failed, kinds[name].values())), len(kinds[name]))
                  for kinds in at.values()]  # fmt: skip
        axes.errorbar(
            list(at),
            [share.value for share in shares],
            [
                [share.value - share.low for share in shares],
                [share.high - share.value for share in shares],
            ],
            marker='o',
            capsize=3,
            label=name,
        )
    axes.set_xlabel('strength')
    axes.set_ylabel('share of laps that fail')
    axes.set_ylim(-0.05, 1.05)
    axes.legend(fontsize=7)
    return figure
