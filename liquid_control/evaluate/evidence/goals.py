# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How often a rover's policy comes to its goal in rooms it has never seen, and by how long a way.

Every policy drives in the same rooms, which no training sees. A drive counts where the goal is
reached within the time limit and nothing was touched on the way; its path is compared with that
of the expert, who sees the map, in the same rooms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.study import (
    EvidenceError,
    Measured,
    Piece,
    Report,
    Study,
    Table,
)
from liquid_control.evaluate.report.figures import BLUE, GREY, STYLE
from liquid_control.evaluate.statistics import wilson
from liquid_control.rollout.reaching import REACHED, TOO_LATE, TOUCHED, reach
from liquid_control.rollout.tasks import robot_of
from liquid_control.sim.simulator import EVALUATION_SEEDS

ROBOT = 'rover'


@dataclass(frozen=True)
class RoomCondition:
    """Rooms of one kind; difficulty: see `liquid_control.sim.rooms.DIFFICULTIES`."""

    says: str
    difficulty: Mapping[str, float] = field(default_factory=dict)


ROOMS = {
    'as trained': RoomCondition('two or three rooms, furniture, up to two people, a faulty lidar'),
    'nobody there': RoomCondition('without people', {'movers': 0.0}),
    'one room': RoomCondition('without inner walls', {'rooms': 0.0}),
}


def study(
    policies: Sequence[Path],
    *,
    worlds: int = 100,
    others: int = 30,
    first: int = EVALUATION_SEEDS[0],
) -> Study:
    """Drive to the goals.

    Args:
        policies: bundles.
        worlds: rooms as trained, for each policy.
        others: of each other kind; 0: none.
        first: world; a policy that was chosen by what it did in some is judged in others.

    Raises:
        EvidenceError: a policy drives another robot, or there are not so many worlds.
    """
    count = max(worlds, others)
    seeds = range(first, first + count)
    if not count or first not in EVALUATION_SEEDS or seeds[-1] not in EVALUATION_SEEDS:
        known = f'{EVALUATION_SEEDS[0]}..{EVALUATION_SEEDS[-1]}'
        raise EvidenceError(f'worlds must be within {known}, found {count} from {first} on')
    pieces: list[Piece] = []
    for path in policies:
        bundle = load_bundle(path)
        if (robot := robot_of(bundle.contract.command_names)) != ROBOT:
            raise EvidenceError(f'{path} is for the {robot}: goals need a policy of the rover')
        for index, kind in enumerate(ROOMS):
            for seed in seeds[: others if index else worlds]:
                common = {'policy': str(path), 'digest': bundle.digest}
                pieces.append({**common, 'rooms': kind, 'seed': seed})
    return Study('goals', drive, pieces, summarise)


def drive(piece: Piece) -> Measured:
    """One drive to a goal, and the expert's in the same rooms."""
    difficulty = ROOMS[piece['rooms']].difficulty
    found = reach(Path(piece['policy']), piece['seed'], difficulty=difficulty)
    return asdict(found)


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """Rates and ways by policy and kind of rooms."""
    drives: dict[tuple[str, str], list[Measured]] = {}
    for piece, measured in found:
        drives.setdefault((piece['name'], piece['rooms']), []).append(measured)
    rows = [_row(*key, each) for key, each in drives.items()]
    said = ', '.join(
        f'{row["policy"]} {row["reached"]} of {row["drives"]}'
        for row in rows
        if row['rooms'] == next(iter(ROOMS))
    )
    table = Table(
        'goals',
        'Goals reached without touching anything',
        rows,
        'Rooms that no training saw, the same for all policies; intervals of 95 % by Wilson. '
        "Ways: of the drives that reached the goal, as a share of the expert's in the same rooms.",
    )
    return Report('Goals in unseen rooms', f'reached: {said}', [table], {'ways': _draw(drives)})


def _row(policy: str, kind: str, drives: Sequence[Measured]) -> dict[str, object]:
    outcomes = Counter(drive['outcome'] for drive in drives)
    rate = wilson(outcomes[REACHED], len(drives))
    ways = _ways(drives)
    return {
        'policy': policy,
        'rooms': kind,
        'what they are': ROOMS[kind].says,
        'drives': len(drives),
        REACHED: outcomes[REACHED],
        'reached, %': round(100 * rate.value, 1),
        'from': round(100 * rate.low, 1),
        'to': round(100 * rate.high, 1),
        TOUCHED: outcomes[TOUCHED],
        TOO_LATE: outcomes[TOO_LATE],
        "way, of the expert's": round(float(np.mean(ways)), 3) if ways else None,
        'the longest': round(max(ways), 3) if ways else None,
    }


def _ways(drives: Sequence[Measured]) -> list[float]:
    return [d['driven'] / d['expert'] for d in drives if d['outcome'] == REACHED]


@rc_context(STYLE)
def _draw(drives: dict[tuple[str, str], list[Measured]]) -> Figure:
    figure = Figure(figsize=(10, 3.6))
    axes = figure.subplots()
    for place, each in enumerate(drives.values()):
        ways = sorted(_ways(each))
        axes.plot(ways, np.full(len(ways), place), '|', color=BLUE, markersize=12)
    axes.axvline(1.0, color=GREY, linewidth=1)
    axes.set_yticks(range(len(drives)), [f'{policy}, {kind}' for policy, kind in drives])
    axes.set_xlabel("length of the way, of the expert's")
    return figure
