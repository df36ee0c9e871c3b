"""Messages of indexed MCAP files in the order of their log times.

The libraries build a stream and a record object for every message, which takes longer than
decoding a small picture does (benchmarks/replay.py). Here a chunk is one buffer: messages nobody
asked for are passed over, the others are cut out of it.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import NamedTuple, TypeVar

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Chunk, ChunkIndex
from mcap.stream_reader import get_chunk_data_stream
from rosbags.interfaces.typing import RPath

from liquid_control.bags.mcap_file import MESSAGE_RECORD, RECORD

T = TypeVar('T')

_log_ns = itemgetter(0)


def read_chunk(record: bytes) -> tuple[Chunk, bytes]:
    """Return a chunk and the records in it, decompressed; raises what the libraries raise."""
    chunk = Chunk.read(ReadDataStream(io.BytesIO(record)))
    stream, size = get_chunk_data_stream(chunk, validate_crc=True)
    return chunk, bytes(stream.read(size))


class _File(NamedTuple):
    path: RPath
    topics: dict[int, str]
    """By channel."""


class IndexedFiles:
    """The files of one bag, all with an index of their chunks.

    Attributes:
        msgtypes: Of the channels of each topic.
    """

    def __init__(self, paths: Iterable[RPath]) -> None:
        """Read the index of each file; raises ValueError where one has none."""
        self.msgtypes: dict[str, set[str]] = {}
        self._chunks: list[tuple[ChunkIndex, _File]] = []
        for path in paths:
            with path.open('rb') as stream:
                summary = make_reader(stream).get_summary()
            counts = summary.statistics if summary else None
            if summary is None or counts is None:
                raise ValueError('no summary')
            if counts.message_count and not summary.chunk_indexes:
                raise ValueError('no index of chunks')
            if not counts.channel_message_counts.keys() <= summary.channels.keys():
                raise ValueError('no index of channels')
            file = _File(path, {key: c.topic for key, c in summary.channels.items()})
            for channel in summary.channels.values():
                schema = summary.schemas.get(channel.schema_id)
                self.msgtypes.setdefault(channel.topic, set()).add(schema.name if schema else '')
            self._chunks += [(chunk, file) for chunk in summary.chunk_indexes]
        self._chunks.sort(key=lambda entry: entry[0].message_start_time)

    def messages(
        self, topics: Mapping[str, T], *, start_ns: int, end_ns: int
    ) -> Iterator[tuple[int, T, bytes]]:
        """Yield log time (ns), what `topics` says of the topic, and bytes of the messages.

        Args:
            topics: Those wanted.
            start_ns: First log time wanted.
            end_ns: Log time to stop before.
        """
        chunks = [
            (chunk, file)
            for chunk, file in self._chunks
            if chunk.message_end_time >= start_ns
            and chunk.message_start_time < end_ns
            and _may_hold(chunk, file, topics)
        ]
        starts = [chunk.message_start_time for chunk, _ in chunks[1:]] + [end_ns]
        # Chunks may overlap in time: what a later one may come before is held back.
        waiting: list[tuple[int, T, bytes]] = []
        for (chunk, file), next_start_ns in zip(chunks, starts, strict=True):
            waiting += _messages(chunk, file, topics, start_ns, end_ns)
            waiting.sort(key=_log_ns)
            due = bisect_left(waiting, next_start_ns, key=_log_ns)
            yield from waiting[:due]
            del waiting[:due]


def _may_hold(chunk: ChunkIndex, file: _File, topics: Collection[str]) -> bool:
    """Whether one of the topics is in a chunk, as far as its index says."""
    channels = chunk.message_index_offsets  # some writers leave this out
    return not channels or any(file.topics.get(channel) in topics for channel in channels)


def _messages(
    index: ChunkIndex, file: _File, topics: Mapping[str, T], start_ns: int, end_ns: int
) -> Iterator[tuple[int, T, bytes]]:
    """Yield a chunk's messages as they lie in it."""
    with file.path.open('rb') as stream:
        stream.seek(index.chunk_start_offset + RECORD.size)
        _, records = read_chunk(stream.read(index.chunk_length - RECORD.size))
    wanted = {channel: topics[topic] for channel, topic in file.topics.items() if topic in topics}
    at, size = 0, len(records)
    while at + MESSAGE_RECORD.size <= size:  # what is shorter is no message
        opcode, length, channel, _, log_ns, _ = MESSAGE_RECORD.unpack_from(records, at)
        end = at + RECORD.size + length
        if opcode == Opcode.MESSAGE:
            topic = wanted.get(channel)
            if topic is not None and start_ns <= log_ns < end_ns:
                yield log_ns, topic, records[at + MESSAGE_RECORD.size : end]
        at = end
    if at > size:
        raise ValueError('a record goes beyond the end of its chunk')
