# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The robot's own file: geometry and the limits that no policy may exceed.

One YAML file per robot in config/robots/. Limits of a policy's contract and of the robot both
hold; the tighter one acts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from liquid_control.common.errors import ConfigError
from liquid_control.common.files import FileError, read_bounded
from liquid_control.common.plain_yaml import read_yaml
from liquid_control.common.records import read_record
from liquid_control.contract import bounds
from liquid_control.contract.commands import TWIST_AXES, axis_of, check_limits

MAX_FILE_BYTES = 64 << 10


@dataclass(frozen=True)
class CommandLimits:
    """Limits of one command; u is the command's unit."""

    min: float
    max: float
    max_rate: float
    """u/s; for speed the acceleration."""
    max_fall_rate: float = 0.0
    """u/s towards zero, for speed the deceleration; 0 means max_rate."""
    max_acceleration: float = math.inf
    """u/s^2: how fast the rate itself may change."""
    fast_speed: float = math.inf
    """m/s: at and above this speed `max_rate_fast` holds, below it is interpolated."""
    max_rate_fast: float = 0.0
    """u/s at `fast_speed`."""

    def __post_init__(self) -> None:
        if not self.min < self.max:
            raise ConfigError(f'min < max is needed, found {self.min} and {self.max}')
        bounds.check(
            'limits',
            ConfigError,
            max_rate=self.max_rate,
            max_fall_rate=self.max_fall_rate,
            max_acceleration=self.max_acceleration,
            fast_speed=self.fast_speed,
            max_rate_fast=self.max_rate_fast,
        )
        if math.isfinite(self.fast_speed) and not 0 < self.max_rate_fast <= self.max_rate:
            raise ConfigError(
                'fast_speed needs 0 < max_rate_fast <= max_rate, '
                f'found {self.max_rate_fast} and {self.max_rate}'
            )

    def largest_rate(self, value: float, goal: float, speed: float) -> float:
        """Largest rate on the way from a value to a goal at a speed (m/s), u/s."""
        towards_zero = abs(goal) < abs(value) and goal * value >= 0
        if towards_zero and self.max_fall_rate:
            return self.max_fall_rate
        return self.rate_at(speed)

    def rate_at(self, speed: float) -> float:
        """Largest rate at a speed (m/s), u/s."""
        if not math.isfinite(self.fast_speed):
            return self.max_rate
        share = min(abs(speed) / self.fast_speed, 1.0)
        return self.max_rate + share * (self.max_rate_fast - self.max_rate)


@dataclass(frozen=True)
class Landing:
    """How a flying robot comes down when nobody flies it any more."""

    after: float
    """It hovers for so long before, s."""
    speed: float
    """Then it sinks this fast, m/s."""

    def __post_init__(self) -> None:
        bounds.check('land', ConfigError, after=self.after)
        bounds.check('land', ConfigError, **{'sinking speed': self.speed})


@dataclass(frozen=True)
class Fence:
    """Where a robot may be, by its odometry; outside, nothing takes it further away."""

    radius: float
    """From the origin of the odometry, m."""
    height: tuple[float, float]
    """Lowest and highest, m above the origin."""
    tilt: float
    """Largest angle from upright, rad."""
    max_age: float = 0.5
    """The robot stops when its pose is older, s."""

    def __post_init__(self) -> None:
        low, high = self.height
        for height in self.height:
            bounds.check('fence', ConfigError, **{'fence height': height})
        bounds.check(
            'fence', ConfigError, radius=self.radius, tilt=self.tilt, max_age=self.max_age
        )
        if not low < high:
            raise ConfigError(f'fence: height must be two increasing numbers, found {low}, {high}')


@dataclass(frozen=True)
class Robot:
    """What the policy node must know of the robot it drives."""

    name: str
    limits: dict[str, CommandLimits]
    """By command name."""
    wheelbase: float | None = None
    """Distance between the axles, m; joins steering angle and yaw rate."""
    land: Landing | None = None
    """Of a flying robot; None: it hovers until somebody takes it."""
    fence: Fence | None = None
    offboard: bool = False
    """It follows commands only while its flight controller is armed and in offboard mode."""

    def __post_init__(self) -> None:
        for name, limits in self.limits.items():
            where = f'limits.{name}: min and max'
            check_limits(where, name, ConfigError, limits.min, limits.max)
            rests = axis_of(name).stop == 'zero' or axis_of(name).family != 'joint'
            if rests and not limits.min <= 0 <= limits.max:
                raise ConfigError(
                    f'{where}: min <= 0 <= max is needed, found {limits.min} and {limits.max}'
                )
        if self.wheelbase is not None:
            bounds.check('robot', ConfigError, wheelbase=self.wheelbase)
        elif 'steering_angle' in self.limits:
            raise ConfigError(
                'a robot with a steering_angle needs its wheelbase, the distance between its '
                'axles in m: wheelbase: 0.325'
            )
        if self.land is not None:
            self._check_landing(self.land)
        if self.fence is not None and not set(self.limits) & {*TWIST_AXES, 'speed'}:
            raise ConfigError('fence: the robot has no velocity that a fence could limit')

    def _check_landing(self, land: Landing) -> None:
        lowest = self.limits['velocity_z'].min if 'velocity_z' in self.limits else 0.0
        if land.speed > -lowest:
            raise ConfigError(
                f'land: a speed of {land.speed:g} m/s needs limits.velocity_z.min of at most '
                f'{-land.speed:g}, found {lowest:g}'
            )

    @classmethod
    def load(cls, path: str | Path) -> Robot:
        """Read a robot file.

        Raises:
            ConfigError: missing, not YAML, or with a field that cannot be.
        """
        path = Path(path)
        try:
            text = read_bounded(path, MAX_FILE_BYTES)
        except (OSError, ValueError, FileError) as error:
            raise ConfigError(
                f'robot file {path} cannot be read ({error}): expected YAML like '
                'config/robots/simulated_car.yaml'
            ) from error
        document = read_yaml(text, where=str(path), error=ConfigError)
        return read_record(cls, document, where=str(path), error=ConfigError)
