# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Trying a bundle in a process that can be killed, before it is loaded beside one that drives.

A graph of standard operators may take for ever to load, or all memory. So a child reads, checks,
loads and steps a bundle first, within limits of time and memory that the operating system
enforces; it is nice to the other processes and has an alarm of its own, should its parent be gone.
Only bytes that passed are loaded here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from liquid_control.common.errors import BundleError, LiquidControlError
from liquid_control.common.files import reason
from liquid_control.contract.bundle import Bundle, load_bundle, read_contract
from liquid_control.runtime.inference.backend import Backend
from liquid_control.runtime.inference.child import child_command

# Below the threads of the sensors; lower still, a busy robot would not get a policy loaded.
_NICENESS = 5
# The parent kills first and knows why; the child's own alarm is for when there is no parent.
_ALARM_DELAY = 5.0  # s
_MAX_OUTPUT = 64 << 10  # bytes, of the child's answer and of its last words
_LAST_WORDS = 300  # characters in an error
_NO_MEMORY = ('bad_alloc', 'bad allocation', 'Failed to allocate', 'MemoryError', 'std::length')

# Steps of the dry run, and when it has seen enough, s.
_STEPS, _FEWEST_STEPS, _ENOUGH = 20, 3, 1.0


@dataclass(frozen=True)
class Limits:
    """What a bundle may take before it drives."""

    seconds: float = 15.0
    """From the start of the process to its answer."""
    megabytes: int = 1024
    """Beyond what the process has before it reads anything."""


PATIENT = Limits(seconds=120, megabytes=8192)
"""Of a workstation: it may wait, but a graph of somebody else may never end."""


@dataclass(frozen=True)
class TrialReport:
    """What a bundle took."""

    digest: str
    """Of the bytes that were tried, as `Bundle.digest`."""
    loading: float
    """Of its graphs, s."""
    encoders: dict[str, float]
    """Median processor time of a frame, s, of each image input."""
    core: float
    """Median processor time of a step, s."""


class Trials:
    """Loads bundles that have passed a trial; one at a time, `cancel` from any thread."""

    def __init__(self) -> None:
        self._passed: dict[str, TrialReport] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = threading.Event()

    def load(
        self,
        path: Path,
        *,
        trusted_keys: Sequence[str] = (),
        limits: Limits | None = None,
        keep_off: Sequence[int] = (),
    ) -> tuple[Bundle, TrialReport]:
        """A bundle whose very bytes were tried, now or before.

        Args:
            keep_off: processors that the trial leaves alone.

        Raises:
            BundleError: it did not pass, changed meanwhile, or the trial was cancelled.
            ConfigError: a trusted key cannot be read.
        """
        limits = limits or Limits()
        digest = hashlib.sha256(read_contract(path)).hexdigest()
        if digest not in self._passed:
            try:
                report = self._try(path, trusted_keys, limits, keep_off)
            except OSError as error:  # no process or no temporary file: a full disk is enough
                raise BundleError(f'{path} cannot be tried: {reason(error)}') from error
            self._passed[report.digest] = report
        bundle = load_bundle(path, trusted_keys=trusted_keys)
        if bundle.digest not in self._passed:
            raise BundleError(f'{path} was changed while it was tried: set it again')
        return bundle, self._passed[bundle.digest]

    def cancel(self) -> None:
        """End a trial that is running, and refuse those to come; for a node that must end now."""
        self._cancelled.set()
        child = self._child
        if child is not None:
            child.kill()

    def check_cancelled(self) -> None:
        """Raise a BundleError once `cancel` was called."""
        if self._cancelled.is_set():
            raise BundleError('loading was cancelled: the node ends')

    def _try(
        self, path: Path, keys: Sequence[str], limits: Limits, keep_off: Sequence[int]
    ) -> TrialReport:
        order = _Order(str(path), list(keys), limits.seconds, limits.megabytes, list(keep_off))
        command = child_command(__name__, json.dumps(asdict(order)))
        # One heap: with one for each thread, limits of address space would count what is not used.
        environment = {**os.environ, 'MALLOC_ARENA_MAX': '1', 'OMP_NUM_THREADS': '1'}
        with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as words:
            self.check_cancelled()
            self._child = child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=answer,
                stderr=words,
                env=environment,
                start_new_session=True,
            )
            try:
                if self._cancelled.is_set():  # between the check and the start
                    child.kill()
                status = child.wait(limits.seconds)
            except subprocess.TimeoutExpired:
                status = -signal.SIGALRM
            finally:
                child.kill()
                child.wait()
                self._child = None
            self.check_cancelled()
            return _judge(path, limits, status, _read(answer), _read(words))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MAX_OUTPUT).decode(errors='replace')


