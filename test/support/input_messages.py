# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Messages of inputs, and what a reader makes of them."""

from __future__ import annotations

import math

from liquid_control.common.cdr import Writer
from liquid_control.contract.inputs import InputSpec, Reader

LIMITS = {'rate': 50.0, 'max_age': 0.2}
STAMP = 1_700_000_000_123_456_789


def read(spec: InputSpec, messages: dict[str, tuple[str, bytes]], reader: Reader | None = None):
    """What is known after the last of them."""
    reader, reading = reader or spec.reader(), None
    for role, (msgtype, message) in messages.items():
        reading = reader.take(role, message, msgtype)
    return reading


def odometry_message(
    x: float, y: float, yaw: float, stamp_ns: int = STAMP
) -> dict[str, tuple[str, bytes]]:
    message = Writer()
    message.header(stamp_ns, 'odom')
    message.string('base_link')
    message.put('d', x, y, 0.5, 0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2), *[0.0] * 36)
    message.put('d', *[0.0] * 42)
    return {'odom': ('nav_msgs/msg/Odometry', message.done())}
