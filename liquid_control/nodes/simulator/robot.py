# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot as a ROS node: the topics of a real one.

Publishes what its sensors see (`camera/image_raw`, `imu/data`, `odom`, ...) and `~/status`; takes
`cmd_vel`. Names are relative: robots in several namespaces share nothing but the time on /clock.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data

from liquid_control.common.errors import ConfigError
from liquid_control.contract.commands import axis_of
from liquid_control.contract.wire import read_twist, vector
from liquid_control.nodes.common.parameters import (
    DumpedParameters,
    guard_parameters,
    parameter,
    read_parameters,
)
from liquid_control.nodes.simulator.clock import SLICE_NS, SimulatedTime
from liquid_control.nodes.simulator.messages import TOPICS, SampleMessages
from liquid_control.rollout.tasks import task_kind
from liquid_control.sim.car import WHEELBASE
from liquid_control.sim.difficulty import read_strength
from liquid_control.sim.robots import ROBOTS, simulate
from liquid_control.sim.simulator import Schedule, Simulator

_STATUS_RATE = 10.0
_AT_REST = 0.01  # m/s
_HOVERING = 0.2  # m/s; in gusts nothing stands still


@dataclass(frozen=True)
class SimulatorParameters:
    """Read once at start; config/simulator.yaml gives the reasons for the values."""

    robot: str = parameter('car', 'car, quadrotor or rover; each in its own kind of world.')
    seed: int = parameter(
        101,
        'Draws the world and its looks; no training sees 101, 102, 103.',
        range=(0, 2**31 - 1),
    )
    randomise: bool = parameter(
        True, 'Let the seed choose all that makes a world difficult; else the plainest one.'
    )
    difficulty: tuple[str, ...] = parameter(
        (), 'Strength, 0 to 1, of single difficulties, as NAME=STRENGTH; the others by randomise.'
    )
    scene: str = parameter('', "Where the quadrotor flies, such as winter; '': by difficulty.")
    real_time_factor: float = parameter(
        1.0,
        'Simulated seconds per second, as far as the machine keeps up; may change.',
        range=(0.05, 20.0),
        fixed=False,
    )
    image_width: int = parameter(0, "Camera image, pixels; 0: the robot's own.", range=(0, 640))
    image_height: int = parameter(0, "Camera image, pixels; 0: the robot's own.", range=(0, 480))
    camera_rate: float = parameter(0.0, "Frames, Hz; 0: the robot's own.", range=(0.0, 200.0))
    imu_rate: float = parameter(0.0, "IMU samples, Hz; 0: the robot's own.", range=(0.0, 400.0))
    odometry_rate: float = parameter(0.0, "Odometry, Hz; 0: the robot's own.", range=(0.0, 200.0))
    command_timeout: float = parameter(
        0.5, 'The robot stops when the last command is older, simulated s.', range=(0.05, 10.0)
    )


# A goal stays one for whoever comes later.
QOS = {'goal': QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)}
OPTIONS = ('scene', 'image_width', 'image_height', 'camera_rate', 'imu_rate', 'odometry_rate')


