# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The command that is looked at where there is room for one: that which turns the robot."""

from __future__ import annotations

from collections.abc import Sequence

TURNING = ('steering_angle', 'steering', 'yaw_rate')


def turning(commands: Sequence[str]) -> int:
    """The index of the command that turns the robot; the first where none does."""
    return next((index for index, name in enumerate(commands) if name in TURNING), 0)
