# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A robot in a world as a plain class: a command in, timed samples of its sensors out.

Time is simulated time in integer nanoseconds from 0 at the start; nothing here knows of ROS or of
the wall clock. Same seed, same options, same commands: the same samples, bit by bit (on one
machine, with one version of MuJoCo and of the OpenGL driver).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.protocols import (
    PREFIX,
    Command,
    Motion,
    Pose,
    RobotModel,
    Sample,
    Scene,
    Sensor,
    Status,
    TakingSensor,
    World,
)

HELD_OUT_SEEDS = (101, 102, 103)
"""Worlds for judging policies; no training ever sees them."""

SELECTION_SEEDS = tuple(range(201, 211))
"""Worlds for choosing among policies; no training sees these either."""

EVALUATION_SEEDS = range(5000, 6000)
"""Worlds for judging policies once they have been chosen, by the hundred; nor these."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where a robot was at a time, all of its joints."""

    time_ns: int
    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]


W = TypeVar('W', bound=World[Status])
S = TypeVar('S', bound=Status)


class Schedule:
    """When something of a given rate is due: first after one period, then without drift.

    Attributes:
        due_ns: the next time.
    """

    def __init__(self, rate: float) -> None:
        if not rate > 0.0:
            raise ValueError(f'a rate must be > 0 Hz, got {rate}')
        self._rate = rate
        self.restart()

    def restart(self) -> None:
        """Begin again at time 0."""
        self._count = 1
        self.due_ns = round(1e9 / self._rate)

    def is_due(self, time_ns: int) -> bool:
        """Whether it is due by `time_ns`; if so, the next one is a period later."""
        if time_ns < self.due_ns:
            return False
        self.move_on()
        return True

    def move_on(self) -> None:
        """The next one is due a period later."""
        self._count += 1
        self.due_ns = round(self._count * 1e9 / self._rate)


class Simulator(Generic[W, S]):
    """One robot, one world, one seed.

    Use it in one thread (a camera's OpenGL context demands it) and `close` it, or use `with`.

    Attributes:
        step_ns: one physics step.
        time_ns: simulated time since the last reset.
    """

    def __init__(self, world: W, robot: RobotModel, sensors: Sequence[Sensor]) -> None:
        self.world, self.robot, self.sensors = world, robot, tuple(sensors)
        self.model = assemble(world, robot, sensors)
        self.data = mujoco.MjData(self.model)
        self.step_ns = round(self.model.opt.timestep * 1e9)
        robot.bind(self.model, self.data)
        world.bind(self.model, self.data)
        if any(sensor.renders for sensor in sensors):
            world.paint(self.model)  # before a renderer takes the textures
        scene = Scene(self.model, self.data, world, robot)
        for sensor in sensors:
            sensor.bind(scene)
        self._due = [(Schedule(sensor.rate), sensor.name, _taking(sensor)) for sensor in sensors]
        self._judge_due = Schedule(world.judge_rate)
        self._schedules = [self._judge_due, *(schedule for schedule, *_ in self._due)]
        self.reset()

    def reset(self, pose: Pose | None = None) -> None:
        """Start again at time 0, with the robot at rest: at a pose, or where the world begins."""
        self.time_ns = 0
        self.world.advance(0)
        self.robot.place(self.world.start if pose is None else pose)
        for schedule in self._schedules:
            schedule.restart()
        for sensor in self.sensors:
            sensor.reset(self.world.seed)
        self._judge = self.world.judge(0, self.motion)
        self._find_next()

    def snapshot(self) -> Snapshot:
        """Where the robot is now; `show` puts it there again."""
        return Snapshot(self.time_ns, self.data.qpos.copy(), self.data.qvel.copy())

    def show(self, snapshot: Snapshot, move: Pose | None = None) -> None:
        """Show the sensors a robot as it was, here or in another world; nothing else happens.

        Its velocities turn with it, and the way that it came is not driven again: only `read`
        sensors afterwards, and `reset` before it drives on.

        Args:
            move: by how much it is moved, along and about its own upright axes.
        """
        self.time_ns = snapshot.time_ns
        self.world.advance(snapshot.time_ns)
        self.data.qpos[:], self.data.qvel[:] = snapshot.positions, snapshot.velocities
        if move is not None:
            self._move(move)
        mujoco.mj_forward(self.model, self.data)

    def _move(self, move: Pose) -> None:
        yaw, root = self.motion.yaw, self.model.joint(f'{PREFIX}root')
        position, velocity = int(root.qposadr[0]), int(root.dofadr[0])
        cosine, sine = math.cos(yaw), math.sin(yaw)
        self.data.qpos[position] += cosine * move.x - sine * move.y
        self.data.qpos[position + 1] += sine * move.x + cosine * move.y
        self.data.qpos[position + 2] += move.z
        turn = np.array([math.cos(move.yaw / 2.0), 0.0, 0.0, math.sin(move.yaw / 2.0)])
        attitude = self.data.qpos[position + 3 : position + 7].copy()
        mujoco.mju_mulQuat(self.data.qpos[position + 3 : position + 7], turn, attitude)
        linear = self.data.qvel[velocity : velocity + 3].copy()
        mujoco.mju_rotVecQuat(self.data.qvel[velocity : velocity + 3], linear, turn)

    @property
    def motion(self) -> Motion:
        """Where the robot is now and how it moves."""
        return self.robot.motion()

    @property
    def status(self) -> S:
        """How the episode goes, as of the last look."""
        return self._judge.status  # type: ignore[return-value]  # S is what W's judge says

    def step(self, command: Command, duration_ns: int) -> list[Sample]:
        """Go on for `duration_ns` under one command; return what the sensors saw, in time order.

        Time moves in whole physics steps and never past the end of the duration. For a control
        period that is no multiple of one, ask for `next_tick_ns - simulator.time_ns`.
        """
        end_ns = self.time_ns + duration_ns
        samples: list[Sample] = []
        while self.time_ns + self.step_ns <= end_ns:
            self.world.advance(self.time_ns)
            self.robot.advance(command)
            self.time_ns += self.step_ns
            if self.time_ns >= self._next_ns:
                self._sense(samples)
        return samples

    def _sense(self, samples: list[Sample]) -> None:
        now = self.time_ns
        for schedule, name, take in self._due:
            if schedule.due_ns <= now:
                schedule.move_on()
                samples.append(Sample(name, now, take(now)))
        if self._judge_due.due_ns <= now:
            self._judge_due.move_on()
            self._judge.look(now, self.motion)
        self._find_next()

    def _find_next(self) -> None:
        """When anything is due again: between two such times a step is physics alone."""
        self._next_ns = min([schedule.due_ns for schedule in self._schedules])

    def close(self) -> None:
        """Free the sensors, renderers among them."""
        for sensor in self.sensors:
            sensor.close()

    def __enter__(self) -> Simulator[W, S]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def assemble(world: World[Status], robot: RobotModel, sensors: Sequence[Sensor]) -> mujoco.MjModel:
    """Compile the model of a robot with its sensors in a world."""
    body, whole = robot.spec(), world.spec()
    for sensor in sensors:
        sensor.mount(body)
    whole.option = body.option
    whole.worldbody.add_frame().attach_body(body.worldbody.first_body(), PREFIX, '')
    return whole.compile()


def _taking(sensor: Sensor) -> Callable[[int], Callable[[], Any]]:
    """How to take a sample now that is looked at later."""
    if isinstance(sensor, TakingSensor):
        return sensor.take

    def take(now: int) -> Callable[[], Any]:
        value = sensor.read(now)
        return lambda: value

    return take
