# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""All studies of some policies: one table of them, and a page that leads to each report.

Policies that are called alike but for a number at the end are trainings of one cell: they share a
row of the table. Laps are what costs; sizes are such that all cells, three trainings of each, are
judged within four hours of two cores. Each study's own command judges in more worlds.
"""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from liquid_control.common.files import write_output
from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence import attention
from liquid_control.evaluate.evidence.causal import causal
from liquid_control.evaluate.evidence.cells import bounds, compact, expressivity, memory, solvers
from liquid_control.evaluate.evidence.drives import hard, rates, robust
from liquid_control.evaluate.evidence.lesion import lesion
from liquid_control.evaluate.evidence.place import tidy
from liquid_control.evaluate.evidence.study import (
    Cost,
    Report,
    Study,
    Table,
    kind,
    show_table,
    spread,
    write_table,
)
from liquid_control.evaluate.report import page
from liquid_control.evaluate.statistics import Interval, Share
from liquid_control.nn.policy import PolicyNetwork
from liquid_control.sim.road.difficulties import PRESETS

COLUMNS = ('hard', 'robust', 'rates', 'causal', 'attention', 'bounds', 'compact')
"""Studies whose scores stand in the one table, from left to right."""

AFTERWARDS = {'causal'}
"""Studies that are made of what another has written."""

STRENGTHS, HARD_WORLDS = (0.0, 1.0), 14
DISTURBANCES, ROBUST_WORLDS, HALVINGS = ('noise', 'pushes'), 8, 3
CLOCKS, RATE_WORLDS = ((10.0, 0.0), (50.0, 0.0)), 3
CAUSAL_WORLDS, ATTENTION_WORLDS, LESION_WORLDS = 4, 4, 2
SOLVED, UPDATES = 8, 300

CAUSES, ENDURES = 'steering from causes', 'half fail at, mean strength'
FINISHED = f'finished, hard {STRENGTHS[-1]:g}'


def studies(
    named: Sequence[Path],
    trained: Sequence[Path],
    load_network: Callable[[Path], PolicyNetwork],
    out: Path,
    *,
    seed: int = 0,
    quick: bool = False,
) -> dict[str, Callable[[], Study]]:
    """By name, in their order; those of `AFTERWARDS` need what others have written to `out`.

    Args:
        named: policies that a person asked about; their neurons are silenced too.
        trained: those that are compared with them.
    """
    bundles = [*named, *trained]
    # Nobody looks inside of an ensemble.
    single = [path for path in bundles if load_bundle(path).contract.network.members == 1]
    same: dict[str, Any] = {'seed': seed, 'quick': quick}
    difficulty = PRESETS[hard.NAME]
    plan: dict[str, Callable[[], Study]] = {
        'compact': partial(compact.study, bundles, quick=quick),
        'hard': partial(
            hard.study, bundles, difficulty, strengths=STRENGTHS, worlds=HARD_WORLDS, **same
        ),
        'robust': partial(
            robust.study,
            bundles,
            disturbances=DISTURBANCES[: 1 if quick else None],
            worlds=ROBUST_WORLDS,
            halvings=HALVINGS,
            difficulty=difficulty,
            **same,
        ),
        'rates': partial(
            rates.study,
            bundles,
            worlds=RATE_WORLDS,
            difficulty=difficulty,
            clocks=CLOCKS[: 1 if quick else None],
            told=(True,),
            **same,
        ),
        'attention': partial(attention.study, bundles, worlds=ATTENTION_WORLDS, **same),
        'bounds': partial(bounds.study, single, load_network, **same),
        # Its ranking is held against what `robust` has found.
        'causal': partial(
            causal.study,
            bundles,
            worlds=CAUSAL_WORLDS,
            robust=out / robust.NAME / f'{robust.TABLE}.csv',
            **same,
        ),
        'expressivity': partial(expressivity.study, **same),
        'solvers': partial(solvers.study, networks=SOLVED, **same),
        'memory': partial(memory.study, None, updates=UPDATES, **same),
    }
    if not single:
        del plan['bounds']
    if wired := lesion.wired([path for path in named if path in single], load_network):
        plan['lesion'] = partial(lesion.study, wired, load_network, worlds=LESION_WORLDS, **same)
    return plan


def table_of(reports: Mapping[str, Report]) -> Table:
    """One row for each policy, or the trainings of a cell, of what counts most in every study."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in COLUMNS:
        for policy, scores in (reports[name].scores if name in reports else {}).items():
            found.setdefault(kind(policy), {}).setdefault(policy, {}).update(scores)
    rows = [
        {'policy': name, 'trainings': len(trainings), **_together(list(trainings.values()))}
        for name, trainings in found.items()
    ]
    tables = reports[robust.NAME].tables if robust.NAME in reports else []
    thresholds = [row['disturbance'] for table in tables for row in table.rows]
    disturbances = ', '.join(dict.fromkeys(thresholds))
    caption = (
        'Of one training in brackets 95 %: Wilson intervals of rates, a bootstrap over worlds of '
        'means. Of several their mean ± standard deviation, and the widest range. Hard: strength '
        'of the preset; finished: share of laps in one go. Half fail at: mean over the '
        f'disturbances of `robust` ({disturbances}), 1 where even the strongest is '
        f'withstood. Attention: likeness of the mask under pixel noise of {attention.SCORED:g} '
        'grey levels. Bounds hold for all inputs. –: not measured. Each study has its own report.'
    )
    return Table('policies', 'Policies, in one table', rows, caption)


