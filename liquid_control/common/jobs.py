# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Many simulations at once: processes of their own, a progress bar, a Ctrl-C that ends soon."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing.synchronize import Event
from typing import TypeVar

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar('Item')
Result = TypeVar('Result')

# Seconds between lines where the progress bar is not seen.
TELL_EVERY = 30.0

IsCancelled = Callable[[], bool]


class CancelledError(Exception):
    """A simulation was broken off because its result is no longer wanted."""


def run_all(
    work: Callable[[Item, IsCancelled], Result],
    items: Sequence[Item],
    *,
    title: str,
    workers: int,
    done: int = 0,
    console: Console | None = None,
) -> list[Result]:
    """Call `work` for every item in worker processes; return the results in the items' order.

    Args:
        work: can be pickled; it asks its second argument now and then, and raises CancelledError
            once that returns True.
        title: of the progress bar.
        workers: processes.
        done: simulations of the same kind that were finished before.

    Raises:
        Exception: the first error of a worker; the others are broken off.
    """
    # Spawned, not forked: OpenGL and threads do not survive a fork.
    processes = multiprocessing.get_context('spawn')
    cancelled = processes.Event()
    with (
        count_progress(console) as progress,
        ProcessPoolExecutor(
            workers, processes, initializer=_begin_worker, initargs=(cancelled,)
        ) as pool,
    ):
        task = progress.add_task(title, total=done + len(items), completed=done)
        try:
            with _uninterrupted():
                jobs = [pool.submit(_work, work, item) for item in items]
            pending, since = set(jobs), time.monotonic()
            while pending:
                finished, pending = wait(pending, TELL_EVERY, FIRST_COMPLETED)
                for job in finished:
                    job.result()
                    progress.advance(task)
                # A bar that nobody sees is drawn at its end; a log must not fall silent.
                if not progress.console.is_terminal and time.monotonic() - since >= TELL_EVERY:
                    since = time.monotonic()
                    count = f'{done + len(items) - len(pending)} of {done + len(items)}'
                    progress.console.print(f'{title}: {count}', markup=False, highlight=False)
        except BaseException:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [job.result() for job in jobs]


def count_progress(console: Console | None) -> Progress:
    """A progress bar of things that are counted, with the time gone and the time left."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back, for good in processes started meanwhile: it is the parent that cancels.

    A worker killed while it starts would take the others with it, in the middle of their files.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_cancelled: Event
"""Set by the parent when the worker process shall break off."""


def _begin_worker(cancelled: Event) -> None:
    """Know when to break off; do not outlive a parent that was killed."""
    global _cancelled
    _cancelled = cancelled
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # What a killed parent began is begun again: two processes must not write the same bag.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(work: Callable[[Item, IsCancelled], Result], item: Item) -> Result:
    if _cancelled.is_set():
        raise CancelledError
    return work(item, _cancelled.is_set)
