# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the policy in charge looks at, as images for people: ~/attention.

A thread of its own takes the newest frame that the policy saw, at a rate of its own and only while
somebody listens. It has sessions of its own, asks for the processor after everybody else, and is
given up where a policy never returns: the control loop knows nothing of it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from liquid_control.common.errors import BundleError
from liquid_control.nodes.common.patient_log import PatientLog
from liquid_control.nodes.common.topics import attention_topic
from liquid_control.runtime.control.controller import Controller
from liquid_control.runtime.control.runner import Frame, PolicyRunner
from liquid_control.runtime.sensing.overlay import overlay

_NEWEST = QoSProfile(depth=1)
# An encoder that has worked on one frame for so long does not answer, s.
_PATIENCE = 0.5
_NICENESS = 10


class AttentionThread:
    """Publishes an overlay of the newest frame of every camera that somebody asks for."""

    def __init__(
        self, node: Node, controller: Controller, *, rate: float, log: PatientLog
    ) -> None:
        """Publish nothing yet; rate: images per second, 0 for none."""
        self._node = node
        self._controller = controller
        self._period = 1 / rate if rate else 0.0
        self._log = log
        self._publishers: dict[str, Any] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._at_work: tuple[PolicyRunner, float] | None = None

    def watch(self, runner: PolicyRunner) -> None:
        """Offer the topics of a policy's cameras."""
        for camera in runner.policy.preprocess if self._period else ():
            topic = _topic(runner, camera)
            if topic not in self._publishers:
                self._publishers[topic] = self._node.create_publisher(Image, topic, _NEWEST)

    def start(self) -> None:
        """Begin to look; a thread that is stuck is given up and ends when it can."""
        if not self._period:
            return
        self._stopping.set()
        self._stopping, self._at_work = threading.Event(), None
        self._thread = threading.Thread(
            target=self._work, args=(self._stopping,), name='attention', daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End the thread; returns whether it is gone, after `timeout` s at most."""
        self._stopping.set()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def recover(self) -> bool:
        """Begin anew where it is stuck in a policy no longer in charge; returns whether it did."""
        at_work = self._at_work
        if at_work is None or time.monotonic() - at_work[1] < _PATIENCE:
            return False
        if at_work[0] is self._controller.runner:
            return False
        self.start()
        return True

    def close(self) -> None:
        """Give the topics back."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def _work(self, stopping: threading.Event) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        shown: dict[str, Frame] = {}
        while not stopping.wait(self._period):
            runner = self._controller.runner
            for camera in runner.policy.preprocess:
                publisher = self._publishers.get(_topic(runner, camera))
                frame = self._controller.frames.get(camera)
                if publisher is None or frame is None or shown.get(camera) is frame:
                    continue
                if publisher.get_subscription_count() == 0:
                    continue
                shown[camera] = frame
                self._at_work = runner, time.monotonic()
                try:
                    message = _image(runner, camera, frame)
                    if not stopping.is_set():
                        publisher.publish(message)
                except Exception as error:  # the next frame may be a good one
                    self._log.warning_at_times(f'attention {camera}', str(error))
                if not stopping.is_set():
                    self._at_work = None


def _topic(runner: PolicyRunner, camera: str) -> str:
    return attention_topic('~', camera, runner.policy.preprocess)


def _image(runner: PolicyRunner, camera: str, frame: Frame) -> bytes:
    """A serialized sensor_msgs/Image, rgb8."""
    attention = runner.policy.attention.get(camera)
    if attention is None:
        raise BundleError(runner.policy.attention_problem)
    mask = attention.look(attention.preprocess(frame.rgb))
    drawn = overlay(frame.rgb, mask, attention.spec)
    ((_, message),) = attention.spec.write(drawn, frame.stamp_ns).values()
    return message
