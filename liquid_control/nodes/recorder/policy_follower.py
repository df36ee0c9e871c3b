# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Follows the policy node: whether it is there and engaged, which policy drives, how it is set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.serialization import deserialize_message
from rclpy.task import Future

from liquid_control.msg import ControlMode

MODE_TYPE = 'liquid_control/msg/ControlMode'

# Seconds without the mode, which comes once a second, after which its node counts as gone.
_SILENCE = 3.0
# Seconds after which somebody should know that a recorder waits for what does not come.
PATIENCE = 10.0
# Seconds after disengaging in which the last command is on its way: the robot is told to stop
# after the mode has told that it will be.
_LAST_COMMAND = 0.3


class PolicyFollower:
    """Understands what the policy node says on its mode topic.

    Args:
        on_engaged: Called with True when somebody takes control, with False on disengaging. A safe
            stop is still engaged: what happens after it belongs to the same episode.

    Attributes:
        policy: Name and hash of the policy last heard of.
        parameters: The policy node's parameters, by name; empty until it has answered.
        takeovers: How often a person has taken over from the policy, since this object was made.
    """

    def __init__(self, node: Node, mode_topic: str, on_engaged: Callable[[bool], None]) -> None:
        self.policy: dict[str, str] = {}
        self.parameters: dict[str, Any] = {}
        self.takeovers = 0
        self._node = node
        self._mode_topic = mode_topic
        self._on_engaged = on_engaged
        self._mode = ControlMode.DISENGAGED
        self._began_at = time.monotonic()
        self._heard_at: float | None = None
        self._repeats = False  # who tells only what changes is not gone when nothing does
        self._disengaged_at = -_LAST_COMMAND
        self._asked = False
        self._clients: tuple[Client, Client] | None = None

    @property
    def driving(self) -> bool:
        """Whether the policy node commands the robot, or may just have sent its last command."""
        engaged = self._mode != ControlMode.DISENGAGED
        return engaged or time.monotonic() - self._disengaged_at < _LAST_COMMAND

    @property
    def present(self) -> bool:
        """Whether somebody publishes the mode."""
        return bool(self._node.count_publishers(self._mode_topic))

    def absence(self) -> str:
        """Say why nothing is to be expected of the policy node; empty while it is heard."""
        if self._heard_at is None:
            return self._wait()
        if not self.present:
            return f'nobody publishes {self._mode_topic} any more'
        if self._repeats and time.monotonic() - self._heard_at > _SILENCE:
            return f'nothing came on {self._mode_topic} for {_SILENCE:g} s'
        return ''

    def reset(self) -> None:
        """The policy node is gone: one that comes begins anew, disengaged."""
        self._mode = ControlMode.DISENGAGED
        self.close()
        self._asked = False

    def close(self) -> None:
        """Stop asking."""
        for client in self._clients or ():
            self._node.destroy_client(client)
        self._clients = None

    def _wait(self) -> str:
        if time.monotonic() - self._began_at < PATIENCE:
            return ''
        if self.present:
            return f'waiting for the first message on {self._mode_topic}'
        others = sorted(
            name
            for name, types in self._node.get_topic_names_and_types()
            if MODE_TYPE in types and self._node.count_publishers(name)
        )
        found = f'; there is {", ".join(others)}' if others else ''
        return (
            f'waiting for {self._mode_topic}, which nobody publishes{found}: start the policy '
            'node, set mode_topic, or set start_on to activate or request'
        )

    def receive(self, data: bytes) -> None:
        """Take a serialised ControlMode, after it was recorded in the episode that it may end."""
        try:
            message = deserialize_message(data, ControlMode)
        except Exception:  # whatever rclpy makes of bytes that are no such message
            return
        policy = {'name': message.policy, 'hash': message.policy_hash}
        if policy != self.policy:
            self.policy = policy
            self._asked = False
        if not self._asked:
            self._ask_parameters()
        before, self._mode = self._mode, message.mode
        self._repeats |= message.mode == before and self._heard_at is not None
        self._heard_at = time.monotonic()
        if before == ControlMode.AUTONOMOUS and message.mode == ControlMode.MANUAL:
            self.takeovers += 1
        was_engaged = before != ControlMode.DISENGAGED
        is_engaged = message.mode != ControlMode.DISENGAGED
        if was_engaged and not is_engaged:
            self._disengaged_at = self._heard_at
        if is_engaged != was_engaged:
            self._on_engaged(is_engaged)

    def _ask_parameters(self) -> None:
        """Ask the node behind the mode topic for all its parameters; the answer comes later."""
        if self._clients is None:
            publishers = self._node.get_publishers_info_by_topic(self._mode_topic)
            if not publishers:
                return
            name = f'{publishers[0].node_namespace.rstrip("/")}/{publishers[0].node_name}'
            self._clients = (
                self._node.create_client(ListParameters, f'{name}/list_parameters'),
                self._node.create_client(GetParameters, f'{name}/get_parameters'),
            )
        if all(client.service_is_ready() for client in self._clients):
            self._asked = True
            names = self._clients[0].call_async(ListParameters.Request())
            names.add_done_callback(self._receive_names)

    def _receive_names(self, future: Future) -> None:
        if future.cancelled() or self._clients is None:
            return
        names = future.result().result.names
        values = self._clients[1].call_async(GetParameters.Request(names=names))
        values.add_done_callback(lambda answer: self._receive_values(names, answer))

    def _receive_values(self, names: list[str], future: Future) -> None:
        if future.cancelled():
            return
        values = future.result().values
        if len(values) == len(names):  # rclpy answers with nothing where one of them is not set
            self.parameters = {
                name: _plain(parameter_value_to_python(value))
                for name, value in zip(names, values, strict=True)
            }


def _plain(value: Any) -> Any:
    """Return a parameter's value as YAML can hold it; arrays come as `array.array`."""
    return value if value is None or isinstance(value, str | bool | int | float) else list(value)
