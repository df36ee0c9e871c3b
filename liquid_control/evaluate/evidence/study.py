# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What all studies share: pieces measured in several processes, kept, and shown in a report.

A study is a list of pieces, each plain data, and a function that measures one. What was measured
lies in the study's folder and is not measured again: a study that was broken off goes on where it
was, and one with other settings has other pieces.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Grid

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.files import write_atomically, write_output
from liquid_control.common.jobs import IsCancelled, Pool
from liquid_control.evaluate.evidence.place import PlaceError, alone_in, tidy
from liquid_control.evaluate.report import page
from liquid_control.evaluate.report.figures import DPI

Piece = dict[str, Any]
Measured = dict[str, Any]
Measure = Callable[..., Measured]


SECONDS = 'core seconds'
"""Beside what was measured of a piece: how long a core was busy with it."""
MOST_ROWS = 40
"""Of a table on the terminal."""


class EvidenceError(LiquidControlError):
    """A study cannot be made of what was given."""


@dataclass(frozen=True)
class Table:
    """Rows of a report.

    Attributes:
        name: of its CSV file; a word.
        title: what it shows, one line.
        rows: heading -> value; numbers as they are.
        caption: what a reader must know: of how many, by which measure, what cannot be told.
        listed: whether the terminal shows it too, where it is not very long; else it is told
            where it lies.
    """

    name: str
    title: str
    rows: list[dict[str, Any]]
    caption: str = ''
    listed: bool = True

    @property
    def headings(self) -> list[str]:
        """Of all rows; a row may lack some."""
        return list(dict.fromkeys(heading for row in self.rows for heading in row))


@dataclass(frozen=True)
class Cost:
    """What a study took, of all runs that it was made in.

    Attributes:
        pieces: that were measured.
        seconds: of one core, those of all pieces together.
        unknown: pieces that were measured before their times were kept.
    """

    pieces: int = 0
    seconds: float = 0.0
    unknown: int = 0

    def __str__(self) -> str:
        said = f'{self.pieces} pieces, {self.seconds / 60:.1f} core-minutes'
        return said + (f', those of {self.unknown} unknown' if self.unknown else '')


@dataclass(frozen=True)
class Report:
    """What a study found.

    Attributes:
        title: of the page.
        verdict: one line; what was found, whichever way.
        failed: whether that is a reason for concern.
        figures: name of the PNG -> figure.
        scores: of each policy what counts most, heading -> value: its part of the one table of
            `evaluate all`. Intervals, numbers and ranges (two numbers) are put together over
            several trainings.
        cost: of what it is made of.
    """

    title: str
    verdict: str
    tables: list[Table]
    figures: dict[str, Figure] = field(default_factory=dict)
    failed: bool = False
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    cost: Cost = Cost()


@dataclass(frozen=True)
class Study:
    """See the module docstring.

    Attributes:
        name: of the command and of the folder.
        measure: a piece -> plain data; can be pickled.
        pieces: measured side by side.
        summarise: pieces and what was measured of them, in order -> report.
        alone: pieces that are timed: one after another, with nothing of ours beside them.
        cancellable: whether `measure` takes a second argument, to be asked now and then, and
            raises CancelledError once that returns True: for pieces that take long.
        then: what was measured of all these -> pieces that follow from it, measured last.
        stands: whether what a measured piece has left behind, such as a policy, is still there,
            and is what was measured; one of which it is not is measured again.

    `summarise` and `then` are given pieces that say what their policy is called, see `named`.
    """

    name: str
    measure: Measure
    pieces: Sequence[Piece]
    summarise: Callable[[list[tuple[Piece, Measured]]], Report]
    alone: Sequence[Piece] = ()
    cancellable: bool = False
    then: Callable[[list[tuple[Piece, Measured]]], Sequence[Piece]] | None = None
    stands: Callable[[Piece, Measured], bool] = lambda piece, measured: True


def run(
    study: Study, out: Path, *, pool: Pool, console: Console, title: str | None = None
) -> Report:
    """Measure what has not been measured yet, write the report, and show its tables.

    Args:
        out: folder of the study; made where it is missing.
        title: of the progress bar; the study's name without it.

    Raises:
        PlaceError: the folder cannot be written, or another process works there.
    """
    with alone_in(out):
        return _run(study, out, pool, console, title)


def _run(study: Study, out: Path, pool: Pool, console: Console, title: str | None) -> Report:
    kept = out.absolute() / 'measured'
    try:
        kept.mkdir(exist_ok=True)
    except OSError as error:
        raise PlaceError(f'{out} cannot be written: {error.strerror or error}') from error
    found: list[tuple[Piece, Measured]] = []
    times: list[float | None] = []

    def measure(pieces: Sequence[Piece], alone: bool = False) -> None:
        missing = [piece for piece in pieces if not _stands(study, kept, piece)]
        if missing:
            pool.run(
                partial(_measure, study.measure, study.cancellable, kept),
                missing,
                title=title or study.name,
                done=len(pieces) - len(missing),
                alone=alone,
                console=console,
            )
        for piece in pieces:
            measured = _read(_file(kept, piece))
            assert measured is not None
            times.append(measured.pop(SECONDS, None))
            found.append((piece, measured))

    measure(study.pieces)
    measure(study.alone, alone=True)
    if study.then is not None:
        measure(study.then(named(found)))
    known = [seconds for seconds in times if seconds is not None]
    cost = Cost(len(times), sum(known), len(times) - len(known))
    report = replace(study.summarise(named(found)), cost=cost)
    write(report, out, study.name)
    show(report, console)
    console.print(f'report: {out}/report.html ({report.cost})', highlight=False, soft_wrap=True)
    return report


