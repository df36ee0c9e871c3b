# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a bag's files have in common, whatever their format; their messages in order of time."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from liquid_control.bags.unpacking import check_size

T = TypeVar('T')

Message = tuple[int, Any, bytes]
"""Log time (ns), what the caller said of the channel, bytes."""

FIRST_NS, LAST_NS = -(1 << 63), (1 << 63) - 1

_log_ns = itemgetter(0)
_OVERHEAD = 150  # bytes of memory that a message takes besides its own


@dataclass(frozen=True)
class Channel:
    """One topic of one file.

    Attributes:
        msgtype: Full name such as `sensor_msgs/msg/Imu`, '' where the file does not say.
        encoding: `cdr`, `ros1`, or what other programs write: `json`, `protobuf`, …
        definition: Of the type, '' where the file has none.
        definition_format: `ros2msg`, `ros2idl`, `ros1msg`, …
        qos: YAML, what the publishers offered.
    """

    topic: str
    msgtype: str
    encoding: str
    definition: str = ''
    definition_format: str = ''
    qos: str = ''
    message_count: int = 0


class Piece(NamedTuple):
    """A stretch of a file that is read at once: a chunk.

    Attributes:
        channels: Those that may be in it, None where that is not known.
        read: Yields the messages of the channels wanted, as they lie in it.
    """

    start_ns: int
    end_ns: int
    channels: frozenset[int] | None
    read: Callable[[Mapping[int, Any]], Iterable[Message]]


class Part(Protocol):
    """One file of a bag, open.

    Attributes:
        storage: `mcap`, `sqlite3` or `ros1`.
        compression: Of its chunks, in words; '' where there is none.
        problems: What is wrong with it.
        is_finished: Whether its writer closed it.
        pieces: Its chunks, None where it comes as one stream.
    """

    path: Path
    storage: str
    compression: str
    channels: dict[int, Channel]
    start_ns: int
    end_ns: int
    is_finished: bool
    problems: list[str]
    pieces: list[Piece] | None

    def stream(self, wanted: Mapping[int, Any], start_ns: int, end_ns: int) -> Iterator[Message]:
        """Messages by log time, of a part without pieces."""

    def close(self) -> None:
        """Close the file."""


def merged(
    parts: Sequence[tuple[Part, Mapping[int, Any]]], start_ns: int, end_ns: int
) -> Iterator[Message]:
    """Messages of all parts in the order of their log times.

    Args:
        parts: And what to yield for each channel that is wanted.
        start_ns: First log time wanted.
        end_ns: Log time to stop before.
    """
    pieces = [
        (piece, wanted)
        for part, wanted in parts
        for piece in part.pieces or ()
        if piece.end_ns >= start_ns
        and piece.start_ns < end_ns
        and (piece.channels is None or not piece.channels.isdisjoint(wanted))
    ]
    streams = [
        part.stream(wanted, start_ns, end_ns) for part, wanted in parts if part.pieces is None
    ]
    if pieces:
        streams.append(_in_order(pieces, start_ns, end_ns))
    return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_log_ns)


def _in_order(
    pieces: list[tuple[Piece, Mapping[int, Any]]], start_ns: int, end_ns: int
) -> Iterator[Message]:
    pieces.sort(key=lambda entry: entry[0].start_ns)
    starts = [piece.start_ns for piece, _ in pieces[1:]] + [end_ns]
    runs = _Runs()
    for (piece, wanted), next_start_ns in zip(pieces, starts, strict=True):
        run = sorted(piece.read(wanted), key=_log_ns)
        runs.add(run, bisect_left(run, start_ns, key=_log_ns))
        # Pieces may overlap in time: what a later one may come before is held back.
        yield from runs.until(min(next_start_ns, end_ns))


class _Runs:
    """Messages of pieces that overlap, each piece's in order; mostly there is only one."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, list[Message]]] = []
        self._added = 0
        self._sizes: dict[int, int] = {}  # of those that others are held beside

    def add(self, run: list[Message], first: int) -> None:
        """Take in a piece's messages, from one on."""
        if first >= len(run):
            return
        self._added += 1
        if self._heap:
            self._sizes[self._added] = sum(len(raw) + _OVERHEAD for _, _, raw in run)
            check_size('what overlaps in time', sum(self._sizes.values()))
        heapq.heappush(self._heap, (run[first][0], self._added, first, run))

    def until(self, end_ns: int) -> Iterator[Message]:
        """Yield what comes before a time."""
        heap = self._heap
        while heap and heap[0][0] < end_ns:
            _, number, first, run = heapq.heappop(heap)
            # As many at once as come before those of the next piece.
            stop_ns = min(end_ns, heap[0][0] + 1) if heap else end_ns
            end = bisect_left(run, stop_ns, lo=first, key=_log_ns)
            yield from run[first:end]
            if end < len(run):
                heapq.heappush(heap, (run[end][0], number, end, run))
            else:
                self._sizes.pop(number, None)
