# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Expert drives in hard worlds: what networks that shall be compared learn from, all the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from liquid_control.common.jobs import IsCancelled
from liquid_control.evaluate.evidence.study import Measured, Piece, Report, Study, Table
from liquid_control.rollout.collect import PlannedDrive, record
from liquid_control.rollout.recording import is_recorded

NAME = 'drives'


def study(
    folder: Path, drives: int, *, seconds: float, difficulty: Mapping[str, float]
) -> tuple[Study, list[Path]]:
    """So many drives of the simulated car, and where their recordings will lie.

    The worlds are those of the seeds 0 and the next, which are never judged in.

    Raises:
        ConfigError: a recording is there already, with other settings.
    """
    harder = dict(sorted(difficulty.items()))
    pieces = [{'seed': seed, 'seconds': seconds, 'difficulty': harder} for seed in range(drives)]
    chosen = Study(
        NAME,
        partial(measure, folder),
        pieces,
        summarise,
        cancellable=True,
        stands=lambda piece, measured: _recorded(folder, piece),
    )
    return chosen, [folder / _drive(piece).name for piece in pieces]


def measure(folder: Path, piece: Piece, is_cancelled: IsCancelled) -> Measured:
    """Record one drive, unless it is there."""
    if not _recorded(folder, piece):
        record(_drive(piece), folder, is_cancelled=is_cancelled)
    return {'seconds': piece['seconds']}


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """What there is to learn from."""
    rows: list[dict[str, Any]] = [
        {'world': piece['seed'], 'seconds': measured['seconds']} for piece, measured in found
    ]
    minutes = sum(row['seconds'] for row in rows) / 60
    difficulty = ', '.join(f'{name} {s:.2g}' for name, s in found[0][0]['difficulty'].items())
    table = Table(NAME, 'Expert drives', rows, f'Difficulty: {difficulty}.', listed=False)
    return Report('Drives', f'{len(rows)} drives of the expert, {minutes:.1f} minutes', [table])


def _drive(piece: Piece) -> PlannedDrive:
    return PlannedDrive(piece['seed'], piece['seconds'], difficulty=piece['difficulty'])


def _recorded(folder: Path, piece: Piece) -> bool:
    drive = _drive(piece)
    return is_recorded(folder / drive.name, drive.custom_data)
