# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The flight controller in the simulator: velocity setpoints in, thrust of each rotor out.

The cascade of PX4 and ArduPilot: velocity to acceleration (PI), acceleration to the direction and
size of the thrust, direction to body rates (P on the tilt error), rates to torques (P), torques to
rotors. It knows the true state: the estimator of a real one is left out, its delay and the wind
are not. Velocities are along the heading: x forward and y left on the level, z up (the body frame
of an offboard velocity setpoint); the yaw rate is about the vertical, + to the left.

Plain floats instead of arrays: it runs at every physics step.
"""

from __future__ import annotations

import math
from collections import deque

GRAVITY = 9.81
MASS = 1.0
"""Of the quadrotor that it is tuned for, kg."""
INERTIA = (0.0060, 0.0065, 0.0110)
"""About x, y and z, kg m^2."""
ARM = 0.125
"""Of a rotor's axis from the middle, along x and along y, m."""
MAX_THRUST = 5.5
"""Of one rotor, N: all four lift 2.2 times the weight."""
TORQUE_PER_THRUST = 0.016
"""Drag torque of a rotor about its axis, m."""
# Each rotor: x and y as shares of ARM, and the way its drag turns the body (+ to the left).
ROTORS = ((1, -1, 1), (-1, 1, 1), (1, 1, -1), (-1, -1, -1))

MAX_TILT = math.radians(30.0)
"""Largest tilt that the velocity loop asks for, rad."""
MAX_SPEED = 3.0
"""Largest setpoint along each axis, m/s; a flight controller's own limit."""
MAX_YAW_RATE = 1.5

SETPOINT_DELAY = 0.05
"""From a setpoint's arrival to the loop that follows it, s: link, estimator, scheduling."""
MAX_SETPOINT_ACCELERATION = 2.5
"""How fast the followed velocity approaches the setpoint, m/s^2; steps would tilt the camera."""
MAX_SETPOINT_YAW_ACCELERATION = 4.0

_VELOCITY_P, _VELOCITY_I = 2.6, 0.9
_MAX_INTEGRAL = 3.0
_TILT_P = 7.0
_RATE_P = (18.0, 18.0, 8.0)
_MAX_TORQUE = (0.7, 0.7, 0.12)

Vector = tuple[float, float, float]


Setpoint = tuple[float, float, float, float]
"""What an offboard controller asks for: m/s along the heading and up, rad/s about the vertical."""

HOVER: Setpoint = (0.0, 0.0, 0.0, 0.0)


class FlightController:
    """Follows velocity setpoints; call `thrusts` once for each physics step.

    Args:
        step: physics step, s.
    """

    def __init__(self, step: float) -> None:
        self._step = step
        self._delay = max(round(SETPOINT_DELAY / step), 1)
        self.reset()

    def reset(self) -> None:
        """Forget everything: at rest, nothing asked for."""
        self._waiting: deque[Setpoint] = deque([HOVER] * self._delay)
        self._velocity = [0.0, 0.0, 0.0]
        self._yaw_rate = 0.0
        self._integral = [0.0, 0.0, 0.0]

    def thrusts(
        self, setpoint: Setpoint, velocity: Vector, rotation: list[float], rates: Vector
    ) -> list[float]:
        """Return the thrust of each rotor, N.

        Args:
            velocity: in the world, m/s.
            rotation: body to world, row by row, [9].
            rates: about the body's axes, rad/s.
        """
        self._waiting.append(setpoint)
        self._follow(self._waiting.popleft())
        ax, ay, az = self._acceleration(velocity, rotation)
        az = min(max(az, -0.5 * GRAVITY), 0.8 * GRAVITY) + GRAVITY
        level, most = math.hypot(ax, ay), az * math.tan(MAX_TILT)
        if level > most:
            ax, ay = ax * most / level, ay * most / level
        size = math.sqrt(ax * ax + ay * ay + az * az)
        # The direction of the thrust that is wanted, seen from the body; z there is (0, 0, 1).
        up = [
            (ax * rotation[i] + ay * rotation[3 + i] + az * rotation[6 + i]) / size
            for i in range(3)
        ]
        thrust = MASS * size * max(up[2], 0.2)
        wanted = (
            -_TILT_P * up[1] + self._yaw_rate * rotation[6],
            _TILT_P * up[0] + self._yaw_rate * rotation[7],
            self._yaw_rate * rotation[8],
        )
        torque = [
            min(
                max(INERTIA[i] * _RATE_P[i] * (wanted[i] - rates[i]), -_MAX_TORQUE[i]),
                _MAX_TORQUE[i],
            )
            for i in range(3)
        ]
        return [
            min(
                max(
                    (
                        thrust
                        + y * torque[0] / ARM
                        - x * torque[1] / ARM
                        + turn * torque[2] / TORQUE_PER_THRUST
                    )
                    / 4.0,
                    0.0,
                ),
                MAX_THRUST,
            )
            for x, y, turn in ROTORS
        ]

    def _follow(self, setpoint: Setpoint) -> None:
        """Move the followed velocity towards the setpoint, within the ramps."""
        ramp = MAX_SETPOINT_ACCELERATION * self._step
        for axis, value in enumerate(setpoint[:3]):
            change = min(max(value, -MAX_SPEED), MAX_SPEED) - self._velocity[axis]
            self._velocity[axis] += min(max(change, -ramp), ramp)
        ramp = MAX_SETPOINT_YAW_ACCELERATION * self._step
        change = min(max(setpoint[3], -MAX_YAW_RATE), MAX_YAW_RATE) - self._yaw_rate
        self._yaw_rate += min(max(change, -ramp), ramp)

    def _acceleration(self, velocity: Vector, rotation: list[float]) -> Vector:
        """PI on the velocity, in the world; the integral holds against a steady wind."""
        length = math.hypot(rotation[0], rotation[3]) or 1.0
        cosine, sine = rotation[0] / length, rotation[3] / length
        forward, left, up = self._velocity
        wanted = (forward * cosine - left * sine, forward * sine + left * cosine, up)
        answer = []
        for axis in range(3):
            error = wanted[axis] - velocity[axis]
            integral = self._integral[axis] + _VELOCITY_I * error * self._step
            self._integral[axis] = min(max(integral, -_MAX_INTEGRAL), _MAX_INTEGRAL)
            answer.append(_VELOCITY_P * error + self._integral[axis])
        return (answer[0], answer[1], answer[2])
