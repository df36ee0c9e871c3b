# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Sets of moments as spans of time: closed intervals (ns), sorted and apart, an array [N, 2]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Spans = NDArray[np.int64]


def spans_of(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Spans:
    """The union of intervals whose starts are sorted; those that end before they start are none.

    Neighbours that no nanosecond lies between are one.
    """
    kept = ends >= starts
    starts, ends = starts[kept], ends[kept]
    if not len(starts):
        return np.zeros((0, 2), np.int64)
    reached = np.maximum.accumulate(ends)
    apart = np.flatnonzero(starts[1:] > reached[:-1] + 1)
    return np.stack([starts[np.r_[0, apart + 1]], reached[np.r_[apart, len(ends) - 1]]], axis=1)


def union(parts: list[Spans]) -> Spans:
    """Moments that are in one of the sets at least."""
    every = np.concatenate([np.zeros((0, 2), np.int64), *parts])
    every = every[np.argsort(every[:, 0], kind='stable')]
    return spans_of(every[:, 0], every[:, 1])


def complement(spans: Spans, start_ns: int, end_ns: int) -> Spans:
    """Moments from start to end that are not in the set."""
    spans = within(spans, start_ns, end_ns)
    return spans_of(np.r_[start_ns, spans[:, 1] + 1], np.r_[spans[:, 0] - 1, end_ns])


def within(spans: Spans, start_ns: int, end_ns: int) -> Spans:
    """The part of a set from start to end."""
    return spans_of(np.maximum(spans[:, 0], start_ns), np.minimum(spans[:, 1], end_ns))


def intersection(one: Spans, other: Spans) -> Spans:
    """Moments that are in both sets."""
    if not len(one) or not len(other):
        return np.zeros((0, 2), np.int64)
    start_ns, end_ns = int(min(one[0, 0], other[0, 0])), int(max(one[-1, 1], other[-1, 1]))
    out = union([complement(one, start_ns, end_ns), complement(other, start_ns, end_ns)])
    return complement(out, start_ns, end_ns)


def duration(spans: Spans) -> float:
    """s."""
    return float((spans[:, 1] - spans[:, 0]).sum()) / 1e9


def contains(spans: Spans, moments: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each moment is in the set."""
    if not len(spans):
        return np.zeros(len(moments), bool)
    at = np.searchsorted(spans[:, 0], moments, side='right') - 1
    return np.asarray((at >= 0) & (moments <= spans[np.maximum(at, 0), 1]))
