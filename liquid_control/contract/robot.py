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
        if not self.min <= 0 <= self.max or self.min == self.max:
            raise ConfigError(f'min <= 0 <= max is needed, found {self.min} and {self.max}')
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
class Robot:
    """What the policy node must know of the robot it drives."""

    name: str
    wheelbase: float
    """Distance between the axles, m; joins steering angle and yaw rate."""
    limits: dict[str, CommandLimits]
    """By command name."""

    def __post_init__(self) -> None:
        bounds.check('robot', ConfigError, wheelbase=self.wheelbase)
        for name, limits in self.limits.items():
            where = f'limits.{name}: min and max'
            bounds.check_command(where, name, ConfigError, limits.min, limits.max)

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
