# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the simulated robots are asked to do, one task for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from liquid_control.common.errors import ConfigError
from liquid_control.rollout.tasks.base import Task
from liquid_control.rollout.tasks.flight import FlightTask
from liquid_control.rollout.tasks.reach import ReachTask
from liquid_control.rollout.tasks.track import TrackTask
from liquid_control.sim.car import Car
from liquid_control.sim.outdoors_world import OutdoorsWorld
from liquid_control.sim.quadrotor import Quadrotor
from liquid_control.sim.road import difficulties as road
from liquid_control.sim.robots import simulate
from liquid_control.sim.rooms_world import RoomsWorld
from liquid_control.sim.rover import Rover
from liquid_control.sim.simulator import Simulator
from liquid_control.sim.track_world import TrackWorld


@dataclass(frozen=True)
class TaskKind:
    """What is known of a robot's task before there is a world.

    make: of an open simulation
    difficulties: of its worlds
    commands: that the robot takes
    seconds: how long an expert's recording is usually
    command_rate: how often the expert's answer is recorded, Hz: finer than any control rate, so
        that every tick finds a command for its own pose
    presets: names for several difficulties at once
    held_out: difficulties that are never recorded for training
    """

    make: Callable[[Simulator[Any, Any]], Task]
    difficulties: Mapping[str, str]
    commands: tuple[str, ...]
    seconds: float
    command_rate: int = 50
    presets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    held_out: tuple[str, ...] = ()


TASKS: dict[str, TaskKind] = {
    'car': TaskKind(
        TrackTask,
        TrackWorld.difficulties,
        Car.commands,
        40.0,
        presets=road.PRESETS,
        held_out=road.HELD_OUT,
    ),
    'quadrotor': TaskKind(
        FlightTask, OutdoorsWorld.difficulties, Quadrotor.commands, seconds=14.0
    ),
    'rover': TaskKind(
        ReachTask, RoomsWorld.difficulties, Rover.commands, seconds=60.0, command_rate=20
    ),
}
"""By the name of the robot."""


def task_kind(robot: str) -> TaskKind:
    """The kind of task of a robot by name. Raises ConfigError where there is none."""
    if robot not in TASKS:
        raise ConfigError(f'the robot must be one of {", ".join(TASKS)}, found {robot!r}')
    return TASKS[robot]


def robot_of(commands: Sequence[str]) -> str:
    """The simulated robot that takes these commands. Raises ConfigError where there is none."""
    for name, kind in TASKS.items():
        if sorted(kind.commands) == sorted(commands):
            return name
    known = '; '.join(f'{name}: {", ".join(kind.commands)}' for name, kind in TASKS.items())
    raise ConfigError(f'no simulated robot takes {", ".join(commands)}; there are {known}')


@contextmanager
def open_task(
    robot: str, seed: int, difficulty: Mapping[str, float] | None = None, **options: Any
) -> Iterator[Task]:
    """A robot's task in the world of a seed; the simulation ends with the block.

    Args:
        difficulty, options: see the robot's function in `liquid_control.sim.robots.ROBOTS`.

    Raises:
        ConfigError: there is no such robot, or its options are wrong.
        RenderingError: this machine cannot render.
    """
    kind = task_kind(robot)
    with simulate(robot, seed, difficulty=difficulty, **options) as simulator:
        yield kind.make(simulator)


__all__ = ['TASKS', 'Task', 'TaskKind', 'open_task', 'robot_of', 'task_kind']
