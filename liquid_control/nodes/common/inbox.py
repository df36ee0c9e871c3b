# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Topics and services that a thread of our own serves instead of an executor."""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation as rclpy_c
from rclpy.node import Node
from rclpy.qos import QoSProfile

from liquid_control.nodes.common.rcl_take import taker


class OwnThread(CallbackGroup):
    """What belongs to its node, under its name and remaps, and no executor takes."""

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing was begun."""


class Inbox:
    """The serialized messages of one topic, for one thread at a time."""

    def __init__(self, node: Node, message_type: Any, topic: str, qos: QoSProfile) -> None:
        self._node = node
        self._subscription = node.create_subscription(
            message_type, topic, lambda message: None, qos, raw=True, callback_group=OwnThread()
        )
        self._handle = self._subscription.handle
        self._take = taker(self._handle, message_type)
        self._wait_set = rclpy_c.WaitSet(1, 0, 0, 0, 0, 0, node.context.handle)

    def receive(self, timeout: float = 0.0) -> memoryview | None:
        """The oldest message that waits or comes within `timeout` seconds, None for none."""
        message = self._take()
        if message is None and timeout > 0:
            self._wait_set.clear_entities()
            self._wait_set.add_subscription(self._handle)
            self._wait_set.wait(round(timeout * 1e9))
            message = self._take()
        return message

    def close(self) -> None:
        """End the subscription; nobody may use this any more."""
        self._node.destroy_subscription(self._subscription)
