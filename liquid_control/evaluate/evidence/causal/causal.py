# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether a policy acts on what matters: interventions at poses of its own drives.

The command should follow its causes as the expert's does, and nothing else. Each branch of a
drive has one thing changed (see `interventions` and `branches`); what its command differs from
that of the unchanged branch is the response.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.causal.branches import WINDOW, measure
from liquid_control.evaluate.evidence.causal.interventions import EVERYTHING
from liquid_control.evaluate.evidence.drives.robust import endured
from liquid_control.evaluate.evidence.study import (
    EvidenceError,
    Measured,
    Piece,
    Report,
    Study,
    Table,
    kind,
)
from liquid_control.evaluate.evidence.turning import turning
from liquid_control.evaluate.evidence.worlds import unseen_worlds
from liquid_control.evaluate.report.figures import BLUE, ORANGE, STYLE
from liquid_control.evaluate.statistics import (
    MOST_ORDERED,
    RESAMPLES,
    Interval,
    Share,
    clustered_statistic,
    paired_differences,
    rank_agreement,
)
from liquid_control.rollout.tasks import robot_of

WORLDS, QUICK_WORLDS, POSES, QUICK_POSES = 12, 1, 4, 2
# Policies that are drawn, and that the one line of the report names.
MOST_DRAWN, MOST_SAID = 12, 6

Floats = NDArray[np.float64]
Found = Sequence[tuple[Piece, Measured]]


def study(
    bundles: list[Path],
    *,
    worlds: int = WORLDS,
    seed: int = 0,
    quick: bool = False,
    robust: Path | None = None,
) -> Study:
    """Every intervention at some poses of so many unseen worlds, the same for all policies.

    Args:
        robust: thresholds.csv of `evaluate robust`, to hold the ranking against.

    Raises:
        EvidenceError: there are not so many worlds, or that file is another.
        ConfigError: no simulated robot takes a policy's commands.
    """
    seeds = unseen_worlds(QUICK_WORLDS if quick else worlds, seed)
    pieces: list[Piece] = []
    for path in bundles:
        bundle = load_bundle(path)
        names = list(bundle.contract.command_names)
        same = {
            'policy': str(path),
            'name': bundle.contract.name,
            'digest': bundle.digest,
            'robot': robot_of(names),
            'commands': names,
            'poses': QUICK_POSES if quick else POSES,
        }
        pieces += [{**same, 'world': world} for world in seeds]
    return Study('causal', measure, pieces, CausalSummary(read_thresholds(robust)))


def read_thresholds(path: Path | None) -> dict[str, float]:
    """Policy -> mean strength at which half of its laps fail, at most 1, over all disturbances.

    Raises:
        EvidenceError: the file is no table of `evaluate robust`.
    """
    if path is None:
        return {}
    found: dict[str, list[float]] = {}
    try:
        with path.open(newline='') as file:
            for row in csv.DictReader(file):
                found.setdefault(row['policy'], []).append(endured(float(row['strength'])))
    except (OSError, KeyError, ValueError) as error:
        raise EvidenceError(
            f'{path}: expected thresholds.csv of `evaluate robust`, with the columns policy and '
            f'strength ({type(error).__name__}: {error})'
        ) from error
    return {name: float(np.mean(values)) for name, values in found.items()}


def agreement(shares: Sequence[float], robustness: Sequence[float]) -> str:
    """In words, how well a ranking by shares from causes predicts another one."""
    tau, p = rank_agreement(shares, robustness)
    least = max(1 / math.factorial(min(len(shares), MOST_ORDERED)), 1 / RESAMPLES)
    return (
        f"Kendall's tau {tau:.2g}, p = {p:.2g} for an agreement as good by chance; {len(shares)} "
        f'policies cannot give less than {least:.2g}.'
    )


