# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Opens a recording's file for writing: only its own, and one that nobody else is writing."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from liquid_control.bags.errors import BagError
from liquid_control.common.files import FileError, open_regular

# A recorder flushes every second: a file that stands still for longer is not being written.
_QUIET_SECONDS = 2.0


@contextmanager
def open_for_writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to change it.

    Raises:
        BagError: It is a link, has another name elsewhere, is no regular file, cannot be opened,
            or somebody is writing it.
    """
    if path.is_symlink():
        raise BagError(f'{path} is a link: copy what it points to here, then repair')
    being_written = f'{path} is being written: end its recorder first'
    if _has_writer(path):
        raise BagError(being_written)
    try:
        stream = open_regular(path, flags=os.O_RDWR | os.O_NOFOLLOW)
    except FileError as error:
        raise BagError(str(error)) from error
    except OSError as error:
        raise BagError(f'{path} cannot be repaired: {error.strerror}') from error
    with stream:
        status = os.fstat(stream.fileno())
        if status.st_nlink > 1:
            raise BagError(f'{path} is also a file elsewhere (a hard link): repair a copy')
        if not lock(stream) or _changes(stream, status):
            raise BagError(being_written)
        yield stream


def lock(stream: BinaryIO) -> bool:
    """Say that one is writing a file, until it is closed; False where somebody else is."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _changes(stream: BinaryIO, before: os.stat_result) -> bool:
    """Whether a file that was written just now still is, by a machine that one cannot see."""
    age = time.time() - before.st_mtime
    if not -60.0 < age < _QUIET_SECONDS:
        return False
    time.sleep(_QUIET_SECONDS - max(age, 0.0))
    now = os.fstat(stream.fileno())
    return (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns)


def _has_writer(path: Path) -> bool:
    """Whether a process that one can see has the file open for writing (Linux)."""
    wanted = path.stat()
    for process in Path('/proc').glob('[0-9]*'):
        with suppress(OSError):
            for descriptor in (process / 'fd').iterdir():
                with suppress(OSError):
                    found = descriptor.stat()
                    if (found.st_dev, found.st_ino) != (wanted.st_dev, wanted.st_ino):
                        continue
                    if _is_for_writing(process / 'fdinfo' / descriptor.name):
                        return True
    return False


def _is_for_writing(info: Path) -> bool:
    flags = next(
        line.split()[1] for line in info.read_text().splitlines() if line.startswith('flags:')
    )
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
