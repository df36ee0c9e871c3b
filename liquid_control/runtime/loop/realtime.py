# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Real-time settings of the operating system; what is not permitted is said, not fatal."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import struct
import sys
from collections.abc import Sequence

# Processors that this process may use.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else []

_MCL_CURRENT, _MCL_FUTURE = 1, 2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Several camera frames; glibc takes no larger threshold for single blocks than 32 MiB.
_KEPT_BYTES, _KEPT_BLOCK_BYTES = 64 << 20, 32 << 20
# glibc has had a function for it since 2.41 only.
_SCHED_SETATTR = {'x86_64': 314, 'aarch64': 274}
_SLICE_NS = 100_000  # the shortest that Linux takes
# Python's own is 5 ms, which is how long a busy thread could keep the control thread waiting, s.
_SWITCH_INTERVAL = 0.00005


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


def ask_for_short_slices() -> None:
    """Let the calling thread, and those that it starts, run soon after they wake up.

    With all cores taken, a thread that wakes waits for somebody's time slice to end, some 3 ms.
    Since 6.12 Linux lets it go before those with longer slices; it needs no permission, and an
    older kernel takes no notice.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None and platform.system() == 'Linux':
        # struct sched_attr: size, policy (0: ordinary), flags, nice, priority, runtime, -, -
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        attributes = struct.pack('<IIQiIQQQ', 48, 0, 0, nice, 0, _SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)


def leave_a_core() -> None:
    """Keep the calling thread, and those that it starts, off one core; no effect on a single one.

    Where the control thread wakes on the core of a thread that computes, it waits for it.
    """
    if len(CORES) > 1:
        set_affinity(CORES[:-1])


def set_affinity(cpus: Sequence[int]) -> str:
    """Keep the calling thread on some processors; returns a warning, '' when done."""
    try:
        os.sched_setaffinity(0, cpus)
    except (OSError, ValueError, OverflowError) as error:  # numbers that no processor has
        return f'no affinity to the processors {list(cpus)}: {error}'
    return ''


def lock_memory() -> str:
    """Keep this process's pages in memory; returns a warning, '' when done."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE):
        why = os.strerror(ctypes.get_errno())
        return f'memory not locked: {why}; allow it with `memlock` in /etc/security/limits.conf'
    return ''


def keep_memory() -> None:
    """Do not give freed memory back to the system at once.

    By default glibc returns the buffers of every camera frame and gets them anew for the next one:
    320 page faults a frame of 640x480, a third of the time its reception and encoding take.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, 'mallopt'):  # glibc alone
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BLOCK_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def take_short_turns() -> None:
    """Let no thread hold the interpreter for long while another waits for it."""
    sys.setswitchinterval(_SWITCH_INTERVAL)


def freeze_garbage() -> None:
    """Everything alive now is here to stay: take it out of the collector's way."""
    gc.collect()
    gc.freeze()


def thaw_garbage() -> None:
    """Undo `freeze_garbage`."""
    gc.unfreeze()
