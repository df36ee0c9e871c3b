# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small bags with known content, for the tests of reading, repairing and playing."""

from __future__ import annotations

from pathlib import Path

from liquid_control.bags.writer import BagWriter

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 10_000_000
IMU = '/imu/data'
TWIST = '/cmd_vel'


def write_bag(
    path: Path, *, messages: int = 100, flush_every: int = 10, **options: object
) -> Path:
    """Write `messages` on each of two topics; the i-th carries i as its x and has stamp i."""
    with BagWriter(path, **options) as bag:  # type: ignore[arg-type]
        bag.add_topic(IMU, 'sensor_msgs/msg/Imu')
        bag.add_topic(TWIST, 'geometry_msgs/msg/TwistStamped')
        for i in range(messages):
            stamp_ns = START_NS + i * PERIOD_NS
            bag.write_message(IMU, {'linear_acceleration': {'x': float(i)}}, stamp_ns)
            bag.write_message(TWIST, {'twist': {'linear': {'x': float(i)}}}, stamp_ns)
            if (i + 1) % flush_every == 0:
                bag.flush()
    return path
