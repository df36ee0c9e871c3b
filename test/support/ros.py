# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Real nodes in processes of their own, on a ROS domain nobody else uses, and a peer for them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from liquid_control.evaluate.closed_loop.domains import claim_domain
from liquid_control.nodes.common.dds import use_default_profile

T = TypeVar('T')

os.environ['ROS_DOMAIN_ID'] = str(claim_domain())  # one per test process
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
use_default_profile()

TIMEOUT = 30.0  # s, generous: it only ends tests that fail


class Process:
    """A node under test; its output is kept for the failure message."""

    def __init__(self, module: str | Path, log: Path, *arguments: str) -> None:
        """Start a node by the name of its executable, or a file."""
        program = ['-m', _module(module)] if isinstance(module, str) else [str(module)]
        self.log = log
        self._file = log.open('w')
        self.popen = subprocess.Popen(
            [sys.executable, '-u', *program, *arguments],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def interrupt(self, signum: int = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        self.popen.send_signal(signum)
        return self.popen.wait(TIMEOUT)

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self._file.close()


def _module(executable: str) -> str:
    alone = {'player_node': 'player', 'engager_node': 'policy.engager'}
    node = executable.removesuffix('_node')
    return f'liquid_control.nodes.{alone.get(executable, node + ".node")}'


@contextlib.contextmanager
def running(
    module: str | Path, log: Path, *arguments: str, **parameters: Any
) -> Iterator[Process]:
    """Start a node (see `Process`) with ROS arguments and parameters, and end it."""
    ros = ['--ros-args', *arguments]
    for name, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        ros += ['-p', f'{name.replace("__", ".")}:={text}']
    process = Process(module, log, *ros)
    try:
        yield process
    finally:
        process.end()


class Peer:
    """A node in the test's own process that publishes, listens and waits for what must happen."""

    def __init__(self, name: str = 'peer', namespace: str = '') -> None:
        self.context = Context()
        rclpy.init(context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(name, namespace=namespace, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    def listen(self, message_type: Any, topic: str, qos: Any = 10) -> list[Any]:
        """A list that fills with what arrives."""
        received: list[Any] = []
        self.node.create_subscription(message_type, topic, received.append, qos)
        return received

    def spin(self, seconds: float = 0.01) -> None:
        self._executor.spin_once(timeout_sec=seconds)

    def wait(self, condition: Callable[[], T], what: str, *, process: Process | None = None) -> T:
        """Spin until the condition holds and return its value; fail with the node's output."""
        deadline = time.monotonic() + TIMEOUT
        while not (value := condition()):
            output = f'\n{process.output}' if process else ''
            assert process is None or process.popen.poll() is None, f'node ended{output}'
            assert time.monotonic() < deadline, f'timeout: {what}{output}'
            self.spin()
        return value

    def call(self, service_type: Any, name: str, request: Any) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(service_type, name)
        self.wait(client.service_is_ready, f'service {name}')
        future = client.call_async(request)
        self.wait(future.done, f'answer of {name}')
        self.node.destroy_client(client)
        return future.result()
