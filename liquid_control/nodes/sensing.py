"""Sensor subscriptions on an executor of their own: bytes in, values into the sensors' slots."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, Imu

from liquid_control.runtime import cdr
from liquid_control.runtime.errors import SensorError
from liquid_control.runtime.observation import Sensors
from liquid_control.runtime.rate import SimClock
from liquid_control.runtime.vision import Vision

SENSOR_QOS = QoSProfile(
    depth=10, reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST
)
# As rclpy's own time source: the newest alone counts.
CLOCK_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST
)


class SensorNode:
    """Subscribes what a policy needs; messages stay serialized until they are parsed in place.

    A node of its own beside the owner, so that a service or a parameter never delays a sensor.
    """

    def __init__(
        self,
        owner: Node,
        sensors: Callable[[], list[Sensors]],
        vision: Vision | None,
        now_ns: Callable[[], int],
        *,
        clock: SimClock | None = None,
    ) -> None:
        """Subscribe; nothing is delivered before `start`.

        Args:
            sensors: whose slots the next message goes to; all want the same topics.
            vision: takes the camera's messages; None for a policy without camera.
            now_ns: time of arrival, in the time of the stamps.
            clock: follows /clock. It is fed by the thread that feeds the sensors, and after them:
                a tick that /clock wakes finds what was sent before it, on a busy machine too.
        """
        self._sensors = sensors
        self._now_ns = now_ns
        self._logger = owner.get_logger()
        name = f'{owner.get_name()}_sensors'
        self._node = Node(
            name,
            namespace=owner.get_namespace(),
            context=owner.context,
            # A launch file renames every node of a process; this one keeps its own name.
            cli_args=['--ros-args', '-r', f'__node:={name}'],
            start_parameter_services=False,
            enable_rosout=False,
        )
        subscribe = self._node.create_subscription
        if vision is not None:
            kind, topic = (
                (CompressedImage, 'image_raw/compressed')
                if vision.compressed
                else (Image, 'image_raw')
            )
            offer = vision.offer
            subscribe(kind, topic, lambda message: offer(message, now_ns()), SENSOR_QOS, raw=True)
        if any(each.imu is not None for each in sensors()):
            subscribe(Imu, 'imu/data', self._on_imu, SENSOR_QOS, raw=True)
        if any(each.speed is not None for each in sensors()):
            subscribe(Odometry, 'odom', self._on_odometry, SENSOR_QOS, raw=True)
        if clock is not None:
            self._clock = clock
            subscribe(Clock, '/clock', self._on_clock, CLOCK_QOS, raw=True)
        self._executor = SingleThreadedExecutor(context=owner.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name='sensors', daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the subscriptions; returns when both are gone."""
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_imu(self, message: bytes) -> None:
        try:
            stamp_ns, imu = cdr.read_imu(message)
            now_ns = self._now_ns()
            for sensors in self._sensors():
                sensors.put_imu(stamp_ns, imu, now_ns)
        except SensorError as error:
            self._warn(error)

    def _on_odometry(self, message: bytes) -> None:
        try:
            stamp_ns, speed = cdr.read_odometry_speed(message)
            now_ns = self._now_ns()
            for sensors in self._sensors():
                sensors.put_speed(stamp_ns, speed, now_ns)
        except SensorError as error:
            self._warn(error)

    def _on_clock(self, message: bytes) -> None:
        try:
            self._clock.set(cdr.read_clock(message))
        except SensorError as error:
            self._warn(error)

    def _warn(self, error: SensorError) -> None:
        self._logger.warning(str(error), throttle_duration_sec=2.0)
