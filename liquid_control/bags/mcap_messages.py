# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Chunks of MCAP files and the messages in them.

The libraries build a stream and a record object for every message, which takes longer than
decoding a small image does (benchmarks/replay.py). Here a chunk is one buffer: messages nobody
asked for are passed over, the others are cut out of it.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, TypeVar

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Chunk

from liquid_control.bags.mcap_file import RECORD
from liquid_control.bags.unpacking import check_count, check_size, max_messages, unpack

T = TypeVar('T')

# As MESSAGE_RECORD; times are read signed, since some writers let times before 1970 wrap around.
_SIGNED_MESSAGE_RECORD = struct.Struct('<BQHIqq')


def read_chunk(record: bytes) -> tuple[Chunk, bytes]:
    """Return a chunk and the records in it, decompressed.

    Raises:
        TooLargeError: It asks for more memory than is allowed.
        ValueError: It is damaged; the libraries raise errors of their own too.
    """
    chunk = Chunk.read(ReadDataStream(io.BytesIO(record)))
    records = unpack(chunk.data, chunk.compression, chunk.uncompressed_size)
    if chunk.uncompressed_crc and zlib.crc32(records) != chunk.uncompressed_crc:
        raise ValueError('the checksum of a chunk is wrong')
    return chunk, records


def read_record(stream: BinaryIO, offset: int, length: int) -> bytes:
    """The content of the record that begins at an offset and has this length with its head."""
    check_size('a record', length)
    stream.seek(offset + RECORD.size)
    data = stream.read(length - RECORD.size)
    if len(data) != length - RECORD.size:
        raise ValueError('a record goes beyond the end of the file')
    return data


def messages_in(
    records: bytes, wanted: Mapping[int, T], packed: int
) -> Iterator[tuple[int, T, bytes]]:
    """Yield log time, what `wanted` says of the channel, and bytes of the messages in a chunk.

    Args:
        packed: Size of the chunk in its file.

    Raises:
        TooLargeError: There are more than that can explain.
        ValueError: The records are damaged.
    """
    at, size, count, limit = 0, len(records), 0, max_messages(packed)
    head, unpack_head = _SIGNED_MESSAGE_RECORD.size, _SIGNED_MESSAGE_RECORD.unpack_from
    message = int(Opcode.MESSAGE)
    while at + head <= size:  # what is shorter is no message
        opcode, length, channel, _, log_ns, _ = unpack_head(records, at)
        end = at + RECORD.size + length
        count += 1
        if count > limit:
            check_count(count, limit)
        if opcode == message:
            kind = wanted.get(channel)
            if kind is not None:
                yield log_ns, kind, records[at + head : end]
        elif opcode == 0:
            raise ValueError('a record of a chunk has no kind')
        at = end
    if at > size:
        raise ValueError('a record goes beyond the end of its chunk')
