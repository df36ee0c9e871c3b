# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Inertial and odometry sensors: what a sample holds, and how it errs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.protocols import PREFIX, Motion, Scene

# A small MEMS IMU: continuous-time noise densities, and the spread of its turn-on bias.
ACCELEROMETER_NOISE = 0.003
"""m/s^2 per sqrt(Hz)."""
GYROSCOPE_NOISE = 0.0003
"""rad/s per sqrt(Hz)."""
_ACCELEROMETER_BIAS = 0.03
_GYROSCOPE_BIAS = 0.003

_AT_ONCE = 256
"""Measurements whose noise is drawn together."""


class ImuNoise:
    """White noise of the stated densities and a constant turn-on bias.

    Args:
        rate: sampling rate, Hz; the standard deviation of a sample is density * sqrt(rate).
    """

    def __init__(self, rate: float, rng: np.random.Generator) -> None:
        self._deviation = sample_deviation(rate)
        self._bias = rng.normal(0.0, [_ACCELEROMETER_BIAS] * 3 + [_GYROSCOPE_BIAS] * 3)
        self._rng = rng
        self._drawn: list[NDArray[np.float64]] = []

    def measure(self, ideal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a measurement [6] of the ideal values [6]."""
        if not self._drawn:  # one by one they take ten times as long
            noise = self._rng.standard_normal((_AT_ONCE, 6))
            self._drawn = list(self._deviation * noise + self._bias)[::-1]
        measured: NDArray[np.float64] = ideal + self._drawn.pop()
        return measured


def sample_deviation(rate: float) -> NDArray[np.float64]:
    """Standard deviation of one IMU sample at a rate (Hz), [6], m/s^2 and rad/s."""
    densities = [ACCELEROMETER_NOISE] * 3 + [GYROSCOPE_NOISE] * 3
    return np.array([density * math.sqrt(rate) for density in densities])


@dataclass(eq=False)
class Imu:
    """An IMU whose robot has MJCF sensors `accelerometer` and `gyro`; its value is float64 [6].

    Linear acceleration x y z, m/s^2, gravity's reaction included (+9.81 in z at rest), then
    angular velocity x y z, rad/s; axes x forward, y left, z up (REP-145).
    """

    name: str
    rate: float
    renders: ClassVar[bool] = False

    def mount(self, robot: mujoco.MjSpec) -> None:
        """The robot has what it needs."""

    def bind(self, scene: Scene) -> None:
        """Find the robot's sensors."""
        self._values = scene.data.sensordata
        self._addresses = np.concatenate(
            [
                np.arange(3) + scene.model.sensor(f'{PREFIX}{name}').adr[0]
                for name in ('accelerometer', 'gyro')
            ]
        )

    def reset(self, seed: int) -> None:
        """Draw the bias."""
        self._noise = ImuNoise(self.rate, np.random.default_rng([seed, 6]))

    def read(self, time_ns: int) -> NDArray[np.float64]:
        """One sample."""
        return self._noise.measure(self._values[self._addresses])

    def close(self) -> None:
        """Nothing to free."""


@dataclass(eq=False)
class Odometry:
    """Pose in the world's frame and velocity of `base_link`, without drift or noise."""

    name: str
    rate: float
    renders: ClassVar[bool] = False

    def mount(self, robot: mujoco.MjSpec) -> None:
        """It needs nothing."""

    def bind(self, scene: Scene) -> None:
        """Ask this robot."""
        self._robot = scene.robot

    def reset(self, seed: int) -> None:
        """It has no noise."""

    def read(self, time_ns: int) -> Motion:
        """Where the robot is and how it moves."""
        return self._robot.motion()

    def close(self) -> None:
        """Nothing to free."""
