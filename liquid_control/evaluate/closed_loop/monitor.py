# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The ROS side of a drive: brings the nodes to active, engages, watches the robot."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool

from liquid_control.common.stamps import ns_of
from liquid_control.evaluate.closed_loop.courses import Course
from liquid_control.evaluate.closed_loop.processes import Children, ProcessError
from liquid_control.evaluate.closed_loop.record import ODOM, STATE, motion_of
from liquid_control.msg import ControlMode, PolicyState

MODE, ENGAGE = '/policy_node/mode', '/policy_node/engage'

_POLL = 0.1  # s
_RATE_WINDOW_NS = 2_000_000_000

Monitor = TypeVar('Monitor', bound='DriveMonitor')


@contextmanager
def monitoring(kind: type[Monitor], children: Children, course: Course) -> Iterator[Monitor]:
    """A monitor in a ROS context of its own, which leaves the signals to the caller."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield kind(children, course)
    finally:
        rclpy.try_shutdown()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until this is over: within rclpy's C++ they become other errors."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        signum: signal.signal(signum, lambda signum, frame: came.append(signum))
        for signum in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        if came:
            signal.raise_signal(came[0])


def nodes_present(names: set[str], seconds: float) -> list[str]:
    """Which of these nodes the ROS domain has; looks for so long where it has none."""
    context = Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = Node('drive_lookout', context=context)
    try:
        deadline = time.monotonic() + seconds
        found: set[str] = set()
        while not found and time.monotonic() < deadline:
            time.sleep(_POLL)
            found = names & {
                f'{namespace.rstrip("/")}/{name}'
                for name, namespace in node.get_node_names_and_namespaces()
            }
        return sorted(found)
    finally:
        node.destroy_node()
        context.try_shutdown()


class DriveMonitor(Node):
    """Talks to the drive's processes; every wait ends with an error when one of them dies."""

    def __init__(self, children: Children, course: Course) -> None:
        super().__init__('drive')
        self._children = children
        self._course = course
        self._judging = False
        self._start_ns = self._now_ns = 0
        self.status: Any = None
        """How the drive goes; None before the robot was first seen."""
        self._odometry_at = time.monotonic()
        self._ticks: deque[int] = deque(maxlen=1000)
        self.mode = ControlMode.DISENGAGED
        self.reason = ''
        self.create_subscription(Odometry, ODOM, self._on_odometry, qos_profile_sensor_data)
        self.create_subscription(PolicyState, STATE, self._on_state, 10)
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(ControlMode, MODE, self._on_mode, latched)
        self._executor_ = SingleThreadedExecutor(context=self.context)
        self._executor_.add_node(self)

    @property
    def simulated(self) -> float:
        """Time since judging began, s."""
        return (self._now_ns - self._start_ns) / 1e9

    @property
    def control_rate(self) -> float:
        """Measured over the last seconds of simulated time, Hz."""
        ticks = self._ticks
        span = ticks[-1] - ticks[0] if len(ticks) > 1 else 0
        return (len(ticks) - 1) * 1e9 / span if span > 0 else 0.0

    @property
    def silence(self) -> float:
        """Time since the robot was last heard of, s."""
        return time.monotonic() - self._odometry_at

    def look(self, timeout: float = _POLL) -> None:
        """Handle what has arrived. Raises ProcessError when a process has ended."""
        self._children.require_alive()
        with uninterrupted():
            self._executor_.spin_once(timeout_sec=timeout)

    def wait(self, done: Callable[[], bool], timeout: float, what: str) -> None:
        """Handle messages until `done`.

        Raises:
            ProcessError: a process has ended, or `timeout` s have passed.
        """
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                raise ProcessError(f'{what} within {timeout:.0f} s')
            self.look()

    def activate(self, node: str, timeout: float) -> None:
        """Configure and activate a lifecycle node. Raises ProcessError."""
        client = self.create_client(ChangeState, f'/{node}/change_state')
        for name, transition in (
            ('configured', Transition.TRANSITION_CONFIGURE),
            ('activated', Transition.TRANSITION_ACTIVATE),
        ):
            request = ChangeState.Request(transition=Transition(id=transition))
            if not self._call(client, request, timeout).success:
                raise ProcessError(
                    f'{node} could not be {name}: {self._children.last_words(node)}'
                )
        self.destroy_client(client)

    def engage(self, timeout: float) -> None:
        """Let the policy drive as soon as it has all its sensors. Raises ProcessError."""
        client = self.create_client(SetBool, ENGAGE)
        deadline = time.monotonic() + timeout
        while not (answer := self._call(client, SetBool.Request(data=True), timeout)).success:
            if time.monotonic() > deadline:
                raise ProcessError(f'the policy cannot be engaged: {answer.message}')
            self.look()
        self.destroy_client(client)
        self.wait(lambda: self.mode != ControlMode.DISENGAGED, timeout, f'no news came on {MODE}')

    def disengage(self, timeout: float) -> None:
        """Let the robot brake to rest. Raises ProcessError."""
        client = self.create_client(SetBool, ENGAGE)
        self._call(client, SetBool.Request(data=False), timeout)
        self.destroy_client(client)
        self.wait(
            lambda: self.mode == ControlMode.DISENGAGED, timeout, 'the robot did not come to rest'
        )

    def restart_judge(self) -> None:
        """Judge from where the robot is now."""
        self._judging, self.status = False, None

    def _call(self, client: Client, request: Any, timeout: float) -> Any:
        self.wait(client.service_is_ready, timeout, f'{client.srv_name} was not there')
        future = client.call_async(request)
        self.wait(future.done, timeout, f'{client.srv_name} did not answer')
        return future.result()

    def _on_odometry(self, message: Odometry) -> None:
        self._odometry_at = time.monotonic()
        stamp_ns = ns_of(message.header.stamp)
        motion, self._now_ns = motion_of(message), stamp_ns
        if not self._judging:
            self._judging, self._start_ns = True, stamp_ns
            self._course.begin(stamp_ns, motion)
        self.status = self._course.look(stamp_ns, motion)

    def _on_state(self, message: PolicyState) -> None:
        self._ticks.append(ns_of(message.header.stamp))
        while self._ticks[-1] - self._ticks[0] > _RATE_WINDOW_NS:
            self._ticks.popleft()

    def _on_mode(self, message: ControlMode) -> None:
        self.mode, self.reason = message.mode, message.reason
