# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Timing statistics of the control loop over the last seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

WINDOW = 10.0  # s


@dataclass(frozen=True)
class Summary:
    """Seconds, over the window."""

    p50: float
    p99: float
    max: float


def summarise(values: list[float] | deque[float]) -> Summary:
    """Median, 99th percentile and maximum; zeros when there is nothing."""
    if not values:
        return Summary(0.0, 0.0, 0.0)
    array = np.asarray(values)
    p50, p99 = np.percentile(array, (50, 99))
    return Summary(float(p50), float(p99), float(array.max()))


class LoopTiming:
    """What the loop reports; written by the control thread, read by diagnostics."""

    def __init__(self, rate: float) -> None:
        """rate: control rate, Hz; sets how many ticks the window holds."""
        size = max(1, round(rate * WINDOW))
        self.lateness: deque[float] = deque(maxlen=size)
        self.core: deque[float] = deque(maxlen=size)
        self.encoder: deque[float] = deque(maxlen=size)
        self.sense_to_act: deque[float] = deque(maxlen=size)
        self._starts: deque[int] = deque(maxlen=size)
        self.ticks = 0
        self.missed = 0
        self.rate = 0.0
        """Hz, over the window; renewed by `renew`, like `late`."""
        self.late = Summary(0.0, 0.0, 0.0)

    def tick(self, start_ns: int, lateness: float, missed: int) -> None:
        """Count one cycle; start_ns: monotonic, lateness: s."""
        self.ticks += 1
        self.missed += missed
        self.lateness.append(lateness)
        self._starts.append(start_ns)

    def renew(self) -> None:
        """Summarise the window; costs too much for every tick."""
        starts = list(self._starts)
        if len(starts) > 1:
            self.rate = (len(starts) - 1) * 1e9 / max(starts[-1] - starts[0], 1)
        self.late = summarise(list(self.lateness))
