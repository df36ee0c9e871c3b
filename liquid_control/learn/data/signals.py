"""What is taken from a bag: the part of a recipe that decides what a dataset holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from liquid_control.common.errors import ConfigError
from liquid_control.contract import bounds
from liquid_control.contract.contract import CommandSpec, ImageSpec, SensorSpec


@dataclass(frozen=True)
class Topics:
    """Topic names, where a bag leaves more than one possibility.

    Attributes:
        mode: who drove (ControlMode).
        override: what a person commanded who took over.
    """

    image: str | None = None
    imu: str | None = None
    odom: str | None = None
    command: str | None = None
    mode: str | None = None
    override: str | None = None


NO_TOPICS = Topics()


@dataclass(frozen=True)
class Signals:
    """What is taken from a bag.

    Attributes:
        commands: what the policy learns to give.
        image, imu, speed: what it sees; None: not used.
        wheelbase: m, to tell a steering angle from a recorded yaw rate.
        topics: names, where the types in the bag do not decide.
    """

    commands: tuple[CommandSpec, ...]
    image: ImageSpec | None = None
    imu: SensorSpec | None = None
    speed: SensorSpec | None = None
    wheelbase: float = 0.325
    topics: Topics = NO_TOPICS

    def __post_init__(self) -> None:
        bounds.check('signals', ConfigError, wheelbase=self.wheelbase)

    @property
    def command_names(self) -> tuple[str, ...]:
        """In the order of the command vector."""
        return tuple(command.name for command in self.commands)

    def taken(self) -> dict[str, Any]:
        """Plain data that decides which arrays a bag becomes; rates, ages and ranges do not."""
        image = None
        if self.image is not None:
            source = [self.image.source_width, self.image.source_height]
            image = {
                'size': [self.image.width, self.image.height],
                'source': source,
                'crop': list(self.image.crop),
            }
        return {
            'image': image,
            'imu': self.imu is not None,
            'speed': self.speed is not None,
            'commands': list(self.command_names),
            'wheelbase': self.wheelbase,
            'topics': asdict(self.topics),
        }
