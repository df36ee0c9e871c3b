# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A small regression tree: which states of the robot a neuron answers to, in words.

Source of the idea: Wang et al., interpreting neural policies with disentangled tree
representations (arXiv 2210.06650): a tree from the robot's state to a neuron's response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

# Of all ticks, in a leaf at least.
LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Tree:
    """A leaf, or a question and what follows from its answers.

    Attributes:
        value: mean response.
        feature, threshold: the question: is it at most the threshold?
        below, above: yes, no.
        gain: share of all variance that the question takes away.
    """

    value: float
    feature: int = -1
    threshold: float = 0.0
    below: Tree | None = None
    above: Tree | None = None
    gain: float = 0.0

    def predict(self, features: Floats) -> Floats:
        """Responses [N] to features [N, F]."""
        if self.below is None or self.above is None:
            return np.full(len(features), self.value)
        low = features[:, self.feature] <= self.threshold
        return np.where(low, self.below.predict(features), self.above.predict(features))

    def gains(self, count: int) -> Floats:
        """Share of the variance that each of `count` features explains, [count]."""
        total = np.zeros(count)
        if self.below is not None and self.above is not None:
            total[self.feature] += self.gain
            total += self.below.gains(count) + self.above.gains(count)
        return total

    def words(self, names: Sequence[str]) -> str:
        """The tree as one line."""
        if self.below is None or self.above is None:
            return f'{self.value:+.2f}'
        below, above = self.below.words(names), self.above.words(names)
        return f'({names[self.feature]} ≤ {self.threshold:.2g} ? {below} : {above})'


def grow(features: Floats, responses: Floats, *, depth: int = 2) -> Tree:
    """A tree of least squared error, greedily.

    Args:
        features: finite, [N, F].
        responses: [N].
        depth: questions one after another, at most.
    """
    total = float(((responses - responses.mean()) ** 2).sum())
    least = max(1, int(LEAST_SHARE * len(responses)))
    return _grow(features, responses, depth, least, max(total, 1e-12))


def _grow(features: Floats, responses: Floats, depth: int, least: int, total: float) -> Tree:
    value, count = float(responses.mean()), len(responses)
    best = (0.0, -1, 0.0)
    if depth and count >= 2 * least:
        for feature, column in enumerate(features.T):
            order = np.argsort(column, kind='stable')
            sorted_values, sums = column[order], np.cumsum(responses[order] - value)
            left = np.arange(1, count)
            # What a cut takes away of the squared error.
            gains = sums[:-1] ** 2 * (1 / left + 1 / (count - left))
            allowed = (sorted_values[1:] > sorted_values[:-1]) & (left >= least)
            gains = np.where(allowed & (count - left >= least), gains, 0.0)
            cut = int(np.argmax(gains))
            if gains[cut] > best[0]:
                middle = (sorted_values[cut] + sorted_values[cut + 1]) / 2
                best = (float(gains[cut]), feature, float(middle))
    gain, feature, threshold = best
    if gain <= 1e-3 * total:
        return Tree(value)
    low = features[:, feature] <= threshold
    below, above = (
        _grow(features[part], responses[part], depth - 1, least, total) for part in (low, ~low)
    )
    return Tree(value, feature, threshold, below, above, gain / total)
