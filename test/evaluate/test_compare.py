# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Errors against hand-made numbers, and replays held against each other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.replay.compare import command_errors, compare
from liquid_control.evaluate.replay.trace import Trace


def trace(
    policy: list[list[float]],
    recorded: list[list[float]] | None = None,
    names: tuple[str, ...] = ('steering', 'throttle'),
) -> Trace:
    count = len(policy)
    return Trace(
        names=names,
        stamp_ns=np.arange(count, dtype=np.int64) * 50_000_000,
        frame=np.arange(count, dtype=np.int64),
        elapsed=np.full(count, 0.05),
        policy=np.array(policy, np.float32),
        recorded=np.array(recorded or policy, np.float64),
    )


def test_errors_are_those_computed_by_hand() -> None:
    errors = command_errors(
        trace(
            policy=[[1.0, 0.5], [2.0, 0.5], [5.0, 0.5], [4.0, 0.5]],
            recorded=[[1.0, 0.5], [2.0, 0.5], [3.0, 0.5], [4.0, 0.5]],
        )
    )
    steering = errors['steering']
    assert steering is not None
    assert steering.mae == pytest.approx(0.5)
    assert steering.rmse == pytest.approx(1.0)
    # Squared errors 4, variance about the mean 2.5: 2.25 + 0.25 + 0.25 + 2.25 = 5.
    assert steering.r2 == pytest.approx(1 - 4 / 5)
    # Policy about its mean 3: -2 -1 2 1; recorded: -1.5 -0.5 0.5 1.5; sum of products 6.
    assert steering.corr == pytest.approx(6 / np.sqrt(10 * 5))
    assert (steering.max_abs, steering.max_at_ns, steering.ticks) == (2.0, 100_000_000, 4)


def test_constant_command_has_errors_but_no_r2() -> None:
    errors = command_errors(trace([[0.1, 0.2], [0.3, 0.2]], [[0.0, 0.4], [1.0, 0.4]]))
    throttle = errors['throttle']
    assert throttle is not None
    assert throttle.mae == pytest.approx(0.2)
    assert (throttle.r2, throttle.corr) == (None, None)


def test_what_is_not_known_is_not_compared() -> None:
    nan = np.nan
    errors = command_errors(
        trace([[1.0, 1.0], [nan, nan], [3.0, 1.0]], [[2.0, nan], [9.0, nan], [nan, nan]])
    )
    steering = errors['steering']
    assert steering is not None
    assert (steering.ticks, steering.mae) == (1, 1.0)
    assert errors['throttle'] is None


def test_csv_brings_every_bit_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 2)).astype(np.float32)
    values[7] = np.nan
    original = trace(values.tolist())
    original.save(tmp_path / 'golden.csv')
    loaded = Trace.load(tmp_path / 'golden.csv')
    assert loaded.names == original.names
    np.testing.assert_array_equal(loaded.stamp_ns, original.stamp_ns)
    np.testing.assert_array_equal(loaded.policy, original.policy)
    result = compare(original, loaded, reference='golden.csv', atol=0, rtol=0)
    assert result.equal


def test_first_difference_is_named_with_stamp_and_command() -> None:
    expected = trace([[0.0, 0.5], [0.1, 0.5], [0.2, 0.5], [0.3, 0.5]])
    found = trace([[0.0, 0.5], [0.1, 0.5004], [0.2, 0.6], [0.5, 0.5]])
    result = compare(expected, found, reference='a', atol=1e-3, rtol=0)
    first = result.first
    assert first is not None
    assert (first.stamp_ns, first.command) == (100_000_000, 'throttle')
    assert (first.expected, first.found) == pytest.approx((0.5, 0.6))
    assert result.different == 2
    assert result.max_abs == pytest.approx({'steering': 0.2, 'throttle': 0.1})


@pytest.mark.parametrize(('atol', 'rtol', 'equal'), [(0.0, 0.011, True), (0.0, 0.009, False)])
def test_relative_tolerance_is_of_the_expected_command(
    atol: float, rtol: float, equal: bool
) -> None:
    result = compare(trace([[10.0, 0]]), trace([[10.1, 0]]), reference='a', atol=atol, rtol=rtol)
    assert result.equal == equal


def test_a_tick_left_out_in_one_replay_only_is_a_difference() -> None:
    nan = np.nan
    both = compare(
        trace([[nan, nan], [1, 1]]), trace([[nan, nan], [1, 1]]), reference='a', atol=0, rtol=0
    )
    assert both.equal
    one = compare(
        trace([[0, 0], [1, 1]]), trace([[nan, nan], [1, 1]]), reference='a', atol=1, rtol=1
    )
    assert one.first is not None
    assert (one.first.expected, one.first.found) == (0.0, None)


def test_replays_of_other_ticks_or_commands_are_not_equal_and_say_why() -> None:
    three, two = trace([[0, 0]] * 3), trace([[0, 0]] * 2)
    driving = trace([[0, 0]] * 2, names=('steering_angle', 'speed'))
    for found, problem in (
        (two, r'3 ticks, this replay 2.* part at tick 2 \(1'),
        (driving, r'golden.csv commands steering, throttle, this policy'),
    ):
        result = compare(three, found, reference='golden.csv', atol=0, rtol=0)
        assert not result.equal
        assert re.search(problem, result.problem)
        assert result.report()['equal'] is False


@pytest.mark.parametrize('text', ['', 'stamp_ns,frame\n1,2\n', 'a,b\n', '\x00\x01'])
def test_file_that_is_no_replay_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'golden.csv'
    path.write_text(text)
    with pytest.raises(ReplayError, match=r'golden.csv is not a CSV file of an earlier replay'):
        Trace.load(path)
