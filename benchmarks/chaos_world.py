# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The world of benchmarks/chaos.py: sensors that can be broken, a base, a person, a judge.

The judge only knows what came over the wire, and what the person sent.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from liquid_control.msg import ControlMode, PolicyState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Imu
from std_srvs.srv import SetBool

from liquid_control.evaluate.closed_loop.domains import claim_domain

# Of config/robots/simulated_car.yaml.
TOP_SPEED, GAIN, FALL, WHEELBASE, STEERING = 2.5, 3.0, 5.0, 0.325, 0.5
# Commands that may get lost on the way here (depth 1), and how far two stamps may be off, s.
LOST, JITTER = 2, 0.03
MAX_AGE = {'image': 0.3, 'imu': 0.1}  # of the policies, s
PERIOD = 0.05
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Sensors(threading.Thread):
    """A 30 Hz camera, a 100 Hz IMU and, for simulated time, the clock; all of it can go wrong."""

    def __init__(self, node: Node) -> None:
        super().__init__(daemon=True)
        self._camera = node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self._imu = node.create_publisher(Imu, 'imu/data', qos_profile_sensor_data)
        self._clock = node.create_publisher(Clock, '/clock', qos_profile_sensor_data)
        pixels = np.random.default_rng(0).integers(0, 160, (120, 160, 3), dtype=np.uint8)
        self.dark, self.bright = pixels.tobytes(), bytes([255]) * pixels.size
        self.simulated_ns: int | None = None
        self.end = threading.Event()
        self.heal()

    def heal(self) -> None:
        """Everything is well."""
        self.camera = self.imu = True
        self.offset_ns, self.pace = 0, 1.0
        self.acceleration, self.pixels = 0.0, self.dark
        self.frozen_ns: int | None = None

    def now_ns(self) -> int:
        return time.time_ns() if self.simulated_ns is None else self.simulated_ns

    def run(self) -> None:
        image = Image(height=120, width=160, encoding='rgb8', step=480)
        imu = Imu()
        imu.linear_acceleration.z = 9.81
        count = 0
        while not self.end.wait(0.01):
            count += 1
            if self.simulated_ns is not None:
                self.simulated_ns += round(10_000_000 * self.pace)
                self._clock.publish(Clock(clock=_stamp(self.simulated_ns)))
            stamp_ns = self.frozen_ns or self.now_ns() + self.offset_ns
            if self.imu:
                imu.header.stamp, imu.linear_acceleration.x = _stamp(stamp_ns), self.acceleration
                self._imu.publish(imu)
            if self.camera and count % 3 == 0:
                image.header.stamp, image.data = _stamp(stamp_ns), self.pixels
                self._camera.publish(image)


class Judge:
    """Holds every command against the limits, and every tick against the age of its inputs."""

    def __init__(self, node: Node) -> None:
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self.commands: deque[tuple[float, float]] = deque(maxlen=1000)
        """When it came (monotonic, s) and its speed (m/s)."""
        self.modes: deque[tuple[float, int, str]] = deque(maxlen=1000)
        self.person_until = 0.0
        """Until when a person's commands may be passed on, which have no rate limit."""
        self._last: tuple[float, float] | None = None
        node.create_subscription(TwistStamped, 'cmd_vel', self._on_command, 1000)
        node.create_subscription(PolicyState, 'policy_node/state', self._on_state, 1000)
        node.create_subscription(ControlMode, 'policy_node/mode', self._on_mode, LATCHED)

    @property
    def mode(self) -> int:
        return self.modes[-1][1] if self.modes else ControlMode.DISENGAGED

    def restart(self) -> None:
        """A new node: what the last one sent has nothing to do with it."""
        self._last = None
        self.modes.clear()
        self.commands.clear()

    def stopped_at(self, since: float) -> float | None:
        """When a safe stop was told of."""
        stop = ControlMode.SAFE_STOP
        return next((at for at, mode, _ in self.modes if at >= since and mode == stop), None)

    def slowed_at(self, since: float) -> float | None:
        """When a command first was slower than the one before."""
        recent = [each for each in self.commands if each[0] >= since - 1]
        pairs = itertools.pairwise(recent)
        return next((b[0] for a, b in pairs if b[0] >= since and b[1] < a[1] - 1e-6), None)

    def _on_command(self, message: TwistStamped) -> None:
        now = time.monotonic()
        speed, turn = message.twist.linear.x, message.twist.angular.z
        self.counts['commands'] += 1
        if not (0 <= speed <= TOP_SPEED and np.isfinite(turn)):
            self._complain(f'out of range: {speed}, {turn}')
        if abs(turn) > speed * np.tan(STEERING) / WHEELBASE + 1e-6:
            self._complain(f'steered too far: {speed}, {turn}')
        if self._last is not None and now > self.person_until:
            dt = max(now - self._last[0], PERIOD) + LOST * PERIOD + JITTER
            change = speed - self._last[1]
            if change > GAIN * dt or change < -FALL * dt:
                self._complain(f'from {self._last[1]:.2f} to {speed:.2f} m/s in {dt:.2f} s')
        self._last = now, speed
        self.commands.append((now, speed))

    def _on_state(self, state: PolicyState) -> None:
        self.counts['ticks'] += 1
        if state.mode != ControlMode.AUTONOMOUS or not len(state.command):
            return
        ages = dict(zip(state.input_names, state.input_ages, strict=True))
        for name, limit in MAX_AGE.items():
            age = ages[name]
            self.counts['driven on'] += 1
            if not age <= limit + 1e-3:  # single precision
                self._complain(f'drove on {name} {age:.3f} s old')

    def _on_mode(self, message: ControlMode) -> None:
        self.modes.append((time.monotonic(), message.mode, message.reason))

    def _complain(self, what: str) -> None:
        self.violations.append(f'{time.strftime("%T")} {what}; mode {self.mode}')


