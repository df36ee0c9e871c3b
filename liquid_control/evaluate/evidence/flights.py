# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How a flight policy does outside of the scene that it was trained in: tests by name.

The tests are those of Chahine et al., "Robust flight navigation out of distribution with liquid
neural networks", Science Robotics 8 (2023), https://doi.org/10.1126/scirobotics.adc8892, in our
simulator: fly to the target in other seasons and places, from further away, turned away, half
hidden, with a distractor beside it, and under stress of the image; wind is ours. Every policy
flies the same worlds, which no training sees. Policies that are called alike but for a number at
the end, such as `ltc_1` and `ltc_2`, are trainings of one kind and share a row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.closed_loop.courses import robot_of
from liquid_control.evaluate.evidence.study import (
    EvidenceError,
    Measured,
    Piece,
    Report,
    Study,
    Table,
    kind,
    spread,
)
from liquid_control.evaluate.report.figures import STYLE
from liquid_control.evaluate.statistics import paired_differences, too_few, wilson
from liquid_control.rollout.driver import kept_policy
from liquid_control.rollout.holding import fly
from liquid_control.sim.outdoors_world import CRASHED, HELD, LATE, STRAYED
from liquid_control.sim.simulator import EVALUATION_SEEDS

ROBOT = 'quadrotor'
TRAINING = 'training scene'


@dataclass(frozen=True)
class Condition:
    """One test.

    says: what is different from the training scene
    paper: the test of the paper that it is like; '' where there is none
    difficulty: strengths, see `liquid_control.sim.outdoors.DIFFICULTIES`
    scene: see `liquid_control.sim.seasons.SCENES`
    """

    says: str
    paper: str
    difficulty: Mapping[str, float] = field(default_factory=dict)
    scene: str | None = None


TESTS = {
    TRAINING: Condition('a forest in summer, 4 to 10 m', 'fly to target, training scene'),
    'autumn': Condition('yellow and red leaves, brown ground', 'other season', scene='autumn'),
    'winter': Condition('snow, bare trees', 'other season', scene='winter'),
    'desert': Condition('sand and rocks', 'other environment', scene='desert'),
    'town': Condition('asphalt and houses', 'other environment', scene='town'),
    'far away': Condition('10 to 20 m', 'range test', {'distance': 1.0}),
    'rotated': Condition('front turned away by 45 to 180 degrees', 'rotation', {'rotation': 1.0}),
    'occluded': Condition('60 % of its width hidden', 'occlusion', {'occlusion': 1.0}),
    'distractor': Condition('a chair of another colour beside', 'distractor', {'distractor': 1.0}),
    'light': Condition('dusk, glare, tint and noise', 'stress of the image', {'light': 1.0}),
    'wind': Condition('steady wind up to 5 m/s, with gusts', '', {'wind': 1.0}),
}


def study(
    policies: Sequence[Path],
    *,
    tests: Sequence[str] = (),
    flights: int = 100,
    others: int = 50,
) -> Study:
    """Fly the tests.

    Args:
        policies: bundles.
        tests: names in `TESTS`; all without them.
        flights: in the training scene, of each policy.
        others: in each other test.

    Raises:
        EvidenceError: there is no such test, or a policy does not fly.
    """
    for name in tests:
        if name not in TESTS:
            raise EvidenceError(f'--test must be one of {", ".join(TESTS)}, found {name!r}')
    if not 1 <= max(flights, others) <= len(EVALUATION_SEEDS) or min(flights, others) < 1:
        raise EvidenceError(f'flights must be within 1..{len(EVALUATION_SEEDS)}')
    pieces: list[Piece] = []
    for path in policies:
        bundle = load_bundle(path)
        if (robot := robot_of(bundle.contract.command_names)) != ROBOT:
            raise EvidenceError(f'{path} is for the {robot}: flights need a policy that flies')
        for test in tests or TESTS:
            seeds = EVALUATION_SEEDS[: flights if test == TRAINING else others]
            common = {'policy': str(path), 'digest': bundle.digest, 'test': test}
            pieces += [{**common, 'seed': seed} for seed in seeds]
    return Study('flights', measure, pieces, summarise)


def measure(piece: Piece) -> Measured:
    """One flight, from its start to its outcome."""
    condition = TESTS[piece['test']]
    policy = kept_policy(Path(piece['policy']))
    return asdict(
        fly(policy, piece['seed'], difficulty=condition.difficulty, scene=condition.scene)
    )


Flights = dict[tuple[str, int], Measured]
"""By policy and world."""

Tests = dict[str, Flights]
"""By name of the test."""

MANY = 4
"""More kinds than these make a chart of bars unreadable."""


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """Rates by kind of policy and test, and kinds against each other in the same worlds."""
    kinds: dict[str, Tests] = {}
    for piece, measured in found:
        name = piece['name']
        tests = kinds.setdefault(kind(name), {})
        tests.setdefault(piece['test'], {})[name, piece['seed']] = measured
    rates = ', '.join(
        f'{name} {_held(tests[TRAINING])} of {len(tests[TRAINING])}'
        for name, tests in kinds.items()
        if TRAINING in tests
    )
    return Report(
        'Flights outside of the training scene',
        f'held in the training scene: {rates}' if rates else 'other scenes only',
        [_rates(kinds), *_differences(kinds)],
        {'held': _bars(kinds) if len(kinds) <= MANY else _map(kinds)},
    )


def _held(flights: Flights) -> int:
    return sum(flight['outcome'] == HELD for flight in flights.values())


