# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The folder of a study: one run at a time writes there, and reports leave nothing of another."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.files import write_atomically

RECORD = '.written.json'
"""Names of the files that the newest report in a folder consists of."""


class PlaceError(LiquidControlError):
    """A study cannot be made there."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make a folder and be the only one who writes there; the lock ends with the process.

    Raises:
        PlaceError: it cannot be made, or another process works in it.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PlaceError(f'{folder} cannot be written: {error.strerror}') from error
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PlaceError(
                f'another `evaluate` works in {folder}: wait for its end, or name another --out'
            ) from None
        except OSError:  # a file system without locks
            pass
        yield


def tidy(folder: Path, written: Iterable[str]) -> None:
    """Remove what an earlier report here had and this one has not: a table of other policies.

    Args:
        written: names of the files that the report consists of; of no others anything is known.
    """
    record = folder / RECORD
    now = sorted(written)
    with suppress(OSError, ValueError):  # the first report here
        for name in {Path(str(name)).name for name in json.loads(record.read_text())} - set(now):
            (folder / name).unlink(missing_ok=True)
    write_atomically(record, json.dumps(now), durable=False)
