# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""MCAP files as this package writes them, faster than the `mcap` package's own writer does.

That one compresses at zstd's level 3 and copies every message five times. Level 1 takes a ninth of
the time on camera images and leaves files 5 to 10 % larger (benchmarks/record.py).
Format: https://mcap.dev/spec
"""

import struct
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

import lz4.frame
import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Header,
    MessageIndex,
    Schema,
    Statistics,
)
from mcap.writer import MCAP0_MAGIC as MAGIC

import liquid_control

Compression = Literal['zstd', 'lz4', 'none']

RECORD = struct.Struct('<BQ')  # opcode, length of what follows
MESSAGE = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time
MESSAGE_RECORD = struct.Struct('<BQHIQQ')  # both in one
FOOTER = struct.Struct('<BQQQI')  # record, start of summary, of summary offsets, checksum
CHECKSUM_SIZE = 4

_CHUNK_HEAD = struct.Struct('<BQQQQI')  # record, first and last log time, size and checksum
_CHUNK_BYTES = 1 << 20
_ZSTD_LEVEL = 1

MessageIndexes = dict[int, list[tuple[int, int]]]
"""Of one chunk: log time and offset of each channel's messages."""


@dataclass
class Contents:
    """All that the end of a file says about the rest of it.

    Attributes:
        chunks: Where they lie, without those that were packed.
    """

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkIndex] = field(default_factory=list)
    message_counts: Counter[int] = field(default_factory=Counter)
    start_ns: int = 0
    end_ns: int = 0
    _packed: bytearray = field(default_factory=bytearray)
    _packed_chunks: int = 0

    def pack(self) -> None:
        """Keep the chunks so far as bytes, a fifth of the memory: who writes needs no more.

        Nothing else grows with the length of a recording.
        """
        self._packed_chunks += len(self.chunks)
        builder = RecordBuilder()
        for chunk in self.chunks:
            chunk.write(builder)
        self._packed += builder.end()
        self.chunks.clear()

    def count(self, channel: int, log_ns: int) -> None:
        """Take account of a message."""
        self.start_ns = min(self.start_ns, log_ns) if self.message_counts else log_ns
        self.end_ns = max(self.end_ns, log_ns)
        self.message_counts[channel] += 1

    def ending(self, offset: int) -> bytes:
        """Return all that follows the data at `offset`: data end, summary, footer."""
        builder = RecordBuilder()
        DataEnd(data_section_crc=0).write(builder)
        data_end_size = builder.count
        for record in (*self.schemas.values(), *self.channels.values()):
            record.write(builder)
        Statistics(
            message_count=self.message_counts.total(),
            schema_count=len(self.schemas),
            channel_count=len(self.channels),
            attachment_count=0,
            metadata_count=0,
            chunk_count=self._packed_chunks + len(self.chunks),
            message_start_time=self.start_ns,
            message_end_time=self.end_ns,
            channel_message_counts=dict(self.message_counts),
        ).write(builder)
        builder.write(self._packed)
        for chunk in self.chunks:
            chunk.write(builder)
        ending = bytes(builder.end())
        footer = FOOTER.pack(
            Opcode.FOOTER, FOOTER.size - RECORD.size, offset + data_end_size, 0, 0
        )[:-CHECKSUM_SIZE]
        checksum = zlib.crc32(footer, zlib.crc32(ending[data_end_size:]))
        return ending + footer + checksum.to_bytes(CHECKSUM_SIZE, 'little') + MAGIC


