# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where policies begin to fail: the strength of each disturbance at which half of the laps do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from liquid_control.evaluate.evidence.drives.drive import harder, policies
from liquid_control.evaluate.evidence.drives.lap import (
    DISTURBANCES,
    FAILURES,
    drive_lap,
    driven,
    stretch,
)
from liquid_control.evaluate.evidence.study import (
    EvidenceError,
    Measured,
    Piece,
    Report,
    Study,
    Table,
    grouped,
)
from liquid_control.evaluate.evidence.worlds import unseen_worlds
from liquid_control.evaluate.report.figures import STYLE
from liquid_control.evaluate.statistics import SEQUENTIAL_RATES, find_threshold
from liquid_control.sim.road import difficulties as road
from liquid_control.sim.road.difficulties import PRESETS

KNOWN = {
    **DISTURBANCES,
    **road.DIFFICULTIES,
    **{name: 'a preset of difficulties of the world' for name in PRESETS},
}
"""What can be raised: what happens on the way to the policy and to the car, or the world."""

NAME, TABLE = 'robust', 'thresholds'
WORLDS, QUICK_WORLDS, HALVINGS, QUICK_HALVINGS = 20, 2, 4, 1
MOST_NAMED = 12
"""Policies that a picture names; the table has all."""
QUICK = ('noise', 'dropped', 'pushes')


def study(
    bundles: list[Path],
    *,
    disturbances: Sequence[str] | None = None,
    worlds: int = WORLDS,
    halvings: int = HALVINGS,
    seed: int = 0,
    quick: bool = False,
    difficulty: Mapping[str, float] = MappingProxyType({}),
) -> Study:
    """A threshold for every policy and disturbance, or difficulty of the world.

    Args:
        halvings: of the range of strengths in which a threshold is looked for.
        difficulty: of the worlds in all else, see `TrackWorld`.

    Raises:
        EvidenceError: there is no such disturbance, or there are not so many worlds.
    """
    for name in disturbances or ():
        if name not in KNOWN:
            raise EvidenceError(f'--disturbance must be one of {", ".join(KNOWN)}, found {name!r}')
    seeds = unseen_worlds(QUICK_WORLDS if quick else worlds, seed)
    pieces = [
        {
            **policy,
            'worlds': list(seeds),
            'halvings': QUICK_HALVINGS if quick else halvings,
            'disturbance': name,
            **harder(difficulty),
            **stretch(quick),
        }
        for policy in policies(bundles)
        for name in disturbances or (QUICK if quick else DISTURBANCES)
    ]
    return Study(NAME, measure, pieces, summarise)


def measure(piece: Piece) -> Measured:
    """Bisection for one policy and disturbance; why laps failed beside it."""
    failures = dict.fromkeys(FAILURES, 0)
    asked = in_world(piece['disturbance'], piece.get('difficulty', {}))
    way = piece.get('way', math.inf)

    def fails(strength: float, world: int) -> bool:
        lap = drive_lap(Path(piece['policy']), world, **asked(strength), most_failures=1, way=way)
        for name in failures:
            failures[name] += getattr(lap, name)
        return not lap.finished

    found = find_threshold(fails, piece['worlds'], steps=piece['halvings'])
    return {
        'threshold': str(found),
        'value': found.value,
        'trials': found.trials,
        'tried': sorted((strength, *counts) for strength, counts in found.tried.items()),
        **failures,
    }


def in_world(name: str, difficulty: Mapping[str, float]) -> Callable[[float], dict[str, Any]]:
    """What `drive_lap` is asked for at a strength of something in `KNOWN`, in worlds so hard."""
    if name in DISTURBANCES:
        return lambda strength: {
            'disturbance': name,
            'strength': strength,
            'difficulty': difficulty,
        }
    shares = PRESETS.get(name, {name: 1.0})
    return lambda strength: {
        'difficulty': {**difficulty, **{part: share * strength for part, share in shares.items()}}
    }


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """Thresholds, and the curve that was seen on the way."""
    rows: list[dict[str, Any]] = [
        {
            'disturbance': piece['disturbance'],
            'policy': piece['name'],
            'half of the laps fail at': measured['threshold'],
            'strength': measured['value'],
            'laps': measured['trials'],
            'by departures': measured['departures'],
            'by collisions': measured['collisions'],
            'by watchdog stops': measured['stops'],
            'stuck': measured['stuck'],
        }
        for piece, measured in sorted(found, key=lambda entry: entry[0]['disturbance'])
    ]
    low, high = SEQUENTIAL_RATES
    caption = (
        f'{driven(found[0][0])} in each world. Strength 1: '
        + '; '.join(
            f'{name}: {KNOWN[name]}' for name in {piece['disturbance']: 0 for piece, _ in found}
        )
        + '. '
        f'A strength is settled as soon as {low:.0%} and {high:.0%} of failures are told apart. '
        'In brackets: where the threshold lies.'
    )
    table = Table(TABLE, 'Strength at which half of the laps fail', rows, caption)
    least = min(found, key=lambda entry: entry[1]['value'])
    verdict = (
        f'first to fail: {least[0]["name"]} under {least[0]["disturbance"]}, '
        f'at {least[1]["threshold"]}'
    )
    scores = {
        name: {'half fail at, mean strength': float(np.mean([endured(m['value']) for m in each]))}
        for (name,), each in grouped(found, 'name').items()
    }
    return Report('Robustness', verdict, [table], {'robustness': _figure(found)}, scores=scores)


def endured(threshold: float) -> float:
    """A threshold as a strength: 1 where even that was withstood."""
    return min(max(threshold, 0.0), 1.0)


@rc_context(STYLE)
def _figure(found: list[tuple[Piece, Measured]]) -> Figure:
    kinds = list(dict.fromkeys(piece['disturbance'] for piece, _ in found))
    figure = Figure(figsize=(10, 2.6 * ((len(kinds) + 2) // 3)))
    axes = figure.subplots((len(kinds) + 2) // 3, 3, squeeze=False).ravel()
    for ax, kind in zip(axes, kinds, strict=False):
        for piece, measured in found:
            if piece['disturbance'] == kind:
                strengths, failures, counts = zip(*measured['tried'], strict=True)
                rates = [f / count for f, count in zip(failures, counts, strict=True)]
                ax.plot(strengths, rates, marker='o', label=piece['name'])
        ax.set_title(kind)
        ax.set_ylim(-0.05, 1.05)
    for ax in axes[len(kinds) :]:
        ax.set_axis_off()
    axes[0].set_ylabel('share of laps that fail')
    if len({piece['name'] for piece, _ in found}) <= MOST_NAMED:
        axes[0].legend(fontsize=7)
    return figure
