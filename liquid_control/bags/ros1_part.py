# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A ROS 1 `.bag` file (format 2.0) as part of a bag: finished, cut off, or still `.bag.active`.

The records are walked from the beginning, without the index at the end: it is what a bag lacks
whose writer was killed. Format: https://wiki.ros.org/Bags/Format/2.0
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from liquid_control.bags.errors import BagError, EmptyPartError
from liquid_control.bags.parts import Channel, Message, Piece
from liquid_control.bags.unpacking import (
    check_count,
    check_size,
    max_messages,
    unpack,
    unpack_torn,
)
from liquid_control.common.files import open_regular
from liquid_control.common.stamps import NS, to_ns

MAGIC = b'#ROSBAG V2.0\n'

_LENGTH = struct.Struct('<I')
_TIME = struct.Struct('<II')
_INDEX_ENTRY = struct.Struct('<III')
_MESSAGE, _HEADER, _INDEX, _CHUNK, _CONNECTION = 2, 3, 4, 5, 7
# Anything can be wrong with the bytes of a torn record.
_DAMAGE = (ValueError, KeyError, struct.error, OSError, EOFError, RuntimeError)
_MAX_HEADER = 1 << 20


class _Chunk(NamedTuple):
    offset: int
    length: int
    compression: str
    size: int
    is_torn: bool = False


class Ros1Part:
    """See `parts.Part`."""

    storage = 'ros1'

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self.channels: dict[int, Channel] = {}
        self.pieces: list[Piece] | None = []
        self._compressions: set[str] = set()
        self._counts: Counter[int] = Counter()
        self._times: list[int] = []
        self._damaged = 0
        self.is_finished = False
        self._stream = open_regular(path)
        try:
            self._walk()
        except BaseException:
            self.close()
            raise
        self.compression = ', '.join(sorted(self._compressions - {'none'}))
        for number, channel in self.channels.items():
            self.channels[number] = replace(channel, message_count=self._counts[number])
        if not self.is_finished:
            self.problems.append('is not finished: its writer was killed, or is still writing')
        if self._damaged:
            self.problems.append(f'has {self._damaged} damaged chunks, which are left out')
        if not self._times and (self._damaged or not self.is_finished):
            self.close()
            raise EmptyPartError(f'{path} holds no whole message')
        self.start_ns = min(self._times, default=0)
        self.end_ns = max(self._times, default=0)

    def stream(self, wanted: Mapping[int, Any], start_ns: int, end_ns: int) -> Iterator[Message]:
        """Not needed: all is in pieces."""
        raise NotImplementedError

    def close(self) -> None:
        self._stream.close()

    def _walk(self) -> None:
        stream = self._stream
        size = os.fstat(stream.fileno()).st_size
        at, chunk, indexed = len(MAGIC), None, Counter[int]()
        index: list[int] = []
        index_at, is_torn = 0, False
        while True:
            try:
                header, data_at, length = _record(stream, at)
                kind = header['op'][0]
            except _DAMAGE:
                break
            end = data_at + length
            if kind in (_CHUNK, _CONNECTION):
                self._take(chunk, indexed, index)
                chunk, indexed, index = None, Counter[int](), []
            if kind == _CHUNK:
                # A chunk gets its length when it is closed.
                is_torn = length == 0 or end > size
                end = size if is_torn else end
                words = (header['compression'].decode(), int.from_bytes(header['size'], 'little'))
                chunk = _Chunk(data_at, end - data_at, *words, is_torn)
            elif end > size:
                break
            elif kind == _HEADER:
                index_at = int.from_bytes(header.get('index_pos', b''), 'little')
                if header.get('encryptor'):
                    raise BagError(f'{self.path} is encrypted, which cannot be read')
            elif kind == _INDEX and chunk is not None:
                self._note_index(header, stream, data_at, length, indexed, index)
            elif kind == _CONNECTION:
                self._connect(header, _read(stream, data_at, length))
            at = end
        self._take(chunk, indexed, index)
        self.is_finished = at == size and index_at > 0 and not is_torn

    def _note_index(
        self,
        header: dict[str, bytes],
        stream: BinaryIO,
        at: int,
        length: int,
        indexed: Counter[int],
        index: list[int],
    ) -> None:
        data = _read(stream, at, length)
        count = len(data) // _INDEX_ENTRY.size
        indexed[int.from_bytes(header['conn'], 'little')] += count
        for sec, nanosec, _ in _INDEX_ENTRY.iter_unpack(data[: count * _INDEX_ENTRY.size]):
            index.append(sec * NS + nanosec)

    def _take(self, chunk: _Chunk | None, indexed: Counter[int], times: list[int]) -> None:
        """Take a chunk in; one without index, or with unknown connections, is looked into."""
        if chunk is None:
            return
        if not indexed or indexed.keys() - self.channels.keys():
            try:
                indexed, times = self._look_into(chunk)
            except _DAMAGE:
                self._damaged += 1
                return
        self._compressions.add(chunk.compression)
        self._counts.update(indexed)
        if times:
            first, last = min(times), max(times)
            self._times += (first, last)
            assert self.pieces is not None
            read = partial(self._messages, chunk)
            self.pieces.append(Piece(first, last, frozenset(indexed), read))

    def _look_into(self, chunk: _Chunk) -> tuple[Counter[int], list[int]]:
        counts, times = Counter[int](), []
        for header, data in self._records(chunk):
            kind = header['op'][0]
            if kind == _CONNECTION:
                self._connect(header, data)
            elif kind == _MESSAGE:
                counts[int.from_bytes(header['conn'], 'little')] += 1
                times.append(_time(header))
        return counts, times

    def _messages(self, chunk: _Chunk, wanted: Mapping[int, Any]) -> Iterator[Message]:
        for header, data in self._records(chunk):
            if header['op'][0] == _MESSAGE:
                kind = wanted.get(int.from_bytes(header['conn'], 'little'))
                if kind is not None:
                    yield _time(header), kind, data

    def _records(self, chunk: _Chunk) -> Iterator[tuple[dict[str, bytes], bytes]]:
        check_size(f'a chunk of {self.path}', chunk.length)
        data = _read(self._stream, chunk.offset, chunk.length)
        if not chunk.is_torn:
            records = unpack(data, chunk.compression, chunk.size)
            yield from _records_in(records, max_messages(chunk.length))
            return
        with suppress(*_DAMAGE):  # what comes before the tear is whole
            records = unpack_torn(data, chunk.compression)
            yield from _records_in(records, max_messages(chunk.length))

    def _connect(self, header: dict[str, bytes], data: bytes) -> None:
        fields = _fields(data)
        number = int.from_bytes(header['conn'], 'little')
        topic = '/' + header['topic'].decode().strip('/')
        self.channels[number] = Channel(
            topic,
            fields['type'].decode(),
            'ros1',
            fields.get('message_definition', b'').decode(errors='replace'),
            'ros1msg',
        )


