# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Flights of a quadrotor to its target: held before it, crashed, strayed, or too late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from liquid_control.common.jobs import CancelledError, IsCancelled, run_all
from liquid_control.rollout.driver import PolicyDriver, kept_policy, step
from liquid_control.runtime.inference.policy import Policy
from liquid_control.sim.robots import simulate_quadrotor


@dataclass(frozen=True)
class Flight:
    """How one flight ended.

    outcome: of `liquid_control.sim.outdoors_world`
    seconds: simulated
    distance, nearest: from the target at the end, and at its least, m
    """

    outcome: str
    seconds: float
    distance: float
    nearest: float


def evaluate_holding(
    bundle: Path,
    seeds: Sequence[int],
    *,
    workers: int = 2,
    console: Console | None = None,
) -> list[Flight]:
    """Let a policy bundle fly to the target of every seed's world, in several processes."""
    return run_all(
        partial(_evaluate, bundle),
        seeds,
        title='targets in unseen places',
        workers=workers,
        console=console,
    )


def fly(
    policy: Policy,
    seed: int,
    *,
    difficulty: Mapping[str, float] | None = None,
    scene: str | None = None,
    is_cancelled: IsCancelled = lambda: False,
) -> Flight:
    """One flight of a policy, from its start to its outcome.

    Raises:
        CancelledError: `is_cancelled` returned True.
    """
    driver, period_ns = PolicyDriver(policy, 'quadrotor'), policy.contract.period_ns
    with simulate_quadrotor(seed, difficulty=difficulty, scene=scene) as simulator:
        tick = 0
        while not simulator.status.outcome:
            if is_cancelled():
                raise CancelledError
            tick += 1
            step(simulator, driver, tick * period_ns)
        status = simulator.status
    return Flight(status.outcome, status.stamp_ns / 1e9, status.distance, status.nearest)


def _evaluate(bundle: Path, seed: int, is_cancelled: IsCancelled) -> Flight:
    return fly(kept_policy(bundle), seed, is_cancelled=is_cancelled)