def _judge(path: Path, limits: Limits, status: int, answer: str, words: str) -> TrialReport:
    """The child's report, or why there is none."""
    if status in (-signal.SIGALRM, -signal.SIGXCPU):
        raise BundleError(
            f'{path}: not loaded and tried within {limits.seconds:g} s: a graph in it does not '
            'end, or is too large for this machine (load_timeout of the policy node may be raised)'
        )
    found = {}
    with contextlib.suppress(ValueError):
        found = json.loads(answer)
    if status == 0 and 'report' in found:
        return TrialReport(**found['report'])
    refusal = found.get('error', '')
    if any(sign in f'{refusal} {words}' for sign in _NO_MEMORY):
        raise BundleError(
            f'{path}: asks for more than {limits.megabytes} MB while it loads '
            '(load_memory of the policy node may be raised)'
        )
    if refusal:
        raise BundleError(refusal)
    last = ' '.join(words.split())[-_LAST_WORDS:]
    how = f'was ended by signal {-status}' if status < 0 else f'ended with status {status}'
    raise BundleError(f'{path}: the process that tried it {how}: {last or "it said nothing"}')


# The child


@dataclass(frozen=True)
class _Order:
    path: str
    trusted_keys: list[str]
    seconds: float
    megabytes: int
    keep_off: list[int]


def _limit(order: _Order) -> None:
    """Let the operating system end this process where it takes too much."""
    with contextlib.suppress(OSError, AttributeError):  # not every system has processors to choose
        free = os.sched_getaffinity(0) - set(order.keep_off)
        os.sched_setaffinity(0, free or os.sched_getaffinity(0))
        os.nice(_NICENESS)
    # Ends the process whatever it is doing; a handler in Python would wait for it.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, order.seconds + _ALARM_DELAY)
    for what, most in (
        (resource.RLIMIT_AS, _address_space() + (order.megabytes << 20)),
        (resource.RLIMIT_FSIZE, _MAX_OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _address_space() -> int:
    """Of this process, bytes; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        return int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    return 0


def _dry_run(order: _Order) -> TrialReport:
    bundle = load_bundle(order.path, trusted_keys=order.trusted_keys)
    started = time.monotonic()
    backend = Backend(bundle)
    loading = time.monotonic() - started
    rng = np.random.default_rng(0)
    steps: list[tuple[float, ...]] = []
    started = time.monotonic()
    while len(steps) < _STEPS:
        steps.append(backend.dry_run(rng))
        if len(steps) >= _FEWEST_STEPS and time.monotonic() - started > _ENOUGH:
            break
    *encoders, core = np.median(steps, axis=0).tolist()
    return TrialReport(
        bundle.digest, loading, dict(zip(backend.encoders, encoders, strict=True)), core
    )


def main() -> int:
    """The child: one bundle, one answer in JSON."""
    order = _Order(**json.loads(sys.argv[1]))
    # What libraries print is no answer.
    with os.fdopen(os.dup(1), 'w') as answer:
        os.dup2(2, 1)
        _limit(order)
        try:
            found: dict[str, Any] = {'report': asdict(_dry_run(order))}
        except LiquidControlError as error:
            found = {'error': str(error)}
        except Exception as error:  # whatever the reading of somebody's file raises is a refusal
            found = {'error': f'{order.path} cannot be run: {type(error).__name__}: {error}'}
        json.dump(found, answer)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
