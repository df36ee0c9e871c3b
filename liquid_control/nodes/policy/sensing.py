# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Sensor topics without an executor: bytes are taken by the thread that needs them, when it does.

An executor wakes up, builds a wait set and runs a coroutine for every message, about 0.5 ms each:
a 400 Hz IMU alone would cost 20 % of a core, and its turns at the interpreter would delay the
control tick. But a policy only sees the newest sample at its tick, so the control thread takes
just that one. A thread of its own waits for each camera, and another for /clock under simulated
time.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from liquid_control.common.errors import ConfigError, SensorError
from liquid_control.contract.inputs import Source
from liquid_control.nodes.common.inbox import Inbox
from liquid_control.nodes.common.rcl_take import missing
from liquid_control.runtime.loop.rate import SimClock
from liquid_control.runtime.sensing.clock import read_clock
from liquid_control.runtime.sensing.ingest import Ingest

NEWEST_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# Frames that come while the encoder works are counted before they are passed over.
CAMERA_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
# What is sent once must not get lost, whether its sender keeps it for those who come later or not:
# a subscription that asks for what was kept hears nobody else.
ONCE_QOS = (
    QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE),
    QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    ),
)
# How long the end of the node may wait for a thread that waits for a message, s.
PATIENCE = 0.1
# How far /clock may lag behind the sensors on a busy machine, ns.
_CLOCK_LAG_NS = 1_000_000_000


class CameraTopic(NamedTuple):
    """A camera's messages."""

    inbox: Inbox
    topic: str
    msgtype: str


class Sensing:
    """Subscribes what policies need; messages stay serialized until they are read in place."""

    def __init__(
        self,
        owner: Node,
        watching: Callable[[], Iterable[Ingest]],
        now_ns: Callable[[], int],
        *,
        compressed: bool,
        clock: SimClock | None = None,
    ) -> None:
        """Subscribe /clock; nothing is taken before `start`.

        Args:
            watching: who gets the next message.
            now_ns: time of the stamps.
            compressed: cameras send sensor_msgs/CompressedImage instead of Image.
            clock: follows /clock.
        """
        self._owner = owner
        self._watching = watching
        self._now_ns = now_ns
        self._logger = owner.get_logger()
        self._compressed = compressed
        self._clock = clock
        if missing():
            self._logger.warning(missing())
        # First, so that whoever plays a bag once the camera has a listener is not ahead of it.
        self._clock_inbox = (
            Inbox(owner, Clock, '/clock', NEWEST_QOS) if clock is not None else None
        )
        self.cameras: dict[str, CameraTopic] = {}
        """By the name of the input."""
        self._newest: tuple[tuple[Inbox, str, str], ...] = ()
        """With topic and type."""
        self._stopping = threading.Event()
        self._clock_thread = (
            threading.Thread(
                target=self._follow, args=(self._clock_inbox, clock), name='clock', daemon=True
            )
            if self._clock_inbox is not None
            else None
        )

    def subscribe(self, ingest: Ingest) -> dict[str, CameraTopic]:
        """Listen to what a policy needs besides; returns its cameras that are new.

        Raises:
            ConfigError: another policy has a camera's name for another topic.
        """
        known = {(topic, msgtype) for _, topic, msgtype in self._newest}
        newest, cameras = list(self._newest), {}
        for name, spec in ingest.inputs.items():
            for source in spec.sources(name):
                if spec.encoder == 'image':
                    if self._is_new(name, source):
                        cameras[name] = self._camera(source)
                    continue
                for msgtype, topic in source.topics().items():
                    if (topic, msgtype) not in known:
                        known.add((topic, msgtype))
                        for qos in ONCE_QOS if source.latched else (NEWEST_QOS,):
                            inbox = Inbox(self._owner, message_type(msgtype), topic, qos)
                            newest.append((inbox, topic, msgtype))
        self._newest = tuple(newest)  # at once: the control thread may be going through it
        self.cameras |= cameras
        return cameras

    def start(self) -> None:
        """Follow the clock, if there is one to follow."""
        if self._clock_thread is not None:
            self._clock_thread.start()

    def stop(self) -> None:
        """End thread and subscriptions; nobody may use an inbox any more."""
        self._stopping.set()
        if self._clock_thread is not None:
            self._clock_thread.join()
        for inbox in (
            self._clock_inbox,
            *(camera.inbox for camera in self.cameras.values()),
            *(inbox for inbox, *_ in self._newest),
        ):
            if inbox is not None:
                inbox.close()

    def update(self) -> None:
        """Put the newest message of every topic into the slots; one thread at a time.

        Without a time of its own (no /clock yet) nobody can judge their stamps: they wait.
        """
        if self._clock is not None and not self._clock.known:
            return
        for inbox, topic, msgtype in self._newest:
            message = inbox.receive()
            if message is None:
                continue
            now_ns = self._now_ns()
            for ingest in self._watching():
                refusals = ingest.deliver(topic, msgtype, message, self._arrival(now_ns), now_ns)
                for error in refusals:
                    self._warn(error)

    def arrival_ns(self) -> int:
        """When a sensor message that comes now has arrived, in the time of the stamps, ns."""
        return self._arrival(self._now_ns())

    def _arrival(self, now_ns: int) -> int:
        """After a pause the queued messages of a sensor come before the /clock they belong to.

        They seem to be of the future; under simulated time the stamp alone tells the age.
        """
        return now_ns + (_CLOCK_LAG_NS if self._clock is not None else 0)

    def _is_new(self, name: str, source: Source) -> bool:
        """Whether nobody has asked for a camera yet."""
        topic, _ = self._form(source)
        if name not in self.cameras:
            return True
        if self.cameras[name].topic != topic:
            raise ConfigError(
                f'{name} is the camera {self.cameras[name].topic}, this policy wants {topic}: '
                'restart the node to change cameras'
            )
        return False

    def _camera(self, source: Source) -> CameraTopic:
        topic, msgtype = self._form(source)
        return CameraTopic(
            Inbox(self._owner, message_type(msgtype), topic, CAMERA_QOS), topic, msgtype
        )

    def _form(self, source: Source) -> tuple[str, str]:
        """Topic and type of a camera's messages, as the cameras send them."""
        raw, compressed = source.types
        msgtype = compressed if self._compressed else raw
        return source.topics()[msgtype], msgtype

    def _follow(self, inbox: Inbox, clock: SimClock) -> None:
        while not self._stopping.is_set():
            message = inbox.receive(PATIENCE)
            if message is not None:
                try:
                    clock.set(read_clock(message))
                except SensorError as error:
                    self._warn(error)

    def _warn(self, error: SensorError) -> None:
        self._logger.warning(str(error), throttle_duration_sec=2.0)


def message_type(msgtype: str) -> Any:
    """The class of messages of a type such as sensor_msgs/msg/Imu."""
    package, _, name = msgtype.rpartition('/')
    return getattr(importlib.import_module(package.replace('/', '.')), name)
