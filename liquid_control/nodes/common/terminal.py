# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A terminal that does not read (Ctrl-S, a launch in the background) holds up nobody.

rclpy writes log lines with the interpreter's lock held: where the pipe or terminal is full, all
threads would wait for whoever should read it, the guard too.
"""

from __future__ import annotations

import contextlib
import os
import stat


def never_wait_for_terminal() -> None:
    """What cannot be written to standard output or error at once is dropped, from now on."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # not open, or not ours to open
            _never_wait_for(descriptor)


def _never_wait_for(descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):  # of a service manager
        os.set_blocking(descriptor, False)
    elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        # Opened anew: others that share it, such as the shell, go on waiting.
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        opened = os.open(f'/proc/self/fd/{descriptor}', flags)
        os.dup2(opened, descriptor)
        os.close(opened)
