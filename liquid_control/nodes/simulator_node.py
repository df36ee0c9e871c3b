"""The simulated car as a ROS node: the topics of a robot, and the clock.

Publishes `/camera/image_raw`, `/imu/data`, `/odom` and `~/status`, stamped with simulated time,
which `/clock` carries at 200 Hz; takes `cmd_vel`. One thread does everything: it simulates a short
slice of time, publishes what the sensors saw, and waits for commands until the slice is over in
real time too. (An OpenGL context must stay in its thread, so the camera would allow no other.)
"""

from __future__ import annotations

import math
import signal
import time
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Imu

from liquid_control.nodes.dds import use_default_profile
from liquid_control.nodes.parameters import (
    DumpedParameters,
    guard_parameters,
    parameter,
    read_parameters,
)
from liquid_control.nodes.simulator_messages import (
    ObservationMessages,
    set_stamp,
    status_message,
)
from liquid_control.runtime.command import from_twist
from liquid_control.runtime.errors import LiquidControlError
from liquid_control.sim.car import Command
from liquid_control.sim.messages import COMMAND_NAMES
from liquid_control.sim.scene import WHEELBASE
from liquid_control.sim.sensors import CameraFrame, ImuSample, Schedule
from liquid_control.sim.simulator import CAMERA_RATE, IMU_RATE, ODOMETRY_RATE, Simulator

_SLICE_NS = 5_000_000
"""Simulated time between two messages on /clock."""
_STATUS_RATE = 10.0

_LONGEST_LAG_NS = 100_000_000
"""Further behind real time than this, time is given up instead of being caught up in a rush."""
_RATE_WINDOW_NS = 1_000_000_000


@dataclass(frozen=True)
class SimulatorParameters:
    """Read once at start; config/simulator.yaml gives the reasons for the values."""

    seed: int = parameter(
        101,
        'Draws the track, its scenery and its look; no training sees 101, 102, 103.',
        range=(0, 2**31 - 1),
    )
    randomise: bool = parameter(
        True, 'Let the seed choose season, light and camera mounting; else a clear summer noon.'
    )
    real_time_factor: float = parameter(
        1.0, 'Simulated seconds per second, as far as the machine keeps up.', range=(0.05, 20.0)
    )
    image_width: int = parameter(160, 'Camera picture, pixels.', range=(16, 640))
    image_height: int = parameter(120, 'Camera picture, pixels.', range=(16, 480))
    camera_rate: float = parameter(CAMERA_RATE, 'Frames, Hz.', range=(1.0, 200.0))
    imu_rate: float = parameter(IMU_RATE, 'IMU samples, Hz.', range=(10.0, 400.0))
    odometry_rate: float = parameter(ODOMETRY_RATE, 'Odometry, Hz.', range=(1.0, 200.0))
    command_timeout: float = parameter(
        0.5, 'The car brakes when the last command is older, simulated s.', range=(0.05, 10.0)
    )


