# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Drives of a rover to its goal in unseen rooms: reached, touched, or too late; how long a way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from liquid_control.common.jobs import CancelledError, IsCancelled, run_all
from liquid_control.rollout.driver import Driver, PolicyDriver, kept_policy, step
from liquid_control.rollout.rover_expert import RoverExpert
from liquid_control.sim.protocols import Command, Sample
from liquid_control.sim.robots import RoverSimulator, simulate_rover
from liquid_control.sim.rooms_world import ReachStatus

REACHED, TOUCHED, TOO_LATE = 'reached', 'touched', 'too late'


@dataclass(frozen=True)
class Reach:
    """How one drive ended.

    outcome: REACHED without having touched anything, TOUCHED or TOO_LATE
    seconds: simulated
    driven: length of the path, m
    expert: length of the expert's path in the same rooms, m
    """

    seed: int
    outcome: str
    seconds: float
    driven: float
    expert: float

    @property
    def detour(self) -> float:
        """The path's length as a share of the expert's."""
        return self.driven / self.expert


def evaluate_reaching(
    bundle: Path,
    seeds: Sequence[int],
    *,
    difficulty: Mapping[str, float] | None = None,
    workers: int = 2,
    console: Console | None = None,
) -> list[Reach]:
    """Let a policy bundle drive to the goal in the rooms of every seed, in several processes."""
    return run_all(
        partial(_evaluate, bundle, difficulty),
        seeds,
        title='goals in unseen rooms',
        workers=workers,
        console=console,
    )


def drive_to_goal(
    make_driver: Callable[[RoverSimulator], Driver],
    seed: int,
    *,
    control_rate: float,
    difficulty: Mapping[str, float] | None = None,
    is_cancelled: IsCancelled = lambda: False,
) -> ReachStatus:
    """Drive from the start until the goal is reached or the drive has failed.

    Raises:
        CancelledError: `is_cancelled` returned True.
    """
    with simulate_rover(seed, difficulty=difficulty) as simulator:
        driver, tick = make_driver(simulator), 0
        while not (simulator.status.reached or simulator.status.problem):
            if is_cancelled():
                raise CancelledError
            tick += 1
            step(simulator, driver, round(tick * 1e9 / control_rate))
        return simulator.status


class ExpertDriver:
    """The expert, which needs no sensors."""

    def __init__(self, simulator: RoverSimulator) -> None:
        self._simulator = simulator
        self._expert = RoverExpert(simulator.world.rooms)

    def sense(self, sample: Sample) -> None:
        """It knows everything."""

    def act(self, now_ns: int) -> Command:
        """What the expert does."""
        return self._expert.command(self._simulator.motion, now_ns)


def reach(
    bundle: Path,
    seed: int,
    *,
    difficulty: Mapping[str, float] | None = None,
    is_cancelled: IsCancelled = lambda: False,
) -> Reach:
    """One drive of a policy bundle to the goal, and the expert's in the same rooms."""
    policy = kept_policy(bundle)
    rate = policy.contract.control_rate
    status, expert = (
        drive_to_goal(
            make, seed, control_rate=rate, difficulty=difficulty, is_cancelled=is_cancelled
        )
        for make in (lambda simulator: PolicyDriver(policy, 'rover'), ExpertDriver)
    )
    outcome = TOUCHED if status.touches else REACHED if status.reached else TOO_LATE
    return Reach(seed, outcome, status.seconds, status.driven, expert.driven)


def _evaluate(
    bundle: Path, difficulty: Mapping[str, float] | None, seed: int, is_cancelled: IsCancelled
) -> Reach:
    return reach(bundle, seed, difficulty=difficulty, is_cancelled=is_cancelled)