class CausalSummary:
    """What was measured as a report.

    Args:
        thresholds: of policies, see `read_thresholds`.
    """

    def __init__(self, thresholds: Mapping[str, float] | None = None) -> None:
        self._thresholds = thresholds or {}

    def __call__(self, found: list[tuple[Piece, Measured]]) -> Report:
        """Shares, slopes, and which policies can be told apart."""
        policies: dict[str, list[tuple[Piece, Measured]]] = {}
        for piece, measured in found:
            policies.setdefault(piece['name'], []).append((piece, measured))
        rows = [row for name, entries in policies.items() for row in _rows(name, entries)]
        kinds = [row for name, entries in policies.items() for row in _kinds(name, entries)]
        tables = [
            Table(
                'causes',
                'What commands follow: causes, and the expert in its response to them',
                rows,
                f'Responses {WINDOW:g} s after a change, less those to none, in branches of the '
                "policy's own drive from one state. Share: mean square of the responses to causes "
                'in that of all, the kinds of causes weighing as much together as the kinds of '
                "nuisances. Slope and R²: of the response against the expert's, through zero; at "
                'once: at the first tick. In brackets 95 % by a bootstrap over worlds; – where '
                'the expert never responds.',
            ),
            Table(
                'kinds',
                'Responses of the command that turns, by kind of intervention',
                kinds,
                'Root mean square of the change of the command, of the policy and of the expert.',
            ),
            *_differences(policies),
            *self._ranking(policies),
        ]
        main = [
            [row for row in rows if row['policy'] == name][_turning(entries)]
            for name, entries in policies.items()
        ]
        said = [
            f'{row["policy"]}: {row["share from causes"]} of the variance of {row["command"]} '
            'comes from causes'
            for row in sorted(main, key=lambda row: row['share from causes'] or '')
        ]
        verdict = '; '.join(said if len(said) <= MOST_SAID else [said[0], '…', said[-1]])
        scores = {
            name: {'steering from causes': _from_causes(entries, _turning(entries))}
            for name, entries in policies.items()
        }
        figures = {'responses': _draw(policies)}
        return Report('Causes', verdict, tables, figures, scores=scores)

    def _ranking(self, policies: Mapping[str, Found]) -> list[Table]:
        """Whether those that follow causes are those that endure disturbances."""
        shares = {
            name: float(
                _share(
                    np.sum(
                        [_sums(measured, _turning(entries)) for _, measured in entries],
                        axis=0,
                    )
                )
            )
            for name, entries in policies.items()
            if name in self._thresholds
        }
        shares = {name: share for name, share in shares.items() if math.isfinite(share)}
        if len(shares) < 2:
            return []
        listed = [
            {
                'policy': name,
                'share from causes': f'{share:.2%}',
                'threshold': self._thresholds[name],
            }
            for name, share in sorted(shares.items(), key=lambda entry: -entry[1])
        ]
        caption = (
            'Threshold: strength at which half of the laps fail, mean over the disturbances of '
            '`evaluate robust`. '
        )
        caption += agreement(list(shares.values()), [self._thresholds[name] for name in shares])
        title = 'Whether the ranking predicts robustness in closed loop'
        return [Table('ranking', title, listed, caption)]


# --- Sums of each world -------------------------------------------------------------------------


def _responses(measured: Measured, causes: bool) -> dict[str, list[dict[str, Any]]]:
    """By kind; without the change of everything, which is no kind of its own."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in measured['responses']:
        if entry['cause'] == causes and entry['change'] != EVERYTHING:
            groups.setdefault(entry['change'], []).append(entry)
    return groups


def _sums(measured: Measured, command: int) -> list[float]:
    """Mean squares over kinds of causes and of nuisances, and products with the expert.

    Every world weighs as its poses.
    """
    squares = []
    for causes in (True, False):
        kinds = _responses(measured, causes).values()
        means = [np.mean([e['policy'][command] ** 2 for e in entries]) for entries in kinds]
        squares.append(float(np.mean(means)) * measured['poses'] if means else 0.0)
    return [*squares, *_products(_flat(_responses(measured, True).values()), command)]


def _flat(groups: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [entry for group in groups for entry in group]


def _products(entries: list[dict[str, Any]], command: int) -> list[float]:
    """Of expert with policy, policy at once, itself; policy with itself; how many."""
    first, policy, expert = (
        np.array([entry[name][command] for entry in entries])
        for name in ('first', 'policy', 'expert')
    )
    return [
        float(expert @ policy),
        float(expert @ first),
        float(expert @ expert),
        float(policy @ policy),
        float(len(entries)),
    ]


def _share(sums: Floats) -> Floats:
    causes, nuisances = sums[..., 0], sums[..., 1]
    return _of(causes, causes + nuisances)


def _slope(sums: Floats) -> Floats:
    return _of(sums[..., 2], sums[..., 4])


def _of(part: Floats, whole: Floats) -> Floats:
    """A quotient, not finite where nothing moved and nothing can be said."""
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.asarray(part / whole)


def _rows(name: str, entries: Found) -> list[dict[str, Any]]:
    """One for each command."""
    rows = []
    for index, command in enumerate(entries[0][0]['commands']):
        sums = np.array([_sums(measured, index) for _, measured in entries])
        # Where the expert moves by rounding only, nothing can be said of following it.
        sums[:, 4] = np.where(sums[:, 4] > 1e-6 * np.maximum(sums[:, 6], 1), sums[:, 4], 0.0)
        rows.append(
            {
                'policy': name,
                'command': command,
                'share from causes': _said(_from_causes(entries, index)),
                'slope': _said(clustered_statistic(_slope, sums)),
                'R²': _said(
                    clustered_statistic(lambda s: s[..., 2] ** 2 / (s[..., 4] * s[..., 5]), sums)
                ),
                'slope at once': _said(clustered_statistic(lambda s: s[..., 3] / s[..., 4], sums)),
                'poses': sum(measured['poses'] for _, measured in entries),
            }
        )
    return rows


def _from_causes(entries: Found, command: int) -> Share:
    """The share of a command's variance that comes from causes."""
    found = clustered_statistic(_share, [_sums(measured, command) for _, measured in entries])
    return Share(found.value, found.low, found.high)


