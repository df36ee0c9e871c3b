# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Cameras: where one is mounted, how what its lens sees becomes an image, how its sensor errs.

Most images of a drive in simulated time are never looked at, by nobody or by a policy that is
slower than the camera. So a picture is only taken when it is due, and worked out when it is asked
for: it is the same, bit by bit, whichever of the others were.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.protocols import PREFIX, Motion, Scene
from liquid_control.sim.renderer import Exposure, Image, Renderer, Shown

Rgb = tuple[float, float, float]
"""Red, green and blue, each 0 to 1."""


@dataclass(frozen=True)
class Mount:
    """Where a camera sits on a robot, looking forward.

    position: in the axes of the robot's body, m
    pitch: downward tilt of the optical axis, rad
    fov: vertical field of view, degrees
    """

    name: str = 'front'
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pitch: float = 0.0
    fov: float = 60.0

    def add_to(self, robot: mujoco.MjSpec) -> None:
        """Mount it on the robot's first body."""
        sine, cosine = round(math.sin(self.pitch), 5), round(math.cos(self.pitch), 5)
        camera = robot.worldbody.first_body().add_camera()
        camera.name, camera.pos, camera.fovy = self.name, self.position, self.fov
        camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
        camera.alt.xyaxes = (0.0, -1.0, 0.0, sine, 0.0, cosine)


class ImageNoise:
    """Exposure, white balance and pixel noise of one camera.

    Args:
        width, height: image size, pixels.
        gain: of each colour channel.
        deviation: of the noise, grey levels of 255.
    """

    def __init__(
        self, width: int, height: int, gain: Rgb, deviation: float, rng: np.random.Generator
    ) -> None:
        levels = np.arange(256, dtype=np.float32)[:, None]
        self._exposed = (levels * np.asarray(gain, np.float32))[:, None]
        self._shape = (height, width, 3)
        self._size = height * width * 3
        # Noise costs as much as a third of rendering: draw it once, cut each frame's from it.
        self._noise = rng.standard_normal(4 * self._size, np.float32)
        self._noise *= np.float32(deviation)
        self._rng = rng

    def draw(self) -> int:
        """The noise of the next frame, whether anybody ever looks at that one or not."""
        return int(self._rng.integers(3 * self._size))

    def expose(self, rgb: Image, start: int) -> Image:
        """Turn an ideal image into a recorded one, with the noise that was drawn for it."""
        image = np.asarray(cv2.LUT(rgb, self._exposed), np.float32)
        image += self._noise[start : start + self._size].reshape(self._shape)
        np.maximum(image, np.float32(0.0), out=image)
        np.minimum(image, np.float32(255.0), out=image)  # np.clip takes three times as long
        return image.astype(np.uint8)


class Effect(Protocol):
    """Changes a picture on its way from the scene to the sensor."""

    def apply(self, image: Image, motion: Motion) -> Image:
        """The picture as it comes out, of a robot that moves so."""


Tilt = Callable[[NDArray[np.float64], Motion], NDArray[np.float64]]
"""A camera's axes in the world [9] and how the robot moves -> the axes that it has instead."""


@dataclass(eq=False)
class Camera:
    """A camera as a sensor; its value is an RGB image, uint8 [height, width, 3].

    Args:
        mount: None where the robot's tree has a camera called 'front' already.
        gain, deviation: see `ImageNoise`.
        effects: change every picture, one after another, before its noise.
        tilt: turns the camera for every picture.
    """

    name: str
    rate: float
    width: int
    height: int
    mount_at: Mount | None = None
    gain: Rgb = (1.0, 1.0, 1.0)
    deviation: float = 0.0
    effects: Sequence[Effect] = ()
    tilt: Tilt | None = None
    renders: ClassVar[bool] = True
    _renderer: Renderer | None = field(default=None, init=False)

    def mount(self, robot: mujoco.MjSpec) -> None:
        """Add the camera to the robot."""
        if self.mount_at is not None:
            self.mount_at.add_to(robot)

    def bind(self, scene: Scene) -> None:
        """Open a renderer in this thread."""
        camera = f'{PREFIX}{self.mount_at.name if self.mount_at else "front"}'
        self._scene, self._robot = Shown(scene.data), scene.robot
        self._shown = Shown(mujoco.MjData(scene.model))
        self._index = scene.model.camera(camera).id
        self._renderer = Renderer(scene.model, self.width, self.height, camera)
        self._undeveloped: weakref.WeakSet[_Picture] = weakref.WeakSet()

    def reset(self, seed: int) -> None:
        """Draw the noise."""
        rng = np.random.default_rng([seed, 5])
        self._noise = ImageNoise(self.width, self.height, self.gain, self.deviation, rng)

    def read(self, time_ns: int) -> Image:
        """An image."""
        return self.take(time_ns)()

    def take(self, time_ns: int) -> Callable[[], Image]:
        """Take a picture that is worked out if and when it is called."""
        noise, start = self._noise, self._noise.draw()
        exposure, motion = self._scene.expose(), self._robot.motion()

        def develop() -> Image:
            image = self._render(exposure, motion)
            for effect in self.effects:
                image = effect.apply(image, motion)
            return noise.expose(image, start)

        picture = _Picture(develop)
        self._undeveloped.add(picture)
        return picture.look

    def _render(self, exposure: Exposure, motion: Motion) -> Image:
        assert self._renderer is not None, 'a camera must be bound before it is read'
        self._shown.show(exposure)
        if self.tilt is not None:
            axes = self._shown.data.cam_xmat[self._index]
            axes[:] = self.tilt(axes, motion)
        return self._renderer.render(self._shown.data)

    def close(self) -> None:
        """Develop what somebody may still look at, then free the renderer."""
        if self._renderer is not None:
            for picture in list(self._undeveloped):
                picture.look()
            self._renderer.close()
            self._renderer = None


class _Picture:
    """A picture, developed when somebody first looks at it."""

    def __init__(self, develop: Callable[[], Image]) -> None:
        self._develop: Callable[[], Image] | None = develop

    def look(self) -> Image:
        if self._develop is not None:
            self._image, self._develop = self._develop(), None
        return self._image
