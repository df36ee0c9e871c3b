"""What the policy node tells of every tick: ~/state, and ~/shadow of a second policy."""

from __future__ import annotations

import array
import math
from collections import deque

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node

from liquid_control.msg import PolicyComparison, PolicyState
from liquid_control.runtime.controller import Tick
from liquid_control.runtime.timing import WINDOW, Timing


def to_stamp(now_ns: int) -> Time:
    """Nanoseconds as builtin_interfaces/Time."""
    return Time(sec=now_ns // 1_000_000_000, nanosec=now_ns % 1_000_000_000)


class StateReport:
    """Publishes a PolicyState for every tick."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(PolicyState, '~/state', 10)

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)

    def publish(
        self,
        tick: Tick,
        timing: Timing,
        *,
        frames: int,
        lateness: float,
        encoder_time: float,
        sense_to_act: float,
    ) -> None:
        """Report a tick; times in s."""
        action, policy = tick.action, tick.pilot.policy
        seen = action.observation
        message = PolicyState()
        message.header.stamp = to_stamp(tick.now_ns)
        message.tick = timing.ticks + timing.missed
        message.missed = timing.missed
        message.mode = int(tick.mode)
        message.policy = policy.contract.name
        message.frames = frames
        message.image_stamp = to_stamp(seen.image_stamp_ns)
        if seen.imu is not None:
            message.imu = seen.imu
        message.speed = float(seen.speed) if seen.speed is not None else math.nan
        message.elapsed = action.elapsed
        message.image_age = seen.image_age
        message.imu_age = seen.imu_age
        message.speed_age = seen.speed_age
        message.command_names = list(policy.contract.command_names)
        if action.raw is not None:
            message.command_raw = _floats(action.raw)
        if tick.command is not None:
            message.command = array.array('f', tick.command)
        message.limited_by = tick.limited_by
        message.neurons = _floats(policy.state)
        message.lateness = lateness
        message.encoder_time = encoder_time
        message.core_time = action.core_ns / 1e9
        message.sense_to_act = sense_to_act
        message.rate = timing.rate
        message.lateness_p50 = timing.late.p50
        message.lateness_p99 = timing.late.p99
        message.lateness_max = timing.late.max
        self._publisher.publish(message)


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

    def publish(self, tick: Tick, shadow_name: str) -> None:
        """Compare one tick's commands."""
        active, shadow = tick.action, tick.shadow
        if shadow is None:
            return
        contract = tick.pilot.policy.contract
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