def _said(interval: Interval) -> str | None:
    return None if math.isnan(interval.value) else str(interval)


def _turning(entries: Found) -> int:
    """The index of the command that turns."""
    return turning(entries[0][0]['commands'])


def _kinds(name: str, entries: Found) -> list[dict[str, Any]]:
    """One for each kind of intervention, of the command that turns."""
    kinds = dict.fromkeys(
        (entry['cause'], entry['change']) for _, found in entries for entry in found['responses']
    )
    rows = []
    for cause, change in sorted(kinds, reverse=True):
        of_world = [
            [entry for entry in found['responses'] if entry['change'] == change]
            for _, found in entries
        ]
        index = _turning(entries)
        sums = np.array([_products(world, index) for world in of_world if world])
        rows.append(
            {
                'policy': name,
                'intervention': change,
                'is a': 'cause' if cause else 'nuisance',
                'change': str(clustered_statistic(lambda s: np.sqrt(s[..., 3] / s[..., 4]), sums)),
                "expert's": float(np.sqrt(sums[:, 2].sum() / sums[:, 4].sum())),
                'slope': _said(clustered_statistic(lambda s: s[..., 0] / s[..., 2], sums))
                if cause and sums[:, 2].sum() > 1e-6 * sums[:, 4].sum()
                else None,
                'branches': int(sums[:, 4].sum()),
            }
        )
    return rows


def _differences(policies: Mapping[str, Found]) -> list[Table]:
    """Policies of one robot, or trainings of a kind, against each other, paired by world."""
    rows = []
    for robot in dict.fromkeys(entries[0][0]['robot'] for entries in policies.values()):
        group = {n: e for n, e in policies.items() if e[0][0]['robot'] == robot}
        driven = [[measured['poses'] > 0 for _, measured in entries] for entries in group.values()]
        both = np.logical_and.reduce(driven)
        if len(set(map(kind, group))) < 2 or both.sum() < 2:
            continue
        sums = {
            name: np.array([_sums(each, _turning(entries)) for _, each in entries])[both]
            for name, entries in group.items()
        }
        for what, score in (('share from causes', _share), ('slope', _slope)):
            of_kind: dict[str, list[Floats]] = {}
            for name, each in sums.items():
                of_kind.setdefault(kind(name), []).append(score(each))
            known = np.isfinite([each for found in of_kind.values() for each in found]).all(axis=0)
            if known.sum() < 2:
                continue
            scores = {
                name: np.mean(found, axis=0)[known].tolist() for name, found in of_kind.items()
            }
            rows += [entry.row(what) for entry in paired_differences(scores)]
    caption = (
        'The command that turns, by world, in the same worlds; p by flipped signs. Smallest: the '
    )
    caption += 'difference that so many worlds would have shown four times in five.'
    return [Table('differences', 'Policies against each other', rows, caption)] if rows else []


@rc_context(STYLE)
def _draw(policies: Mapping[str, Found]) -> Figure:
    """Response against the expert's to causes, and the size of those to nuisances.

    Of several trainings the first one, and of a few policies: the tables have all.
    """
    first: dict[str, str] = {}
    for name in policies:
        first.setdefault(kind(name), name)
    policies = {name: policies[name] for name in list(first.values())[:MOST_DRAWN]}
    figure = Figure(figsize=(10, 3.4 * len(policies)))
    panels = figure.subplots(len(policies), 2, squeeze=False)
    for (scatter, bars), (name, entries) in zip(panels, policies.items(), strict=True):
        index = _turning(entries)
        command = entries[0][0]['commands'][index].replace('_', ' ')
        for cause, colour in ((False, ORANGE), (True, BLUE)):
            groups = [_responses(measured, cause) for _, measured in entries]
            flat = [entry for group in groups for entry in _flat(group.values())]
            scatter.plot(
                [entry['expert'][index] for entry in flat],
                [entry['policy'][index] for entry in flat],
                '.',
                color=colour,
                markersize=3,
                alpha=0.5,
                label='causes' if cause else 'nuisances',
            )
        ends = np.array(scatter.get_xlim())
        scatter.plot(ends, ends, color='#444', linewidth=0.8)
        scatter.set_title(name)
        scatter.set_xlabel(f"expert's change of {command}")
        scatter.set_ylabel("policy's")
        scatter.legend(loc='upper left', markerscale=3)
        rows = _kinds(name, entries)
        sizes = [float(row['change'].split()[0]) for row in rows]
        colours = [BLUE if row['is a'] == 'cause' else ORANGE for row in rows]
        bars.barh([row['intervention'] for row in rows], sizes, color=colours)
        bars.invert_yaxis()
        bars.set_xlabel(f'change of {command}, root mean square')
    return figure
