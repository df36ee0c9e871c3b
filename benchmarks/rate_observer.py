# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What benchmarks/rate.py sees from outside: commands and states as DDS received them."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil
import rclpy
from geometry_msgs.msg import TwistStamped
from liquid_control.msg import PolicyState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool

# s
START_TIMEOUT, SETTLING, BETWEEN_SWAPS = 30.0, 2.0, 0.2


class Observer:
    """Listens all the while, in batches, so that every contestant has the same listener."""

    def __init__(self, sent: Path) -> None:
        """sent: where the source writes the stamps of its frames, ns."""
        self._sent = sent
        self._commands: list[tuple[bytes, int]] = []
        self._states: list[bytes] = []

    def __enter__(self) -> Observer:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        # Two nodes: what this one receives is taken here, not by an executor.
        self._node, self.clients = rclpy.create_node('observer'), rclpy.create_node('clients')
        qos = QoSProfile(depth=1000)
        self._subscriptions = [
            self._node.create_subscription(kind, topic, lambda message: None, qos, raw=True)
            for kind, topic in ((TwistStamped, 'cmd_vel'), (PolicyState, 'policy_node/state'))
        ]
        return self

    def __exit__(self, *error: object) -> None:
        self._node.destroy_node()
        self.clients.destroy_node()
        rclpy.try_shutdown()

    def watch(self, seconds: float) -> None:
        """Collect for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(0.1, max(0.0, end - time.monotonic())))
            # Only taken: reading them would keep a core busy that the contestants need.
            commands, states = (each.handle for each in self._subscriptions)
            while (taken := commands.take_message(TwistStamped, True)) is not None:
                self._commands.append((taken[0], taken[1]['received_timestamp']))
            while (taken := states.take_message(PolicyState, True)) is not None:
                self._states.append(taken[0])

    def reset(self) -> None:
        """Drop what was collected."""
        self.watch(0.1)
        self._commands.clear()
        self._states.clear()

    @property
    def states(self) -> list[PolicyState]:
        """The collected states."""
        return [deserialize_message(each, PolicyState) for each in self._states]

    @property
    def commands(self) -> dict[int, int]:
        """Stamp of a command -> when DDS received it, ns."""
        received = ((deserialize_message(m, TwistStamped), at) for m, at in self._commands)
        return {_ns(message.header.stamp): at for message, at in received}

    def sent(self, begin_ns: int, end_ns: int) -> int:
        """How many frames were sent between two instants."""
        stamps = map(int, self._sent.read_text().split())
        return sum(begin_ns <= stamp < end_ns for stamp in stamps)

    def sense_to_act(self, acted: Iterable[tuple[int, int]]) -> list[float]:
        """Camera stamp to command received, s, of (command stamp, image stamp), ns."""
        received = self.commands
        return [
            (received[command] - image) / 1e9 for command, image in acted if command in received
        ]

    def look_at_attention(self) -> Callable[[], bool]:
        """Subscribe; the answer tells whether an image waits, and ends the subscription."""
        topic, qos = 'policy_node/attention', QoSProfile(depth=1)
        images = self._node.create_subscription(Image, topic, lambda message: None, qos)

        def seen() -> bool:
            waits = images.handle.take_message(Image, True) is not None
            self._node.destroy_subscription(images)
            return waits

        return seen

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service of the policy node."""
        client = self.clients.create_client(kind, f'policy_node/{name}')
        client.wait_for_service(START_TIMEOUT)
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self.clients, future, timeout_sec=START_TIMEOUT)
        self.clients.destroy_client(client)
        return future.result()


def drive(
    observer: Observer,
    rate: float,
    seconds: float,
    bundle: Path,
    *,
    swaps: bool = False,
    attention: bool = False,
) -> dict[str, Any]:
    """The policy node in its own process, engaged.

    Args:
        swaps: policies change all the while.
        attention: somebody looks at what the policy looks at.
    """
    command = [
        sys.executable, '-m', 'liquid_control.nodes.policy.node', '--ros-args',
        '-p', 'autostart:=true', '-p', f'policy:={bundle}', '-p', f'control_rate:={rate}',
    ]  # fmt: skip
    observer.reset()
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (driven := [each for each in observer.states if len(each.command_raw)]):
            observer.watch(0.02)
            if time.monotonic() > started + START_TIMEOUT or process.poll() is not None:
                raise SystemExit('the policy node did not come up')
        first_command = time.monotonic() - started
        engaged = observer.call(SetBool, 'engage', SetBool.Request(data=True))
        if not engaged.success:
            raise SystemExit(f'the policy node cannot be engaged: {engaged.message}')
        images = observer.look_at_attention() if attention else None
        observer.watch(SETTLING)
        observer.reset()
        policies = itertools.cycle((_twin(bundle) if swaps else bundle, bundle))
        child = psutil.Process(process.pid)
        before, end, swapped = sum(child.cpu_times()[:2]), time.monotonic() + seconds, 0
        while time.monotonic() < end:
            observer.watch(min(BETWEEN_SWAPS, max(0.0, end - time.monotonic())))
            if swaps:
                swapped += _swap(observer, next(policies))
        cpu, rss = sum(child.cpu_times()[:2]) - before, child.memory_info().rss
        observer.watch(0.1)
        if images is not None and not images():
            raise SystemExit('the policy node shows no attention')
    finally:
        process.terminate()
        process.wait(20)
    states = observer.states
    pairs = itertools.pairwise(states)
    acted = [(_ns(b.header.stamp), _image_ns(b)) for a, b in pairs if _differ(a, b)]
    return {
        'lateness': [state.lateness for state in states],
        'missed': states[-1].missed - states[0].missed,
        'ticks': states[-1].tick - states[0].tick - states[-1].missed + states[0].missed,
        'cpu': cpu,
        'sense_to_act': observer.sense_to_act(acted),
        'encoder': [state.encoder_time for state in states],
        'core': [state.core_time for state in states],
        'frames': states[-1].frames - states[0].frames,
        'frames_sent': observer.sent(_ns(states[0].header.stamp), _ns(states[-1].header.stamp)),
        'rss': rss,
        'start_to_command': first_command,
        'activation_to_command': driven[0].tick / rate,
        'swaps': swapped,
    }


def _swap(observer: Observer, bundle: Path) -> bool:
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(bundle))
    request = SetParameters.Request(parameters=[Parameter(name='policy', value=value)])
    return bool(observer.call(SetParameters, 'set_parameters', request).results[0].successful)


def _twin(bundle: Path) -> Path:
    """Another policy to swap with, which happens to say the same."""
    twin = bundle.with_name('twin')
    if not twin.exists():
        shutil.copytree(bundle, twin)
    return twin


def _differ(before: PolicyState, after: PolicyState) -> bool:
    return _image_ns(before) != _image_ns(after)


def _image_ns(state: PolicyState) -> int:
    """Stamp of the camera's frame, which is the policy's first input."""
    return _ns(state.input_stamps[0])


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
