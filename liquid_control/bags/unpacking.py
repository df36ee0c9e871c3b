# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Decompresses pieces of recordings of others: never more than declared, never beyond a limit.

A chunk of 200 KB can ask for 6 GB. What is declared is compared with what comes out, and neither
may go beyond `LIQUID_CONTROL_MAX_UNPACKED` bytes.
"""

from __future__ import annotations

import bz2
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import zstandard

from liquid_control.bags.errors import BagError, TooLargeError
from liquid_control.common.errors import ConfigError
from liquid_control.common.files import create_new, open_regular

LIMIT_VARIABLE = 'LIQUID_CONTROL_MAX_UNPACKED'
ZSTD_MAGIC = zstandard.FRAME_HEADER

_MAX_BYTES = 512 << 20  # a chunk of a megabyte is usual; one image of a large camera takes 50 MB
# Bytes that one compressed byte can become at most, by format: more was not written by anybody.
_MAX_RATIO = {'': 1, 'none': 1, 'lz4': 256, 'zstd': 1 << 16, 'bz2': 1 << 16}
# A file may unpack to this many times its size, as recordings of raw images do.
_MAX_FILE_RATIO = 100
_BLOCK = 1 << 20
_FEW_MESSAGES = 4096
_KEEP_FREE = 256 << 20  # of the disk that files are unpacked to


def max_unpacked(default: int = _MAX_BYTES) -> int:
    """Bytes that one piece of a recording may have; raises ConfigError where it is no number."""
    text = os.environ.get(LIMIT_VARIABLE, '')
    if not text:
        return default
    if not text.isdecimal() or len(text) > 18:
        raise ConfigError(f'{LIMIT_VARIABLE} must be a number of bytes, found {text!r}')
    return int(text)


def check_size(what: str, size: int, limit: int | None = None) -> None:
    """Raise TooLargeError where a piece is beyond the limit."""
    limit = max_unpacked() if limit is None else limit
    if size > limit:
        raise TooLargeError(
            f'{what} takes {size / 1e6:.0f} MB, more than the {limit / 1e6:.0f} MB allowed: set '
            f'{LIMIT_VARIABLE} to more bytes if you trust the recording'
        )


def max_messages(packed: int) -> int:
    """How many messages a chunk may hold that has so many bytes as it lies in the file.

    Each has a time of its own, which takes a byte at least however it is compressed; a chunk of a
    kilobyte with a million messages was made to take memory.
    """
    return _FEW_MESSAGES + 2 * packed + max_unpacked(0) // 512


def check_count(count: int, limit: int) -> None:
    """Raise TooLargeError where a chunk holds more messages than it may."""
    if count > limit:
        raise TooLargeError(
            f'a chunk holds more than {limit} messages, which its size does not explain: set '
            f'{LIMIT_VARIABLE} to more bytes if you trust the recording'
        )


def unpack(data: bytes, compression: str, size: int) -> bytes:
    """Decompress a chunk.

    Args:
        size: Bytes that it declares to have.

    Raises:
        ValueError: It is damaged; the libraries raise errors of their own too.
        TooLargeError: It is beyond the limit.
    """
    if compression not in _MAX_RATIO:
        raise BagError(f'a chunk is compressed with {compression[:40]!r}: expected zstd, lz4, bz2')
    if size > _MAX_RATIO[compression] * (len(data) + 64):
        raise ValueError(f'a chunk of {len(data)} bytes cannot hold the {size} it declares')
    check_size('a chunk', size)
    found = _DECOMPRESS[compression](data, size)
    if len(found) != size:
        raise ValueError(f'a chunk of {size} bytes has {len(found)}')
    return found


def unpack_torn(data: bytes, compression: str) -> bytes:
    """What can be decompressed of a chunk that is cut off, up to the limit."""
    size = max_unpacked() - 1
    if compression == 'lz4':
        return _unlz4(data, size)
    return _unbz2(data, size) if compression == 'bz2' else data


def unpack_message(data: bytes) -> bytes:
    """Decompress a message that rosbag2 compressed by itself (compression mode "message")."""
    size = zstandard.frame_content_size(data)
    check_size('a message', size)
    found = _unzstd(data, size if size >= 0 else max_unpacked())
    check_size('a message', len(found))
    return found


def unpack_file(path: Path, target: Path) -> None:
    """Decompress a file that rosbag2 compressed as a whole (compression mode "file").

    Raises:
        TooLargeError: It becomes larger than is plausible, or than the disk has room.
        BagError: It is damaged.
    """
    with open_regular(path) as packed, os.fdopen(create_new(target), 'wb') as stream:
        limit = max(max_unpacked(), _MAX_FILE_RATIO * os.fstat(packed.fileno()).st_size)
        size = 0
        try:
            reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            while block := reader.read(_BLOCK):
                size += len(block)
                check_size(f'{path} unpacked', size, limit)
                if shutil.disk_usage(target.parent).free < _KEEP_FREE:
                    raise TooLargeError(
                        f'{path} does not fit unpacked into {target.parent}: set TMPDIR to a '
                        'larger disk'
                    )
                stream.write(block)
        except zstandard.ZstdError as error:
            raise BagError(f'{path} is damaged: {error}') from error


def _unzstd(data: bytes, size: int) -> bytes:
    """At most `size` bytes, and one more where there are more."""
    if zstandard.frame_content_size(data) == size:
        return zstandard.ZstdDecompressor().decompress(data)
    # Streams of several frames, and frames that do not say how much they hold.
    blocks, found = [], 0
    with zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(data), read_across_frames=True
    ) as reader:
        while found <= size and (block := reader.read(min(_BLOCK, size + 1 - found))):
            blocks.append(block)
            found += len(block)
    return b''.join(blocks)


def _unlz4(data: bytes, size: int) -> bytes:
    return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size + 1))


def _unbz2(data: bytes, size: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, max_length=size + 1)


def _as_is(data: bytes, size: int) -> bytes:
    return data


_DECOMPRESS: dict[str, Callable[[bytes, int], bytes]] = {
    '': _as_is,
    'none': _as_is,
    'lz4': _unlz4,
    'zstd': _unzstd,
    'bz2': _unbz2,
}
