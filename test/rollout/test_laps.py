# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Failures per lap: leaving the road and standing still count, and every lap comes to its end."""

from __future__ import annotations

import pytest

from liquid_control.common.assets import find_bundle
from liquid_control.common.jobs import CancelledError
from liquid_control.rollout import laps as laps_module
from liquid_control.rollout.expert import Expert
from liquid_control.rollout.laps import drive_laps, evaluate_laps
from liquid_control.sim.car import command as car_command
from liquid_control.sim.protocols import Command, Sample
from liquid_control.sim.track import generate_track


class Person:
    """Drives by ground truth, and lets go of the wheel after a while."""

    def __init__(self, seed: int, *, lets_go_after_ns: int = 2**62, speed: float = 1.5) -> None:
        self._expert = Expert(generate_track(seed))
        self._lets_go_ns = lets_go_after_ns
        self._command = car_command(0.0, speed)

    def sense(self, sample: Sample) -> None:
        if sample.sensor == 'odom' and sample.stamp_ns < self._lets_go_ns:
            self._command = self._expert.command(sample.value)

    def act(self, now_ns: int) -> Command:
        if now_ns >= self._lets_go_ns:
            return car_command(0.5, 1.5)
        return self._command


def test_who_stays_on_the_road_has_no_failure() -> None:
    driven = drive_laps(lambda: Person(1), 1, laps=2, control_rate=20.0, camera=False)
    assert (driven.failures, driven.laps, driven.seed) == (0, 2, 1)
    assert driven.distance == 2 * generate_track(1).length
    assert driven.duration == pytest.approx(driven.distance / 1.7, rel=0.15)
    assert 0 < driven.mean_offset < driven.max_offset < 0.1


def test_every_departure_counts_and_the_lap_goes_on() -> None:
    people = []

    def make() -> Person:
        people.append(Person(1, lets_go_after_ns=4_000_000_000))
        return people[-1]

    driven = drive_laps(make, 1, laps=1, control_rate=20.0, camera=False)
    # Each of them gets about six metres far.
    assert driven.failures == len(people) - 1
    assert 3 <= driven.failures <= 5
    assert 0.375 < driven.max_offset < 0.6


def test_standing_still_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laps_module, '_FORWARD', generate_track(1).length / 3)

    class Nobody(Person):
        def act(self, now_ns: int) -> Command:
            return car_command()

    driven = drive_laps(lambda: Nobody(1), 1, laps=1, control_rate=20.0, camera=False)
    assert driven.failures == 3
    assert driven.duration == pytest.approx(15.0, abs=0.1)


def test_a_policy_is_evaluated_on_every_track_in_order() -> None:
    one, other = evaluate_laps(find_bundle('track_cfc'), [202, 201], laps=1, workers=2)
    assert (one.seed, other.seed) == (202, 201)
    assert one.failures == other.failures == 0
    assert one.distance == generate_track(202).length


def test_an_evaluation_that_nobody_wants_ends_early() -> None:
    with pytest.raises(CancelledError):
        drive_laps(
            lambda: Person(1),
            1,
            laps=1,
            control_rate=20.0,
            camera=False,
            is_cancelled=lambda: True,
        )