class Pace:
    """Keeps simulated time in step with the wall clock and measures how well that works."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._anchor = (0, time.monotonic_ns())
        self._measured_from = self._anchor
        self.real_time_factor = 0.0
        """Over the last second."""

    def lead(self, time_ns: int) -> float:
        """How long to wait until `time_ns` is due, s; 0 when it is already."""
        now_ns = time.monotonic_ns()
        self._measure(time_ns, now_ns)
        due_ns = self._anchor[1] + round((time_ns - self._anchor[0]) / self._factor)
        if now_ns - due_ns > _LONGEST_LAG_NS:
            self._anchor = (time_ns, now_ns)
        return max(due_ns - now_ns, 0) / 1e9

    def _measure(self, time_ns: int, now_ns: int) -> None:
        elapsed_ns = now_ns - self._measured_from[1]
        if elapsed_ns >= _RATE_WINDOW_NS:
            self.real_time_factor = (time_ns - self._measured_from[0]) / elapsed_ns
            self._measured_from = (time_ns, now_ns)


class SimulatorNode(DumpedParameters, Node):
    """Publishes one simulated car; `advance` moves it by a slice of time.

    Raises:
        ConfigError: a parameter has a value that cannot be.
        RenderingError: this machine cannot render.
    """

    def __init__(self) -> None:
        super().__init__('simulator_node')
        parameters = read_parameters(self, SimulatorParameters)
        guard_parameters(self, SimulatorParameters, lambda: True)
        self._simulator = Simulator(
            parameters.seed,
            image_width=parameters.image_width,
            image_height=parameters.image_height,
            randomise=parameters.randomise,
            camera_rate=parameters.camera_rate,
            imu_rate=parameters.imu_rate,
            odometry_rate=parameters.odometry_rate,
        )
        self._messages = ObservationMessages(parameters.imu_rate)
        self._command = Command()
        self._command_ns = 0
        self._command_timeout_ns = round(parameters.command_timeout * 1e9)
        self._status_due = Schedule(_STATUS_RATE)
        self._pace = Pace(parameters.real_time_factor)
        self._tick = Clock()

        self._clock_out = self.create_publisher(Clock, '/clock', QoSProfile(depth=1))
        self._image_out = self.create_publisher(
            Image, '/camera/image_raw', qos_profile_sensor_data
        )
        self._imu_out = self.create_publisher(Imu, '/imu/data', qos_profile_sensor_data)
        self._odometry_out = self.create_publisher(Odometry, '/odom', qos_profile_sensor_data)
        self._status_out = self.create_publisher(DiagnosticArray, '~/status', 10)
        self.create_subscription(TwistStamped, 'cmd_vel', self._on_command, QoSProfile(depth=1))
        self.get_logger().info(
            f'track {parameters.seed}: {self._simulator.track.length:.1f} m a lap'
        )

    def advance(self) -> float:
        """Simulate and publish one slice; return how long to wait before the next, s."""
        simulator = self._simulator
        stale = simulator.time_ns - self._command_ns > self._command_timeout_ns
        command = Command(self._command.steering_angle, 0.0) if stale else self._command
        for observation in simulator.step(command, _SLICE_NS):
            if isinstance(observation, ImuSample):
                self._imu_out.publish(self._messages.imu(observation))
            elif isinstance(observation, CameraFrame):
                self._image_out.publish(self._messages.image(observation))
            else:
                self._odometry_out.publish(self._messages.odometry(observation))
        # After the samples: who wakes up at this time shall find them.
        set_stamp(self._tick.clock, simulator.time_ns)
        self._clock_out.publish(self._tick)
        if self._status_due.is_due(simulator.time_ns):
            self._status_out.publish(
                status_message(
                    simulator.status, simulator.track.length, self._pace.real_time_factor
                )
            )
        return self._pace.lead(simulator.time_ns)

    def destroy_node(self) -> None:
        """Free the renderer, then the node."""
        self._simulator.close()
        super().destroy_node()

    def _on_command(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear.x, message.twist.angular.z
        if not (math.isfinite(linear) and math.isfinite(angular)):
            self.get_logger().warning(
                f'command refused, not finite: linear.x {linear}, angular.z {angular}',
                throttle_duration_sec=1.0,
            )
            return
        steering_angle, speed = from_twist(COMMAND_NAMES, linear, angular, WHEELBASE)
        if math.isnan(steering_angle):  # at rest a Twist leaves the wheels as they are
            steering_angle = self._command.steering_angle
        self._command = Command(steering_angle, speed)
        self._command_ns = self._simulator.time_ns


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    stopping = False

    def stop(signum: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    use_default_profile()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = SimulatorNode()
    except LiquidControlError as error:
        get_logger('simulator_node').fatal(str(error))
        rclpy.try_shutdown()
        raise SystemExit(1) from None
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stopping:
            _serve(executor, node.advance())
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


def _serve(executor: SingleThreadedExecutor, seconds: float) -> None:
    """Take commands for a time, and at least those that have come already."""
    deadline = time.monotonic() + seconds
    while True:
        executor.spin_once(timeout_sec=max(deadline - time.monotonic(), 0.0))
        if time.monotonic() >= deadline:
            return


if __name__ == '__main__':
    main()
