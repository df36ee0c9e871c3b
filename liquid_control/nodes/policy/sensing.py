"""Sensor topics without an executor: bytes are taken by the thread that needs them, when it does.

An executor wakes up, builds a wait set and runs a coroutine for every message, about 0.5 ms each:
a 400 Hz IMU alone would cost 20 % of a core, and its turns at the interpreter would delay the
control tick. But a policy only sees the newest sample at its tick, so the control thread takes
just that one. The vision thread waits for the camera, and another for /clock under simulated time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, Imu

from liquid_control.common.errors import SensorError
from liquid_control.nodes.common.inbox import Inbox
from liquid_control.nodes.common.rcl_take import missing
from liquid_control.runtime.loop.rate import SimClock
from liquid_control.runtime.sensing import cdr
from liquid_control.runtime.sensing.observation import Sensors

NEWEST_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# Frames that come while the encoder works are counted before they are passed over.
CAMERA_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
# How long the end of the node may wait for a thread that waits for a message, s.
PATIENCE = 0.1


class Sensing:
    """Subscribes what a policy needs; messages stay serialized until they are parsed in place."""

    def __init__(
        self,
        owner: Node,
        sensors: Callable[[], list[Sensors]],
        now_ns: Callable[[], int],
        *,
        compressed: bool,
        clock: SimClock | None = None,
    ) -> None:
        """Subscribe; nothing is taken before `start`.

        Args:
            sensors: whose slots the next message goes to; all want the same topics.
            now_ns: time of arrival, in the time of the stamps.
            compressed: the camera sends sensor_msgs/CompressedImage instead of Image.
            clock: follows /clock.
        """
        self._sensors = sensors
        self._now_ns = now_ns
        self._logger = owner.get_logger()
        self._clock = clock
        if missing():
            self._logger.warning(missing())
        # First, so that whoever plays a bag once the camera has a listener is not ahead of it.
        self._clock_inbox = (
            Inbox(owner, Clock, '/clock', NEWEST_QOS) if clock is not None else None
        )
        self.camera = (
            Inbox(
                owner,
                CompressedImage if compressed else Image,
                'image_raw/compressed' if compressed else 'image_raw',
                CAMERA_QOS,
            )
            if any(each.image is not None for each in sensors())
            else None
        )
        self._newest: list[tuple[Inbox, Callable[[memoryview], None]]] = []
        if any(each.imu is not None for each in sensors()):
            self._newest.append((Inbox(owner, Imu, 'imu/data', NEWEST_QOS), self._put_imu))
        if any(each.speed is not None for each in sensors()):
            self._newest.append((Inbox(owner, Odometry, 'odom', NEWEST_QOS), self._put_speed))
        self._stopping = threading.Event()
        self._clock_thread = (
            threading.Thread(
                target=self._follow, args=(self._clock_inbox, clock), name='clock', daemon=True
            )
            if self._clock_inbox is not None
            else None
        )

    def start(self) -> None:
        """Follow the clock, if there is one to follow."""
        if self._clock_thread is not None:
            self._clock_thread.start()

    def stop(self) -> None:
        """End thread and subscriptions; nobody may use an inbox any more."""
        self._stopping.set()
        if self._clock_thread is not None:
            self._clock_thread.join()
        for inbox in (self._clock_inbox, self.camera, *(inbox for inbox, _ in self._newest)):
            if inbox is not None:
                inbox.close()

    def update(self) -> None:
        """Put the newest IMU and odometry messages into the slots; one thread at a time.

        Without a time of its own (no /clock yet) nobody can judge their stamps: they wait.
        """
        if self._clock is not None and not self._clock.known:
            return
        for inbox, put in self._newest:
            message = inbox.receive()
            if message is not None:
                self._try(put, message)

    def _put_imu(self, message: memoryview) -> None:
        stamp_ns, imu = cdr.read_imu(message)
        for sensors in self._sensors():
            sensors.put_imu(stamp_ns, imu, self._now_ns())

    def _put_speed(self, message: memoryview) -> None:
        stamp_ns, speed = cdr.read_odometry_speed(message)
        for sensors in self._sensors():
            sensors.put_speed(stamp_ns, speed, self._now_ns())

    def _follow(self, inbox: Inbox, clock: SimClock) -> None:
        while not self._stopping.is_set():
            message = inbox.receive(PATIENCE)
            if message is not None:
                self._try(lambda message: clock.set(cdr.read_clock(message)), message)

    def _try(self, use: Callable[[memoryview], None], message: memoryview) -> None:
        try:
            use(message)
        except SensorError as error:
            self._logger.warning(str(error), throttle_duration_sec=2.0)
