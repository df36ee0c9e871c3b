"""What can be read of an MCAP file whose writer was killed, and the ending that it lacks.

A finished file ends in a data-end record, a summary (schemas, channels, statistics, chunk index)
and a footer. `scan` finds out up to where an unfinished file is whole and makes the ending up, so
that a reader can be shown a finished file and a repair appends a few kilobytes in place.
"""

import io
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    MessageIndex,
    Schema,
    Statistics,
)
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC
from rosbags.rosbag2.metadata import parse_qos

from liquid_control.bags.errors import BagError
from liquid_control.bags.metadata import FileSummary, TopicSummary

_RECORD = struct.Struct('<BQ')  # opcode, length of what follows
_MESSAGE = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time
_FOOTER = struct.Struct('<BQQQI')  # record, start of summary, of summary offsets, checksum
_CHECKSUM_SIZE = 4
_DAMAGE = (McapError, ValueError, RuntimeError, EOFError, struct.error, zstandard.ZstdError)


@dataclass
class Recovered:
    """The whole part of an MCAP file.

    Attributes:
        end: Bytes of the file that are whole.
        ending: Bytes that must follow to make it a finished file.
        damaged_chunks: Chunks that cannot be read; the ending's index leaves them out.
        lost_bytes: Size of these, and of what is torn at the end.
    """

    path: Path
    end: int = 0
    ending: bytes = b''
    damaged_chunks: int = 0
    lost_bytes: int = 0
    start_ns: int = 0
    end_ns: int = 0
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    message_counts: Counter[int] = field(default_factory=Counter)
    chunks: list[ChunkIndex] = field(default_factory=list)

    @property
    def file(self) -> FileSummary:
        """What metadata.yaml says about the file."""
        return FileSummary(self.path.name, self.start_ns, self.end_ns, self.message_counts.total())

    @property
    def topics(self) -> list[TopicSummary]:
        """What metadata.yaml says about the topics, as far as this file goes."""
        return [
            TopicSummary(
                channel.topic,
                self.schemas[channel.schema_id].name,
                channel.metadata.get('topic_type_hash', ''),
                tuple(parse_qos(channel.metadata.get('offered_qos_profiles', ''))),
                self.message_counts[channel.id],
            )
            for channel in self.channels.values()
            if channel.schema_id in self.schemas
        ]


def is_finished(path: Path) -> bool:
    """Tell whether an MCAP file has a whole ending; raises OSError where it is missing."""
    with path.open('rb') as stream:
        size = stream.seek(0, os.SEEK_END)
        footer_start = size - _FOOTER.size - len(MCAP0_MAGIC)
        if footer_start < len(MCAP0_MAGIC):
            return False
        stream.seek(footer_start)
        footer = stream.read(_FOOTER.size)
        if stream.read() != MCAP0_MAGIC:
            return False
        opcode, length, summary_start, _, checksum = map(int, _FOOTER.unpack(footer))
        if opcode != Opcode.FOOTER or length != _FOOTER.size - _RECORD.size:
            return False
        if checksum == 0:
            return True  # the writer made none
        if not 0 < summary_start <= footer_start:
            return False
        stream.seek(summary_start)
        summary = stream.read(footer_start - summary_start)
        return zlib.crc32(footer[:-_CHECKSUM_SIZE], zlib.crc32(summary)) == checksum


def scan(path: Path) -> Recovered:
    """Read an MCAP file up to its last whole chunk, checking every chunk's checksum.

    Raises:
        BagError: Not even one message can be read.
    """
    recovered = Recovered(path)
    last_index: dict[int, list[tuple[int, int]]] = {}
    damaged = True  # as long as there is no chunk, there is none that message indexes belong to
    with path.open('rb') as stream:
        if stream.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
            raise BagError(f'{path} is not an MCAP file: it has not the first bytes of one')
        stop = stream.tell()
        finished = False
        for opcode, offset, length in _records(stream):
            stop = offset + _RECORD.size + length
            if opcode == Opcode.CHUNK:
                index = _read_chunk(recovered, stream.read(length), offset)
                damaged = index is None
                if index is None:
                    recovered.damaged_chunks += 1
                    recovered.lost_bytes += length
                else:
                    last_index = index
                    recovered.end = stop
            elif opcode == Opcode.MESSAGE_INDEX and not damaged:
                _read_message_index(recovered.chunks[-1], stream.read(2), offset, length)
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE):
                _read_loose_record(recovered, opcode, stream.read(length))
                recovered.end = stop
            elif opcode == Opcode.DATA_END:
                finished = True
                break
        if not finished:
            recovered.lost_bytes += path.stat().st_size - stop
    if not recovered.message_counts:
        raise BagError(
            f'{path} holds no whole message: it was cut off before the first was flushed to disk'
        )
    recovered.ending = _ending(recovered, last_index)
    return recovered


def finish_file(path: Path) -> Recovered:
    """Scan an unfinished MCAP file and give it its ending, in place.

    Raises:
        BagError: Not even one message can be read; the file stays as it is.
        OSError: The ending cannot be written.
    """
    recovered = scan(path)
    write_ending(recovered)
    return recovered


