# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Child processes that never outlive their parent and whose last words are kept."""

from __future__ import annotations

import ctypes
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from liquid_control.common.errors import LiquidControlError

Self = TypeVar('Self', bound='Children')

# How long a child may take to end after each signal, s. A recorder closes its bag after SIGINT.
_PATIENCE = ((signal.SIGINT, 15.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
_LAST_LINES = 3
_LOGGED_ERROR = re.compile(r'\[(?:ERROR|FATAL)\] \[[\d.]+\] \[[^]]*\]: (.*)')

# Loaded before any fork: what runs between fork and exec must not load libraries.
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class ProcessError(LiquidControlError):
    """A process that is needed has ended or does not answer."""


class Children:
    """Processes started together, ended in the order they were started.

    Each writes to a log file of its own and stands in a process group of its own, so that Ctrl-C
    reaches the parent alone, which ends them one after the other. Should the parent be killed, the
    operating system ends them.
    """

    def __init__(self, log_directory: Path, environment: Mapping[str, str]) -> None:
        self._log_directory = log_directory
        self._environment = dict(environment)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        log_directory.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, module: str, arguments: Sequence[str]) -> None:
        """Start `python -m module` with arguments."""
        with self._log(name).open('wb') as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, '-m', module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
                preexec_fn=end_with_parent if sys.platform == 'linux' else None,
            )

    def require_alive(self) -> None:
        """Raises ProcessError with the last words of one that has ended."""
        for name, process in self._processes.items():
            status = process.poll()
            if status is not None:
                how = f'signal {-status}' if status < 0 else f'exit status {status}'
                raise ProcessError(f'{name} ended with {how}: {self.last_words(name)}')

    def last_words(self, name: str) -> str:
        """The last error a child logged, else its last lines; and where there is more."""
        log = self._log(name)
        lines = [line for line in log.read_text(errors='replace').splitlines() if line.strip()]
        said = ' | '.join(lines[-_LAST_LINES:]) or 'it said nothing'
        for line in reversed(lines):
            if line.startswith('Traceback'):
                said = lines[-1]
                break
            if match := _LOGGED_ERROR.match(line):
                said = match[1]
                break
        return f'{said} (log: {log})'

    def stop(self) -> None:
        """End all that still run: SIGINT, then SIGTERM, then SIGKILL."""
        for process in self._processes.values():
            for signum, patience in _PATIENCE:
                if process.poll() is not None:
                    break
                process.send_signal(signum)
                try:
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # A second Ctrl-C must not leave processes behind; ending them takes bounded time.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.stop()
        finally:
            signal.signal(signal.SIGINT, before)

    def _log(self, name: str) -> Path:
        return self._log_directory / f'{name}.log'


def end_with_parent() -> None:
    """Between fork and exec: ask the kernel for SIGTERM when the parent dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
