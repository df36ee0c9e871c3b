# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small recordings for tests: a camera at 30 Hz, an IMU at 200 Hz, odometry, commands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags.messages import serialize
from liquid_control.bags.writer import BagWriter

START_NS = 1_700_000_000_000_000_000
FRAME_NS = 33_333_333
IMU_NS = 5_000_000
ODOM_NS = 20_000_000
COMMAND_NS = 50_000_000

IMAGE, IMU, ODOM, COMMAND = '/camera/image_raw', '/imu/data', '/odom', '/cmd_vel'


class Entry(NamedTuple):
    """One message to record."""

    stamp_ns: int
    topic: str
    values: dict[str, Any]
    late_ns: int = 0
    """How long after its stamp it is recorded."""


def image(index: int, width: int = 160, height: int = 120) -> NDArray[np.uint8]:
    """An image that differs from frame to frame, uint8 [height, width, 3]."""
    rng = np.random.default_rng(index)
    coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return coarse.repeat(height // 6, axis=0).repeat(width // 8, axis=1)


def image_entry(index: int, stamp_ns: int, **size: int) -> Entry:
    pixels = image(index, **size)
    height, width = pixels.shape[:2]
    values = {
        'height': height,
        'width': width,
        'encoding': 'rgb8',
        'step': 3 * width,
        'data': pixels.reshape(-1),
    }
    return Entry(stamp_ns, IMAGE, values)


def imu_entry(stamp_ns: int, *, yaw_rate: float | None = None) -> Entry:
    seconds = (stamp_ns - START_NS) / 1e9
    turn = math.sin(seconds) if yaw_rate is None else yaw_rate
    return Entry(
        stamp_ns,
        IMU,
        {
            'linear_acceleration': {'x': math.cos(3 * seconds), 'y': 0.5, 'z': 9.81},
            'angular_velocity': {'x': 0.0, 'y': 0.0, 'z': turn},
        },
    )


def odom_entry(stamp_ns: int) -> Entry:
    seconds = (stamp_ns - START_NS) / 1e9
    return Entry(
        stamp_ns, ODOM, {'twist': {'twist': {'linear': {'x': 1 + 0.5 * math.sin(seconds)}}}}
    )


def command_entry(stamp_ns: int, linear: float, angular: float) -> Entry:
    return Entry(
        stamp_ns, COMMAND, {'twist': {'linear': {'x': linear}, 'angular': {'z': angular}}}
    )


def drive_entries(seconds: float) -> Iterator[Entry]:
    """A drive: every sensor from START_NS on, in the order of the stamps, and steady commands."""
    duration = round(seconds * 1e9)
    entries = [image_entry(i, START_NS + i * FRAME_NS) for i in range(duration // FRAME_NS + 1)]
    entries += [imu_entry(START_NS + offset) for offset in range(0, duration + 1, IMU_NS)]
    entries += [odom_entry(START_NS + offset) for offset in range(0, duration + 1, ODOM_NS)]
    entries += [
        command_entry(START_NS + offset, 1.0, 0.5) for offset in range(0, duration + 1, COMMAND_NS)
    ]
    return iter(sorted(entries, key=lambda entry: entry.stamp_ns))


TYPES = {
    IMAGE: 'sensor_msgs/msg/Image',
    IMU: 'sensor_msgs/msg/Imu',
    ODOM: 'nav_msgs/msg/Odometry',
    COMMAND: 'geometry_msgs/msg/TwistStamped',
}


def write_bag(path: Path, entries: Iterator[Entry] | list[Entry], **types: str) -> Path:
    """Record entries in the order given.

    Args:
        types: message types of topics other than those of `TYPES`, without the slash.
    """
    known = TYPES | {f'/{name}': msgtype for name, msgtype in types.items()}
    with BagWriter(path) as bag:
        for entry in entries:
            bag.add_topic(entry.topic, known[entry.topic])
            data = serialize(known[entry.topic], entry.values, entry.stamp_ns)
            bag.write(entry.topic, data, entry.stamp_ns + entry.late_ns)
    return path
