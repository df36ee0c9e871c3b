# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The time that a simulated car lives in: its own, told on /clock, or that of whoever was first.

All nodes of a graph share one /clock. A simulator listens before it tells the time; where somebody
does so already (another simulator in another namespace, a player) its car lives in that time, and
goes on by itself when that one ends.
"""

from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock

from liquid_control.common.errors import ConfigError
from liquid_control.common.stamps import ns_of, split_ns

SLICE_NS = 5_000_000
"""Simulated time between two messages on /clock."""

_LONGEST_LAG_NS = 100_000_000
"""Further behind than this, time is given up instead of being caught up in a rush."""
_RATE_WINDOW_NS = 1_000_000_000
_SILENCE = 1.0  # s of wall time without /clock after which nobody leads; nodes meet within it
_DEATH = 5.0  # s of it after which somebody who is known to publish it counts as dead
_NAP = 0.002  # s between two looks at the time of another
_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class SimulatedTime:
    """Says when the car may live its next slice of time, and what time that is.

    Args:
        factor: simulated seconds per second, for as long as this one leads.

    Attributes:
        offset_ns: the graph's time less the car's, which begins at 0.
        real_time_factor: over the last second.
    """

    def __init__(self, node: Node, factor: float) -> None:
        self.offset_ns = 0
        self.real_time_factor = 0.0
        self._node = node
        self._factor = factor
        self._led_ns = 0  # how far it has led
        self._message = Clock()
        self._publisher: Publisher | None = None
        self._subscription: Subscription | None = None
        self._dead: set[str] = set()
        self._anchor = self._measured_from = (0, time.monotonic_ns())
        self._follow()

    def wait(self, time_ns: int) -> float:
        """How long to wait, s, until the car may go on from `time_ns`; 0 when it may already.

        Raises:
            ConfigError: the graph has another simulator of the same name.
        """
        self._measure(time_ns)
        if self._publisher is not None:
            return self._lead(time_ns)
        silent = time.monotonic() - self._heard_at
        # One that is known and says nothing may be slow to be heard, or have been killed.
        if silent > _DEATH or (silent > _SILENCE and not self._leaders()):
            self._begin_to_lead(time_ns)
            return 0.0
        if self._heard_ns is None:
            return _NAP
        behind_ns = self._heard_ns - self.offset_ns - time_ns
        if abs(behind_ns) > _LONGEST_LAG_NS:
            self.offset_ns = self._heard_ns - time_ns - SLICE_NS
            return 0.0
        return 0.0 if behind_ns >= SLICE_NS else _NAP

    def tell(self, time_ns: int) -> None:
        """The car has lived until then."""
        if self._publisher is not None:
            now_ns = time_ns + self.offset_ns
            self._message.clock.sec, self._message.clock.nanosec = split_ns(now_ns)
            self._publisher.publish(self._message)

    def pace(self, factor: float) -> None:
        """From now on so many simulated seconds per second, for as long as this one leads."""
        self._factor, self._anchor = factor, (self._led_ns, time.monotonic_ns())

    def settle(self) -> None:
        """Where two have begun to lead at once, one goes on: the first by name.

        Raises:
            ConfigError: see `wait`.
        """
        if self._publisher is None or self._node.count_publishers('/clock') < 2:
            return
        names = self._leaders()
        mine = self._node.get_fully_qualified_name()
        if names.count(mine) > 1:
            raise self._duplicate()
        if min(set(names) - self._dead, default=mine) < mine:
            self._node.destroy_publisher(self._publisher)
            self._publisher = None
            self._follow()

    def _leaders(self) -> list[str]:
        """The nodes that publish /clock, as far as the graph knows: also those just killed."""
        return [
            f'{end.node_namespace.rstrip("/")}/{end.node_name}'
            for end in self._node.get_publishers_info_by_topic('/clock')
        ]

    def _follow(self) -> None:
        self._heard_ns: int | None = None
        self._heard_at = time.monotonic()
        self._subscription = self._node.create_subscription(Clock, '/clock', self._hear, _NEWEST)

    def _hear(self, message: Clock) -> None:
        if self._heard_ns is None:
            nodes = self._node.get_node_names_and_namespaces()
            if nodes.count((self._node.get_name(), self._node.get_namespace())) > 1:
                raise self._duplicate()
            self._node.get_logger().info('another node publishes /clock: the car lives by it')
        self._heard_ns = ns_of(message.clock)
        self._heard_at = time.monotonic()

    def _begin_to_lead(self, time_ns: int) -> None:
        self._dead = set(self._leaders())  # who comes back follows
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._publisher = self._node.create_publisher(Clock, '/clock', QoSProfile(depth=1))
        self._anchor = (time_ns, time.monotonic_ns())

    def _lead(self, time_ns: int) -> float:
        now_ns = time.monotonic_ns()
        self._led_ns = time_ns
        due_ns = self._anchor[1] + round((time_ns - self._anchor[0]) / self._factor)
        if now_ns - due_ns > _LONGEST_LAG_NS:
            self._anchor = (time_ns, now_ns)
        return max(due_ns - now_ns, 0) / 1e9

    def _measure(self, time_ns: int) -> None:
        now_ns = time.monotonic_ns()
        elapsed_ns = now_ns - self._measured_from[1]
        if elapsed_ns >= _RATE_WINDOW_NS:
            self.real_time_factor = (time_ns - self._measured_from[0]) / elapsed_ns
            self._measured_from = (time_ns, now_ns)

    def _duplicate(self) -> ConfigError:
        return ConfigError(
            f'{self._node.get_fully_qualified_name()} is there already: end '
            'it, or start this one in a namespace (-r __ns:=/car2) or in another ROS_DOMAIN_ID'
        )
