# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""All studies of some policies: one table of them, and a page that leads to each report."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from liquid_control.common.files import write_output
from liquid_control.evaluate.evidence import attention
from liquid_control.evaluate.evidence.causal import causal
from liquid_control.evaluate.evidence.cells import bounds, compact, expressivity, memory, solvers
from liquid_control.evaluate.evidence.drives import drive, rates, robust
from liquid_control.evaluate.evidence.lesion import lesion
from liquid_control.evaluate.evidence.study import Report, Study, Table, show_table, write_table
from liquid_control.evaluate.report import page
from liquid_control.nn.policy import PolicyNetwork

COLUMNS = ('drive', 'robust', 'rates', 'causal', 'attention', 'bounds', 'compact')
"""Studies whose scores stand in the one table, from left to right."""


def studies(
    bundles: list[Path],
    load_network: Callable[[Path], PolicyNetwork],
    out: Path,
    *,
    seed: int = 0,
    quick: bool = False,
) -> Iterator[Study]:
    """One after another: the last one is made of what another has written to `out`."""
    same: dict[str, Any] = {'seed': seed, 'quick': quick}
    yield compact.study(bundles, quick=quick)
    yield bounds.study(bundles, load_network, **same)
    yield drive.study(bundles, **same)
    yield rates.study(bundles, **same)
    yield robust.study(bundles, **same)
    yield attention.study(bundles, **same)
    if wired := lesion.wired(bundles, load_network):
        yield lesion.study(wired, load_network, **same)
    yield expressivity.study(**same)
    yield solvers.study(**same)
    yield memory.study(None, **same)
    # Its ranking is held against what `robust` has found.
    thresholds = out / robust.NAME / f'{robust.TABLE}.csv'
    yield causal.study(bundles, robust=thresholds, **same)


def table_of(reports: Mapping[str, Report]) -> Table:
    """One row for each policy, of what counts most in every study of it."""
    rows: dict[str, dict[str, Any]] = {}
    for name in COLUMNS:
        for policy, scores in (reports[name].scores if name in reports else {}).items():
            rows.setdefault(policy, {'policy': policy}).update(scores)
    caption = (
        'In brackets 95 %: Wilson intervals of rates, a bootstrap over worlds of means. Half fail '
        'at: mean over the disturbances of `robust`, 1 where even the strongest is withstood. '
        f'Attention: likeness of the mask under pixel noise of {attention.SCORED:g} grey levels. '
        'Bounds hold for all inputs. –: not measured. Each study has its own report.'
    )
    return Table('policies', 'Policies, in one table', list(rows.values()), caption)


def write_overview(reports: Mapping[str, Report], out: Path, console: Console) -> Path:
    """policies.csv and index.html: the table, what every study found, and the way to each."""
    table = table_of(reports)
    show_table(table, console)
    lines = [[name, report.title, report.verdict] for name, report in reports.items()]
    links = ''.join(
        f'<p><a href="{name}/report.html">{html.escape(report.title)}</a></p>'
        for name, report in reports.items()
    )
    document = page.document(
        'Evidence',
        f'{len(reports)} studies',
        failed=any(report.failed for report in reports.values()),
        sections=[
            write_table(table, out),
            page.section('What was found', page.table(lines, ['study', 'of', 'verdict'])),
            page.section('Reports', links),
        ],
    )
    write_output(out / 'index.html', document)
    return out / 'index.html'
