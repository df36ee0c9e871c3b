# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Cameras: where one is mounted, what its lens sees off-screen, and how its sensor errs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim import gl
from liquid_control.sim.protocols import PREFIX, Motion, Scene

Rgb = tuple[float, float, float]
"""Red, green and blue, each 0 to 1."""

Image = NDArray[np.uint8]
"""RGB [height, width, 3]."""


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


class Renderer:
    """Renders one model. Make, use and close it in one thread: the GL context belongs to it.

    Args:
        width, height: image size, pixels.
        camera: its name in the model.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int, camera: str) -> None:
        limit = model.vis.global_
        if not (0 < width <= limit.offwidth and 0 < height <= limit.offheight):
            raise ValueError(
                f'image size must be at most {limit.offwidth}x{limit.offheight}, '
                f'got {width}x{height}'
            )
        self._model = model
        self._context = gl.make_context(limit.offwidth, limit.offheight)
        self._renderer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._renderer)
        self._scene = mujoco.MjvScene(model, maxgeom=500)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        # Only what mirrors costs a second look at the scene.
        mirrors = bool(model.mat_reflectance.any())
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = mirrors
        self._option = mujoco.MjvOption()
        self._option.geomgroup[3] = False  # what robots touch with, not what they look like
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._view.fixedcamid = model.camera(camera).id
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)

    def render(self, data: mujoco.MjData) -> Image:
        """Return what the lens sees."""
        self._context.make_current()
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._view,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        mujoco.mjr_render(self._rectangle, self._scene, self._renderer)
        mujoco.mjr_readPixels(self._pixels, None, self._rectangle, self._renderer)
        return np.ascontiguousarray(self._pixels[::-1])  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Free the GL context; the interpreter's exit is too late for some drivers."""
        self._context.make_current()
        self._renderer.free()
        self._context.free()


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
        self._gain = np.asarray(gain, np.float32)
        self._shape = (height, width, 3)
        self._size = height * width * 3
        # Noise costs as much as a third of rendering: draw it once, cut each frame's from it.
        self._noise = rng.standard_normal(4 * self._size, np.float32)
        self._noise *= np.float32(deviation)
        self._rng = rng

    def expose(self, rgb: Image) -> Image:
        """Turn an ideal image into a recorded one."""
        start = int(self._rng.integers(3 * self._size))
        image = rgb * self._gain
        image += self._noise[start : start + self._size].reshape(self._shape)
        return np.clip(image, 0.0, 255.0, out=image).astype(np.uint8)


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
        self._data, self._robot = scene.data, scene.robot
        self._index = scene.model.camera(camera).id
        self._renderer = Renderer(scene.model, self.width, self.height, camera)

    def reset(self, seed: int) -> None:
        """Draw the noise."""
        rng = np.random.default_rng([seed, 5])
        self._noise = ImageNoise(self.width, self.height, self.gain, self.deviation, rng)

    def read(self, time_ns: int) -> Image:
        """An image."""
        assert self._renderer is not None, 'a camera must be bound before it is read'
        image = self._render(self._renderer)
        for effect in self.effects:
            image = effect.apply(image, self._robot.motion())
        return self._noise.expose(image)

    def _render(self, renderer: Renderer) -> Image:
        if self.tilt is None:
            return renderer.render(self._data)
        axes = self._data.cam_xmat[self._index]
        straight = axes.copy()
        axes[:] = self.tilt(straight, self._robot.motion())
        image = renderer.render(self._data)
        axes[:] = straight
        return image

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
