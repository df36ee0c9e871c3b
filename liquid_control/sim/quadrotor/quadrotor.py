"""The quadrotor in MuJoCo: a velocity setpoint becomes thrust; pose and IMU come out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.quadrotor import body
from liquid_control.sim.quadrotor.flight_controller import (
    GRAVITY,
    FlightController,
    Setpoint,
    Vector,
)
from liquid_control.sim.quadrotor.model import PHYSICS_STEP_NS
from liquid_control.sim.quadrotor.wind import Wind
from liquid_control.sim.quadrotor.world import Pose


@dataclass(frozen=True)
class Motion:
    """Pose and velocity of `base_link`, the middle of the frame.

    x, y, z: m; yaw: rad; quaternion: w, x, y, z, body to world
    velocity: along x, y and z of the body, m/s; rates: about them, rad/s
    """

    x: float
    y: float
    z: float
    yaw: float
    quaternion: tuple[float, float, float, float]
    velocity: Vector
    rates: Vector

    @property
    def tilt(self) -> float:
        """Angle between the body's and the world's vertical, rad."""
        _, x, y, _ = self.quaternion
        return math.acos(min(max(1.0 - 2.0 * (x * x + y * y), -1.0), 1.0))


class Quadrotor:
    """One quadrotor in one world; time advances by `advance` alone."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self.data = mujoco.MjData(model)
        self._body = model.body(body.BODY).id
        self._controller = FlightController(PHYSICS_STEP_NS / 1e9)
        self._wind: Wind | None = None
        self._rotation = np.empty(9)

    def place(self, pose: Pose, wind: Wind | None = None) -> None:
        """Let it hover at rest at a pose, in the wind if there is any."""
        mujoco.mj_resetData(self.model, self.data)
        upright = (math.cos(pose.yaw / 2.0), 0.0, 0.0, math.sin(pose.yaw / 2.0))
        self.data.qpos[:] = (pose.x, pose.y, pose.z, *upright)
        self.data.act[:] = body.MASS * GRAVITY / len(body.ROTORS)
        self._controller.reset()
        self._wind = wind
        mujoco.mj_forward(self.model, self.data)

    def advance(self, setpoint: Setpoint) -> None:
        """Simulate one physics step under a setpoint."""
        x, y, z, roll, pitch, yaw = self.data.qvel.tolist()
        mujoco.mju_quat2Mat(self._rotation, self.data.qpos[3:7])
        self.data.ctrl[:] = self._controller.thrusts(
            setpoint, (x, y, z), self._rotation.tolist(), (roll, pitch, yaw)
        )
        if self._wind is not None:
            self.data.xfrc_applied[self._body, :3] = self._wind.force((x, y, z))
        mujoco.mj_step(self.model, self.data)

    @property
    def touches(self) -> bool:
        """Whether it touches anything."""
        return bool(self.data.ncon)

    def motion(self) -> Motion:
        """Return where it is and how it moves."""
        x, y, z, *quaternion = self.data.qpos.tolist()
        vx, vy, vz, *rates = self.data.qvel.tolist()
        mujoco.mju_quat2Mat(self._rotation, self.data.qpos[3:7])
        r = self._rotation.tolist()
        return Motion(
            x=x,
            y=y,
            z=z,
            yaw=math.atan2(r[3], r[0]),
            quaternion=(quaternion[0], quaternion[1], quaternion[2], quaternion[3]),
            velocity=(
                r[0] * vx + r[3] * vy + r[6] * vz,
                r[1] * vx + r[4] * vy + r[7] * vz,
                r[2] * vx + r[5] * vy + r[8] * vz,
            ),
            rates=(rates[0], rates[1], rates[2]),
        )

    def inertial(self) -> NDArray[np.float64]:
        """Return what an ideal IMU measures, [6].

        Linear acceleration x y z, m/s^2, gravity's reaction included (+9.81 in z at rest), then
        angular velocity x y z, rad/s; axes x forward, y left, z up (REP-145).
        """
        return np.array(self.data.sensordata[:6])
