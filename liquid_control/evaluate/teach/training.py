# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""`liquid-control train` in a process of its own, so that the page lives on meanwhile."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from liquid_control.evaluate.closed_loop.processes import ProcessError, end_with_parent

_EPOCH = re.compile(r'epoch +(\d+)/(\d+)')
_STEP = re.compile(r'step (\d+) of (\d+)')
_SHOWN = 120  # characters of a line
_KEPT = 20  # lines


class Training:
    """One run; a context whose end it does not outlive.

    Attributes:
        share: of the training that is done.
        line: what it said last.
    """

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        """folder: to run in; log, checkpoints and decoded recordings go below it."""
        self.share, self.line = 0.0, ''
        self._log = folder / 'log' / 'train.log'
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'liquid_control.cli', 'train', *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=end_with_parent if sys.platform == 'linux' else None,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Training:
        return self

    def __exit__(self, *error: object) -> None:
        if self.running:
            self._process.terminate()
        self._process.wait()
        self._reader.join()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def require_success(self) -> None:
        """After its end. Raises ProcessError with what it said last."""
        self._reader.join()
        if self._process.returncode:
            said = self._lines[-1] if self._lines else 'it said nothing'
            raise ProcessError(f'the training failed: {said} (log: {self._log})')

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._log.open('a') as log:
            for text in self._process.stderr:
                log.write(text)
                log.flush()
                if line := text.strip():
                    self._note(line)

    def _note(self, line: str) -> None:
        self._lines = [*self._lines[-_KEPT:], line]
        self.line = line[:_SHOWN]
        for pattern in (_EPOCH, _STEP):
            if found := pattern.search(line):
                self.share = int(found[1]) / int(found[2])