class McapWriter:
    """Writes one file, chunk by chunk; errors of the stream are the caller's to handle.

    Args:
        stream: Buffered and at its beginning; it stays open.
    """

    def __init__(self, stream: BinaryIO, compression: Compression) -> None:
        self.contents = Contents()
        self._stream = stream
        self._compression = '' if compression == 'none' else compression
        self._compress: Callable[[bytes], bytes] = {
            'zstd': zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress,
            'lz4': lz4.frame.compress,
            'none': bytes,
        }[compression]
        self._parts: list[bytes] = []
        self._size = 0
        self._indexes: MessageIndexes = {}
        self._offset = 0
        builder = RecordBuilder()
        builder.write(MAGIC)
        Header('ros2', f'liquid_control {liquid_control.__version__}').write(builder)
        self._write(builder.end())
        stream.flush()  # without these bytes nobody can tell that it is an MCAP file

    @property
    def offset(self) -> int:
        """Bytes written to the stream so far."""
        return self._offset

    def add_schema(self, name: str, definition: str) -> int:
        """Add a message type; return its number."""
        number = len(self.contents.schemas) + 1
        schema = Schema(id=number, name=name, encoding='ros2msg', data=definition.encode())
        self.contents.schemas[number] = schema
        self._add_record(schema)
        return number

    def add_channel(self, topic: str, schema: int, metadata: dict[str, str]) -> int:
        """Add a topic; return its number."""
        number = len(self.contents.channels) + 1
        channel = Channel(
            id=number, topic=topic, message_encoding='cdr', metadata=metadata, schema_id=schema
        )
        self.contents.channels[number] = channel
        self._add_record(channel)
        return number

    def add_message(
        self, channel: int, data: bytes, *, sequence: int, log_ns: int, publish_ns: int
    ) -> None:
        """Add a message to the chunk, and write the chunk if it is large enough."""
        self._indexes.setdefault(channel, []).append((log_ns, self._size))
        self.contents.count(channel, log_ns)
        length = MESSAGE.size + len(data)
        self._parts.append(
            MESSAGE_RECORD.pack(
                Opcode.MESSAGE, length, channel, sequence & 0xFFFFFFFF, log_ns, publish_ns
            )
        )
        self._parts.append(data)
        self._size += RECORD.size + length
        if self._size >= _CHUNK_BYTES:
            self._write_chunk()

    def flush(self) -> None:
        """Close off the chunk, so that all messages so far are safe with the operating system."""
        self._write_chunk()
        self._stream.flush()

    def finish(self) -> None:
        """Write what is left and the ending."""
        self._write_chunk()
        self._write(self.contents.ending(self._offset))
        self._stream.flush()

    def _add_record(self, record: Schema | Channel) -> None:
        builder = RecordBuilder()
        record.write(builder)
        self._parts.append(builder.end())
        self._size += len(self._parts[-1])

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._offset += len(data)

    def _write_chunk(self) -> None:
        """Write the chunk and its message indexes; records without messages wait for some."""
        if not self._indexes:
            return
        raw = b''.join(self._parts)
        data = self._compress(raw)
        name = self._compression.encode()
        times = [log_ns for index in self._indexes.values() for log_ns, _ in index]
        chunk = ChunkIndex(
            chunk_start_offset=self._offset,
            chunk_length=_CHUNK_HEAD.size + 4 + len(name) + 8 + len(data),
            message_start_time=min(times),
            message_end_time=max(times),
            message_index_offsets={},
            message_index_length=0,
            compression=self._compression,
            compressed_size=len(data),
            uncompressed_size=len(raw),
        )
        self._write(
            _CHUNK_HEAD.pack(
                Opcode.CHUNK,
                chunk.chunk_length - RECORD.size,
                chunk.message_start_time,
                chunk.message_end_time,
                len(raw),
                zlib.crc32(raw),
            )
            + struct.pack(f'<I{len(name)}sQ', len(name), name, len(data))
        )
        self._write(data)
        self._write(message_indexes(chunk, self._indexes))
        self.contents.chunks.append(chunk)
        self.contents.pack()
        self._parts, self._size, self._indexes = [], 0, {}


def message_indexes(chunk: ChunkIndex, indexes: MessageIndexes) -> bytes:
    """Return the records that follow a chunk, and note in `chunk` where they lie."""
    builder = RecordBuilder()
    start = chunk.chunk_start_offset + chunk.chunk_length
    chunk.message_index_offsets = {}
    for channel, entries in indexes.items():
        chunk.message_index_offsets[channel] = start + builder.count
        MessageIndex(channel, entries).write(builder)
    chunk.message_index_length = builder.count
    return bytes(builder.end())
