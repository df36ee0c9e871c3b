# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What each pixel of a forward camera looks at, and how that moves with the robot."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.renderer import Image

Map = NDArray[np.float32]

_FAR = 30.0
"""Beyond this the ground counts as the horizon, m."""
_MOST_FLOW = 400.0
"""Pixels a second that anything moves at most; what is very near would leave the image."""


class Lens:
    """A pinhole camera above a plane, looking forward and down.

    Args:
        width, height: of the image, pixels.
        above: height of the lens, m.
        before: how far it sits before the axis that the robot turns about, m.
        pitch: down, rad.
        fov: vertical, degrees.

    Attributes:
        bearing, elevation: of each pixel's ray, rad, + to the left and up, [height, width].
        distance: along the ground to what it hits, m.
    """

    def __init__(
        self, width: int, height: int, *, above: float, before: float, pitch: float, fov: float
    ) -> None:
        self.width, self.height = width, height
        self._focal = height / 2 / math.tan(math.radians(fov) / 2)
        self._turn = math.sin(pitch), math.cos(pitch)
        pixels = np.meshgrid(np.arange(width), np.arange(height))
        self._pixels = np.stack(pixels).astype(np.float32)
        sine, cosine = self._turn
        right = (pixels[0] + 0.5 - width / 2) / self._focal
        down = (pixels[1] + 0.5 - height / 2) / self._focal
        ray = np.stack([cosine - sine * down, -right, -sine - cosine * down])
        depth = np.minimum(above / np.maximum(-ray[2], above / _FAR), _FAR)
        points = depth * ray
        level = np.hypot(ray[0], ray[1])
        self.bearing = np.arctan2(ray[1], ray[0]).astype(np.float32)
        self.elevation = np.arctan2(ray[2], level).astype(np.float32)
        self.distance = (depth * level).astype(np.float32)
        nothing = np.zeros_like(depth)
        self._by_speed = self._image_motion(points, [nothing - 1.0, nothing])
        self._by_yaw_rate = self._image_motion(points, [points[1], -(points[0] + before)])

    def _image_motion(
        self, points: NDArray[np.float64], velocity: list[NDArray[np.float64]]
    ) -> Map:
        """Pixels a second that points [3, ...] move which move by so many m/s, [2, ...]."""
        sine, cosine = self._turn
        depth = cosine * points[0] - sine * points[2]
        down = -sine * points[0] - cosine * points[2]
        nearer = cosine * velocity[0]
        across = self._focal * (-velocity[1] * depth + points[1] * nearer) / depth**2
        along = self._focal * (-sine * velocity[0] * depth - down * nearer) / depth**2
        moved: Map = np.stack([across, along]).astype(np.float32)
        return moved

    def flow(self, speed: float, yaw_rate: float) -> Map:
        """Pixels a second that the picture moves, [2, height, width]."""
        flow: Map = np.float32(speed) * self._by_speed + np.float32(yaw_rate) * self._by_yaw_rate
        np.clip(flow, -_MOST_FLOW, _MOST_FLOW, out=flow)
        return flow

    def earlier(self, image: Image, flow: Map, seconds: float | Map) -> Image:
        """The image as it was so long ago, at all pixels or at each."""
        x, y = self._pixels + flow * np.asarray(seconds, np.float32)
        warped = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, np.uint8)
