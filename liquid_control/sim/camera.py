"""A camera on the car: what the lens sees, rendered off-screen."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim import gl, scene


class Camera:
    """Renders one model. Make, use and close it in one thread: the GL context belongs to it.

    Args:
        width, height: picture size, pixels.
        name: which camera of the model.
    """

    def __init__(
        self, model: mujoco.MjModel, width: int, height: int, name: str = scene.FRONT_CAMERA
    ) -> None:
        limit = model.vis.global_
        if not (0 < width <= limit.offwidth and 0 < height <= limit.offheight):
            raise ValueError(
                f'picture size must be at most {limit.offwidth}x{limit.offheight}, '
                f'got {width}x{height}'
            )
        self._model = model
        self._context = gl.make_context(limit.offwidth, limit.offheight)
        self._renderer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._renderer)
        self._scene = mujoco.MjvScene(model, maxgeom=500)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._option = mujoco.MjvOption()
        self._option.geomgroup[3] = False  # what the tyres touch with, not what they look like
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._view.fixedcamid = model.camera(name).id
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)

    def render(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        """Return what the lens sees, RGB uint8 [height, width, 3]."""
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
