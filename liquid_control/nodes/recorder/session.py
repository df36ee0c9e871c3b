# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The directory of a recording session: numbered episodes and session.yaml beside them."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import liquid_control
from liquid_control.bags.background import BackgroundWriter
from liquid_control.bags.errors import BagError
from liquid_control.bags.metadata import dump_yaml
from liquid_control.bags.writer import BagWriter
from liquid_control.common.assets import shipped_folder
from liquid_control.common.files import create_new, make_directory, write_atomically

_MEGABYTE = 1_000_000
_TRIES = 100  # to be the first to use a name, where several recorders share a directory


@dataclass
class RecordedEpisode:
    """An episode being recorded.

    Attributes:
        clock_started: False until simulated time has begun; nothing is written before.
    """

    writer: BackgroundWriter
    started_by: str
    started_at: float
    takeovers_before: int
    policies: list[dict[str, str]]
    clock_started: bool = False

    def summary(self, ended_by: str, takeovers: int) -> dict[str, Any]:
        """Return what session.yaml says about the episode, once its bag is closed."""
        writer = self.writer
        return {
            'path': writer.path.name,
            'started_by': self.started_by,
            'ended_by': ended_by,
            'duration': round(time.monotonic() - self.started_at, 3),
            'policies': self.policies,
            'takeovers': takeovers - self.takeovers_before,
            'messages': writer.received.total() - writer.dropped.total(),
            'bytes': writer.bytes_written,
            'dropped': dict(+writer.dropped),
        }


class RecordingSession:
    """One session: from the activation of the recorder to its deactivation.

    A directory that holds recordings already is continued: nothing is overwritten, episodes are
    numbered on, and a further session file is begun.

    Args:
        directory: Where to record; `{stamp}` becomes the time of now, with a number after it where
            somebody else records there already.

    Attributes:
        description: Content of session.yaml; `save` writes it.

    Raises:
        BagError: The directory cannot be made or written to.
    """

    def __init__(self, directory: str, description: dict[str, Any]) -> None:
        self.description: dict[str, Any] = {
            'started': datetime.now().astimezone().isoformat(timespec='milliseconds'),
            'version': {'liquid_control': liquid_control.__version__, 'git': _git_version()},
            **description,
            'episodes': [],
        }
        try:
            self.directory = make_directory(directory)
            self._file = self._new_file()
        except OSError as error:
            raise BagError(f'cannot record to {error.filename}: {error.strerror}') from error
        self.save()

    @property
    def origin(self) -> dict[str, str]:
        """Where a recording comes from, for the bag's own metadata.yaml."""
        version = self.description['version']
        return {
            'robot': str(self.description.get('robot', '')),
            'session_started': str(self.description['started']),
            'liquid_control': f'{version["liquid_control"]} {version["git"] or ""}'.rstrip(),
        }

    def new_bag(self, kind: str, **options: Any) -> BagWriter:
        """Begin the next recording of a kind: episode or snapshot.

        Args:
            options: See `BagWriter`.

        Raises:
            BagError: The disk does not let us.
        """
        for _ in range(_TRIES):
            try:
                path = self.directory / f'{kind}_{self._next_number(kind, ""):04d}'
            except OSError as error:
                raise BagError(f'cannot record to {self.directory}: {error.strerror}') from error
            try:
                return BagWriter(path, custom_data=self.origin, **options)
            except BagError as error:
                if not isinstance(error.__cause__, FileExistsError):
                    raise
        raise BagError(f'cannot record to {self.directory}: others take every name')

    def add_episode(self, entry: dict[str, Any]) -> None:
        """Note an episode that has ended."""
        self.description['episodes'].append(entry)
        self.save()

    def save(self) -> None:
        """Write session.yaml, all of it or nothing."""
        try:
            write_atomically(self._file, dump_yaml(self._without_places(self.description)))
        except OSError as error:
            raise BagError(f'cannot write {self._file}: {error.strerror}') from error

    def free_bytes(self) -> int:
        """Return how much may still be written to the disk; 0 where the directory has gone."""
        try:
            return shutil.disk_usage(self.directory).free
        except OSError:  # deleted, or the disk was pulled out
            return 0

    def disk_problem(self, min_free_bytes: int) -> str:
        """Say what is wrong where less than this is free; empty where all is well."""
        if not self.directory.is_dir():
            return f'cannot record to {self.directory}: it is there no more'
        free = self.free_bytes()
        if free >= min_free_bytes:
            return ''
        return (
            f'{free // _MEGABYTE} MB free on the disk of {self.directory}, '
            f'min_free_disk is {min_free_bytes // _MEGABYTE} MB: delete or move recordings'
        )

    def _new_file(self) -> Path:
        """Make the session's file; another recorder may be doing the same."""
        for _ in range(_TRIES):
            number = self._next_number('session', '.yaml')
            file = self.directory / (f'session_{number}.yaml' if number else 'session.yaml')
            with suppress(FileExistsError):
                os.close(create_new(file))
                return file
        raise FileExistsError(errno.EEXIST, 'others take every name', str(self.directory))

    def _without_places(self, value: Any) -> Any:
        """A recording is given away: its parameters do not tell where things lie on this disk."""
        if isinstance(value, dict):
            return {key: self._without_places(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self._without_places(entry) for entry in value]
        if not (isinstance(value, str) and value.startswith('/') and os.path.exists(value)):
            return value
        home = Path.home()
        if Path(value).is_relative_to(home):
            return f'~/{Path(value).relative_to(home)}'
        return os.path.relpath(value, self.directory)

    def _next_number(self, kind: str, suffix: str) -> int:
        pattern = re.compile(rf'{kind}(?:_(\d+))?{re.escape(suffix)}')
        found = [pattern.fullmatch(name) for name in os.listdir(self.directory)]
        return max((int(match[1] or 0) + 1 for match in found if match), default=0)


def _git_version() -> str | None:
    """Return the commit of the source tree this code runs from, None where it is installed."""
    source = shipped_folder()
    if not (source / 'setup.py').exists():
        return None  # a repository around an installation is somebody else's
    try:
        result = subprocess.run(
            ['git', 'describe', '--always', '--dirty', '--tags'],
            cwd=source,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
