"""A recording as a policy would have met it: messages in the order of their stamps, cut at ticks.

The tick rule: tick k is at t0 + k * period in whole nanoseconds, t0 is the stamp of the first
frame, and a tick sees what has a stamp at or before its own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from operator import attrgetter

from liquid_control.bags.reader import BagMessage
from liquid_control.bags.topics import TopicRoles
from liquid_control.evaluate.errors import ReplayError

# Messages of one topic come out of order by less than this, ns.
REORDER_NS = 1_000_000_000
# A recorder on a busy machine falls behind with one of its topics by less than this, ns.
MAX_LAG_NS = 10_000_000_000
# Less is waited for where the messages are large, bytes.
MAX_HELD = 128 << 20

# A jump of the stamps by more than this is not a pause of the recording but a broken clock, ns.
MAX_JUMP_NS = 3600 * 1_000_000_000

# Messages taken in before it is looked again which of them are due.
_LOOK_EVERY = 64

# Older ones are only looked at where newer ones are refused.
_KEPT = 8

_stamp_ns = attrgetter('stamp_ns')


@dataclass(frozen=True)
class Instant:
    """What came in between the previous tick and this one; oldest first, the newest few."""

    stamp_ns: int
    frame: int
    """Index of the newest frame at or before the tick."""
    image: tuple[BagMessage, ...]
    imu: tuple[BagMessage, ...]
    odom: tuple[BagMessage, ...]
    command: tuple[BagMessage, ...]


def by_stamp(messages: Iterable[BagMessage], topics: Iterable[str]) -> Iterator[BagMessage]:
    """Sort messages by stamp; equal stamps stay as they came.

    A message is held back until every topic has come as far, within the limits above.
    """
    waiting: list[BagMessage] = []
    reached = dict.fromkeys(topics, 0)
    held, count = 0, _LOOK_EVERY
    for message in messages:
        waiting.append(message)
        held += len(message.raw)
        if message.stamp_ns > reached[message.topic]:
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
    messages: Iterable[BagMessage],
    topics: TopicRoles,
    period_ns: int,
    *,
    start_frame: int = 0,
    end_frame: int | None = None,
) -> Iterator[Instant]:
    """Cut a recording at the ticks of a control loop.

    A frame is a message of the first of image, IMU and odometry that `topics` names.

    Args:
        messages: in the order they were recorded.
        start_frame: index of the frame at whose stamp the first tick is.
        end_frame: index of the first frame left out.

    Raises:
        ReplayError: the stamps jump.
    """
    leading = topics.image or topics.imu or topics.odom
    fresh = {part: deque[BagMessage](maxlen=_KEPT) for part in asdict(topics)}
    # One topic may play two parts: odometry may stand for the commands.
    queues = {
        topic: [fresh[part] for part, name in asdict(topics).items() if name == topic]
        for topic in asdict(topics).values()
    }
    frame, tick_ns, last_ns = -1, None, 0

    def cut(at_ns: int) -> Instant:
        taken = {part: tuple(queue) for part, queue in fresh.items()}
        for queue in fresh.values():
            queue.clear()
        return Instant(at_ns, frame, **taken)

    for message in by_stamp(messages, (topic for topic in queues if topic)):
        stamp_ns = message.stamp_ns
        if tick_ns is not None:
            if stamp_ns - last_ns > MAX_JUMP_NS:
                raise ReplayError(
                    f'the stamps jump by {(stamp_ns - last_ns) / 1e9:.0f} s to {stamp_ns} ns on '
                    f'{message.topic}: its clock is not that of the other topics'
                )
            while tick_ns < stamp_ns:
                yield cut(tick_ns)
                tick_ns += period_ns
        if message.topic == leading:
            if frame + 1 == end_frame:
                return
            frame += 1
            if frame == start_frame:
                tick_ns = stamp_ns
        if stamp_ns > last_ns:
            last_ns = stamp_ns
        for queue in queues[message.topic]:
            queue.append(message)
    while tick_ns is not None and tick_ns <= last_ns:
        yield cut(tick_ns)
        tick_ns += period_ns
