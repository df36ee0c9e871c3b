"""The car's sensors: when each one samples, what a sample holds, and how it errs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.appearance import Look
from liquid_control.sim.car import Motion

# A small MEMS IMU: continuous-time noise densities, and the spread of its turn-on bias.
ACCELEROMETER_NOISE = 0.003
"""m/s^2 per sqrt(Hz)."""
GYROSCOPE_NOISE = 0.0003
"""rad/s per sqrt(Hz)."""
_ACCELEROMETER_BIAS = 0.03
_GYROSCOPE_BIAS = 0.003


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """One picture; rgb: uint8 [height, width, 3]."""

    stamp_ns: int
    rgb: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ImuSample:
    """One IMU sample; values: float64 [6].

    Linear acceleration x y z, m/s^2, gravity's reaction included (+9.81 in z at rest), then
    angular velocity x y z, rad/s; axes x forward, y left, z up (REP-145).
    """

    stamp_ns: int
    values: NDArray[np.float64]


@dataclass(frozen=True)
class OdometrySample:
    """Pose in the track's frame and velocity of `base_link`, without drift or noise."""

    stamp_ns: int
    motion: Motion


Observation = CameraFrame | ImuSample | OdometrySample


class Schedule:
    """When a sensor of a given rate samples: first after one period, then without drift."""

    def __init__(self, rate: float) -> None:
        if not rate > 0.0:
            raise ValueError(f'a rate must be > 0 Hz, got {rate}')
        self._rate = rate
        self.restart()

    def restart(self) -> None:
        """Begin again at time 0."""
        self._count = 1
        self._due_ns = round(1e9 / self._rate)

    def is_due(self, time_ns: int) -> bool:
        """Whether a sample is due by `time_ns`; if so, the next one is a period later."""
        if time_ns < self._due_ns:
            return False
        self._count += 1
        self._due_ns = round(self._count * 1e9 / self._rate)
        return True


class ImageSensor:
    """Exposure, white balance and pixel noise of one camera.

    Args:
        width, height: picture size, pixels.
    """

    def __init__(self, width: int, height: int, look: Look, rng: np.random.Generator) -> None:
        self._gain = np.asarray(look.white_balance, np.float32)
        self._shape = (height, width, 3)
        self._size = height * width * 3
        # Noise costs as much as a third of rendering: draw it once, cut each frame's from it.
        self._noise = rng.standard_normal(4 * self._size, np.float32)
        self._noise *= np.float32(look.pixel_noise)
        self._rng = rng

    def expose(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn an ideal picture into a recorded one, both RGB uint8 [height, width, 3]."""
        start = int(self._rng.integers(3 * self._size))
        picture = rgb * self._gain
        picture += self._noise[start : start + self._size].reshape(self._shape)
        return np.clip(picture, 0.0, 255.0, out=picture).astype(np.uint8)


class ImuNoise:
    """White noise of the stated densities and a constant turn-on bias.

    Args:
        rate: sampling rate, Hz; the standard deviation of a sample is density * sqrt(rate).
    """

    def __init__(self, rate: float, rng: np.random.Generator) -> None:
        self._deviation = sample_deviation(rate)
        self._bias = rng.normal(0.0, [_ACCELEROMETER_BIAS] * 3 + [_GYROSCOPE_BIAS] * 3)
        self._rng = rng

    def measure(self, ideal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a measurement [6] of the ideal values [6]."""
        error: NDArray[np.float64] = self._deviation * self._rng.standard_normal(6) + self._bias
        return ideal + error


def sample_deviation(rate: float) -> NDArray[np.float64]:
    """Standard deviation of one IMU sample at a rate (Hz), [6], m/s^2 and rad/s."""
    densities = [ACCELEROMETER_NOISE] * 3 + [GYROSCOPE_NOISE] * 3
    return np.array([density * math.sqrt(rate) for density in densities])
