# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What can be read of an MCAP file whose writer was killed, and the ending that it lacks.

A finished file ends in a data-end record, a summary (schemas, channels, statistics, chunk index)
and a footer. `scan` finds out up to where an unfinished file is whole and makes the ending up, so
that a reader can be shown a finished file and a repair appends a few kilobytes in place.
"""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, Schema
from mcap.writer import MCAP0_MAGIC as MAGIC

from liquid_control.bags.errors import BagError, EmptyPartError
from liquid_control.bags.mcap_file import (
    CHECKSUM_SIZE,
    FOOTER,
    MESSAGE,
    RECORD,
    Contents,
    MessageIndexes,
    message_indexes,
)
from liquid_control.bags.mcap_messages import read_chunk
from liquid_control.bags.metadata import FileSummary, TopicSummary, read_qos
from liquid_control.bags.unpacking import check_count, check_size, max_messages
from liquid_control.common.files import open_regular

_DAMAGE = (McapError, ValueError, RuntimeError, OverflowError, struct.error, zstandard.ZstdError)
_LOOSE_BYTES = 1 << 20


@dataclass
class LooseMessages:
    """Messages that lie one after the other outside chunks; times are log times (ns)."""

    offset: int
    end: int
    start_ns: int
    end_ns: int


@dataclass
class Recovered:
    """The whole part of an MCAP file.

    Attributes:
        end: Bytes of the file that are whole.
        ending: Bytes that must follow to make it a finished file.
        damaged_chunks: Chunks that cannot be read; the ending's index leaves them out.
        loose: Messages outside chunks.
        lost_bytes: Size of these, and of what is torn at the end.
    """

    path: Path
    end: int = 0
    ending: bytes = b''
    damaged_chunks: int = 0
    lost_bytes: int = 0
    contents: Contents = field(default_factory=Contents)
    loose: list[LooseMessages] = field(default_factory=list)

    @property
    def file(self) -> FileSummary:
        """What metadata.yaml says about the file."""
        contents = self.contents
        return FileSummary(
            self.path.name,
            contents.start_ns,
            contents.end_ns,
            contents.message_counts.total(),
        )

    @property
    def topics(self) -> list[TopicSummary]:
        """What metadata.yaml says about the topics, as far as this file goes."""
        return [
            TopicSummary(
                channel.topic,
                self.contents.schemas[channel.schema_id].name,
                channel.metadata.get('topic_type_hash', ''),
                tuple(read_qos(channel.metadata.get('offered_qos_profiles', ''))),
                self.contents.message_counts[channel.id],
            )
            for channel in self.contents.channels.values()
            if channel.schema_id in self.contents.schemas and channel.message_encoding == 'cdr'
        ]


def is_finished(path: Path) -> bool:
    """Tell whether an MCAP file has a whole ending; raises OSError where it is missing."""
    with open_regular(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        footer_start = size - FOOTER.size - len(MAGIC)
        if footer_start < len(MAGIC):
            return False
        stream.seek(footer_start)
        footer = stream.read(FOOTER.size)
        if stream.read() != MAGIC:
            return False
        opcode, length, summary_start, _, checksum = map(int, FOOTER.unpack(footer))
        if opcode != Opcode.FOOTER or length != FOOTER.size - RECORD.size:
            return False
        if checksum == 0:
            return True  # the writer made none
        if summary_start == 0:
            summary_start = footer_start  # the writer made no summary
        if not 0 < summary_start <= footer_start:
            return False
        check_size(f'the index of {path}', footer_start - summary_start)
        stream.seek(summary_start)
        summary = stream.read(footer_start - summary_start)
        return zlib.crc32(footer[:-CHECKSUM_SIZE], zlib.crc32(summary)) == checksum


def scan(path: Path) -> Recovered:
    """Read an MCAP file up to its last whole chunk, checking every chunk's checksum.

    Raises:
        EmptyPartError: Not even one message can be read.
        BagError: It is no MCAP file, or a chunk asks for more memory than is allowed.
    """
    recovered = Recovered(path)
    contents = recovered.contents
    last_indexes: MessageIndexes = {}
    damaged = True  # as long as there is no chunk, there is none that message indexes belong to
    with open_regular(path) as stream:
        check_magic(path, stream.read(len(MAGIC)))
        stop = stream.tell()
        finished = False
        for opcode, offset, length in _records(stream):
            stop = offset + RECORD.size + length
            if opcode == Opcode.CHUNK:
                check_size(f'a chunk of {path}', length)
                indexes = _read_chunk(contents, stream.read(length), offset)
                damaged = indexes is None
                if indexes is None:
                    recovered.damaged_chunks += 1
                    recovered.lost_bytes += length
                else:
                    last_indexes = indexes
                    recovered.end = stop
            elif opcode == Opcode.MESSAGE_INDEX and not damaged:
                _note_message_index(contents.chunks[-1], stream.read(2), offset, length)
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE):
                check_size(f'a record of {path}', length)
                try:
                    if opcode == Opcode.MESSAGE:
                        channel, _, log_ns, _ = MESSAGE.unpack(stream.read(MESSAGE.size)[:length])
                        contents.count(channel, log_ns)
                        _note_loose(recovered.loose, offset, stop, log_ns)
                    else:
                        _read_record(contents, opcode, stream.read(length))
                    recovered.end = stop
                except _DAMAGE:
                    recovered.lost_bytes += length
            elif opcode == Opcode.DATA_END:
                finished = True
                break
        if not finished:
            recovered.lost_bytes += os.fstat(stream.fileno()).st_size - stop
    if not contents.message_counts:
        raise EmptyPartError(
            f'{path} holds no whole message: it was cut off before the first was flushed to disk'
        )
    if contents.chunks:
        # The last chunk's message indexes may be torn; they are made anew.
        recovered.ending = message_indexes(contents.chunks[-1], last_indexes)
    recovered.ending += contents.ending(recovered.end + len(recovered.ending))
    return recovered


def check_magic(path: Path, found: bytes) -> None:
    """Raise BagError where a file has not the first bytes of an MCAP file."""
    if found == MAGIC:
        return
    what = f'{path} is not an MCAP file: it has not the first bytes of one'
    # What a crash leaves of a file just begun: nothing, a torn word, or room without data.
    raise (EmptyPartError if MAGIC.startswith(found) or not any(found) else BagError)(what)


def finish_file(path: Path) -> Recovered:
    """Scan an unfinished MCAP file and give it its ending, in place.

    Raises:
        BagError: Not even one message can be read; the file stays as it is.
        OSError: The ending cannot be written.
    """
    recovered = scan(path)
    with open_regular(path, flags=os.O_RDWR | os.O_NOFOLLOW) as stream:
        write_ending(recovered, stream)
    return recovered


def write_ending(recovered: Recovered, stream: BinaryIO) -> None:
    """Cut off what is torn and append the ending; OSError where the disk refuses."""
    stream.truncate(recovered.end)
    stream.seek(recovered.end)
    stream.write(recovered.ending)
    stream.flush()
    os.fsync(stream.fileno())


def _records(stream: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield opcode, offset and length of the whole records, the stream at their content."""
    size = os.fstat(stream.fileno()).st_size
    offset = stream.tell()
    while offset + RECORD.size <= size:
        stream.seek(offset)
        opcode, length = RECORD.unpack(stream.read(RECORD.size))
        # Zeros are what a power cut leaves where the file had grown and the data had not come.
        if opcode == 0 or offset + RECORD.size + length > size:
            return
        yield opcode, offset, length
        offset += RECORD.size + length


