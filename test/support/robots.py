# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A running policy node, driven over DDS by a camera and an IMU that can be broken."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from liquid_control.msg import ControlMode, PolicyState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, Imu
from std_srvs.srv import SetBool
from support.ros import Peer, Process, running

# Promised are 0.6 s from the last tick until the wire shows the braking; a busy machine may take
# longer to run the test than the node to stop, so that is judged by the commands' own stamps.
PROMISED = 0.6
BUSY = 0.6
BRAKING = 5.0  # m/s^2, of the simulated car


LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Sensors(threading.Thread):
    """A 30 Hz camera and a 100 Hz IMU on wall time, in a thread of their own."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(daemon=True)
        node = peer.node
        self._clock = node.get_clock()
        self._camera = node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self._imu = node.create_publisher(Imu, 'imu/data', qos_profile_sensor_data)
        pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        self.image = Image(height=120, width=160, encoding='rgb8', step=480)
        self.image.data = pixels.tobytes()
        self.imu = Imu()
        self.imu.linear_acceleration.z = 9.81
        self.camera_works = True
        self._stopping = threading.Event()

    def run(self) -> None:
        count = 0
        while not self._stopping.wait(0.01):
            count += 1
            self.imu.header.stamp = self._clock.now().to_msg()
            self._imu.publish(self.imu)
            if count % 3 == 0 and self.camera_works:
                self.image.header.stamp = self._clock.now().to_msg()
                self._camera.publish(self.image)

    def stop(self) -> None:
        self._stopping.set()
        self.join()


class Robot:
    """A running policy node, its sensors and everything it says."""

    def __init__(
        self, peer: Peer, process: Process, sensors: Callable[[Peer], Sensors] = Sensors
    ) -> None:
        self.peer, self.process = peer, process
        self.commands = peer.listen(TwistStamped, 'cmd_vel', 10)
        self.states = peer.listen(PolicyState, 'policy_node/state', 50)
        self.modes = peer.listen(ControlMode, 'policy_node/mode', LATCHED)
        self.sensors = sensors(peer)
        self.sensors.start()
        self._setting: Any = None

    def wait(self, condition: Any, what: str) -> Any:
        return self.peer.wait(condition, what, process=self.process)

    def engage(self, engage: bool = True) -> SetBool.Response:
        return self.peer.call(SetBool, 'policy_node/engage', SetBool.Request(data=engage))

    def receives(self) -> None:
        self.wait(lambda: self.states and len(self.states[-1].command_raw), 'sensors arrive')

    def engaged(self) -> None:
        self.receives()
        assert self.engage().success
        self.wait(lambda: self.commands and self.commands[-1].twist.linear.x > 0.2, 'it moves')

    def reaches(self, mode: int) -> ControlMode:
        return self.wait(
            lambda: self.modes[-1] if self.modes and self.modes[-1].mode == mode else None,
            f'mode {mode}',
        )

    def set_policy(self, path: Path | str, *, role: str = 'policy') -> Any:
        future = self.start_setting_policy(path, role=role)
        self.wait(future.done, 'an answer')
        return future.result().results[0]

    def start_setting_policy(self, path: Path | str, *, role: str = 'policy') -> Any:
        """As `set_policy`, without waiting for the answer."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(path))
        request = SetParameters.Request(parameters=[Parameter(name=role, value=value)])
        if self._setting is None:
            name = 'policy_node/set_parameters'
            self._setting = self.peer.node.create_client(SetParameters, name)
        self.wait(self._setting.service_is_ready, 'the parameter service')
        return self._setting.call_async(request)


@contextlib.contextmanager
def driven(
    log: Path, policy: Path, module: str | Path = 'policy_node', **parameters: Any
) -> Iterator[Robot]:
    """A node with sensors, not engaged yet."""
    peer = Peer()
    parameters = {'load_timeout': 60.0, **parameters}  # a step that hangs keeps a core busy
    with running(module, log, autostart=True, policy=policy, **parameters) as process:
        robot = Robot(peer, process)
        try:
            yield robot
        finally:
            robot.sensors.stop()
            process.end()
            peer.close()


def stamps_and_speeds(commands: list[TwistStamped]) -> tuple[np.ndarray, np.ndarray]:
    stamps = [each.header.stamp.sec + each.header.stamp.nanosec / 1e9 for each in commands]
    return np.array(stamps), np.array([each.twist.linear.x for each in commands])


def brakes_in_time(robot: Robot, since: int) -> None:
    """From the command with this index on: no longer silence than promised, steady braking."""
    robot.wait(lambda: robot.commands[-1].twist.linear.x == 0.0, 'standstill')
    stamps, speeds = stamps_and_speeds(robot.commands[since:])
    braking = int(np.argmax(np.diff(speeds) < -1e-6))
    assert stamps[braking + 1] - stamps[braking] <= PROMISED + BUSY
    falls = -np.diff(speeds[braking:])
    assert (falls >= -1e-6).all(), 'it only gets slower'
    allowed = BRAKING * (np.diff(stamps[braking:]) + 0.05) + 1e-3
    assert (falls <= allowed).all(), 'a command may get lost, a jump may not'


def override(robot: Robot, speed: float, turn: float = 0.0, **stamp: int) -> None:
    if not hasattr(robot, 'hand'):
        # What offers least must be heard too.
        robot.hand = robot.peer.node.create_publisher(
            TwistStamped, 'cmd_vel_override', qos_profile_sensor_data
        )
        robot.wait(robot.hand.get_subscription_count, 'the override topic')
        # The node's end of it is told a moment later, by nothing that can be waited for.
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            robot.peer.spin(0.05)
    message = TwistStamped()
    message.twist.linear.x, message.twist.angular.z = speed, turn
    for field, value in stamp.items():
        setattr(message.header.stamp, field, value)
    robot.hand.publish(message)


def hold(robot: Robot, speed: float, seconds: float) -> None:
    """Override at 20 Hz."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        override(robot, speed)
        robot.peer.spin(0.05)


def hears_people(robot: Robot) -> None:
    hold(robot, 1.0, 1.0)
    assert robot.commands[-1].twist.linear.x == 1.0
    assert robot.modes[-1].mode == ControlMode.MANUAL
    assert robot.engage(False).success
    robot.reaches(ControlMode.DISENGAGED)
