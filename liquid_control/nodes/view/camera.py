# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The camera's newest frame as a JPEG, made only when a viewer can take one."""

from __future__ import annotations

import cv2
import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from liquid_control.common.cdr import Serialized
from liquid_control.common.errors import LiquidControlError
from liquid_control.common.image import Pixels
from liquid_control.contract.inputs.image import COMPRESSED, RAW, ImageReader
from liquid_control.nodes.common.inbox import Inbox
from liquid_control.nodes.view.link import Size

_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# Attention is laid over a frame no older than this, in frames taken since it came.
_ATTENTION_LASTS = 30
_HEAT = 0.45  # of the frame's colour, at most


class CameraView:
    """Frames of one topic, and the policy's attention where it is published.

    Attributes:
        number: of the newest frame, 0 before the first.
        problem: why the newest frame cannot be shown; '' when it can.
    """

    def __init__(self, node: Node, topic: str, kind: str, attention: str) -> None:
        """Subscribe; nothing is decoded before it is asked for.

        Args:
            kind: type of message on the topic.
            attention: topic of a sensor_msgs/Image whose colour says how much a place counts.
        """
        self.number = 0
        self.problem = ''
        self._type = kind
        self._reader = ImageReader()
        message = CompressedImage if kind == COMPRESSED else Image
        self._inbox = Inbox(node, message, topic, _NEWEST)
        self._attention_inbox = Inbox(node, Image, attention, _NEWEST)
        self._message: Serialized | None = None
        self._pixels: Pixels | None = None
        self._attention: Pixels | None = None
        self._attention_number = 0
        self._made: dict[Size, bytes] = {}

    def close(self) -> None:
        """Unsubscribe."""
        self._inbox.close()
        self._attention_inbox.close()

    def look(self) -> None:
        """Take the newest frame that has come, if any."""
        message = _newest(self._attention_inbox)
        if message is not None:
            self._attention = self._weights(message)
            self._attention_number = self.number
        message = _newest(self._inbox)
        if message is not None:
            self.number += 1
            self._message, self._pixels = message, None
            self._made.clear()

    @property
    def has_attention(self) -> bool:
        """Whether attention is laid over the frames."""
        recent = self.number - self._attention_number < _ATTENTION_LASTS
        return self._attention is not None and recent

    def jpeg(self, size: Size) -> bytes | None:
        """The newest frame; None where there is none or it cannot be read."""
        if self._message is None:
            return None
        if size not in self._made:
            try:
                self._made[size] = self._encode(size)
                self.problem = ''
            except LiquidControlError as error:
                self.problem, self._message = str(error), None
                return None
        return self._made[size]

    def _encode(self, size: Size) -> bytes:
        rgb = self._rgb()
        height, width = rgb.shape[:2]
        if width > size.width:
            shape = (size.width, max(1, round(height * size.width / width)))
            rgb = np.asarray(cv2.resize(rgb, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if self.has_attention and self._attention is not None:
            rgb = _overlaid(rgb, self._attention)
        quality = [cv2.IMWRITE_JPEG_QUALITY, size.quality]
        _, data = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), quality)
        return data.tobytes()

    def _rgb(self) -> Pixels:
        if self._pixels is None:
            assert self._message is not None
            self._pixels = self._reader.take('', self._message, self._type).value
        return self._pixels

    def _weights(self, message: memoryview) -> Pixels | None:
        try:
            rgb = self._reader.take('', message, RAW).value
        except LiquidControlError:
            return None
        # The image in it is grey: see `liquid_control.runtime.sensing.overlay`.
        return np.asarray(rgb.max(axis=2) - rgb.min(axis=2), dtype=np.uint8)


def _newest(inbox: Inbox) -> memoryview | None:
    newest = None
    while (message := inbox.receive()) is not None:
        newest = message
    return newest


def _overlaid(rgb: Pixels, attention: Pixels) -> Pixels:
    """Warm colours where the policy looks; the rest of the frame as it is."""
    height, width = rgb.shape[:2]
    weight = cv2.resize(attention, (width, height), interpolation=cv2.INTER_LINEAR)
    heat = cv2.cvtColor(cv2.applyColorMap(weight, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    share = weight.astype(np.float32) * np.float32(_HEAT / 255.0)
    return np.asarray(cv2.blendLinear(rgb, heat, 1.0 - share, share), dtype=np.uint8)