def _records_in(data: bytes, limit: int) -> Iterator[tuple[dict[str, bytes], bytes]]:
    """Header and data of the records in a chunk, of which there may not be more than the limit."""
    at, count = 0, 0
    while at < len(data):
        count += 1
        check_count(count, limit)
        (length,) = _LENGTH.unpack_from(data, at)
        header = _fields(data[at + 4 : at + 4 + length])
        (size,) = _LENGTH.unpack_from(data, at + 4 + length)
        at += 8 + length
        if at + size > len(data):
            raise ValueError('a record goes beyond the end of its chunk')
        yield header, data[at : at + size]
        at += size


def _record(stream: BinaryIO, at: int) -> tuple[dict[str, bytes], int, int]:
    """Header of the record at an offset, and where its data lies."""
    stream.seek(at)
    (length,) = _LENGTH.unpack(stream.read(4))
    if length > _MAX_HEADER:
        raise ValueError('a header of more than a megabyte')
    header = _fields(stream.read(length))
    (data_length,) = _LENGTH.unpack(stream.read(4))
    return header, at + 8 + length, data_length


def _read(stream: BinaryIO, at: int, length: int) -> bytes:
    check_size('a record', length)
    stream.seek(at)
    return stream.read(length)


def _fields(data: bytes) -> dict[str, bytes]:
    fields, at = {}, 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        name, separator, value = data[at + 4 : at + 4 + length].partition(b'=')
        if not separator:
            raise ValueError('a field without a value')
        fields[name.decode()] = value
        at += 4 + length
    return fields


def _time(header: dict[str, bytes]) -> int:
    sec, nanosec = _TIME.unpack(header['time'])
    return to_ns(sec, nanosec)
