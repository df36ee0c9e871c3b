# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a camera of a MuJoCo model sees, drawn off-screen: now, or at a moment that has passed."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim import gl

Image = NDArray[np.uint8]
"""RGB [height, width, 3]."""

Exposure = list[NDArray[np.float64]]
"""Where everything was; small enough to be kept until somebody wants to see it."""

_HIDDEN = 3
"""The group of what robots touch with, not what they look like."""

_PLACES = (
    *('xpos', 'xquat', 'xmat', 'xipos', 'ximat', 'geom_xpos', 'geom_xmat'),
    *('site_xpos', 'site_xmat', 'cam_xpos', 'cam_xmat', 'light_xpos', 'light_xdir'),
)
"""Where everything is that is drawn, in `mujoco.MjData`."""


class Shown:
    """Data that nothing is done with but to look at it: everything where it is, or was.

    Args:
        data: whose places these are; views of them are kept, for asking MuJoCo for an array takes
            longer than to copy it.
    """

    def __init__(self, data: mujoco.MjData) -> None:
        self.data = data
        self._places = [getattr(data, name) for name in _PLACES]

    def expose(self) -> Exposure:
        """Where everything is now."""
        return [place.copy() for place in self._places]

    def show(self, exposure: Exposure) -> None:
        """Put everything there again."""
        for place, was in zip(self._places, exposure, strict=True):
            place[:] = was


class Renderer:
    """Renders one model. Make, use and close it in one thread: its GL context belongs to that.

    Args:
        width, height: image size, pixels.
        camera: its name in the model.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int, camera: str) -> None:
        limit = model.vis.global_
        largest = limit.offwidth, limit.offheight
        if not (0 < width <= largest[0] and 0 < height <= largest[1]):
            raise ValueError(
                f'image size must be at most {largest[0]}x{largest[1]}, got {width}x{height}'
            )
        self._model = model
        gl.make_current()
        self._renderer = _resources(model, width, height)
        self._scene = mujoco.MjvScene(model, maxgeom=500)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        # Only what mirrors costs a second look at the scene.
        mirrors = bool(model.mat_reflectance.any())
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = mirrors
        self._option = mujoco.MjvOption()
        self._option.geomgroup[_HIDDEN] = False
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._view.fixedcamid = model.camera(camera).id
        self._in_sight = InSight(model, self._view, self._scene, width / height)
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)
        self._groups = model.geom_group.copy()

    def render(self, data: mujoco.MjData) -> Image:
        """Return what the lens sees."""
        gl.make_current()
        groups = self._model.geom_group
        groups[~self._in_sight(data)] = _HIDDEN
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._view,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        groups[:] = self._groups
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._renderer)
        mujoco.mjr_render(self._rectangle, self._scene, self._renderer)
        mujoco.mjr_readPixels(self._pixels, None, self._rectangle, self._renderer)
        return np.ascontiguousarray(self._pixels[::-1])  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Free what it holds in OpenGL; the interpreter's exit is too late for some drivers."""
        gl.make_current()
        self._renderer.free()


def _resources(model: mujoco.MjModel, width: int, height: int) -> mujoco.MjrContext:
    """Meshes, textures and buffers for OpenGL, none larger than they need be."""
    size, quality = model.vis.global_, model.vis.quality
    before = size.offwidth, size.offheight, quality.shadowsize
    size.offwidth, size.offheight = width, height  # all of it is cleared for every image
    quality.shadowsize = 0  # no shadows are drawn
    resources = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    size.offwidth, size.offheight, quality.shadowsize = before
    return resources


class InSight:
    """Which geoms a camera may see, itself or in a mirror: the others need not be drawn.

    MuJoCo draws them all, and most of a world is behind the camera or beside its image.

    Args:
        view: through a camera of the model; scene: any of the model's.
        aspect: of the image, width over height.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        view: mujoco.MjvCamera,
        scene: mujoco.MjvScene,
        aspect: float,
    ) -> None:
        self._camera = view.fixedcamid
        mujoco.mjv_updateCamera(model, mujoco.MjData(model), view, scene)
        lens = scene.camera[0]
        near, bottom, top = lens.frustum_near, lens.frustum_bottom, lens.frustum_top
        half = lens.frustum_width or (top - bottom) / 2.0 * aspect
        left, right = lens.frustum_center - half, lens.frustum_center + half
        # Inwards, in the camera's axes: right, up, back.
        sides = np.array(
            [(near, 0, left), (-near, 0, -right), (0, near, bottom), (0, -near, -top), (0, 0, -1)]
        )
        self._normals = (sides / np.linalg.norm(sides, axis=1, keepdims=True)).T
        endless = model.geom_rbound == 0.0  # planes
        self._reach = np.where(endless, np.inf, model.geom_rbound)[:, None]
        materials = model.geom_matid
        shiny = (materials >= 0) & (model.mat_reflectance[materials] > 0.0)
        self._mirrors = np.flatnonzero(shiny)
        flat = model.geom_type[self._mirrors] == mujoco.mjtGeom.mjGEOM_PLANE
        self._all = bool(lens.orthographic) or not flat.all()

    def __call__(self, data: mujoco.MjData) -> NDArray[np.bool_]:
        """Of each geom, where everything is now."""
        if self._all:
            return np.ones(len(self._reach), bool)
        position = data.cam_xpos[self._camera]
        normals = data.cam_xmat[self._camera].reshape(3, 3) @ self._normals
        inside = data.geom_xpos @ normals - position @ normals
        seen: NDArray[np.bool_] = (inside + self._reach > 0.0).all(axis=1)
        for mirror in self._mirrors:
            up = data.geom_xmat[mirror].reshape(3, 3)[:, 2]
            above = (data.geom_xpos - data.geom_xpos[mirror]) @ up
            mirrored = inside - 2.0 * above[:, None] * (up @ normals)
            seen |= (mirrored + self._reach > 0.0).all(axis=1)
        return seen