def _rates(kinds: dict[str, Tests]) -> Table:
    rows = [
        {'policy': name, 'test': test, **_row(test, flights)}
        for name, tests in kinds.items()
        for test, flights in tests.items()
    ]
    return Table(
        'flights',
        'Reached the target and held position before it',
        rows,
        'Held: 1.3 to 2.7 m from the target, facing it within 12 degrees, for 3 s. Worlds that no '
        'training saw, the same for all policies; intervals of 95 % by Wilson over all flights, '
        'and mean ± standard deviation over trainings of a kind. The paper flew a '
        'real quadrotor to a chair and counts a flight as a success on its own terms: its rates '
        'and these are of different robots and scenes, and only their order can be compared.',
    )


def _row(test: str, flights: Flights) -> dict[str, Any]:
    outcomes = Counter(flight['outcome'] for flight in flights.values())
    rate = wilson(outcomes[HELD], len(flights))
    seconds = [f['seconds'] for f in flights.values() if f['outcome'] == HELD]
    trainings: dict[str, list[float]] = {}
    for (policy, _), flight in flights.items():
        trainings.setdefault(policy, []).append(100.0 * (flight['outcome'] == HELD))
    return {
        'what is different': TESTS[test].says,
        "the paper's": TESTS[test].paper or None,
        'flights': len(flights),
        'held': outcomes[HELD],
        'held, %': round(100 * rate.value, 1),
        'from': round(100 * rate.low, 1),
        'to': round(100 * rate.high, 1),
        'trainings': len(trainings),
        'over trainings, %': spread([fmean(each) for each in trainings.values()]),
        CRASHED: outcomes[CRASHED],
        STRAYED: outcomes[STRAYED],
        LATE: outcomes[LATE],
        'time to hold, s': round(fmean(seconds), 1) if seconds else None,
    }


def _differences(kinds: dict[str, Tests]) -> list[Table]:
    """Kinds against each other, test by test."""
    if len(kinds) < 2:
        return []
    rows, fewest = [], math.inf
    for test in TESTS:
        scores = {name: _by_world(tests[test]) for name, tests in kinds.items() if test in tests}
        if len(scores) < 2:
            continue
        fewest = min(fewest, *map(len, scores.values()))
        for difference in paired_differences(scores):
            first, second = difference.names
            rows.append(
                {
                    'test': test,
                    'policies': f'{first} less {second}',
                    'held, %': round(100 * difference.mean.value, 1),
                    'from': round(100 * difference.mean.low, 1),
                    'to': round(100 * difference.mean.high, 1),
                    'p': round(difference.corrected, 4),
                    'told apart': difference.told_apart,
                    'smallest that would show, %': round(100 * difference.detectable, 1),
                }
            )
    caption = 'Mean over trainings, paired by world; p after Holm within each test, by flipping '
    caption += 'signs. What trainings differ by is not in p.'
    caption += too_few(fewest, math.comb(len(kinds), 2), 'worlds')
    return [Table('differences', 'Policies against each other', rows, caption)]


def _by_world(flights: Flights) -> list[float]:
    """The share of the trainings that held, in each world."""
    worlds: dict[int, list[float]] = {}
    for (_, seed), flight in flights.items():
        worlds.setdefault(seed, []).append(float(flight['outcome'] == HELD))
    return [fmean(worlds[seed]) for seed in sorted(worlds)]


def _tests(kinds: dict[str, Tests]) -> list[str]:
    return [test for test in TESTS if any(test in found for found in kinds.values())]


@rc_context(STYLE)
def _bars(kinds: dict[str, Tests]) -> Figure:
    tests = _tests(kinds)
    figure = Figure(figsize=(10, 4.2))
    axes = figure.subplots()
    width = 0.8 / len(kinds)
    for index, (name, found) in enumerate(kinds.items()):
        places, rates, errors = [], [], []
        for place, test in enumerate(tests):
            if test in found:
                rate = wilson(_held(found[test]), len(found[test]))
                places.append(place + (index + 0.5) * width - 0.4)
                rates.append(100 * rate.value)
                errors.append((100 * (rate.value - rate.low), 100 * (rate.high - rate.value)))
        bounds = np.array(errors).T
        axes.bar(places, rates, 0.9 * width, label=name, yerr=bounds, capsize=2, ecolor='#444')
    axes.set_xticks(range(len(tests)), tests, rotation=20)
    axes.set_ylabel('held, %')
    axes.set_ylim(0, 105)
    axes.legend(loc='lower left')
    return figure


@rc_context(STYLE)
def _map(kinds: dict[str, Tests]) -> Figure:
    """A field for each kind and test, those that hold most above."""
    tests = _tests(kinds)
    held = np.full((len(kinds), len(tests)), np.nan)
    for row, found in enumerate(kinds.values()):
        for column, test in enumerate(tests):
            if test in found:
                held[row, column] = 100 * _held(found[test]) / len(found[test])
    order = np.argsort(-np.nanmean(held, axis=1), kind='stable')
    names = [list(kinds)[row] for row in order]
    figure = Figure(figsize=(10, 1.4 + 0.32 * len(kinds)))
    axes = figure.subplots()
    axes.imshow(held[order], cmap='Blues', vmin=0, vmax=100, aspect='auto')
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(held[order]):
        if np.isfinite(value):
            colour = 'white' if value > 60 else 'black'
            axes.text(column, row, f'{value:.0f}', ha='center', va='center', color=colour)
    axes.set_xticks(range(len(tests)), tests, rotation=20)
    axes.set_yticks(range(len(names)), names)
    axes.set_title('held, %')
    return figure
