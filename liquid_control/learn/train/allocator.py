# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Large tensors in memory that is used again, where glibc would ask the system for it each time.

The activations of a batch of images are tens of megabytes; glibc maps such blocks anew for every
batch, and the system fills them with zeros page by page.
"""

from __future__ import annotations

import ctypes
import platform

# Of malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
TOP_PAD = 64 * 2**20
NEVER = 2**31 - 1


def reuse_memory() -> bool:
    """Let this process keep what it frees; returns whether that could be arranged.

    It takes no more than the most that it has ever needed at once, and what lies scattered.
    """
    if platform.libc_ver()[0] != 'glibc':
        return False
    mallopt = ctypes.CDLL(None).mallopt
    options = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, NEVER), (_TOP_PAD, TOP_PAD))
    return all([mallopt(option, value) == 1 for option, value in options])
