# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The one message that the runtime reads and that is no input: /clock."""

from __future__ import annotations

from liquid_control.common.cdr import Cursor, Serialized
from liquid_control.common.errors import SensorError
from liquid_control.common.stamps import NS, to_ns


def read_clock(message: Serialized) -> int:
    """Parse a serialized rosgraph_msgs/Clock -> time (ns). Raises SensorError."""
    sec, nanosec = Cursor(message, 'rosgraph_msgs/Clock').take('iI', 4)
    if sec < 0 or nanosec >= NS:
        raise SensorError(f'/clock must tell a time since 1970, found {sec} s and {nanosec} ns')
    return to_ns(sec, nanosec)
