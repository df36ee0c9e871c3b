# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The clock by which a recording was stamped: which stamps to believe, and where it jumps.

A recording's time is that of its stamps, as on the robot; when a message arrived only stands in
for a stamp that is missing, and tells whether a stamp lies in the future. One message with an
impossible stamp is left out, as the robot would have refused it. Where all topics move together it
is the clock that moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from liquid_control.bags.reader import BagMessage
from liquid_control.bags.refusals import Refusals

# Messages of one topic come out of order by less than this, ns.
REORDER_NS = 1_000_000_000
# Nothing on any topic for longer than this is no time of the recording, ns: it was paused, or the
# clock was set. It is also how far topics may be apart that a busy recorder falls behind with.
PAUSE_NS = 10_000_000_000

# Time that runs on over a clock that was set back is this much later, ns: more than a pause.
_APART_NS = 2 * PAUSE_NS
# A simulated clock runs this much faster than that of the wall at most.
_FASTEST = 10
# How far a stamp of a topic without limit may lie in the future of its arrival, ns.
_AHEAD_NS = 500_000_000
# Messages, and bytes of them, looked at to tell whether the clock moved.
_AHEAD = 64
_AHEAD_BYTES = 64 << 20


@dataclass(frozen=True)
class Jump:
    """The stamps of all topics jump.

    Attributes:
        topic: On which it is seen first.
        from_ns: Newest stamp before.
        to_ns: First stamp after.
        shift_ns: To be added to the stamps from here on, so that time runs on.
    """

    topic: str
    from_ns: int
    to_ns: int
    shift_ns: int

    @property
    def is_back(self) -> bool:
        """Whether the clock was set back; otherwise it was set forward, or nothing recorded."""
        return self.to_ns < self.from_ns

    def __str__(self) -> str:
        seconds = (self.to_ns - self.from_ns) / 1e9
        if self.is_back:
            return f'the stamps go back by {-seconds:.1f} s to {self.to_ns} ns on {self.topic}'
        return (
            f'the stamps jump by {seconds:.1f} s to {self.to_ns} ns on {self.topic} '
            '(paused, or the clock was set)'
        )


def in_one_clock(
    messages: Iterable[BagMessage],
    refusals: Refusals,
    max_age: Mapping[str, float],
    aside: Container[str | None] = (),
    repeated: Container[str | None] = (),
) -> Iterator[BagMessage | Jump]:
    """Leave out messages with impossible stamps, and say where the clock jumps.

    Args:
        messages: In the order they were recorded.
        refusals: Where messages left out are counted.
        max_age: By topic, s; a stamp further in the future of its arrival is refused, as on the
            robot.
        aside: Topics that say nothing of the clock: what is latched may be stamped long ago.
        repeated: Topics of which the robot takes a message whose stamp is that of the last one.
    """
    clock, seen = _Clock(max_age, repeated), refusals.seen
    newest, limits = clock.newest, clock.limits
    source, again = iter(messages), deque[BagMessage]()
    while True:
        message = again.popleft() if again else next(source, None)
        if message is None:
            return
        topic, stamp_ns = message.topic, message.stamp_ns
        message.number = seen[topic]
        seen[topic] += 1
        if topic in aside:
            yield message
            continue
        early_ns = stamp_ns - message.log_ns
        # Nearly all messages: nothing is odd. Said here, where it costs little.
        is_next = newest.get(topic, stamp_ns) < stamp_ns <= clock.now + PAUSE_NS
        if is_next and early_ns <= limits.get(topic, _AHEAD_NS):
            newest[topic] = stamp_ns
            if stamp_ns > clock.now:
                clock.now, clock.log_ns = stamp_ns, message.log_ns
            yield message
            continue
        why, jump = clock.refusal(message), None
        if not why:
            jump = clock.jump(message)
            if jump is not None and not clock.went_on(message):
                ahead = _look_ahead(again, source)
                again.extendleft(reversed(ahead))
                if not _moved(message, ahead):
                    why = clock.apart(message)
        if why:
            refusals.add(topic, 'stamp', why, stamp_ns, message.number)
            continue
        if jump is not None:
            clock.move(jump)
            yield jump
        clock.take(message)
        yield message


