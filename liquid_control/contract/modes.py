# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The modes of control: who commands the robot."""

import enum


class Mode(enum.IntEnum):
    """Who controls the robot; numbers as in msg/ControlMode."""

    DISENGAGED = 0
    AUTONOMOUS = 1
    MANUAL = 2
    SAFE_STOP = 3
