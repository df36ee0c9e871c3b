# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What PX4 wants beside setpoints, where its own messages are chosen: a sign of life with each."""

from __future__ import annotations

import importlib
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from liquid_control.contract.px4 import write_mode

# As PX4's client of micro XRCE-DDS offers and asks.
PX4_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class OffboardMode:
    """Publishes `offboard_control_mode` (px4_msgs/OffboardControlMode).

    PX4 follows setpoints while it comes at 2 Hz or more; where it ceases, PX4 does what its
    parameters say for a lost offboard link.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        kind = importlib.import_module('px4_msgs.msg').OffboardControlMode
        self._message = kind()
        write_mode(self._message)
        self._publisher = node.create_publisher(kind, 'offboard_control_mode', PX4_QOS)

    def announce(self, setpoint: Any, stamp: Any) -> None:
        """Send it, and date the setpoint that follows; stamp: builtin_interfaces/Time."""
        microseconds = stamp.sec * 1_000_000 + stamp.nanosec // 1000
        self._message.timestamp = setpoint.timestamp = microseconds
        self._publisher.publish(self._message)

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)
