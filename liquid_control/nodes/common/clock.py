# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which time a node lives by."""

from __future__ import annotations

from rclpy.clock import ROSClock
from rclpy.node import Node


def is_simulated(node: Node) -> bool:
    """Whether it is that of /clock."""
    clock = node.get_clock()
    return isinstance(clock, ROSClock) and clock.ros_time_is_active
