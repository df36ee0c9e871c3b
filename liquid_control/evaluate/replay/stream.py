# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A recording as a policy would have met it: messages in the order of their stamps, cut at ticks.

The tick rule: tick k is at t0 + k * period in whole nanoseconds, t0 is the stamp of the first
frame, and a tick sees what has a stamp at or before its own. While nothing at all was recorded
there are no ticks; where the clock went back everything is forgotten and time runs on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from liquid_control.bags.clock import PAUSE_NS, REORDER_NS, Jump
from liquid_control.bags.reader import BagMessage

# A recorder on a busy machine falls behind with one of its topics by less than this, ns.
MAX_LAG_NS = PAUSE_NS
# Less is waited for where the messages are large, bytes.
MAX_HELD = 128 << 20

# Messages taken in before it is looked again which of them are due.
_LOOK_EVERY = 64

# Older ones are only looked at where newer ones are refused.
_KEPT = 8

# Of topics that nobody waits for.
_NEVER = 1 << 63

_stamp_ns = attrgetter('stamp_ns')


@dataclass(frozen=True)
class Instant:
    """What came in between the previous tick and this one; oldest first, the newest few."""

    stamp_ns: int
    frame: int
    """Index of the newest frame at or before the tick."""
    reset: bool
    """Whether the clock went back before this tick."""
    messages: Mapping[str, tuple[BagMessage, ...]]
    """By topic."""


def by_stamp(
    messages: Iterable[BagMessage | Jump], topics: Iterable[str]
) -> Iterator[BagMessage | Jump]:
    """Sort messages by stamp; equal stamps stay as they came.

    A message is held back until every one of the topics has come as far, within the limits above,
    and none comes to the other side of a jump.
    """
    waiting: list[BagMessage] = []
    reached = dict.fromkeys(topics, 0)
    held, count = 0, _LOOK_EVERY
    for message in messages:
        if isinstance(message, Jump):
            waiting.sort(key=_stamp_ns)
            yield from waiting
            yield message
            waiting, held, count = [], 0, _LOOK_EVERY
            reached = dict.fromkeys(reached, 0)
            continue
        waiting.append(message)
        held += len(message.raw)
        if message.stamp_ns > reached.get(message.topic, _NEVER):
            reached[message.topic] = message.stamp_ns
        if len(waiting) < count and held <= MAX_HELD:
            continue
        waiting.sort(key=_stamp_ns)
        newest_ns = waiting[-1].stamp_ns
        due_ns = newest_ns - REORDER_NS
        if held <= MAX_HELD:
            due_ns = min(due_ns, max(min(reached.values()), newest_ns - MAX_LAG_NS))
        due = bisect_left(waiting, due_ns, key=_stamp_ns)
        held -= sum(len(message.raw) for message in waiting[:due])
        yield from waiting[:due]
        del waiting[:due]
        count = len(waiting) + _LOOK_EVERY
    waiting.sort(key=_stamp_ns)
    yield from waiting


def instants(
    messages: Iterable[BagMessage | Jump],
    topics: Collection[str],
    leading: str,
    period_ns: int,
    *,
    aside: Collection[str] = (),
    start_frame: int = 0,
    end_frame: int | None = None,
    left_ns: int = 0,
) -> Iterator[Instant]:
    """Cut a recording at the ticks of a control loop.

    Args:
        messages: in the order they were recorded, as `bags.clock.in_one_clock` gives them.
        topics: of the messages.
        leading: the one whose messages are counted as frames.
        aside: topics that nobody waits for: they speak now and then.
        start_frame: index of the frame at whose stamp the first tick is.
        end_frame: index of the first frame left out.
        left_ns: for how long what came before a jump may still be young enough.
    """
    cutter = _Cutter(topics, period_ns, left_ns)
    for message in by_stamp(messages, set(topics) - set(aside)):
        if isinstance(message, Jump):
            yield from cutter.jump(message)
            continue
        yield from cutter.up_to(message.stamp_ns)
        if message.topic == leading:
            if cutter.frame + 1 == end_frame:
                return
            cutter.frame += 1
            if cutter.frame == start_frame:
                cutter.start(message.stamp_ns)
        cutter.take(message)
    yield from cutter.end()


class _Cutter:
    """What came in since the last tick, and when the next one is due."""

    def __init__(self, topics: Collection[str], period_ns: int, left_ns: int) -> None:
        self.frame = -1
        self._left_ns = left_ns
        self._period_ns = period_ns
        self._fresh = {topic: deque[BagMessage](maxlen=_KEPT) for topic in topics}
        self._tick_ns: int | None = None
        """Of the next tick, in time that runs on; as the newest stamp."""
        self._last_ns = 0
        self._shift_ns = 0
        self._reset = False

    def start(self, stamp_ns: int) -> None:
        """The first tick is at this stamp."""
        self._tick_ns = stamp_ns + self._shift_ns

    def up_to(self, stamp_ns: int) -> Iterator[Instant]:
        """The ticks before a message that comes next."""
        if self._tick_ns is not None:
            while self._tick_ns < stamp_ns + self._shift_ns:
                yield self._cut(self._tick_ns)

    def take(self, message: BagMessage) -> None:
        self._last_ns = max(self._last_ns, message.stamp_ns + self._shift_ns)
        self._fresh[message.topic].append(message)

    def jump(self, jump: Jump) -> Iterator[Instant]:
        """The ticks until nothing was recorded any more; the next one is after the jump."""
        self._last_ns += self._left_ns
        yield from self.end()
        self._shift_ns = jump.shift_ns
        resumed_ns = jump.to_ns + jump.shift_ns
        if self._tick_ns is not None:
            missed = -((self._tick_ns - resumed_ns) // self._period_ns)
            self._tick_ns += max(missed, 0) * self._period_ns
        if jump.is_back:
            self._reset = True
            for queue in self._fresh.values():
                queue.clear()

    def end(self) -> Iterator[Instant]:
        """The ticks up to the newest message."""
        while self._tick_ns is not None and self._tick_ns <= self._last_ns:
            yield self._cut(self._tick_ns)

    def _cut(self, at_ns: int) -> Instant:
        taken = {topic: tuple(queue) for topic, queue in self._fresh.items()}
        for queue in self._fresh.values():
            queue.clear()
        reset, self._reset = self._reset, False
        self._tick_ns = at_ns + self._period_ns
        return Instant(at_ns - self._shift_ns, self.frame, reset, taken)
