# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Interval arithmetic with outward rounding, and bounds of first derivatives beside the values.

A `Box` holds numbers of which only bounds are known, and what each can change by when one of the
variables does. Every operation gives a box that holds whatever the numbers in its arguments lead
to: in real arithmetic, and in the float32 of a robot's processor, whose rounding is part of the
bounds of the values. The operations are those of the cells and no more.

Source of the method: Moore, Kearfott and Cloud, "Introduction to Interval Analysis", SIAM 2009,
chapters 2 and 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Half a unit in the last place of float32, and the error of its exp, tanh and sigmoid: ONNX
# Runtime's are rational approximations, good to about 3e-7.
ROUNDING, APPROXIMATION = 2.0**-24, 1e-6


@dataclass(frozen=True)
class Box:
    """Bounds of an array of numbers and of their derivatives.

    Attributes:
        low, high: of any shape.
        slope: smallest and largest derivative by each variable, [variables, *shape] both; None
            where they depend on none.
    """

    low: Floats
    high: Floats
    slope: tuple[Floats, Floats] | None = None

    @property
    def magnitude(self) -> Floats:
        """Largest absolute value."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def __getitem__(self, index: Any) -> Box:
        slope = self.slope
        if slope is not None:
            inside = (slice(None), *(index if isinstance(index, tuple) else (index,)))
            slope = slope[0][inside], slope[1][inside]
        return Box(self.low[index], self.high[index], slope)

    def contains(self, values: Floats) -> NDArray[np.bool_]:
        """Where numbers lie within."""
        found: NDArray[np.bool_] = (self.low <= values) & (values <= self.high)
        return found


def box(low: ArrayLike, high: ArrayLike | None = None) -> Box:
    """Of these bounds, or of exact numbers."""
    first = np.asarray(low, dtype=np.float64)
    return Box(first, first if high is None else np.asarray(high, dtype=np.float64))


def variables(*boxes: Box) -> list[Box]:
    """The same boxes [n] as variables: derivatives will be by all of their numbers, in order."""
    total, start, found = sum(len(entry.low) for entry in boxes), 0, []
    for entry in boxes:
        slope = np.zeros((total, len(entry.low)))
        slope[start : start + len(entry.low)] = np.eye(len(entry.low))
        found.append(Box(entry.low, entry.high, (slope, slope)))
        start += len(entry.low)
    return found


def join(*boxes: Box) -> Box:
    """One behind the other along the first axis."""
    slopes = [entry.slope for entry in boxes]
    low, high = (np.concatenate([getattr(b, name) for b in boxes]) for name in ('low', 'high'))
    count = next((len(slope[0]) for slope in slopes if slope is not None), 0)
    if not count:
        return Box(low, high)
    parts = [
        (np.zeros((count, *entry.low.shape)),) * 2 if slope is None else slope
        for entry, slope in zip(boxes, slopes, strict=True)
    ]
    return Box(low, high, (_cat(parts, 0), _cat(parts, 1)))


def _cat(parts: Sequence[tuple[Floats, ...]], side: int) -> Floats:
    return np.concatenate([part[side] for part in parts], axis=1)


def hull(first: Box, second: Box) -> Box:
    """The smallest box of values around both."""
    return Box(np.minimum(first.low, second.low), np.maximum(first.high, second.high))


# --- The operations ---------------------------------------------------------------------------


def affine(x: Box, weight: Floats, bias: Floats | float = 0.0) -> Box:
    """x [n] times weight [n, m] plus bias [m]."""
    up, down = np.maximum(weight, 0), np.minimum(weight, 0)
    low, high = x.low @ up + x.high @ down + bias, x.high @ up + x.low @ down + bias
    error = (len(weight) + 2) * ROUNDING * (x.magnitude @ np.abs(weight) + np.abs(bias))
    slope = None
    if x.slope is not None:
        first, second = x.slope
        slope = _widened(first @ up + second @ down, second @ up + first @ down, len(weight))
    return Box(*_rounded(low, high, error), slope)


def scaled(x: Box, factor: Floats | float, offset: Floats | float = 0.0) -> Box:
    """factor * x + offset, element by element, both known."""
    factor = np.asarray(factor, dtype=np.float64)
    ends = factor * x.low, factor * x.high
    low, high = np.minimum(*ends) + offset, np.maximum(*ends) + offset
    error = 3 * ROUNDING * (np.abs(factor) * x.magnitude + np.abs(offset))
    slope = None if x.slope is None else _times(x.slope, (factor, factor))
    return Box(*_rounded(low, high, error), slope)


def add(x: Box, y: Box) -> Box:
    """x + y."""
    low, high = x.low + y.low, x.high + y.high
    error = ROUNDING * (x.magnitude + y.magnitude)
    return Box(*_rounded(low, high, error), _sum(x.slope, y.slope))


def product(x: Box, y: Box) -> Box:
    """x * y, element by element."""
    low, high = _times((x.low, x.high), (y.low, y.high))
    slope = _sum(
        None if x.slope is None else _times(x.slope, (y.low, y.high)),
        None if y.slope is None else _times(y.slope, (x.low, x.high)),
    )
    return Box(*_rounded(low, high, 2 * ROUNDING * x.magnitude * y.magnitude), slope)


def quotient(x: Box, y: Box) -> Box:
    """x / y for a positive y, element by element."""
    if not (y.low > 0).all():
        raise ZeroDivisionError('the divisor may be zero')
    value = product(x, Box(1 / y.high, 1 / y.low))
    slope = None if x.slope is None else _times(x.slope, (1 / y.high, 1 / y.low))
    if y.slope is not None:
        share = _times((-value.high, -value.low), (1 / y.high, 1 / y.low))
        slope = _sum(slope, _times(y.slope, share))
    return Box(value.low, value.high, slope)


def sigmoid(x: Box) -> Box:
    """1 / (1 + exp(-x))."""
    low, high = (0.5 * (1 + np.tanh(end / 2)) for end in (x.low, x.high))
    return _monotone(x, low, high, lambda v: v * (1 - v), most=0.25)


def tanh(x: Box) -> Box:
    """Hyperbolic tangent."""
    return _monotone(x, np.tanh(x.low), np.tanh(x.high), lambda v: 1 - v * v, most=1.0)


def _monotone(
    x: Box, low: Floats, high: Floats, rate: Callable[[Floats], Floats], most: float
) -> Box:
    """A rising function whose derivative is `rate` of its value, at most `most`, at zero."""
    slope = None
    if x.slope is not None:
        ends = rate(low), rate(high)
        over = np.where((x.low <= 0) & (x.high >= 0), most, np.maximum(*ends))
        slope = _times(x.slope, _widened(np.maximum(np.minimum(*ends), 0), over, 4))
    return Box(*_rounded(low, high, APPROXIMATION), slope)


def decayed(x: Box) -> Box:
    """1 - exp(-x): the share of the way that a decay has gone after x time constants."""
    low, high = -np.expm1(-x.low), -np.expm1(-x.high)
    slope = None
    if x.slope is not None:
        slope = _times(x.slope, _widened(np.exp(-x.high), np.exp(-x.low), 4))
    return Box(*_rounded(low, high, APPROXIMATION), slope)


def blend(x: Box, y: Box, share: Box, most: float = 1.0) -> Box:
    """x + (y - x) * share, of a share within [0, most]: up to 1 never beyond x and y."""
    shares = np.clip(share.low, 0, most), np.clip(share.high, 0, most)
    ends = [(1 - s) * a + s * b for s in shares for a in (x.low, x.high) for b in (y.low, y.high)]
    low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
    error = 4 * ROUNDING * (x.magnitude + y.magnitude) + APPROXIMATION * (
        x.magnitude + y.magnitude
    )
    slope = _sum(
        None if x.slope is None else _times(x.slope, (1 - shares[1], 1 - shares[0])),
        None if y.slope is None else _times(y.slope, shares),
    )
    if share.slope is not None:
        way = y.low - x.high, y.high - x.low
        slope = _sum(slope, _times(share.slope, way))
    return Box(*_rounded(low, high, error), slope)


def weighted_mean(weights: Box, values: Floats) -> Box:
    """Sum of weights times values over sum of weights, along the first axis; weights positive.

    Exact: the largest mean has the largest weights on the largest values, from some value on.
    """
    low, high = (sign * _largest_mean(weights, sign * values) for sign in (-1.0, 1.0))
    error = 4 * (len(values) + 2) * ROUNDING * np.abs(values).max(axis=0)
    mean = Box(*_rounded(low, high, error))
    if weights.slope is None:
        return mean
    total = Box(weights.low.sum(axis=0), weights.high.sum(axis=0))
    way = scaled(mean, -1.0, 0.0)
    pull = quotient(Box(values + way.low, values + way.high), total)
    first, second = _times(weights.slope, (pull.low, pull.high))
    slope = _widened(first.sum(axis=1), second.sum(axis=1), len(values))
    return Box(mean.low, mean.high, slope)


def _largest_mean(weights: Box, values: Floats) -> Floats:
    order = np.argsort(-values, axis=0)
    low, high, value = (
        np.take_along_axis(part, order, axis=0) for part in (weights.low, weights.high, values)
    )
    none = np.zeros((1, *values.shape[1:]))
    weight = np.concatenate([none, np.cumsum(high - low, axis=0)]) + low.sum(axis=0)
    moment = np.concatenate([none, np.cumsum((high - low) * value, axis=0)])
    moment = moment + (low * value).sum(axis=0)
    largest: Floats = (moment / weight).max(axis=0)
    return largest


def total(x: Box) -> Box:
    """Sum along the first axis."""
    error = (len(x.low) + 1) * ROUNDING * x.magnitude.sum(axis=0)
    slope = None
    if x.slope is not None:
        slope = _widened(x.slope[0].sum(axis=1), x.slope[1].sum(axis=1), len(x.low))
    return Box(*_rounded(x.low.sum(axis=0), x.high.sum(axis=0), error), slope)


# --- Rounding ---------------------------------------------------------------------------------


def _rounded(low: Floats, high: Floats, error: Floats | float) -> tuple[Floats, Floats]:
    """Outward: by the error of float32, which is far above that of our own float64."""
    return np.nextafter(low - error, -np.inf), np.nextafter(high + error, np.inf)


def _widened(low: Floats, high: Floats, terms: int) -> tuple[Floats, Floats]:
    """Derivatives are of the exact function: outward by the error of our own float64."""
    size = np.maximum(np.abs(low), np.abs(high)) * (terms + 4) * 2.0**-52
    return np.nextafter(low - size, -np.inf), np.nextafter(high + size, np.inf)


def _times(x: tuple[Floats, Floats], y: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Smallest and largest product of two intervals."""
    ends = [a * b for a in x for b in y]
    low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
    return np.nextafter(low, -np.inf), np.nextafter(high, np.inf)


def _sum(
    x: tuple[Floats, Floats] | None, y: tuple[Floats, Floats] | None
) -> tuple[Floats, Floats] | None:
    if x is None or y is None:
        return y if x is None else x
    return _widened(x[0] + y[0], x[1] + y[1], 2)
