# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A workspace with ackermann_msgs, which no ROS installation has by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ACKERMANN = 'ackermann_msgs/msg/AckermannDriveStamped'


def ackermann_workspace(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the workspace in the directory `prefix` and source it for the test."""
    fields = ('steering_angle', 'steering_angle_velocity', 'speed', 'acceleration', 'jerk')
    for package, name, text in (
        ('ackermann_msgs', 'AckermannDrive', ''.join(f'float32 {field}\n' for field in fields)),
        (
            'ackermann_msgs',
            'AckermannDriveStamped',
            'std_msgs/Header header\nAckermannDrive drive\n',
        ),
        ('std_msgs', 'Header', 'builtin_interfaces/Time stamp\nstring frame_id\n'),
        ('builtin_interfaces', 'Time', 'int32 sec\nuint32 nanosec\n'),
    ):
        folder = prefix / 'share' / package / 'msg'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f'{name}.msg').write_text(text)
    before = os.environ.get('AMENT_PREFIX_PATH', '')
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(filter(None, (before, str(prefix)))))
