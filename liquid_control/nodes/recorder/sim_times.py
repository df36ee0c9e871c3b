# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which simulated time it was when a message arrived, of which the middleware knows nothing."""

from __future__ import annotations

from bisect import bisect_right

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from liquid_control.common.errors import SensorError
from liquid_control.nodes.recorder.thread import fetched, never_called
from liquid_control.runtime.sensing.clock import read_clock

_QOS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)


class SimTimes:
    """The /clock messages of late, each with its arrival."""

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        """Subscribe; group: keeps the executor away."""
        self._node = node
        self._subscription = node.create_subscription(
            Clock, '/clock', never_called, _QOS, callback_group=group, raw=True
        )
        self._arrived: list[int] = []  # ns of the system clock
        self._told: list[int] = []  # ns of simulated time

    def take(self) -> None:
        """Fetch what has come; of what came before only the newest is kept."""
        del self._arrived[:-1], self._told[:-1]
        for data, info in fetched(self._subscription, _QOS.depth):
            arrived_ns = info['received_timestamp']
            if self._arrived and arrived_ns < self._arrived[-1]:  # the system's clock was set
                self._arrived, self._told = [], []
            try:
                self._told.append(read_clock(data))
            except SensorError:
                continue
            self._arrived.append(arrived_ns)

    def at(self, arrived_ns: int) -> int:
        """Simulated time at an arrival (ns of the system clock); 0 where nobody knows."""
        place = bisect_right(self._arrived, arrived_ns)
        return self._told[max(place - 1, 0)] if self._told else 0

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)
