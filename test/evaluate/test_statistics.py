# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Statistics of drives: the numbers of statsmodels 0.15 and scipy 1.17, and honest answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquid_control.evaluate.statistics import (
    clustered_mean,
    detectable_difference,
    find_threshold,
    holm,
    paired_differences,
    sequential_verdict,
    sign_flip_p,
    too_few,
    units_needed,
    wilson,
)

# One measurement of the length of a drive in ten worlds.
VALUES = [1.2, 0.3, 2.5, 1.9, -0.4, 3.1, 0.8, 1.5, 2.2, 0.1]


@pytest.mark.parametrize(
    ('successes', 'trials', 'low', 'high'),
    [  # statsmodels.stats.proportion.proportion_confint(method='wilson')
        (0, 20, 0.0, 0.1611251580528194),
        (3, 20, 0.052368745896216595, 0.36041886474075696),
        (20, 20, 0.8388748419471804, 1.0),
        (81, 263, 0.2552885198782742, 0.36620957698280004),
    ],
)
def test_wilson_intervals(successes: int, trials: int, low: float, high: float) -> None:
    interval = wilson(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert interval.value == successes / trials


def test_rates_of_nothing_are_refused() -> None:
    for successes, trials in ((0, 0), (3, 2)):
        with pytest.raises(ValueError, match='no rate'):
            wilson(successes, trials)


def test_the_bootstrap_of_single_values_is_the_usual_one() -> None:
    # scipy.stats.bootstrap(method='percentile'), 200,000 resamples
    interval = clustered_mean(VALUES, range(10))
    assert interval.value == pytest.approx(1.32)
    assert (interval.low, interval.high) == pytest.approx((0.66, 1.98), abs=0.03)
    assert clustered_mean(VALUES, range(10)) == interval


def test_drives_of_one_world_count_as_one() -> None:
    """Ten laps in each of ten worlds, all alike within a world, know no more than ten laps do."""
    once = clustered_mean(VALUES, range(10))
    often = clustered_mean(np.repeat(VALUES, 10), np.repeat(np.arange(10), 10).tolist())
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    careless = clustered_mean(np.repeat(VALUES, 10), range(100))
    assert careless.high - careless.low < 0.5 * (once.high - once.low)


def test_a_rate_per_distance_is_one_of_sums() -> None:
    interval = clustered_mean([4.0, 0.0], ['short', 'long'], weights=[1.0, 3.0])
    assert interval.value == 1.0


def test_flipped_signs_tell_how_likely_chance_is() -> None:
    changes = [0.3, -0.1, 0.5, 0.2, 0.4, -0.2, 0.6, 0.1]
    # scipy.stats.permutation_test(permutation_type='samples', n_resamples=inf)
    assert sign_flip_p(changes) == 0.0859375
    assert sign_flip_p(changes * 3) == pytest.approx(0.004, abs=0.004)
    assert sign_flip_p([0.0] * 20) == 1.0


def test_holms_correction() -> None:
    # statsmodels.stats.multitest.multipletests(method='holm')
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])


@pytest.mark.parametrize(
    ('worlds', 'comparisons', 'effect'),
    [  # statsmodels.stats.power.TTestPower().solve_power(alpha=0.05 / comparisons, power=0.8)
        (8, 1, 1.156035271959959),
        (10, 1, 0.9960019107624178),
        (10, 6, 1.3714409532441014),
        (20, 1, 0.6604416544380312),
        (40, 6, 0.5761226749991148),
    ],
)
def test_the_smallest_detectable_difference(worlds: int, comparisons: int, effect: float) -> None:
    changes = np.arange(worlds) / np.arange(worlds).std(ddof=1)
    found = detectable_difference(changes, comparisons=comparisons)
    assert found == pytest.approx(effect, rel=0.03)
    assert detectable_difference([1.0]) == math.inf
    assert math.isnan(detectable_difference([0.0, 0.0, 0.0]))


def test_policies_are_told_apart_where_they_differ_and_not_elsewhere() -> None:
    rng = np.random.default_rng(3)
    worlds = rng.normal(0, 5, 20)  # worlds differ far more than policies do
    scores = {
        'good': worlds + rng.normal(1.0, 0.5, 20),
        'alike': worlds + rng.normal(1.0, 0.5, 20),
        'bad': worlds + rng.normal(0.0, 0.5, 20),
    }
    found = {entry.names: entry for entry in paired_differences(scores)}
    assert not found['good', 'alike'].told_apart
    assert found['good', 'bad'].told_apart
    assert found['good', 'bad'].mean.low > 0
    assert all(entry.corrected >= entry.p for entry in found.values())
    assert 0.2 < found['good', 'alike'].detectable < 1.0
    assert [entry.names for entry in paired_differences(scores, against='bad')] == [
        ('good', 'bad'),
        ('alike', 'bad'),
    ]


def test_a_sequential_verdict_comes_early_and_is_seldom_wrong() -> None:
    rng = np.random.default_rng(0)
    wrong = lengths = 0
    for _ in range(400):
        failures = count = 0
        while (verdict := sequential_verdict(failures, count)) is None:
            failures += rng.random() < 0.75
            count += 1
        wrong += not verdict
        lengths += count
    assert wrong / 400 < 0.05
    assert lengths / 400 < 8


def test_a_threshold_is_bisected_with_few_drives() -> None:
    """Each world bears its own strength; half of them bear 0.37."""
    bears = dict(enumerate(np.random.default_rng(1).normal(0.37, 0.02, 40)))
    found = find_threshold(lambda strength, world: strength > bears[world], range(40))
    assert found.low <= 0.39
    assert found.high >= 0.35
    assert abs(found.value - 0.37) < 0.04
    assert found.trials < 60  # a grid of 32 strengths would have taken 1280
    assert found.trials == sum(count for _, count in found.tried.values())


@pytest.mark.parametrize(('always', 'value'), [(False, math.inf), (True, -math.inf)])
def test_a_threshold_that_lies_outside_is_said_to(always: bool, value: float) -> None:
    found = find_threshold(lambda strength, world: always, range(20))
    assert found.value == value
    assert str(found) in ('above 1', 'below 0')
    assert found.trials < 10


def test_a_table_that_can_tell_nothing_apart_says_how_many_units_it_takes() -> None:
    for comparisons in (1, 3, 66, 136):
        needed = units_needed(comparisons)
        # The smallest p of flipped signs, both ways, after Holm.
        assert 2 * 2.0**-needed * comparisons < 0.05 <= 2 * 2.0 ** (1 - needed) * comparisons
        assert f'it takes {needed}' in too_few(needed - 1, comparisons, 'worlds')
        assert too_few(needed, comparisons, 'worlds') == ''