def _together(trainings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the trainings of one cell come to, heading by heading."""
    merged = {}
    headings = dict.fromkeys(heading for scores in trainings for heading in scores)
    for heading in headings:
        values = [scores.get(heading) for scores in trainings]
        if known := [value for value in values if value is not None and not _unknown(value)]:
            merged[heading] = _merged(known)
    return merged


def _unknown(value: Any) -> bool:
    """Whether it is not a number, as of a policy that fails at once."""
    return isinstance(value, Interval | float) and math.isnan(_number(value))


def _merged(values: Sequence[Any]) -> Any:
    if all(isinstance(value, tuple) for value in values):
        low, high = min(value[0] for value in values), max(value[1] for value in values)
        return f'[{low:.3g}, {high:.3g}]'
    if len(values) == 1 and isinstance(values[0], Interval):
        return str(values[0])
    if not isinstance(values[0], Interval) and all(value == values[0] for value in values):
        return values[0]
    if all(isinstance(value, Interval | float | int) for value in values):
        return spread([_number(value) for value in values], percent=isinstance(values[0], Share))
    return ' or '.join(dict.fromkeys(map(str, values)))


def _number(value: Interval | float) -> float:
    return value.value if isinstance(value, Interval) else float(value)


def ranking_of(reports: Mapping[str, Report]) -> Table | None:
    """Whether those that follow causes are those that keep driving; None where too few tell."""
    kinds: dict[str, dict[str, list[float]]] = {}
    for name in ('causal', 'robust', 'hard'):
        for policy, scores in (reports[name].scores if name in reports else {}).items():
            for heading in (CAUSES, ENDURES, FINISHED):
                if heading in scores:
                    values = kinds.setdefault(kind(policy), {}).setdefault(heading, [])
                    values.append(_number(scores[heading]))
    means = {
        policy: {heading: statistics.fmean(values) for heading, values in each.items()}
        for policy, each in kinds.items()
    }
    known = {
        policy: each
        for policy, each in means.items()
        if len(each) == 3 and not any(map(math.isnan, each.values()))
    }
    if len(known) < 3:
        return None
    shares = [each[CAUSES] for each in known.values()]
    words = [
        f'{heading}: ' + causal.agreement(shares, [each[heading] for each in known.values()])
        for heading in (ENDURES, FINISHED)
    ]
    order = sorted(known, key=lambda policy: -known[policy][CAUSES])
    rows = [{'policy': k, **known[k], CAUSES: f'{known[k][CAUSES]:.2%}'} for k in order]
    title = 'Whether the ranking by causes predicts who keeps driving'
    return Table('ranking', title, rows, 'Means over trainings. ' + ' '.join(words))


def write_overview(
    reports: Mapping[str, Report], out: Path, count: int | None = None
) -> tuple[Path, list[Table]]:
    """index.html, and each of its tables as CSV: what was found of all, and the way to each.

    Args:
        count: of the studies that there will be; without it these are all.

    Returns:
        The page, and the tables.
    """
    tables = [table for table in (table_of(reports), ranking_of(reports)) if table and table.rows]
    lines = [
        [name, report.title, report.verdict, str(report.cost)] for name, report in reports.items()
    ]
    links = ''.join(
        f'<p><a href="{name}/report.html">{html.escape(report.title)}</a></p>'
        for name, report in reports.items()
    )
    so_far = f' of {count} so far' if count not in (None, len(reports)) else ''
    document = page.document(
        'Evidence',
        f'{len(reports)} studies{so_far}: {cost_of(reports)}',
        failed=any(report.failed for report in reports.values()),
        sections=[
            *(write_table(table, out) for table in tables),
            page.section(
                'What was found', page.table(lines, ['study', 'of', 'verdict', 'measured in'])
            ),
            page.section('Reports', links),
        ],
    )
    write_output(out / 'index.html', document)
    tidy(out, ['index.html', *(f'{table.name}.csv' for table in tables)])
    return out / 'index.html', tables


def show_overview(reports: Mapping[str, Report], out: Path, console: Console) -> None:
    """Write it, show its tables, and say what all of it cost."""
    index, tables = write_overview(reports, out)
    for table in tables:
        show_table(table, console)
    console.print(f'all of it: {index} ({cost_of(reports)})', highlight=False, soft_wrap=True)


def cost_of(reports: Mapping[str, Report]) -> Cost:
    """Of all of them together."""
    costs = [report.cost for report in reports.values()]
    return Cost(
        sum(cost.pieces for cost in costs),
        sum(cost.seconds for cost in costs),
        sum(cost.unknown for cost in costs),
    )
