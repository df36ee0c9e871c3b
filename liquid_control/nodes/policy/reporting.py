# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the policy node tells of every tick: ~/state, and ~/shadow of a second policy."""

from __future__ import annotations

import array
from collections import deque

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from liquid_control.common.stamps import split_ns
from liquid_control.contract.modes import Mode
from liquid_control.msg import ControlMode, PolicyComparison, PolicyState
from liquid_control.runtime.control.controller import Tick
from liquid_control.runtime.control.runner import Action, PolicyRunner
from liquid_control.runtime.control.state_message import Measured, state_bytes
from liquid_control.runtime.loop.timing import WINDOW, LoopTiming

_LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


def to_stamp(now_ns: int) -> Time:
    """Nanoseconds as builtin_interfaces/Time."""
    sec, nanosec = split_ns(now_ns)
    return Time(sec=sec, nanosec=nanosec)


class ModeReport:
    """Publishes who controls the robot, latched."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(ControlMode, '~/mode', _LATCHED)

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)

    def publish(self, mode: Mode, reason: str, runner: PolicyRunner, now_ns: int) -> None:
        """Send it; now_ns: the message's stamp."""
        message = ControlMode(mode=int(mode), reason=reason)
        message.header.stamp = to_stamp(now_ns)
        message.policy = runner.policy.contract.name
        message.policy_hash = runner.policy.bundle.digest
        self._publisher.publish(message)


class StateReport:
    """Publishes a PolicyState for every tick, while somebody listens."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(PolicyState, '~/state', 10)

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)

    def publish(self, tick: Tick, timing: LoopTiming, measured: Measured) -> None:
        """Report a tick."""
        if self._publisher.get_subscription_count() > 0:
            self._publisher.publish(state_bytes(tick, timing, measured))


class ShadowReport:
    """Publishes how a shadow policy's commands differ from the active one's."""

    def __init__(self, node: Node, rate: float) -> None:
        """rate: control rate, Hz."""
        self._node = node
        self._publisher = node.create_publisher(PolicyComparison, '~/shadow', 10)
        self._differences: deque[NDArray[np.float32]] = deque(maxlen=max(1, round(rate * WINDOW)))
        self._between = ('', '')

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)

    def publish(self, tick: Tick, shadow: Action, shadow_name: str) -> None:
        """Compare one tick's commands."""
        active = tick.action
        contract = tick.runner.policy.contract
        if self._between != (contract.name, shadow_name):
            self._between = (contract.name, shadow_name)
            self._differences.clear()
        if active.raw is not None and shadow.raw is not None:
            self._differences.append(np.abs(active.raw - shadow.raw))
        message = PolicyComparison(active=contract.name, shadow=shadow_name)
        message.header.stamp = to_stamp(tick.now_ns)
        message.command_names = list(contract.command_names)
        if active.raw is not None:
            message.active_command = _floats(active.raw)
        if shadow.raw is not None:
            message.shadow_command = _floats(shadow.raw)
        if self._differences:
            differences = np.stack(self._differences)
            message.mean_abs_difference = _floats(differences.mean(axis=0))
            message.max_abs_difference = _floats(differences.max(axis=0))
        message.ticks = len(self._differences)
        message.fault = shadow.fault or shadow.observation.problem
        self._publisher.publish(message)


def _floats(values: NDArray[np.float32]) -> array.array[float]:
    """As a message field takes it without looking at every element."""
    return array.array('f', values.astype(np.float32, copy=False).tobytes())
