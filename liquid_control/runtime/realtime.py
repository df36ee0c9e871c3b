"""Real-time settings of the operating system; what is not permitted is said, not fatal."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Sequence

_MCL_CURRENT, _MCL_FUTURE = 1, 2


def set_priority(priority: int) -> str:
    """Run the calling thread under SCHED_FIFO at 1..99; returns a warning, '' when done."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        return (
            f'no real-time priority {priority}: {error.strerror}; allow it with `rtprio` in '
            '/etc/security/limits.conf or CAP_SYS_NICE'
        )
    return ''


def set_affinity(cpus: Sequence[int]) -> str:
    """Keep the calling thread on some processors; returns a warning, '' when done."""
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        return f'no affinity to the processors {list(cpus)}: {error.strerror}'
    return ''


def lock_memory() -> str:
    """Keep this process's pages in memory; returns a warning, '' when done."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE):
        why = os.strerror(ctypes.get_errno())
        return f'memory not locked: {why}; allow it with `memlock` in /etc/security/limits.conf'
    return ''


def freeze_garbage() -> None:
    """Everything alive now is here to stay: take it out of the collector's way."""
    gc.collect()
    gc.freeze()


def thaw_garbage() -> None:
    """Undo `freeze_garbage`."""
    gc.unfreeze()
