# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a simulation is made of: a world, a robot in it, and the sensors on the robot.

Each of the three knows nothing of the others' kind. A robot is an MJCF body with actuators and a
reset; a world is drawn from a seed, with a strength from 0 to 1 for each of its difficulties; a
sensor reads one value at its own rate, and that value is what its message carries.
`liquid_control.sim.simulator` puts them together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:  # who only judges a recording needs no simulator
    import mujoco

Command = Mapping[str, float]
"""What a driver asks of a robot: a value in SI units for each of the robot's commands."""

PREFIX = 'robot/'
"""Of the names of everything that belongs to the robot, in the compiled model."""


@dataclass(frozen=True)
class Pose:
    """Where a robot is put down: x, y, z of its `base_link` in m, yaw in rad."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    z: float = 0.0


@dataclass(frozen=True)
class Motion:
    """Pose of `base_link` in the world, and its velocity along and about its own axes.

    x, y, z: m; yaw, pitch, roll: rad, in this order about z, y and x (REP-103)
    speed, velocity_y, velocity_z: m/s forward, to the left, up
    yaw_rate, pitch_rate, roll_rate: rad/s about z, y and x
    """

    x: float
    y: float
    yaw: float
    speed: float
    yaw_rate: float
    z: float = 0.0
    roll: float = 0.0
    pitch: float = 0.0
    velocity_y: float = 0.0
    velocity_z: float = 0.0
    roll_rate: float = 0.0
    pitch_rate: float = 0.0

    @property
    def orientation(self) -> tuple[float, float, float, float]:
        """The quaternion x, y, z, w of yaw, pitch and roll."""
        sy, cy = math.sin(self.yaw / 2.0), math.cos(self.yaw / 2.0)
        sp, cp = math.sin(self.pitch / 2.0), math.cos(self.pitch / 2.0)
        sr, cr = math.sin(self.roll / 2.0), math.cos(self.roll / 2.0)
        return (
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
            cr * cp * cy + sr * sp * sy,
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """What one sensor saw at one time.

    look: works the value out, when somebody first asks for it
    """

    sensor: str
    stamp_ns: int
    look: Callable[[], Any]

    @cached_property
    def value(self) -> Any:
        """What that kind of sensor returns."""
        return self.look()


class RobotModel(Protocol):
    """A body with actuators. The world's difficulties are none of its business."""

    name: ClassVar[str]
    """As in `liquid_control.sim.robots.ROBOTS`, and of its file: config/robots/simulated_NAME."""
    commands: ClassVar[tuple[str, ...]]
    """What it takes, as policies and recordings name it."""

    def spec(self) -> mujoco.MjSpec:
        """A fresh MJCF tree: the robot is its first body, its options are those of the physics.

        Whatever is in it bears the name it has there behind `PREFIX` in the compiled model.
        """

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Live in this model from now on."""

    def place(self, pose: Pose) -> None:
        """Reset all that moves in the model, and put the robot down, at rest."""

    def advance(self, command: Command) -> None:
        """One physics step under a command, within the limits of the hardware."""

    def motion(self) -> Motion:
        """Where it is and how it moves."""


class Status(Protocol):
    """How an episode goes, from ground truth."""

    @property
    def stamp_ns(self) -> int:
        """When this was so."""

    @property
    def motion(self) -> Motion:
        """Where the robot was."""

    @property
    def problem(self) -> str:
        """Why it counts as failed; '' while it does not."""


Seen = TypeVar('Seen', bound=Status, covariant=True)


class Judge(Protocol[Seen]):
    """Follows one episode."""

    @property
    def status(self) -> Seen:
        """How it goes."""

    def look(self, stamp_ns: int, motion: Motion) -> None:
        """Take note of where the robot is at a time."""


class World(Protocol[Seen]):
    """Everything but the robot: ground, things, light, what moves by itself, what is asked."""

    difficulties: ClassVar[Mapping[str, str]]
    """Names of what can be made harder, and what each one does; a strength is from 0 to 1."""

    judge_rate: ClassVar[float]
    """How often an episode is looked at, Hz."""

    @property
    def seed(self) -> int:
        """What it was drawn from."""

    @property
    def start(self) -> Pose:
        """Where an episode begins."""

    def spec(self) -> mujoco.MjSpec:
        """A fresh MJCF tree without the robot."""

    def paint(self, model: mujoco.MjModel) -> None:
        """Fill the textures of the compiled model; only where somebody looks."""

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Live in this model from now on."""

    def advance(self, time_ns: int) -> None:
        """Move what moves by itself to where it is at a time; before each physics step."""

    def judge(self, stamp_ns: int, motion: Motion) -> Judge[Seen]:
        """Who follows an episode that begins at this time and place."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What sensors read from."""

    model: mujoco.MjModel
    data: mujoco.MjData
    world: World[Any]
    robot: RobotModel


class Sensor(Protocol):
    """One sensor of one robot; `read` gives the value that its message carries."""

    name: str
    rate: float
    """Hz; at most that of the physics."""
    renders: ClassVar[bool]
    """Whether it looks at the world's textures, through OpenGL."""

    def mount(self, robot: mujoco.MjSpec) -> None:
        """Add to the robot's tree what it needs there, if anything."""

    def bind(self, scene: Scene) -> None:
        """Read from this scene from now on."""

    def reset(self, seed: int) -> None:
        """An episode begins: draw noise and biases anew from the seed."""

    def read(self, time_ns: int) -> Any:
        """The value now."""

    def close(self) -> None:
        """Free what the interpreter would not."""


@runtime_checkable
class TakingSensor(Protocol):
    """A sensor whose value costs much: it is worked out only when somebody asks for it."""

    def take(self, time_ns: int) -> Callable[[], Any]:
        """What gives the value of now, whenever it is called before the sensor is closed."""
