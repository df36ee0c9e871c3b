# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Much work at once: processes of their own, a progress bar, a Ctrl-C that ends soon."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.synchronize import Event
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.ray_executor import RayExecutor

Item = TypeVar('Item')
Result = TypeVar('Result')

# Seconds between lines where the progress bar is not seen.
TELL_EVERY = 30.0
# Seconds in which a worker breaks off what it does, or is ended: not all work asks whether it may
# go on, and who has pressed Ctrl-C waits.
PATIENCE = 10.0

IsCancelled = Callable[[], bool]


class CancelledError(Exception):
    """A simulation was broken off because its result is no longer wanted."""


class JobError(LiquidControlError):
    """Work could not be done."""


class Pool:
    """Processes of this machine, or a Ray cluster, that work off one list of items after another.

    They stay until the pool is closed: starting them, and importing what they need, takes longer
    than many a list. See `open_pool`.
    """

    def __init__(self, here: Executor, cancelled: Event, cluster: Executor | None = None) -> None:
        self._here, self._cancelled, self._cluster = here, cancelled, cluster

    def run(
        self,
        work: Callable[[Item, IsCancelled], Result],
        items: Sequence[Item],
        *,
        title: str,
        done: int = 0,
        alone: bool = False,
        console: Console | None = None,
    ) -> list[Result]:
        """Call `work` for every item; return the results in the items' order.

        Args:
            work: can be pickled; it asks its second argument now and then, and raises
                CancelledError once that returns True.
            title: of the progress bar.
            done: items of the same kind that were finished before.
            alone: one item after another and on this machine: they are timed.

        Raises:
            JobError: a worker was killed.
            Exception: the first error of a worker; the others are broken off, and the pool with
                them.
        """
        executor = self._here if alone or self._cluster is None else self._cluster
        jobs: list[Future[Result]] = []
        waiting, most = iter(items), (1 if alone else len(items))
        with count_progress(console) as progress:
            task = progress.add_task(title, total=done + len(items), completed=done)
            pending, since = set[Future[Result]](), time.monotonic()
            begun_at = since
            try:
                while len(jobs) < len(items) or pending:
                    with _uninterrupted():
                        begun = [
                            executor.submit(_work, work, item)
                            for item in islice(waiting, most - len(pending))
                        ]
                    jobs += begun
                    finished, pending = wait({*pending, *begun}, TELL_EVERY, FIRST_COMPLETED)
                    for job in finished:
                        job.result()
                        progress.advance(task)
                    # A bar that nobody sees is drawn at its end; a log must not fall silent.
                    if not progress.console.is_terminal and time.monotonic() - since >= TELL_EVERY:
                        since = time.monotonic()
                        now = sum(job.done() for job in jobs)
                        count = f'{title}: {done + now} of {done + len(items)}'
                        left = time_left(now, len(items), since - begun_at)
                        progress.console.print(count + left, markup=False, highlight=False)
            except BrokenProcessPool as error:
                self._break_off()
                raise JobError(
                    f'{title}: a worker process was killed, as one is where memory runs out: '
                    'start the same command again, with fewer --jobs if that was it'
                ) from error
            except BaseException:
                self._break_off()
                raise
        return [job.result() for job in jobs]

    def _break_off(self) -> None:
        self._cancelled.set()
        for executor in (self._here, self._cluster):
            if executor is not None:
                executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def open_pool(workers: int, ray: str | None = None) -> Iterator[Pool]:
    """Workers for some lists of items; none is started before it has something to do.

    Args:
        workers: processes.
        ray: address of a Ray cluster that does the work in their place; see `RayExecutor`.

    Raises:
        MissingPackageError: Ray is asked for and not installed.
        ConfigError: there is no cluster at its address.
    """
    # Spawned, not forked: OpenGL and threads do not survive a fork.
    processes = multiprocessing.get_context('spawn')
    cancelled = processes.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(terminated_as_interrupted())
        cluster = stack.enter_context(RayExecutor(ray)) if ray else None
        here = ProcessPoolExecutor(
            workers, processes, initializer=_begin_worker, initargs=(cancelled,)
        )
        yield Pool(stack.enter_context(here), cancelled, cluster)


def run_all(
    work: Callable[[Item, IsCancelled], Result],
    items: Sequence[Item],
    *,
    title: str,
    workers: int,
    done: int = 0,
    console: Console | None = None,
) -> list[Result]:
    """`Pool.run` with so many processes of its own."""
    with open_pool(workers) as pool:
        return pool.run(work, items, title=title, done=done, console=console)


def count_progress(console: Console | None, *, transient: bool = False) -> Progress:
    """A progress bar of things that are counted, with the time gone and the time left."""
    return Progress(
        TextColumn('{task.description}', style='progress.description', markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
    )


def time_left(done: int, count: int, seconds: float) -> str:
    """Words for how long the rest takes, at the pace of what was done; none before the first."""
    if not done:
        return ''
    left = seconds * (count - done) / done
    return f', about {left / 60:.0f} min left' if left >= 90 else f', about {left:.0f} s left'


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends what is begun here like Ctrl-C: with everything put away."""
    if threading.current_thread() is not threading.main_thread():  # who may have no handlers
        yield
        return

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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


_cancelled: Event | None = None
"""Set by the parent when the worker process shall break off; tasks of a cluster are killed."""


def _begin_worker(cancelled: Event) -> None:
    """Know when to break off; do not outlive a parent that was killed."""
    global _cancelled
    _cancelled = cancelled
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Thread(target=_end_when_cancelled, args=(cancelled,), daemon=True).start()


def _end_when_cancelled(cancelled: Event) -> None:
    # Asked, not waited for: to set an event takes an answer of each who waits, also of the dead.
    while not cancelled.is_set():
        time.sleep(0.5)
    time.sleep(PATIENCE)
    os._exit(1)


def _end_with_parent() -> None:
    # What a killed parent began is begun again: two processes must not write the same bag.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(work: Callable[[Item, IsCancelled], Result], item: Item) -> Result:
    is_cancelled = (lambda: False) if _cancelled is None else _cancelled.is_set
    if is_cancelled():
        raise CancelledError
    return work(item, is_cancelled)
