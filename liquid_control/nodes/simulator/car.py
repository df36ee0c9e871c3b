"""The simulated car as a ROS node: the topics of a robot.

Publishes `camera/image_raw`, `imu/data`, `odom` and `~/status`; takes `cmd_vel`. Names are
relative: cars in several namespaces share nothing but the time on /clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, Imu

from liquid_control.contract.wire import read_twist, vector
from liquid_control.nodes.common.parameters import (
    DumpedParameters,
    guard_parameters,
    parameter,
    read_parameters,
)
from liquid_control.nodes.simulator.clock import SLICE_NS, SimulatedTime
from liquid_control.nodes.simulator.messages import ObservationMessages
from liquid_control.rollout.messages import COMMAND_NAMES
from liquid_control.sim import car
from liquid_control.sim.car import WHEELBASE
from liquid_control.sim.robots import CAMERA_RATE, IMU_RATE, ODOMETRY_RATE, simulate_car
from liquid_control.sim.simulator import Schedule
from liquid_control.sim.track_world import TrackWorld

_STATUS_RATE = 10.0
_AT_REST = 0.01  # m/s


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


class SimulatedCar(DumpedParameters, Node):
    """Publishes one simulated car; `advance` moves it by a slice of time.

    Raises:
        ConfigError: a parameter has a value that cannot be.
        RenderingError: this machine cannot render.
    """

    def __init__(self) -> None:
        super().__init__('simulator_node')
        parameters = read_parameters(self, SimulatorParameters)
        guard_parameters(self, SimulatorParameters, lambda: True)
        self._time = SimulatedTime(self, parameters.real_time_factor)  # listens from now on
        nominal = dict.fromkeys(TrackWorld.difficulties, 0.0)
        self._simulator = simulate_car(
            parameters.seed,
            image_width=parameters.image_width,
            image_height=parameters.image_height,
            difficulty=None if parameters.randomise else nominal,
            camera_rate=parameters.camera_rate,
            imu_rate=parameters.imu_rate,
            odometry_rate=parameters.odometry_rate,
        )
        self._messages = ObservationMessages(parameters.imu_rate)
        self._command = car.command()
        self._command_ns = 0
        self._command_timeout_ns = round(parameters.command_timeout * 1e9)
        self._status_due = Schedule(_STATUS_RATE)
        self._image_out = self.create_publisher(Image, 'camera/image_raw', qos_profile_sensor_data)
        self._imu_out = self.create_publisher(Imu, 'imu/data', qos_profile_sensor_data)
        self._odometry_out = self.create_publisher(Odometry, 'odom', qos_profile_sensor_data)
        self._status_out = self.create_publisher(DiagnosticArray, '~/status', 10)
        self._commands = self.create_subscription(
            TwistStamped, 'cmd_vel', self._on_command, QoSProfile(depth=1)
        )
        self.get_logger().info(
            f'track {parameters.seed}: {self._simulator.world.track.length:.1f} m a lap'
        )

    @property
    def finishing(self) -> bool:
        """Whether the car still moves and somebody may be about to stop it."""
        moving = abs(self._simulator.motion.speed) > _AT_REST
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
        command = {**self._command, 'speed': 0.0} if stale else self._command
        for sample in simulator.step(command, SLICE_NS):
            if sample.sensor == 'imu':
                self._imu_out.publish(self._messages.imu(sample))
            elif sample.sensor == 'image':
                self._image_out.publish(self._messages.image(sample))
            else:
                self._odometry_out.publish(self._messages.odometry(sample))
        # After the samples: who wakes up at this time shall find them.
        self._time.tell(simulator.time_ns)
        if self._status_due.is_due(simulator.time_ns):
            self._time.settle()
            self._status_out.publish(
                self._messages.status(
                    simulator.status, simulator.world.track.length, self._time.real_time_factor
                )
            )
        return 0.0

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
        steering_angle, speed = vector(read_twist(message.twist), COMMAND_NAMES, WHEELBASE)
        if math.isnan(steering_angle):  # at rest a Twist leaves the wheels as they are
            steering_angle = self._command['steering_angle']
        self._command = car.command(steering_angle, speed)
        self._command_ns = self._simulator.time_ns
