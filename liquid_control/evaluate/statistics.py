# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What so many drives can tell: intervals, paired differences, thresholds, and what they cannot.

The world (and the training seed) is the unit: laps in one world resemble each other, so whole
worlds are resampled, and policies are compared in the same worlds. Everything is seeded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000
POWER = 0.8

# Sign patterns of up to so many differences are all counted, of more drawn.
MOST_COUNTED = 14
# Likewise orders of up to so many things.
MOST_ORDERED = 8

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and between which values the truth lies, with a confidence."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f'{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]'


@dataclass(frozen=True)
class Share(Interval):
    """One that lies near 1: what is missing of it is what counts."""

    def __str__(self) -> str:
        return f'{self.value:.2%} [{self.low:.2%}, {self.high:.2%}]'


def wilson(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Interval of a rate; right for few trials and for none or all of them.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Raises:
        ValueError: there are no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f'{successes} successes of {trials} trials give no rate')
    z = _z((1 + confidence) / 2)
    rate, weight = successes / trials, z * z / trials
    middle = (rate + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(rate * (1 - rate) / trials + weight / trials / 4)
    low = 0.0 if successes == 0 else middle - half
    return Interval(rate, low, 1.0 if successes == trials else middle + half)


def clustered_mean(
    values: ArrayLike,
    clusters: Sequence[Hashable],
    *,
    weights: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean over all values, with the percentile interval of a bootstrap of whole clusters.

    Args:
        values: one for each drive.
        clusters: of each, such as its world.
        weights: of each, such as its length in km, so that a rate per km is one of sums; None: 1.
    """
    sums, totals = _by_cluster(values, clusters, weights)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(sums), (resamples, len(sums)))
    means = sums[drawn].sum(axis=1) / totals[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(sums.sum() / totals.sum()), float(low), float(high))


def clustered_statistic(
    statistic: Callable[[Floats], Floats],
    sums: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """What follows from sums over all worlds, with the interval of a bootstrap of whole worlds.

    Args:
        statistic: sums [..., n] -> values [...]; NaN where they say nothing.
        sums: of each world, [worlds, n].
    """
    each = np.asarray(sums, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(each), (resamples, len(each)))
    with np.errstate(divide='ignore', invalid='ignore'):
        value, found = statistic(each.sum(axis=0)), statistic(each[drawn].sum(axis=1))
    known = found[np.isfinite(found)]
    if not np.isfinite(value) or not len(known):
        return Interval(math.nan, math.nan, math.nan)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(value), float(low), float(high))


def rank_agreement(
    first: Sequence[float], second: Sequence[float], *, seed: int = 0
) -> tuple[float, float]:
    """Kendall's tau-a of two rankings of the same things, and its one-sided p.

    p: of an agreement at least as good by chance, over all orders of up to `MOST_ORDERED` things;
    of more over orders that are drawn, counting the one observed.

    Source: Kendall, "A new measure of rank correlation", 1938.
    """
    one, other = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if len(one) != len(other) or len(one) < 2:
        raise ValueError(f'at least 2 things are ranked twice, found {len(one)} and {len(other)}')
    i, j = np.triu_indices(len(one), 1)
    signs = np.sign(one[i] - one[j])

    def tau(values: Floats) -> float:
        return float((signs * np.sign(values[i] - values[j])).mean())

    found = tau(other)
    orders: Iterable[Any] = permutations(range(len(one)))
    extra = 0
    if len(one) > MOST_ORDERED:
        rng = np.random.default_rng(seed)
        orders, extra = (rng.permutation(len(one)) for _ in range(RESAMPLES)), 1
    as_good = [tau(other[list(order)]) >= found - 1e-12 for order in orders]
    return found, (sum(as_good) + extra) / (len(as_good) + extra)


def _by_cluster(
    values: ArrayLike, clusters: Sequence[Hashable], weights: ArrayLike | None
) -> tuple[Floats, Floats]:
    """Weighted sum of the values and sum of the weights of each cluster."""
    value = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(value) if weights is None else np.asarray(weights, dtype=np.float64)
    order = {cluster: index for index, cluster in enumerate(dict.fromkeys(clusters))}
    index = np.array([order[cluster] for cluster in clusters])
    if len(value) == 0 or value.shape != index.shape or weight.shape != value.shape:
        raise ValueError(f'{len(value)} values, {len(index)} clusters and {len(weight)} weights')
    sums: Floats = np.bincount(index, value * weight).astype(np.float64)
    return sums, np.bincount(index, weight).astype(np.float64)


@dataclass(frozen=True)
class Difference:
    """One policy against another in the same worlds.

    Attributes:
        names: of the two; the difference is first minus second.
        mean: with its interval over the worlds.
        p: of a difference at least as large by chance, worlds' signs flipped.
        corrected: p after Holm's correction for all differences looked at together.
        detectable: smallest difference that so many worlds would have shown, with `POWER`.
    """

    names: tuple[str, str]
    mean: Interval
    p: float
    corrected: float
    detectable: float

    @property
    def told_apart(self) -> bool:
        return self.corrected < 1 - CONFIDENCE

    def row(self, what: str) -> dict[str, Any]:
        """Of a table of differences; what: is compared."""
        return {
            'difference of': what,
            'between': ' − '.join(self.names),
            'mean': str(self.mean),
            'p, Holm': self.corrected,
            'told apart': self.told_apart,
            'smallest to be seen': self.detectable,
        }


def paired_differences(
    scores: Mapping[str, Sequence[float]],
    *,
    against: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """Every policy against every other, or against one, corrected for looking at all of them.

    Args:
        scores: policy -> score in each world; the same worlds, in the same order.
        against: compare with this one only.
    """
    if len({len(score) for score in scores.values()}) > 1:
        raise ValueError('scores must be of the same worlds, found different numbers of them')
    names = list(scores)
    pairs = [(a, b) for index, a in enumerate(names) for b in names[index + 1 :]]
    if against is not None:
        pairs = [(name, against) for name in names if name != against]
    found = []
    for pair in pairs:
        first, second = (np.asarray(scores[name], dtype=np.float64) for name in pair)
        change = first - second
        mean = clustered_mean(change, range(len(change)), resamples=resamples, seed=seed)
        p = sign_flip_p(change, resamples=resamples, seed=seed)
        found.append((pair, mean, p, detectable_difference(change, comparisons=len(pairs))))
    corrected = holm([p for _, _, p, _ in found])
    return [
        Difference(pair, mean, p, better, detectable)
        for (pair, mean, p, detectable), better in zip(found, corrected, strict=True)
    ]


def sign_flip_p(differences: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Two-sided p of a mean difference: without an effect, each world's sign is a coin's.

    Exact for up to `MOST_COUNTED` differences; drawn for more, counting the one observed.
    """
    change = np.asarray(differences, dtype=np.float64)
    if len(change) == 0:
        raise ValueError('no differences to test')
    if len(change) <= MOST_COUNTED:
        patterns = np.arange(2 ** len(change))[:, None] >> np.arange(len(change)) & 1
        means = ((2 * patterns - 1) * change).mean(axis=1)
        extra = 0
    else:
        rng = np.random.default_rng(seed)
        signs = rng.integers(0, 2, (resamples, len(change))) * 2 - 1
        means, extra = (signs * change).mean(axis=1), 1
    rounding = 1e-12 * max(1.0, float(np.abs(change).max()))
    beyond = int((np.abs(means) >= abs(change.mean()) - rounding).sum())
    return (beyond + extra) / (len(means) + extra)


def units_needed(comparisons: int) -> int:
    """Worlds, or seeds, below which flipped signs tell none of so many pairs apart after Holm."""
    return math.floor(1 + math.log2(comparisons / (1 - CONFIDENCE))) + 1


def too_few(units: float, comparisons: int, what: str) -> str:
    """A sentence for a table that can tell nothing apart, '' for one that can."""
    needed = units_needed(comparisons)
    if units >= needed:
        return ''
    return f' So few {what} can tell none of {comparisons} pairs apart: it takes {needed}.'


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that all that stay small together are false at most so often.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def detectable_difference(
    differences: ArrayLike,
    *,
    comparisons: int = 1,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float:
    """Smallest true mean difference that so many worlds would show, `power` of the time.

    By a paired t-test with Bonferroni's share of the error, the strictest of Holm's steps. NaN
    where all differences are the same: how much they would vary is not known then.
    """
    change = np.asarray(differences, dtype=np.float64)
    if len(change) < 2:
        return math.inf
    if change.std() == 0:
        return math.nan
    free = len(change) - 1
    error = (1 - confidence) / max(1, comparisons)
    needed = _student(1 - error / 2, free) + _student(power, free)
    return float(needed * change.std(ddof=1) / math.sqrt(len(change)))


def _student(probability: float, free: int) -> float:
    """Quantile of Student's distribution: Cornish and Fisher's expansion, from 5 degrees on.

    Below, where it is poor, the exact ones of 1, 2 and 4 degrees serve, the smaller degree of two.
    """
    if free < 2:
        return math.tan(math.pi * (probability - 0.5))
    beside = 4 * probability * (1 - probability)
    if free < 4:
        return 2 * (probability - 0.5) * math.sqrt(2 / beside)
    if free < 5:
        share = math.cos(math.acos(math.sqrt(beside)) / 3) / math.sqrt(beside)
        return math.copysign(2 * math.sqrt(max(share - 1, 0.0)), probability - 0.5)
    z = _z(probability)
    return (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * free**4)
    )


def _z(probability: float) -> float:
    return NormalDist().inv_cdf(probability)


# A rate of failures below or above these is told apart, each wrong at most so often.
SEQUENTIAL_RATES = (0.25, 0.75)
SEQUENTIAL_ERROR = 0.05


def sequential_verdict(failures: int, trials: int) -> bool | None:
    """Whether more than half fail, as soon as that can be told; None: go on.

    Source: Wald, "Sequential tests of statistical hypotheses", 1945. Between the two rates of
    `SEQUENTIAL_RATES` either answer is right.
    """
    low, high = SEQUENTIAL_RATES
    passes = trials - failures
    evidence = failures * math.log(high / low) + passes * math.log((1 - high) / (1 - low))
    limit = math.log((1 - SEQUENTIAL_ERROR) / SEQUENTIAL_ERROR)
    return None if abs(evidence) < limit else evidence > 0


@dataclass(frozen=True)
class Threshold:
    """The strength at which half of the drives fail.

    Attributes:
        value: the middle of where it must be; inf where not even the strongest makes half fail,
            -inf where half fail at no strength at all.
        low, high: half fail above `high` and not below `low`.
        trials: drives that it took.
        tried: strength -> (failures, drives).
    """

    value: float
    low: float
    high: float
    trials: int
    tried: dict[float, tuple[int, int]]

    def __str__(self) -> str:
        if math.isinf(self.value):
            return f'above {self.low:g}' if self.value > 0 else f'below {self.high:g}'
        return f'{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]'


def find_threshold(
    fails: Callable[[float, Any], bool],
    worlds: Sequence[Any],
    *,
    weakest: float = 0.0,
    strongest: float = 1.0,
    steps: int = 5,
) -> Threshold:
    """Bisect for the strength at which half of the worlds fail, with as few drives as will do.

    Args:
        fails: whether a drive of that strength in that world fails.
        worlds: in the order in which they are driven; a strength is settled as soon as
            `sequential_verdict` is, or else by all of them; where even those leave it open, it is
            the threshold.
        steps: halvings.
    """
    tried: dict[float, tuple[int, int]] = {}

    def verdict(strength: float) -> bool | None:
        failures = count = 0
        decided = None
        for world in worlds:
            failures += fails(strength, world)
            count += 1
            if (decided := sequential_verdict(failures, count)) is not None:
                break
        tried[strength] = failures, count
        return decided

    def found(value: float, low: float, high: float) -> Threshold:
        return Threshold(value, low, high, sum(count for _, count in tried.values()), tried)

    if (verdict(strongest)) is False:
        return found(math.inf, strongest, math.inf)
    if verdict(weakest):
        return found(-math.inf, -math.inf, weakest)
    low, high = weakest, strongest
    for _ in range(steps):
        middle = (low + high) / 2
        decided = verdict(middle)
        if decided is None:
            return found(middle, low, high)
        low, high = (low, middle) if decided else (middle, high)
    return found((low + high) / 2, low, high)
