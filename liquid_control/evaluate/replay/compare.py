# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How far a policy's commands are from the recorded ones, another policy's or golden ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.metrics import errors_of
from liquid_control.evaluate.replay.trace import Trace

# What changes by less than this share of its size does so by rounding.
CONSTANT = 1e-6


@dataclass(frozen=True)
class CommandError:
    """Policy against recording, over the ticks where both are known; in the command's unit."""

    mae: float
    """Mean absolute error."""
    rmse: float
    """Root of the mean squared error."""
    r2: float | None
    """Share of the recorded command's variance that is explained; None where it never changes."""
    corr: float | None
    """Pearson's correlation; None where one of the two never changes."""
    max_abs: float
    """Largest difference."""
    max_at_ns: int
    """Stamp of the tick with the largest difference."""
    ticks: int
    """Ticks compared."""


def command_errors(trace: Trace) -> dict[str, CommandError | None]:
    """Errors of each command; None where the recording has not one value to compare with."""
    return {
        name: _command_error(trace.policy[:, column], trace.recorded[:, column], trace.stamp_ns)
        for column, name in enumerate(trace.names)
    }


def _command_error(
    policy: NDArray[np.float32], recorded: NDArray[np.float64], stamp_ns: NDArray[np.int64]
) -> CommandError | None:
    known = np.isfinite(policy) & np.isfinite(recorded)
    if not known.any():
        return None
    found, wanted = policy[known].astype(np.float64), recorded[known]
    errors = errors_of(found, wanted, constant=CONSTANT * float(np.abs(wanted).max()))
    error = found - wanted
    worst = int(np.abs(error).argmax())
    swings = errors.r2 is not None and found.std() > CONSTANT * np.abs(found).max()
    return CommandError(
        mae=errors.mae,
        rmse=errors.rmse,
        r2=errors.r2,
        corr=float(np.corrcoef(wanted, found)[0, 1]) if swings else None,
        max_abs=float(np.abs(error[worst])),
        max_at_ns=int(stamp_ns[known][worst]),
        ticks=int(known.sum()),
    )


@dataclass(frozen=True)
class Disagreement:
    """The first tick at which two replays disagree."""

    stamp_ns: int
    command: str
    expected: float | None
    """None where the policy could not be asked."""
    found: float | None


@dataclass(frozen=True)
class Comparison:
    """Two replays held against each other."""

    reference: str
    """What the expected commands come from: a policy's name or a file."""
    atol: float
    """Allowed difference: atol + rtol * |expected|."""
    rtol: float
    max_abs: dict[str, float]
    """Largest difference of each command."""
    different: int
    """Ticks with a difference beyond what is allowed."""
    first: Disagreement | None
    problem: str = ''
    """Why they cannot be held against each other, '' where they can."""

    @property
    def equal(self) -> bool:
        return self.first is None and not self.problem

    def report(self) -> dict[str, Any]:
        """For JSON."""
        return {'equal': self.equal, **asdict(self)}


def compare(
    expected: Trace, found: Trace, *, reference: str, atol: float, rtol: float
) -> Comparison:
    """Hold a replay against an earlier or another one, command by command."""
    problem = _mismatch(expected, found, reference)
    if problem:
        return Comparison(reference, atol, rtol, {}, len(found.stamp_ns), None, problem)
    wanted, given = expected.policy.astype(np.float64), found.policy.astype(np.float64)
    close = np.isclose(given, wanted, rtol=rtol, atol=atol, equal_nan=True)
    gaps = np.nan_to_num(np.abs(given - wanted))
    return Comparison(
        reference=reference,
        atol=atol,
        rtol=rtol,
        max_abs={
            name: float(gaps[:, column].max(initial=0.0))
            for column, name in enumerate(expected.names)
        },
        different=int((~close.all(axis=1)).sum()),
        first=None if close.all() else _first(expected, given, wanted, close),
    )


def _mismatch(expected: Trace, found: Trace, reference: str) -> str:
    """What keeps two replays from being compared: other commands or other ticks."""
    if expected.names != found.names:
        return (
            f'{reference} commands {", ".join(expected.names)}, this policy '
            f'{", ".join(found.names)}: they cannot be compared'
        )
    count = min(len(expected.stamp_ns), len(found.stamp_ns))
    moved = np.flatnonzero(expected.stamp_ns[:count] != found.stamp_ns[:count])
    if not len(moved) and len(expected.stamp_ns) == len(found.stamp_ns):
        return ''
    at = int(moved[0]) if len(moved) else count
    return (
        f'{reference} has {len(expected.stamp_ns)} ticks, this replay {len(found.stamp_ns)}, and '
        f'they part at tick {at} ({_stamp(expected, at)} and {_stamp(found, at)}): replay the '
        'same frames of the same bag at the same control rate'
    )


def _first(
    expected: Trace,
    given: NDArray[np.float64],
    wanted: NDArray[np.float64],
    close: NDArray[np.bool_],
) -> Disagreement:
    row, column = (int(index) for index in np.argwhere(~close)[0])
    return Disagreement(
        int(expected.stamp_ns[row]),
        expected.names[column],
        _number(wanted[row, column]),
        _number(given[row, column]),
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _stamp(trace: Trace, index: int) -> str:
    return f'{trace.stamp_ns[index]} ns' if index < len(trace.stamp_ns) else 'the end'