def write_ending(recovered: Recovered) -> None:
    """Cut off what is torn and append the ending; OSError where the disk refuses."""
    with recovered.path.open('r+b') as stream:
        stream.truncate(recovered.end)
        stream.seek(recovered.end)
        stream.write(recovered.ending)
        stream.flush()
        os.fsync(stream.fileno())


def _records(stream: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield opcode, offset and length of the whole records, the stream at their content."""
    size = os.fstat(stream.fileno()).st_size
    offset = stream.tell()
    while offset + _RECORD.size <= size:
        stream.seek(offset)
        opcode, length = _RECORD.unpack(stream.read(_RECORD.size))
        # Zeros are what a power cut leaves where the file had grown and the data had not come.
        if opcode == 0 or offset + _RECORD.size + length > size:
            return
        yield opcode, offset, length
        offset += _RECORD.size + length


def _read_chunk(
    recovered: Recovered, content: bytes, offset: int
) -> dict[int, list[tuple[int, int]]] | None:
    """Take a chunk in: its entry for the index, and where each channel's messages lie in it."""
    try:
        chunk = Chunk.read(ReadDataStream(io.BytesIO(content)))
        data_stream, size = get_chunk_data_stream(chunk, validate_crc=True)
        data = memoryview(data_stream.read(size))
        messages: dict[int, list[tuple[int, int]]] = {}
        at = 0
        while at < size:
            opcode, length = _RECORD.unpack_from(data, at)
            body = data[at + _RECORD.size : at + _RECORD.size + length]
            if opcode == Opcode.MESSAGE:
                channel, _, log_ns, _ = _MESSAGE.unpack_from(body)
                messages.setdefault(channel, []).append((log_ns, at))
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                _read_loose_record(recovered, opcode, bytes(body))
            at += _RECORD.size + length
    except _DAMAGE:
        return None
    for channel, entries in messages.items():
        for log_ns, _ in entries:
            _count(recovered, channel, log_ns)
    recovered.chunks.append(
        ChunkIndex(
            chunk_start_offset=offset,
            chunk_length=_RECORD.size + len(content),
            message_start_time=chunk.message_start_time,
            message_end_time=chunk.message_end_time,
            message_index_offsets={},
            message_index_length=0,
            compression=chunk.compression,
            compressed_size=len(chunk.data),
            uncompressed_size=chunk.uncompressed_size,
        )
    )
    return messages


def _read_message_index(chunk: ChunkIndex, head: bytes, offset: int, length: int) -> None:
    chunk.message_index_offsets[int.from_bytes(head, 'little')] = offset
    chunk.message_index_length += _RECORD.size + length


def _read_loose_record(recovered: Recovered, opcode: int, content: bytes) -> None:
    stream = ReadDataStream(io.BytesIO(content))
    if opcode == Opcode.SCHEMA:
        schema = Schema.read(stream)
        recovered.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        channel = Channel.read(stream)
        recovered.channels[channel.id] = channel
    else:
        channel_id, _, log_ns, _ = _MESSAGE.unpack_from(content)
        _count(recovered, channel_id, log_ns)


def _count(recovered: Recovered, channel: int, log_ns: int) -> None:
    first = not recovered.message_counts
    recovered.start_ns = log_ns if first else min(recovered.start_ns, log_ns)
    recovered.end_ns = max(recovered.end_ns, log_ns)
    recovered.message_counts[channel] += 1


def _ending(recovered: Recovered, last_index: dict[int, list[tuple[int, int]]]) -> bytes:
    """Return all that follows the last chunk of a finished file, from its message indexes on."""
    builder = RecordBuilder()
    if recovered.chunks:
        last = recovered.chunks[-1]
        last.message_index_offsets = {}
        for channel, entries in last_index.items():
            last.message_index_offsets[channel] = recovered.end + builder.count
            MessageIndex(channel, entries).write(builder)
        last.message_index_length = builder.count
    DataEnd(data_section_crc=0).write(builder)
    summary_start = recovered.end + builder.count
    for record in (*recovered.schemas.values(), *recovered.channels.values()):
        record.write(builder)
    Statistics(
        message_count=recovered.message_counts.total(),
        schema_count=len(recovered.schemas),
        channel_count=len(recovered.channels),
        attachment_count=0,
        metadata_count=0,
        chunk_count=len(recovered.chunks),
        message_start_time=recovered.start_ns,
        message_end_time=recovered.end_ns,
        channel_message_counts=dict(recovered.message_counts),
    ).write(builder)
    for chunk in recovered.chunks:
        chunk.write(builder)
    ending = bytes(builder.end())
    footer = _FOOTER.pack(Opcode.FOOTER, _FOOTER.size - _RECORD.size, summary_start, 0, 0)
    covered = ending[summary_start - recovered.end :] + footer[:-_CHECKSUM_SIZE]
    checksum = zlib.crc32(covered).to_bytes(_CHECKSUM_SIZE, 'little')
    return ending + footer[:-_CHECKSUM_SIZE] + checksum + MCAP0_MAGIC
