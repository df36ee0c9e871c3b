# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The ticks of a replay as columns, and as a CSV file that a later replay can be held against."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.files import write_output
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.replay.replayer import ReplayedTick

_FIRST_COLUMNS = ('stamp_ns', 'frame', 'elapsed')
_RECORDED = 'recorded_'


@dataclass(frozen=True)
class Trace:
    """N ticks of a policy with C commands."""

    names: tuple[str, ...]
    """Of the commands."""
    stamp_ns: NDArray[np.int64]
    """[N]"""
    frame: NDArray[np.int64]
    """[N], index of the newest frame."""
    elapsed: NDArray[np.float64]
    """[N], s."""
    policy: NDArray[np.float32]
    """[N, C], the policy's commands; NaN where it could not be asked."""
    recorded: NDArray[np.float64]
    """[N, C], the recording's commands; NaN where it does not say."""

    @classmethod
    def collect(cls, names: tuple[str, ...], ticks: Iterable[ReplayedTick]) -> Trace:
        """Run a replay to its end; a tick takes some 30 bytes."""
        stamps, frames, elapsed = array('q'), array('q'), array('d')
        policy, recorded = array('f'), array('d')
        for tick in ticks:
            stamps.append(tick.stamp_ns)
            frames.append(tick.frame)
            elapsed.append(tick.elapsed)
            policy.extend(tick.command.tolist())
            recorded.extend(tick.recorded.tolist())
        return cls(
            names,
            np.array(stamps, np.int64),
            np.array(frames, np.int64),
            np.array(elapsed, np.float64),
            np.array(policy, np.float32).reshape(-1, len(names)),
            np.array(recorded, np.float64).reshape(-1, len(names)),
        )

    @property
    def answered(self) -> NDArray[np.bool_]:
        """[N], where the policy could be asked."""
        return np.asarray(np.isfinite(self.policy).all(axis=1))

    @property
    def time(self) -> NDArray[np.float64]:
        """[N], s since the first tick."""
        return (self.stamp_ns - self.stamp_ns[:1]) / 1e9

    def save(self, path: Path) -> None:
        """Write a CSV file; what is not known is an empty cell."""
        stream = io.StringIO(newline='')
        writer = csv.writer(stream)
        recorded = [_RECORDED + name for name in self.names]
        writer.writerow([*_FIRST_COLUMNS, *recorded, *self.names])
        for index in range(len(self.stamp_ns)):
            writer.writerow(
                [
                    self.stamp_ns[index],
                    self.frame[index],
                    f'{self.elapsed[index]:.9g}',
                    *(_cell(value) for value in self.recorded[index]),
                    *(_cell(value) for value in self.policy[index]),
                ]
            )
        write_output(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path) -> Trace:
        """Read what `save` wrote.

        Raises:
            ReplayError: the file is missing or not such a CSV file.
        """
        try:
            with path.open(newline='', encoding='utf-8') as stream:
                header, *rows = csv.reader(stream)
            recorded = [name for name in header if name.startswith(_RECORDED)]
            names = tuple(name.removeprefix(_RECORDED) for name in recorded)
            if header != [*_FIRST_COLUMNS, *recorded, *names] or not names:
                raise ValueError(f'its columns are {", ".join(header)}')
            columns: list[tuple[str, ...]] = list(zip(*rows, strict=True)) or [()] * len(header)
            values = np.array([[_value(cell) for cell in column] for column in columns[3:]])
        except (OSError, ValueError) as error:
            raise ReplayError(
                f'{path} is not a CSV file of an earlier replay ({error}): write one with '
                '`liquid-control replay BAG --policy NAME --csv FILE`'
            ) from error
        return cls(
            names,
            np.array([int(cell) for cell in columns[0]], np.int64),
            np.array([int(cell) for cell in columns[1]], np.int64),
            np.array([float(cell) for cell in columns[2]], np.float64),
            np.ascontiguousarray(values[len(names) :].T, np.float32),
            np.ascontiguousarray(values[: len(names)].T, np.float64),
        )


def _cell(value: np.floating) -> str:
    """Nine digits bring a float32 back exactly."""
    return '' if np.isnan(value) else f'{value:.9g}'


def _value(cell: str) -> float:
    return float(cell) if cell else np.nan
