"""What a bag's files have in common, whatever their format; their messages in order of time."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar('T')

Message = tuple[int, Any, bytes]
"""Log time (ns), what the caller said of the channel, bytes."""

FIRST_NS, LAST_NS = -(1 << 63), (1 << 63) - 1

_log_ns = itemgetter(0)


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


def signed(stamp_ns: int) -> int:
    """A time that was written unsigned; one before 1970 has wrapped around."""
    return stamp_ns if stamp_ns <= LAST_NS else stamp_ns - (1 << 64)


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
    # Pieces may overlap in time: what a later one may come before is held back.
    waiting: list[Message] = []
    for (piece, wanted), next_start_ns in zip(pieces, starts, strict=True):
        waiting += piece.read(wanted)
        waiting.sort(key=_log_ns)
        first = bisect_left(waiting, start_ns, key=_log_ns)
        due = bisect_left(waiting, min(next_start_ns, end_ns), key=_log_ns)
        yield from waiting[first:due]
        del waiting[:due]
