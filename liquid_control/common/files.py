# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Files written whole or not at all, and files of others read without being trusted.

What lies in a directory may come from somebody else: a link in place of our temporary file makes
us overwrite what it points to, a pipe or device in place of a file hangs the reader or fills its
memory.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from liquid_control.common.errors import LiquidControlError

STAMP = '{stamp}'


class FileError(LiquidControlError):
    """A file is not of the kind or size that it must be."""


def write_atomically(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Write a file: a kill or a full disk leaves the old one, or the new one, nothing else.

    Args:
        path: A link is replaced, what it points to stays.
        data: Text is written as UTF-8.
        durable: Whether it must outlive a power cut too, which costs some milliseconds.

    Raises:
        OSError: It cannot be written.
    """
    with atomic_file(path, durable=durable) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def atomic_file(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """As `write_atomically`, for what is written piece by piece; an error leaves the old file."""
    # A name that nobody can have guessed, in a file that is new: nothing is written through links.
    partial = path.with_name(f'.{path.name[:200]}.{secrets.token_hex(4)}.part')
    try:
        with os.fdopen(create_new(partial), 'wb') as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(partial)):
            # Not the name that nobody knows, or none at all: that of a full disk has none.
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    if durable:
        sync_directory(path.parent)


def write_output(path: Path, data: bytes | str) -> None:
    """As `write_atomically`, for a file that the user named: it may be a pipe or device too."""
    if path.exists() and not path.is_file():
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    else:
        write_atomically(path, data, durable=False)


def check_output(path: Path) -> None:
    """Try whether a file can be written, before the work whose outcome it will hold.

    The directories it lies in are made.

    Raises:
        OSError: It cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        return
    partial = path.with_name(f'.{path.name[:200]}.{secrets.token_hex(4)}.part')
    try:
        os.close(create_new(partial))
        partial.unlink()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def reason(error: OSError) -> str:
    """What went wrong with which file, in one line."""
    words = error.strerror or str(error) or type(error).__name__
    return f'{error.filename}: {words}' if error.filename else words


def create_new(path: Path) -> int:
    """Descriptor of a new file, open for writing; raises FileExistsError where anything is."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o666)


def make_directory(pattern: str) -> Path:
    """Make a directory for what begins now, with its parents.

    Args:
        pattern: `{stamp}` in it becomes the local time, and a number after it where somebody else
            was there first: such a directory is new. Without it, one that is there will do. `~` is
            the home directory.

    Raises:
        OSError: It cannot be made.
    """
    stamp = datetime.now().strftime('%Y-%m-%d_%H-%M-%S')
    for suffix in itertools.chain([''], (f'_{number}' for number in itertools.count(1))):
        name = pattern.replace(STAMP, stamp + suffix)
        path = Path(os.path.expanduser(name)).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(exist_ok=STAMP not in pattern)
            return path
        except FileExistsError:
            if STAMP not in pattern:  # it is no directory
                raise
    raise AssertionError


def sync_directory(path: Path) -> None:
    """Have the disk keep a directory's names, where its file system can say so."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems refuse
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path, *, flags: int = os.O_RDONLY) -> BinaryIO:
    """Open a file for reading; other flags open it for writing too, or follow no links.

    Raises:
        FileError: It is a directory, pipe, socket or device.
        OSError: It is missing or cannot be read.
    """
    # Not blocking: opening a pipe would wait for somebody to write into it.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            raise FileError(f'{path} must be a regular file, found {_kind(kind)}')
        mode = 'rb' if flags & os.O_ACCMODE == os.O_RDONLY else 'r+b'
        return cast(BinaryIO, os.fdopen(descriptor, mode))
    except BaseException:
        os.close(descriptor)
        raise


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The content of a file that is regular and not larger than it may be.

    Raises:
        FileError: It is something else, or larger.
        OSError: It is missing or cannot be read.
    """
    with open_regular(path) as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise FileError(f'{path} must have at most {max_bytes} bytes, found more')
    return data


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: 'a directory',
        stat.S_IFIFO: 'a pipe',
        stat.S_IFSOCK: 'a socket',
        stat.S_IFCHR: 'a device',
        stat.S_IFBLK: 'a device',
    }
    return kinds.get(stat.S_IFMT(mode), 'something else')
