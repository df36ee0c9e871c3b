"""The newest value of every sensor, with its age: what a policy sees at one instant.

Live, replayed and trained-on observations all follow the one rule of `Sensors`: the newest value
at or before the tick. A value that must not reach a policy (not finite, absurd, a stamp that does
not advance or lies in the future) is refused where it arrives; the last good one then grows old,
and the age is what stops the robot. Nothing missing is ever filled in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import SensorError
from liquid_control.contract.bounds import MAX_ACCELERATION, MAX_ANGULAR_VELOCITY, MAX_SPEED
from liquid_control.contract.contract import IMU_SIZE, Contract

Array = NDArray[np.float32]


def imu_refusal(imu: Array) -> str:
    """Why an IMU's values must not reach a policy, '' where they may: [6], m/s^2 and rad/s."""
    if imu.shape != (IMU_SIZE,):
        return f'{imu.size} values instead of {IMU_SIZE}'
    size = np.abs(imu)
    # Written so that NaN, which compares as false, is refused.
    if size[:3].max() <= MAX_ACCELERATION and size[3:].max() <= MAX_ANGULAR_VELOCITY:
        return ''
    return 'absurd' if np.isfinite(imu).all() else 'not finite'


def speed_refusal(speed: float) -> str:
    """Why a speed (m/s) must not reach a policy, '' where it may."""
    if not math.isfinite(speed):
        return 'not finite'
    return 'absurd' if abs(speed) > MAX_SPEED else ''


@dataclass(frozen=True)
class Observation:
    """Inputs of one control tick; what the policy does not use is None, its age NaN."""

    features: Array | None
    imu: Array | None
    speed: float | None
    image_stamp_ns: int
    image_age: float
    """s, from stamp or arrival, whichever is older."""
    imu_age: float
    speed_age: float
    problem: str
    """Why this must not drive a robot: the first missing or stale input; '' when all is well."""


@dataclass(frozen=True)
class _Sample:
    value: Any
    stamp_ns: int
    received_ns: int


class Slot:
    """The newest good value of one sensor. Written by one thread, read by another."""

    def __init__(self, name: str, max_age: float) -> None:
        self.name = name
        self.max_age = max_age
        self._sample: _Sample | None = None
        self._refusal = ''

    def put(self, value: Any, stamp_ns: int, received_ns: int) -> None:
        """Take a value.

        Raises:
            SensorError: the stamp does not advance or lies in the future; the value is not taken.
        """
        last = self._sample
        if stamp_ns - received_ns > self.max_age * 1e9:
            self.refuse(f'stamp is {(stamp_ns - received_ns) / 1e9:.3f} s in the future')
        if last is not None and stamp_ns <= last.stamp_ns:
            what = 'is repeated' if stamp_ns == last.stamp_ns else 'went back'
            self.refuse(f'stamp {what} ({(last.stamp_ns - stamp_ns) / 1e9:.3f} s)')
        self._sample = _Sample(value, stamp_ns, received_ns)
        self._refusal = ''

    def refuse(self, why: str) -> None:
        """Note why the latest message was not taken, and raise it as a SensorError."""
        self._refusal = why
        raise SensorError(f'{self.name}: {why}')

    def newest(self, now_ns: int) -> tuple[_Sample | None, float, str]:
        """The newest sample, its age in s, and what is wrong with it ('' when nothing is)."""
        sample, refusal = self._sample, self._refusal
        suffix = f' (latest refused: {refusal})' if refusal else ''
        if sample is None:
            return None, math.inf, f'{self.name}: nothing received{suffix}'
        age = (now_ns - min(sample.stamp_ns, sample.received_ns)) / 1e9
        if age > self.max_age:
            limit = f'limit {self.max_age:.3f} s'
            return sample, age, f'{self.name}: {age:.3f} s old, {limit}{suffix}'
        return sample, age, ''

    @property
    def value(self) -> Any:
        """The newest good value, however old; None for none."""
        return self._sample.value if self._sample is not None else None

    def copy(self, other: Slot) -> None:
        """Take over another slot's newest value."""
        self._sample, self._refusal = other._sample, other._refusal

    def clear(self) -> None:
        """Forget everything, for a clock that went back."""
        self._sample = None
        self._refusal = ''


class Sensors:
    """The slots a policy needs, with its contract's age limits."""

    def __init__(self, contract: Contract) -> None:
        self.image = Slot('image', contract.image.max_age) if contract.image else None
        self.imu = Slot('imu', contract.imu.max_age) if contract.imu else None
        self.speed = Slot('speed', contract.speed.max_age) if contract.speed else None

    def share(self, other: Sensors) -> None:
        """Take over what another policy's sensors know of IMU and speed."""
        for mine, its in ((self.imu, other.imu), (self.speed, other.speed)):
            if mine is not None and its is not None:
                mine.copy(its)

    def put_features(self, stamp_ns: int, features: Array, received_ns: int | None = None) -> None:
        """Features of a camera frame; `stamp_ns` is the frame's. Raises SensorError."""
        if self.image is not None:
            if not np.isfinite(features).all():
                self.image.refuse('encoder output is not finite')
            self.image.put(features, stamp_ns, stamp_ns if received_ns is None else received_ns)

    def put_imu(self, stamp_ns: int, imu: Array, received_ns: int | None = None) -> None:
        """Linear acceleration (m/s^2) and angular velocity (rad/s), [6]. Raises SensorError."""
        if self.imu is not None:
            if refusal := imu_refusal(imu):
                self.imu.refuse(refusal)
            self.imu.put(imu, stamp_ns, stamp_ns if received_ns is None else received_ns)

    def put_speed(self, stamp_ns: int, speed: float, received_ns: int | None = None) -> None:
        """Forward speed, m/s. Raises SensorError."""
        if self.speed is not None:
            if refusal := speed_refusal(speed):
                self.speed.refuse(refusal)
            self.speed.put(speed, stamp_ns, stamp_ns if received_ns is None else received_ns)

    def observe(self, now_ns: int) -> Observation:
        """What is known at `now_ns`, in the time of the stamps."""
        image, image_age, image_problem = _newest(self.image, now_ns)
        imu, imu_age, imu_problem = _newest(self.imu, now_ns)
        speed, speed_age, speed_problem = _newest(self.speed, now_ns)
        return Observation(
            features=image.value if image else None,
            imu=imu.value if imu else None,
            speed=speed.value if speed else None,
            image_stamp_ns=image.stamp_ns if image else 0,
            image_age=image_age,
            imu_age=imu_age,
            speed_age=speed_age,
            problem=image_problem or imu_problem or speed_problem,
        )

    def clear(self) -> None:
        """Forget everything, for a clock that went back."""
        for slot in (self.image, self.imu, self.speed):
            if slot is not None:
                slot.clear()


def _newest(slot: Slot | None, now_ns: int) -> tuple[_Sample | None, float, str]:
    return slot.newest(now_ns) if slot is not None else (None, math.nan, '')
