# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""An MCAP file as part of a bag: finished or cut off, with an index or without."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel as ChannelRecord
from mcap.records import ChunkIndex, Schema, Statistics
from mcap.writer import MCAP0_MAGIC as MAGIC

from liquid_control.bags.mcap_file import FOOTER, RECORD, Contents
from liquid_control.bags.mcap_messages import messages_in, read_chunk, read_record
from liquid_control.bags.parts import FIRST_NS, LAST_NS, Channel, Message, Piece
from liquid_control.bags.recovery import LooseMessages, Recovered, is_finished, scan
from liquid_control.bags.unpacking import check_size
from liquid_control.common.files import open_regular


class McapPart:
    """See `parts.Part`.

    Args:
        found: What a scan found, to read by that and not by the file's own index.
    """

    storage = 'mcap'

    def __init__(self, path: Path, found: Recovered | None = None) -> None:
        self.path = path
        self.problems: list[str] = []
        self.is_finished = is_finished(path)
        contents = _indexed(path) if self.is_finished and found is None else None
        loose: list[LooseMessages] = []
        if contents is None:
            contents, loose = self._scanned(found)
        self._stream = open_regular(path)
        self.channels = {
            number: _channel(contents, record) for number, record in contents.channels.items()
        }
        self.compression = ', '.join(sorted({c.compression for c in contents.chunks} - {''}))
        self.pieces: list[Piece] | None = [
            *(self._chunk(index) for index in contents.chunks),
            *(self._run(run) for run in loose),
        ]
        self.start_ns, self.end_ns = contents.start_ns, contents.end_ns
        if self.end_ns > LAST_NS:  # some times wrapped around: only the messages tell
            times = [log_ns for piece in self.pieces for log_ns, *_ in piece.read(self.channels)]
            self.start_ns, self.end_ns = min(times, default=0), max(times, default=0)

    def stream(self, wanted: Mapping[int, Any], start_ns: int, end_ns: int) -> Iterator[Message]:
        """Not needed: all is in pieces."""
        raise NotImplementedError

    def close(self) -> None:
        self._stream.close()

    def _scanned(self, found: Recovered | None) -> tuple[Contents, list[LooseMessages]]:
        found = found or scan(self.path)
        if not self.is_finished:
            self.problems.append('is not finished: its writer was killed, or is still writing')
        if found.damaged_chunks:
            self.problems.append(f'has {found.damaged_chunks} damaged chunks, which are left out')
        return found.contents, found.loose

    def _chunk(self, index: ChunkIndex) -> Piece:
        start_ns, end_ns = _span(index.message_start_time, index.message_end_time)
        # Some writers leave the offsets out.
        channels = frozenset(index.message_index_offsets) or None
        return Piece(start_ns, end_ns, channels, partial(self._read_chunk, index))

    def _read_chunk(self, index: ChunkIndex, wanted: Mapping[int, Any]) -> Iterator[Message]:
        record = read_record(self._stream, index.chunk_start_offset, index.chunk_length)
        return messages_in(read_chunk(record)[1], wanted, len(record))

    def _run(self, run: LooseMessages) -> Piece:
        return Piece(*_span(run.start_ns, run.end_ns), None, partial(self._read_run, run))

    def _read_run(self, run: LooseMessages, wanted: Mapping[int, Any]) -> Iterator[Message]:
        check_size(f'a message of {self.path}', run.end - run.offset)
        self._stream.seek(run.offset)
        size = run.end - run.offset
        return messages_in(self._stream.read(size), wanted, size)


def _span(start_ns: int, end_ns: int) -> tuple[int, int]:
    """First and last time as signed numbers; where one wrapped around, nothing is known."""
    return (start_ns, end_ns) if end_ns <= LAST_NS else (FIRST_NS, LAST_NS)


def _channel(contents: Contents, record: ChannelRecord) -> Channel:
    schema = contents.schemas.get(record.schema_id)
    return Channel(
        record.topic,
        schema.name if schema else '',
        record.message_encoding,
        schema.data.decode(errors='replace') if schema else '',
        schema.encoding if schema else '',
        record.metadata.get('offered_qos_profiles', ''),
        contents.message_counts[record.id],
    )


def _indexed(path: Path) -> Contents | None:
    """What the summary of a finished file says, None where it does not say enough."""
    try:
        with open_regular(path) as stream:
            contents, counts = _summary(stream)
    except (McapError, ValueError, struct.error):
        return None
    if counts is None or counts.chunk_count != len(contents.chunks):
        return None
    if counts.message_count and not contents.chunks:
        return None
    if not counts.channel_message_counts.keys() <= contents.channels.keys():
        return None
    return contents


def _summary(stream: BinaryIO) -> tuple[Contents, Statistics | None]:
    end = stream.seek(-FOOTER.size - len(MAGIC), os.SEEK_END)
    _, _, start, _, _ = FOOTER.unpack(stream.read(FOOTER.size))
    if not 0 < start <= end:
        raise ValueError('no summary')
    check_size('the index', end - start)
    stream.seek(start)
    data = stream.read(end - start)
    contents, counts, at = Contents(), None, 0
    while at < len(data):
        opcode, length = RECORD.unpack_from(data, at)
        record = ReadDataStream(io.BytesIO(data[at + RECORD.size : at + RECORD.size + length]))
        at += RECORD.size + length
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(record)
            contents.schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel = ChannelRecord.read(record)
            contents.channels[channel.id] = channel
        elif opcode == Opcode.CHUNK_INDEX:
            contents.chunks.append(ChunkIndex.read(record))
        elif opcode == Opcode.STATISTICS:
            counts = Statistics.read(record)
            contents.message_counts.update(counts.channel_message_counts)
            contents.start_ns = counts.message_start_time
            contents.end_ns = counts.message_end_time
    return contents, counts
