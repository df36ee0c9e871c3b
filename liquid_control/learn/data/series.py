# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Samples over time, sorted by their stamps: what a tick sees is the newest at or before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.learn.data.segments import Stamps


@dataclass(frozen=True, eq=False)
class Series:
    """Samples [N, ...] and their stamps (ns), sorted; of equal stamps the first is kept.

    Attributes:
        numbers: of each sample among all messages in the bag that could be told in time, those
            that are of no use as well, [N].
    """

    stamps: Stamps
    values: NDArray[Any]
    numbers: NDArray[np.int64]

    @classmethod
    def sorted(
        cls,
        stamps: Sequence[int] | Stamps,
        values: Any,
        dtype: type,
        numbers: Sequence[int] | None = None,
    ) -> Series:
        """Samples in any order; their numbers are those of this order unless they are given."""
        unique, order = np.unique(np.asarray(stamps, np.int64), return_index=True)
        numbered = order if numbers is None else np.asarray(numbers, np.int64)[order]
        return cls(unique, np.asarray(values, dtype)[order], numbered.astype(np.int64))

    def __len__(self) -> int:
        return len(self.stamps)

    def newest(self, ticks: Stamps) -> NDArray[np.int64]:
        """Index of the newest sample at or before each tick, -1 where there is none."""
        return np.searchsorted(self.stamps, ticks, side='right') - 1

    def at(self, ticks: Stamps) -> NDArray[Any]:
        """The newest sample at each tick (ns), [T, ...]; before the first, the first."""
        return self.values[np.maximum(self.newest(ticks), 0)]

    def without(self, lost: NDArray[np.bool_]) -> Series:
        """The same with some samples left out, [N]."""
        kept = ~lost
        return replace(
            self,
            stamps=self.stamps[kept],
            values=self.values[kept],
            numbers=self.numbers[kept],
        )


def told_apart(stamps: Sequence[int], arrivals: Sequence[int]) -> list[int]:
    """Stamps (ns) of which none follows its like: later by as much as the messages came later.

    As many as share a stamp share the time until the next, so that their order stays.
    """
    found: list[int] = []
    runs = [(stamp_ns, len(list(run))) for stamp_ns, run in groupby(stamps)]
    for number, (stamp_ns, count) in enumerate(runs, 1):
        next_ns = runs[number][0] if number < len(runs) else stamp_ns
        first, later = arrivals[len(found)], -1
        for place in range(count):
            later = max(arrivals[len(found)] - first, later + 1)
            if next_ns > stamp_ns:
                later = min(later, (next_ns - stamp_ns) * place // count)
            found.append(stamp_ns + later)
    return found


@dataclass(frozen=True, eq=False)
class Frames(Series):
    """Images of a camera; `values` [N] are their places in `pixels`.

    Attributes:
        pixels: uint8 [M, H, W, 3] RGB, mapped from disk in the order of their arrival.
    """

    pixels: NDArray[np.uint8]

    def at(self, ticks: Stamps) -> NDArray[np.uint8]:
        frames: NDArray[np.uint8] = self.pixels[super().at(ticks)]
        return frames
