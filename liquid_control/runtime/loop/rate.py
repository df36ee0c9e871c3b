# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A fixed rate on absolute deadlines: phase is kept, missed cycles are counted and skipped."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol

# A wait wakes up this often to see whether it was cancelled, ns.
CANCEL_CHECK_NS = 100_000_000
# A loop that is this late did not run late: its clock was set. ns
CLOCK_JUMP_NS = 10_000_000_000


class Clock(Protocol):
    """What a control loop needs of time. Nanoseconds."""

    def now_ns(self) -> int:
        """The time that deadlines are in."""

    def sleep_until(self, deadline_ns: int, cancelled: threading.Event) -> bool:
        """Sleep, as long as it takes; False when cancelled."""

    def late_ns(self, deadline_ns: int) -> int:
        """How long ago the deadline could first have been noticed."""


class SteadyClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep_until(self, deadline_ns: int, cancelled: threading.Event) -> bool:
        while not cancelled.is_set():
            remaining = deadline_ns - time.monotonic_ns()
            if remaining <= 0:
                return True
            # time.sleep waits on the monotonic clock without polling; an Event's timed wait
            # wakes later and costs more.
            time.sleep(min(remaining, CANCEL_CHECK_NS) / 1e9)
        return False

    def late_ns(self, deadline_ns: int) -> int:
        return time.monotonic_ns() - deadline_ns


class SimClock:
    """A clock that somebody else moves (`/clock`), or leaves standing."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now_ns = 0
        self._arrived_ns = 0
        self._waiting_for = 0

    def set(self, now_ns: int) -> None:
        """News from the outside; wakes a sleeper whose deadline has come."""
        with self._changed:
            went_back = now_ns < self._now_ns
            self._now_ns = now_ns
            self._arrived_ns = time.monotonic_ns()
            if went_back or now_ns >= self._waiting_for:
                self._changed.notify_all()

    @property
    def known(self) -> bool:
        """Whether anything was heard of the time yet."""
        return self._arrived_ns != 0

    def now_ns(self) -> int:
        return self._now_ns

    def sleep_until(self, deadline_ns: int, cancelled: threading.Event) -> bool:
        with self._changed:
            self._waiting_for = deadline_ns
            started_at = self._now_ns
            while self._now_ns < deadline_ns and not cancelled.is_set():
                if self._now_ns < started_at:
                    return True
                self._changed.wait(CANCEL_CHECK_NS / 1e9)
            return not cancelled.is_set()

    def late_ns(self, deadline_ns: int) -> int:
        # The deadline passes with the /clock message that reaches it; what follows is our delay.
        return time.monotonic_ns() - self._arrived_ns


@dataclass(frozen=True)
class Cycle:
    """One turn of the loop."""

    deadline_ns: int
    now_ns: int
    lateness_ns: int
    skipped: int
    """Deadlines that passed unserved since the last cycle."""


class FixedRate:
    """Yields one `Cycle` per period until cancelled.

    Deadlines are start + k * period, whole nanoseconds. A cycle that comes a period or more late
    is followed by the next deadline in the future; the ones between are counted, never replayed.
    """

    def __init__(self, period_ns: int, clock: Clock) -> None:
        if period_ns <= 0:
            raise ValueError(f'period must be > 0 ns, found {period_ns}')
        self.period_ns = period_ns
        self._clock = clock
        self._deadline_ns: int | None = None

    def wait(self, cancelled: threading.Event) -> Cycle | None:
        """Sleep until the next deadline; None when cancelled."""
        clock, period = self._clock, self.period_ns
        now = clock.now_ns()
        deadline = now + period if self._deadline_ns is None else self._deadline_ns + period
        if deadline - now > period:
            # The clock went back: begin a new phase.
            deadline = now + period
        if now - deadline > CLOCK_JUMP_NS:
            # It was set, not slept through: nothing was missed.
            deadline = now
        skipped = max(0, (now - deadline) // period)
        deadline += skipped * period
        if not clock.sleep_until(deadline, cancelled):
            return None
        self._deadline_ns = deadline
        return Cycle(deadline, clock.now_ns(), clock.late_ns(deadline), skipped)