class _Clock:
    """What was accepted so far."""

    def __init__(self, max_age: Mapping[str, float], repeated: Container[str | None]) -> None:
        self._repeated = repeated
        self.limits = {topic: round(age * 1e9) for topic, age in max_age.items()}
        """How far a stamp may lie in the future of its arrival, ns."""
        self.newest: dict[str, int] = {}
        """Newest stamp of each topic."""
        self.now = -1
        """Newest stamp of all, -1 before the first."""
        self.log_ns = 0
        """When that arrived."""
        self._shift_ns = 0

    def refusal(self, message: BagMessage) -> str:
        """What is wrong with a stamp by itself, '' where nothing is."""
        repeats = message.stamp_ns == self.newest.get(message.topic)
        if repeats and message.topic not in self._repeated:
            return 'stamp is repeated'
        early = message.stamp_ns - message.log_ns
        # Arrival tells the time only where the others are stamped by the clock it is told by.
        is_told = self.now >= 0 and abs(self.now - self.log_ns) <= PAUSE_NS
        if is_told and early > self.limits.get(message.topic, _AHEAD_NS):
            return f'stamp is {early / 1e9:.3f} s in the future'
        return ''

    def jump(self, message: BagMessage) -> Jump | None:
        """How the clock jumps, if this message is to be believed."""
        stamp_ns, now = message.stamp_ns, self.now
        if now < 0:
            return None
        if stamp_ns < self.newest.get(message.topic, stamp_ns) - REORDER_NS:
            shift_ns = self._shift_ns + now - stamp_ns + _APART_NS
        elif stamp_ns - now > PAUSE_NS:
            shift_ns = self._shift_ns
        else:
            return None
        return Jump(message.topic, now, stamp_ns, shift_ns)

    def went_on(self, message: BagMessage) -> bool:
        """Whether as much time passed as the stamps say: a pause, not a stamp gone wrong."""
        passed = message.log_ns - self.log_ns
        return 0 <= message.stamp_ns - self.now <= passed + PAUSE_NS

    def apart(self, message: BagMessage) -> str:
        """How far a stamp is from those of the other messages."""
        away = (message.stamp_ns - self.now) / 1e9
        side = 'after' if away > 0 else 'before'
        return f'stamp is {abs(away):.3f} s {side} those of the other messages'

    def move(self, jump: Jump) -> None:
        """Go on after a jump."""
        self._shift_ns = jump.shift_ns
        if jump.is_back:
            self.newest.clear()
            self.now = -1

    def take(self, message: BagMessage) -> None:
        """Accept a message."""
        stamp_ns, topic = message.stamp_ns, message.topic
        if stamp_ns > self.newest.get(topic, stamp_ns - 1):
            self.newest[topic] = stamp_ns
        if stamp_ns > self.now:
            self.now, self.log_ns = stamp_ns, message.log_ns


def _look_ahead(again: deque[BagMessage], source: Iterator[BagMessage]) -> list[BagMessage]:
    """The messages that follow."""
    ahead: list[BagMessage] = []
    held = 0
    while len(ahead) < _AHEAD and held < _AHEAD_BYTES:
        following = again.popleft() if again else next(source, None)
        if following is None:
            break
        ahead.append(following)
        held += len(following.raw)
    return ahead


def _moved(message: BagMessage, ahead: Iterable[BagMessage]) -> bool:
    """Whether the messages of all topics that follow a suspicious one are stamped like it."""
    agree: dict[str, bool] = {}
    for following in ahead:
        tolerance = REORDER_NS + _FASTEST * max(following.log_ns - message.log_ns, 0)
        agree[following.topic] = abs(following.stamp_ns - message.stamp_ns) <= tolerance
    return bool(agree) and all(agree.values())
