"""A recording as a policy would have met it: messages in the order of their stamps, cut at ticks.

The tick rule: tick k is at t0 + k * period in whole nanoseconds, t0 is the stamp of the first
frame, and a tick sees what has a stamp at or before its own.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from liquid_control.bags.reader import BagMessage
from liquid_control.bags.topics import TopicRoles
from liquid_control.evaluate.errors import ReplayError

# Messages are recorded when they arrive; none is expected later than this after its stamp, ns.
REORDER_NS = 1_000_000_000

# A jump of the stamps by more than this is not a pause of the recording but a broken clock, ns.
MAX_JUMP_NS = 3600 * 1_000_000_000

# Older ones are only looked at where newer ones are refused.
_KEPT = 8


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


def by_stamp(messages: Iterable[BagMessage]) -> Iterator[BagMessage]:
    """Sort messages by stamp, holding at most `REORDER_NS` of them."""
    heap: list[tuple[int, int, BagMessage]] = []
    newest = 0
    for number, message in enumerate(messages):
        heapq.heappush(heap, (message.stamp_ns, number, message))
        newest = max(newest, message.stamp_ns)
        while heap[0][0] < newest - REORDER_NS:
            yield heapq.heappop(heap)[2]
    while heap:
        yield heapq.heappop(heap)[2]


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
    parts = ('image', 'imu', 'odom', 'command')
    names = {part: getattr(topics, part) for part in parts}
    leading = topics.image or topics.imu or topics.odom
    fresh: dict[str, deque[BagMessage]] = {part: deque(maxlen=_KEPT) for part in parts}
    frame, tick_ns, last_ns = -1, None, 0

    def cut(at_ns: int) -> Instant:
        taken = {part: tuple(queue) for part, queue in fresh.items()}
        for queue in fresh.values():
            queue.clear()
        return Instant(at_ns, frame, **taken)

    for message in by_stamp(messages):
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
        last_ns = max(last_ns, stamp_ns)
        for part, topic in names.items():
            if message.topic == topic:
                fresh[part].append(message)
    while tick_ns is not None and tick_ns <= last_ns:
        yield cut(tick_ns)
        tick_ns += period_ns