def _read_chunk(contents: Contents, data: bytes, offset: int) -> MessageIndexes | None:
    """Take a chunk in: its entry for the index, and where each channel's messages lie in it."""
    try:
        chunk, decompressed = read_chunk(data)
        records, size = memoryview(decompressed), len(decompressed)
        indexes: MessageIndexes = {}
        at, count, limit = 0, 0, max_messages(len(data))
        while at < size:
            count += 1
            check_count(count, limit)
            opcode, length = RECORD.unpack_from(records, at)
            body = records[at + RECORD.size : at + RECORD.size + length]
            if opcode == Opcode.MESSAGE:
                channel, _, log_ns, _ = MESSAGE.unpack_from(body)
                indexes.setdefault(channel, []).append((log_ns, at))
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                _read_record(contents, opcode, bytes(body))
            elif opcode == 0:
                return None
            at += RECORD.size + length
        if at > size:
            return None
    except _DAMAGE:
        return None
    for channel, entries in indexes.items():
        for log_ns, _ in entries:
            contents.count(channel, log_ns)
    contents.chunks.append(
        ChunkIndex(
            chunk_start_offset=offset,
            chunk_length=RECORD.size + len(data),
            message_start_time=chunk.message_start_time,
            message_end_time=chunk.message_end_time,
            message_index_offsets={},
            message_index_length=0,
            compression=chunk.compression,
            compressed_size=len(chunk.data),
            uncompressed_size=chunk.uncompressed_size,
        )
    )
    return indexes


def _note_message_index(chunk: ChunkIndex, head: bytes, offset: int, length: int) -> None:
    chunk.message_index_offsets[int.from_bytes(head, 'little')] = offset
    chunk.message_index_length += RECORD.size + length


def _note_loose(loose: list[LooseMessages], offset: int, end: int, log_ns: int) -> None:
    """Add a message to those that lie before it, as long as these are few."""
    last = loose[-1] if loose else None
    if last is None or last.end != offset or end - last.offset > _LOOSE_BYTES:
        loose.append(LooseMessages(offset, end, log_ns, log_ns))
        return
    last.end = end
    last.start_ns, last.end_ns = min(last.start_ns, log_ns), max(last.end_ns, log_ns)


def _read_record(contents: Contents, opcode: int, content: bytes) -> None:
    stream = ReadDataStream(io.BytesIO(content))
    if opcode == Opcode.SCHEMA:
        schema = Schema.read(stream)
        contents.schemas[schema.id] = schema
    else:
        channel = Channel.read(stream)
        contents.channels[channel.id] = channel
