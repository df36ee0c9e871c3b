"""The car in MuJoCo: a command becomes wheel angles and torque; pose and IMU come out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim import scene

MAX_ACCELERATION = 3.0
"""The motor controller's ramp when speeding up, m/s^2; a step from rest would spin the wheels."""
MAX_DECELERATION = 4.0
"""The motor controller's ramp when braking, m/s^2."""

_SETTLING_STEPS = 80
"""How long the tyres take to carry the weight after the car was put down, physics steps."""


@dataclass(frozen=True)
class Command:
    """What a driver asks of the car.

    steering_angle: rad, + to the left; angle of the bicycle model's front wheel
    speed: m/s
    """

    steering_angle: float = 0.0
    speed: float = 0.0


@dataclass(frozen=True)
class Motion:
    """Pose and velocity of `base_link`, the middle of the rear axle on the ground.

    x, y: m; yaw: rad; speed: m/s along the car's axis; yaw_rate: rad/s, + to the left
    """

    x: float
    y: float
    yaw: float
    speed: float
    yaw_rate: float


class Car:
    """One car in one world; time advances by `advance` alone."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self.data = mujoco.MjData(model)
        self._motor_speed = 0.0
        self._rotation = np.empty(9)

    def place(self, x: float, y: float, yaw: float) -> None:
        """Put the car at rest on the ground at a pose (m, m, rad)."""
        mujoco.mj_resetData(self.model, self.data)
        upright = (math.cos(yaw / 2.0), 0.0, 0.0, math.sin(yaw / 2.0))
        self.data.qpos[:7] = (x, y, scene.WHEEL_RADIUS, *upright)
        self._motor_speed = 0.0
        for _ in range(_SETTLING_STEPS):
            self.advance(Command())

    def advance(self, command: Command) -> None:
        """Simulate one physics step under a command; limits of the hardware apply."""
        left, right = ackermann(command.steering_angle)
        step = scene.PHYSICS_STEP_NS / 1e9
        faster = abs(command.speed) > abs(self._motor_speed)
        ramp = (MAX_ACCELERATION if faster else MAX_DECELERATION) * step
        change = command.speed - self._motor_speed
        self._motor_speed += min(max(change, -ramp), ramp)
        self.data.ctrl[:] = (left, right, self._motor_speed / scene.WHEEL_RADIUS)
        mujoco.mj_step(self.model, self.data)

    def motion(self) -> Motion:
        """Return where the car is and how it moves."""
        x, y = self.data.qpos[:2].tolist()
        mujoco.mju_quat2Mat(self._rotation, self.data.qpos[3:7])
        forward_x, forward_y = float(self._rotation[0]), float(self._rotation[3])
        velocity_x, velocity_y = self.data.qvel[:2].tolist()
        return Motion(
            x=x,
            y=y,
            yaw=math.atan2(forward_y, forward_x),
            speed=velocity_x * forward_x + velocity_y * forward_y,
            yaw_rate=float(self.data.qvel[5]),
        )

    def inertial(self) -> NDArray[np.float64]:
        """Return what an ideal IMU measures, [6].

        Linear acceleration x y z, m/s^2, gravity's reaction included (+9.81 in z at rest), then
        angular velocity x y z, rad/s; axes x forward, y left, z up (REP-145).
        """
        return np.array(self.data.sensordata[:6])


def ackermann(steering_angle: float) -> tuple[float, float]:
    """Angles of the left and the right front wheel (rad) that turn about one point."""
    limit = scene.MAX_STEERING_ANGLE
    tangent = math.tan(min(max(steering_angle, -limit), limit))
    lever, half_width = scene.WHEELBASE * tangent, scene.TRACK_WIDTH / 2.0 * tangent
    return (
        math.atan2(lever, scene.WHEELBASE - half_width),
        math.atan2(lever, scene.WHEELBASE + half_width),
    )