def _measure(
    measure: Measure,
    cancellable: bool,
    kept: Path,
    piece: Piece,
    is_cancelled: IsCancelled,
) -> None:
    # One core each, whatever torch thinks: pieces run side by side.
    if (torch := sys.modules.get('torch')) is not None:
        torch.set_num_threads(1)
    begun = time.process_time()
    found = measure(piece, is_cancelled) if cancellable else measure(piece)
    found = {**found, SECONDS: round(time.process_time() - begun, 3)}
    write_atomically(_file(kept, piece), json.dumps(found), durable=False)


def _stands(study: Study, kept: Path, piece: Piece) -> bool:
    measured = _read(_file(kept, piece))
    return measured is not None and study.stands(piece, measured)


def _file(kept: Path, piece: Piece) -> Path:
    digest = hashlib.sha256(json.dumps(piece, sort_keys=True).encode()).hexdigest()
    return kept / f'{digest[:24]}.json'


def _read(path: Path) -> Measured | None:
    """What was measured; None where nothing was, or a power cut has left half of it."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(report: Report, out: Path, name: str) -> None:
    """report.html, which holds all, and each table and figure as a file of its own."""
    sections = [write_table(table, out) for table in report.tables]
    # A policy's name may hold the folder above it.
    pictures = {title: f'{title.replace("/", "_")}.png' for title in report.figures}
    for title, figure in report.figures.items():
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=DPI, format='png')
        write_output(out / pictures[title], drawn.getvalue())
        sections.append(page.section(title.replace('_', ' '), page.image(drawn.getvalue())))
    sections.append(page.section('Cost', page.paragraph(f'{report.cost}.')))
    document = page.document(report.title, report.verdict, failed=report.failed, sections=sections)
    write_output(out / 'report.html', document)
    tidy(out, ['report.html', *(f'{t.name}.csv' for t in report.tables), *pictures.values()])


def write_table(table: Table, out: Path) -> str:
    """A CSV file of the table; returns it as a section of a page."""
    write_output(out / f'{table.name}.csv', _csv(table))
    shown = page.table(_lines(table), table.headings)
    return page.section(table.title, shown + page.paragraph(table.caption))


def show(report: Report, console: Console) -> None:
    """The tables on the terminal, and what they come to."""
    for table in report.tables:
        show_table(table, console)
    console.print(report.verdict, markup=False, highlight=False)


def show_table(table: Table, console: Console) -> None:
    """One table on the terminal, or where it lies."""
    if not table.listed or len(table.rows) > MOST_ROWS:
        console.print(f'{table.title}: {len(table.rows)} rows in {table.name}.csv', markup=False)
        return
    grid = Grid(box=SIMPLE, title=table.title, title_justify='left', caption=table.caption)
    grid.caption_justify = 'left'
    for index, heading in enumerate(table.headings):
        grid.add_column(heading, justify='left' if index == 0 else 'right')
    for line in _lines(table):
        grid.add_row(*line)
    console.print(grid, markup=False, highlight=False)


def _text(value: Any) -> str:
    if value is None or value != value:  # nothing, or not a number
        return '–'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return f'{value:.3g}' if isinstance(value, float) else str(value)


def _lines(table: Table) -> list[list[str]]:
    return [[_text(row.get(heading)) for heading in table.headings] for row in table.rows]


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, table.headings, lineterminator='\n')
    writer.writeheader()
    writer.writerows(table.rows)
    return text.getvalue()


def grouped(
    found: Iterable[tuple[Piece, Measured]], *names: str
) -> dict[tuple[Any, ...], list[Measured]]:
    """What was measured, by the values of some of the pieces' entries, in their order."""
    groups: dict[tuple[Any, ...], list[Measured]] = {}
    for piece, measured in found:
        groups.setdefault(tuple(piece.get(name) for name in names), []).append(measured)
    return groups


def names_of(policies: Iterable[str | Path]) -> dict[str, str]:
    """What policies are called, by the paths of their bundles: so that none shares a name.

    That is the name of the folder, and with it as many of the folders above as tell it from the
    others: `a/ltc` and `b/ltc`. The name in the contract stays with a copy.
    """
    parts = {str(policy): Path(policy).parts for policy in policies}

    def name(path: str) -> str:
        own = parts[path]
        others = [other for other in parts.values() if other != own]
        alike = (
            length
            for length in range(1, len(own) + 1)
            if all(other[-length:] != own[-length:] for other in others)
        )
        return Path(*own[-next(alike, len(own)) :]).as_posix()

    return {path: name(path) for path in parts}


def named(found: Sequence[tuple[Piece, Measured]]) -> list[tuple[Piece, Measured]]:
    """The same, with pieces that say as `name` what their policy is called."""
    names = names_of(piece['policy'] for piece, _ in found if 'policy' in piece)
    return [
        ({**piece, 'name': names[piece['policy']]} if 'policy' in piece else piece, measured)
        for piece, measured in found
    ]


def kind(policy: str) -> str:
    """The name without a number of its training at the end: `ltc` of `ltc_1` and `ltc_2`."""
    return re.sub(r'_\d+$', '', policy)


def spread(values: Sequence[float], *, percent: bool = False) -> str:
    """Mean and standard deviation over training seeds, as people read them."""
    known = np.asarray(values, dtype=np.float64)
    if len(known) < 2:
        return f'{known.mean():.2%}' if percent else f'{known.mean():.3g}'
    if percent:
        return f'{known.mean():.2%} ± {known.std(ddof=1):.2%}'
    return f'{known.mean():.3g} ± {known.std(ddof=1):.2g}'