class World:
    """Sensors, base, person and judge around one policy node at a time."""

    def __init__(self, folder: Path) -> None:
        # Ctrl-C is the program's: the report still needs the judge.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._folder = folder
        self.node, watching = rclpy.create_node('world'), rclpy.create_node('recorder_judge')
        self.judge, self.sensors = Judge(watching), Sensors(self.node)
        self._hand = self.node.create_publisher(TwistStamped, 'cmd_vel_override', 1)
        self._engage = self.node.create_client(SetBool, 'policy_node/engage')
        self._set = self.node.create_client(SetParameters, 'policy_node/set_parameters')
        self._executor = SingleThreadedExecutor()
        for node in (self.node, watching):
            self._executor.add_node(node)
        self._spinning = threading.Thread(target=self._spin, daemon=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.recorder: subprocess.Popen[bytes] | None = None
        self.listen()
        self.sensors.start()
        self._spinning.start()

    def close(self) -> None:
        """End all of it."""
        self.end_node(signal.SIGKILL)
        if self.recorder is not None:
            self.recorder.send_signal(signal.SIGINT)
            self.recorder.wait(15)
        self.sensors.end.set()
        self.sensors.join()
        self._executor.shutdown()
        rclpy.try_shutdown()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:  # what the judge cannot read is a finding, not silence
            self.judge.violations.append(f'the judge broke off: {error!r}')

    def wait(self, condition: Callable[[], Any], seconds: float) -> Any:
        """Until the condition holds, for `seconds` at most; its last value."""
        end = time.monotonic() + seconds
        while not (value := condition()) and time.monotonic() < end:
            time.sleep(0.01)
        return value

    # The node

    def start_node(self, policy: Path, *, simulated: bool) -> None:
        """A policy node of its own process."""
        self.sensors.heal()
        self.sensors.simulated_ns = 10**12 if simulated else None
        self.judge.restart()
        self.process = self._start(
            'policy', 'autostart:=true', f'policy:={policy}', 'load_timeout:=60.0',
            f'use_sim_time:={str(simulated).lower()}',
        )  # fmt: skip

    def start_recorder(self) -> None:
        """One that records everything, in files of a minute."""
        self.recorder = self._start(
            'recorder', 'autostart:=true', f'output_directory:={self._folder / "bags"}',
            'split_duration:=60.0',
        )  # fmt: skip

    def _start(self, node: str, *parameters: str) -> subprocess.Popen[bytes]:
        given = [word for each in parameters for word in ('-p', each)]
        with (self._folder / 'log').open('ab') as log:
            return subprocess.Popen(
                [sys.executable, '-m', f'liquid_control.nodes.{node}.node', '--ros-args', *given],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def end_node(self, signum: int) -> float:
        """Send a signal; how long it took to end, s (infinite: it had to be killed)."""
        if self.process is None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(signum)
        try:
            self.process.wait(15)
            took = time.monotonic() - began
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            took = float('inf')
        self.process = None
        return took

    def memory(self) -> tuple[float, float]:
        """Of the node and of the recorder, MB."""
        sizes = [
            psutil.Process(process.pid).memory_info().rss / 1e6 if process is not None else 0.0
            for process in (self.process, self.recorder)
        ]
        return sizes[0], sizes[1]

    # People and the base

    def listen(self) -> None:
        """The base takes commands."""
        self._base = self.node.create_subscription(
            TwistStamped, 'cmd_vel', lambda message: None, 1
        )

    def deafen(self) -> None:
        """The base has gone."""
        self.node.destroy_subscription(self._base)

    @contextlib.contextmanager
    def rival(self) -> Iterator[None]:
        """Somebody else publishes commands."""
        publisher = self.node.create_publisher(TwistStamped, 'cmd_vel', 1)
        try:
            yield
        finally:
            self.node.destroy_publisher(publisher)

    def person(self, speed: float, seconds: float) -> None:
        """Hold a speed by override, 20 times a second."""
        message = TwistStamped()
        message.twist.linear.x = speed
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.judge.person_until = time.monotonic() + 1.0
            self._hand.publish(message)
            time.sleep(0.05)

    def engage(self, engage: bool = True, seconds: float = 5.0) -> SetBool.Response | None:
        """The answer, None for none in time."""
        return self._call(self._engage, SetBool.Request(data=engage), seconds)

    def set_parameter(self, name: str, value: str, seconds: float = 60.0) -> bool | None:
        """Whether it was taken, None for no answer in time."""
        parameter = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=parameter)])
        answer = self._call(self._set, request, seconds)
        return None if answer is None else bool(answer.results[0].successful)

    def _call(self, client: Any, request: Any, seconds: float) -> Any:
        if not self.wait(client.service_is_ready, seconds):
            return None
        future = client.call_async(request)
        return future.result() if self.wait(future.done, seconds) else None


def _stamp(now_ns: int) -> Time:
    return Time(sec=now_ns // 10**9, nanosec=now_ns % 10**9)


def own_domain() -> None:
    """Talk to nobody else."""
    os.environ['ROS_DOMAIN_ID'] = str(claim_domain())
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
