# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The fixed rate on a virtual clock: phase is kept, missed cycles are skipped, not replayed."""

import threading

import pytest

from liquid_control.runtime.loop import realtime
from liquid_control.runtime.loop.rate import FixedRate, SimClock

PERIOD = 33_333_333


class VirtualClock:
    """Sleeping takes no time."""

    def __init__(self) -> None:
        self.time = 10_000

    def now_ns(self) -> int:
        return self.time

    def sleep_until(self, deadline_ns: int, cancelled: threading.Event) -> bool:
        self.time = max(self.time, deadline_ns)
        return not cancelled.is_set()

    def late_ns(self, deadline_ns: int) -> int:
        return self.time - deadline_ns


def test_period_is_kept_to_the_nanosecond() -> None:
    clock, never = VirtualClock(), threading.Event()
    rate = FixedRate(PERIOD, clock)
    deadlines = []
    for _ in range(1000):
        cycle = rate.wait(never)
        deadlines.append(cycle.deadline_ns)
        clock.time += 20_000_000  # work
    assert deadlines == [10_000 + PERIOD * (k + 1) for k in range(1000)]


def test_missed_cycles_are_counted_and_the_phase_is_kept() -> None:
    clock, never = VirtualClock(), threading.Event()
    rate = FixedRate(PERIOD, clock)
    first = rate.wait(never)
    clock.time += int(3.4 * PERIOD)
    late = rate.wait(never)
    assert late.skipped == 2
    assert late.deadline_ns == first.deadline_ns + 3 * PERIOD
    assert late.lateness_ns == int(3.4 * PERIOD) - 3 * PERIOD
    following = rate.wait(never)
    assert following.skipped == 0
    assert following.deadline_ns == late.deadline_ns + PERIOD


def test_clock_that_goes_back_begins_a_new_phase() -> None:
    clock, never = VirtualClock(), threading.Event()
    clock.time = 10**12
    rate = FixedRate(PERIOD, clock)
    rate.wait(never)
    clock.time = 10**9
    assert rate.wait(never).deadline_ns == 10**9 + PERIOD


def test_cancelling_ends_the_loop() -> None:
    cancelled = threading.Event()
    cancelled.set()
    assert FixedRate(PERIOD, VirtualClock()).wait(cancelled) is None


def follow(rate: FixedRate, cycles: list, ticked: threading.Event, stop: threading.Event) -> None:
    while (cycle := rate.wait(stop)) is not None:
        cycles.append(cycle)
        ticked.set()


def test_sim_time_ticks_follow_the_clock_and_one_that_stands_still_can_be_left() -> None:
    clock, stop, ticked, cycles = SimClock(), threading.Event(), threading.Event(), []
    assert not clock.known
    clock.set(0)
    thread = threading.Thread(
        target=follow, args=(FixedRate(50_000_000, clock), cycles, ticked, stop)
    )
    thread.start()
    try:
        for k in range(1, 41):
            clock.set(k * 5_000_000)
            if k % 10 == 0:
                assert ticked.wait(5)
                ticked.clear()
        assert [cycle.deadline_ns for cycle in cycles] == [50_000_000 * k for k in range(1, 5)]
    finally:
        stop.set()
        thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize('processor', [-1, 9999, 2**70])
def test_a_processor_that_is_not_there_is_a_warning(processor: int) -> None:
    assert str(processor) in realtime.set_affinity([processor])