class SimulatedRobot(DumpedParameters, Node):
    """Publishes one simulated robot; `advance` moves it by a slice of time.

    Raises:
        ConfigError: a parameter has a value that cannot be.
        RenderingError: this machine cannot render.
    """

    def __init__(self) -> None:
        super().__init__('simulator_node')
        parameters = read_parameters(self, SimulatorParameters)
        guard_parameters(self, SimulatorParameters, lambda: True, self._change)
        self._time = SimulatedTime(self, parameters.real_time_factor)  # listens from now on
        self._simulator = open_simulator(parameters)
        robot = self._simulator.robot
        self._messages = SampleMessages(self._simulator)
        self._command = dict.fromkeys(robot.commands, 0.0)
        self._command_ns = 0
        self._command_timeout_ns = round(parameters.command_timeout * 1e9)
        self._at_rest = _HOVERING if 'velocity_z' in robot.commands else _AT_REST
        self._slice_ns = max(SLICE_NS, self._simulator.step_ns)
        self._status_due = Schedule(_STATUS_RATE)
        self._out = {
            sensor.name: self.create_publisher(
                *TOPICS[sensor.name], QOS.get(sensor.name, qos_profile_sensor_data)
            )
            for sensor in self._simulator.sensors
        }
        self._status_out = self.create_publisher(DiagnosticArray, '~/status', 10)
        self._commands = self.create_subscription(
            TwistStamped, 'cmd_vel', self._on_command, QoSProfile(depth=1)
        )
        self.get_logger().info(f'{robot.name} in world {parameters.seed}')

    @property
    def finishing(self) -> bool:
        """Whether the robot still moves and somebody may be about to stop it."""
        motion = self._simulator.motion
        speed = math.hypot(motion.speed, motion.velocity_y, motion.velocity_z)
        moving = speed > self._at_rest
        return moving and bool(self.count_publishers(self._commands.topic_name))

    def advance(self) -> float:
        """Simulate and publish the next slice when it is due; return how long to wait, s.

        Raises:
            ConfigError: the graph has another simulator of the same name.
        """
        simulator = self._simulator
        wait = self._time.wait(simulator.time_ns)
        if wait > 0.0:
            return wait
        self._messages.offset_ns = self._time.offset_ns
        stale = simulator.time_ns - self._command_ns > self._command_timeout_ns
        command = _stopped(self._command) if stale else self._command
        for sample in simulator.step(command, self._slice_ns):
            self._out[sample.sensor].publish(self._messages.fill(sample))
        # After the samples: who wakes up at this time shall find them.
        self._time.tell(simulator.time_ns)
        if self._status_due.is_due(simulator.time_ns):
            self._time.settle()
            self._status_out.publish(self._messages.status(self._time.real_time_factor))
        return 0.0

    def destroy_node(self) -> None:
        """Free the renderer, then the node."""
        self._simulator.close()
        super().destroy_node()

    def _change(self, changed: list[Parameter]) -> None:
        for new in changed:
            if new.name == 'real_time_factor':
                self._time.pace(new.value)

    def _on_command(self, message: TwistStamped) -> None:
        told = read_twist(message.twist)
        if not all(map(math.isfinite, told.values())):
            self.get_logger().warning(
                f'command refused, not finite: {told}', throttle_duration_sec=1.0
            )
            return
        values = vector(told, self._simulator.robot.commands, WHEELBASE)
        for name, value in zip(self._command, values, strict=True):
            if not math.isnan(value):  # at rest a Twist leaves a car's wheels as they are
                self._command[name] = value
        self._command_ns = self._simulator.time_ns


def open_simulator(parameters: SimulatorParameters) -> Simulator[Any, Any]:
    task_kind(parameters.robot)  # refuses others
    asked = {name: getattr(parameters, name) for name in OPTIONS}
    options = {name: value for name, value in asked.items() if value}
    known = inspect.signature(ROBOTS[parameters.robot]).parameters
    if unknown := [name for name in options if name not in known]:
        raise ConfigError(f'the {parameters.robot} has no {", ".join(unknown)}: leave it out')
    return simulate(
        parameters.robot,
        parameters.seed,
        difficulty=_difficulty(parameters),
        **options,
    )


def _difficulty(parameters: SimulatorParameters) -> dict[str, float]:
    """Strengths of what is not left to the world."""
    kind = task_kind(parameters.robot)
    strength = {} if parameters.randomise else dict.fromkeys(kind.difficulties, 0.0)
    return strength | read_strength(parameters.difficulty, kind.difficulties, kind.presets)


def _stopped(command: dict[str, float]) -> dict[str, float]:
    """Without what moves the robot; its wheels stay as they are."""
    return {name: 0.0 if axis_of(name).moves else value for name, value in command.items()}
