# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Closed-loop drives in simulated time: how well does a driver get round a track?

No ROS and no waiting, so that training can score policies as fast as the machine allows. A policy
is driven by the `Controller` that drives the robot: newest value of each sensor at every tick,
measured elapsed time, safety envelope. Only a tick's own duration is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from liquid_control.common.assets import robot_file
from liquid_control.common.errors import ConfigError
from liquid_control.contract.bundle import read_contract
from liquid_control.contract.modes import Mode
from liquid_control.contract.robot import Robot
from liquid_control.rollout import messages
from liquid_control.rollout.tasks import task_kind
from liquid_control.runtime.control.controller import Controller, Tick
from liquid_control.runtime.control.fence import RobotPose
from liquid_control.runtime.control.runner import Frame, PolicyRunner
from liquid_control.runtime.inference.policy import Policy
from liquid_control.sim.protocols import Command, Sample
from liquid_control.sim.robots import simulate_car
from liquid_control.sim.simulator import Simulator

LOST = 1.5
"""A drive ends when the car is further than this from the centre line, m."""

_SLOWEST = 0.3
"""A drive ends when its laps would have been done at this speed, m/s."""


class Driver(Protocol):
    """Whatever drives the car: told of every sample, asked for a command at every tick."""

    def sense(self, sample: Sample) -> None:
        """Take note of a sample; they come in time order."""

    def act(self, now_ns: int) -> Command:
        """Return the command of the tick at `now_ns`."""


@dataclass(frozen=True)
class Rollout:
    """How a drive went.

    problem: why the laps were not finished on the road, '' when they were
    lap_times: s
    max_offset, mean_offset: distance from the centre line, m
    departures: how often the car left the road
    """

    seed: int
    problem: str
    lap_times: tuple[float, ...]
    max_offset: float
    mean_offset: float
    departures: int
    duration: float
    """Simulated, s."""


@lru_cache
def simulated_robot(name: str) -> Robot:
    """Limits of a simulated robot, as its robot file has them."""
    return Robot.load(robot_file(f'simulated_{name}'))


def kept_policy(bundle: Path) -> Policy:
    """A policy from a bundle's directory, loaded once in a process while its contract is the same.

    Loading takes as long as a second of driving. Whoever drives with it has it to himself until he
    is done, and finds its state at zero.

    Raises:
        BundleError: the bundle is missing or damaged.
    """
    if not bundle.is_dir():
        return Policy.load(bundle)  # says what is missing
    policy = _kept(bundle.resolve(), read_contract(bundle))
    policy.reset()
    return policy


@lru_cache(maxsize=4)
def _kept(bundle: Path, contract: bytes) -> Policy:
    """By the whole contract, which holds the hash of every graph."""
    return Policy.load(bundle)


class PolicyDriver:
    """A policy bundle at the wheel, engaged as soon as its sensors are alive.

    Args:
        robot: which one, by name.
        on_mode: told of every change of mode, with its reason.

    Raises:
        ConfigError: the policy does not command what the robot takes.
    """

    def __init__(
        self,
        policy: Policy,
        robot: str = 'car',
        *,
        on_mode: Callable[[Mode, str], None] = lambda mode, reason: None,
    ) -> None:
        names, takes = policy.contract.command_names, task_kind(robot).commands
        if sorted(names) != sorted(takes):
            raise ConfigError(
                f'the simulated {robot} takes {" and ".join(takes)}, policy '
                f'{policy.contract.name} commands {list(names)}: choose one trained for it'
            )
        policy.reset()
        # Simulated time does not pass while the network computes: no step is too slow.
        self._runner = PolicyRunner(policy, time_budget=math.inf)
        # A hand on the wheel is renewed at every tick, or it is none.
        self._controller = Controller(
            self._runner,
            simulated_robot(robot),
            on_mode=on_mode,
            override_timeout=0.5 / policy.contract.control_rate,
        )
        self._policy = policy
        self._newest: dict[str, Sample] = {}

    def sense(self, sample: Sample) -> None:
        """Keep the newest of everything: who acts less often than a camera sees needs no more."""
        self._newest[sample.sensor] = sample

    def take_over(self, command: Command, now_ns: int) -> None:
        """Let somebody else drive the tick at `now_ns`; the policy goes on after it."""
        names = self._policy.contract.command_names
        self._controller.override([command[name] for name in names], now_ns)

    def tick(self, now_ns: int) -> Tick:
        """One control tick, with all that is known of it."""
        self._ingest()
        if self._controller.mode is Mode.DISENGAGED:
            self._controller.engage(now_ns)
        return self._controller.tick(now_ns)

    def act(self, now_ns: int) -> Command:
        """One control tick."""
        return self.command(self.tick(now_ns))

    def command(self, tick: Tick) -> Command:
        """What a tick tells the robot."""
        if tick.command is None:
            return dict.fromkeys(self._policy.contract.command_names, 0.0)
        return dict(zip(self._policy.contract.command_names, tick.command, strict=True))

    def _ingest(self) -> None:
        """Read what was sensed as the robot does, message by message."""
        for sensor in sorted(self._newest):  # a goal before the odometry that it is seen from
            sample = self._newest[sensor]
            if sensor == 'image':
                frame = Frame(sample.value, sample.stamp_ns, sample.stamp_ns)
                self._runner.encode('image', frame)
                continue
            topic, msgtype, data = messages.encode(sample)
            arrived = sample.stamp_ns, sample.stamp_ns
            for refusal in self._runner.ingest.deliver(topic[1:], msgtype, data, *arrived):
                raise refusal
            if sensor == 'odom' and self._controller.pose is not None:
                motion = sample.value
                pose = RobotPose.of((motion.x, motion.y, motion.z), motion.orientation)
                self._controller.pose.put(pose, *arrived)
        self._newest.clear()


def step(simulator: Simulator[Any, Any], driver: Driver, until_ns: int) -> None:
    """One control step: the driver acts on what it knows, then senses until the next step."""
    command = driver.act(simulator.time_ns)
    for sample in simulator.step(command, until_ns - simulator.time_ns):
        driver.sense(sample)


def drive(
    driver: Driver,
    seed: int,
    *,
    laps: int = 2,
    control_rate: float = 20.0,
    difficulty: Mapping[str, float] | None = None,
    camera: bool = True,
) -> Rollout:
    """Let a driver do its laps on the track of a seed, from rest on the centre line.

    Args:
        control_rate: Hz.
        difficulty: of the world, see `TrackWorld`.
        camera: False for drivers that need no images.
    """
    offsets: list[float] = []
    tick, problem = 0, ''
    with simulate_car(seed, difficulty=difficulty, camera=camera) as simulator:
        longest_ns = laps * simulator.world.track.length / _SLOWEST * 1e9
        while len(simulator.status.lap_times) < laps:
            tick += 1
            step(simulator, driver, round(tick * 1e9 / control_rate))
            status = simulator.status
            offsets.append(abs(status.place.offset))
            if offsets[-1] > LOST:
                problem = f'the car was lost {offsets[-1]:.1f} m from the centre line'
                break
            if simulator.time_ns > longest_ns:
                problem = f'the car did not finish at {_SLOWEST} m/s or more'
                break
        duration = simulator.time_ns / 1e9
    problem = problem or status.problem
    return Rollout(
        seed=seed,
        problem=problem,
        lap_times=status.lap_times,
        max_offset=status.max_offset,
        mean_offset=float(np.mean(offsets)),
        departures=status.departures,
        duration=duration,
    )
