# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Failures of a policy on unseen tracks: laps are driven to their end, whatever happens.

A failure is a car that leaves the road, touches something, or hardly moves any more. It is put
back at rest on the centre line, half a metre further on, and goes on with a policy that starts
anew: a bad place counts once, and every lap comes to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from liquid_control.common.jobs import CancelledError, IsCancelled, run_all
from liquid_control.rollout.driver import Driver, PolicyDriver, kept_policy, step
from liquid_control.sim.robots import CarSimulator, simulate_car

_FORWARD = 0.5
"""How much further on a car is put back, m."""
_PATIENCE_NS = 5_000_000_000
_SLOWEST = 0.3
"""A car that is slower than this over the time of patience hardly moves, m/s."""


@dataclass(frozen=True)
class Laps:
    """How a driver got round one track.

    failures: how often the car had to be put back
    distance: m along the centre line
    mean_offset, max_offset: distance from the centre line at the control ticks, m
    duration: simulated, s
    """

    seed: int
    laps: int
    failures: int
    distance: float
    mean_offset: float
    max_offset: float
    duration: float


def evaluate_laps(
    bundle: Path,
    seeds: Sequence[int],
    *,
    laps: int = 1,
    workers: int = 2,
    console: Console | None = None,
) -> list[Laps]:
    """Let a policy bundle drive its laps on the track of every seed, in several processes."""
    return run_all(
        partial(_evaluate, bundle, laps),
        seeds,
        title='laps on unseen tracks',
        workers=workers,
        console=console,
    )


def drive_laps(
    make_driver: Callable[[], Driver],
    seed: int,
    *,
    laps: int,
    control_rate: float,
    difficulty: Mapping[str, float] | None = None,
    camera: bool = True,
    is_cancelled: IsCancelled = lambda: False,
) -> Laps:
    """Drive the laps of one track from rest, with a new driver after every failure.

    Args:
        control_rate: Hz.
        difficulty: of the world, see `TrackWorld`.
        camera: False for drivers that need no images.

    Raises:
        CancelledError: `is_cancelled` returned True.
    """
    offsets: list[float] = []
    done, failures, duration_ns = 0.0, 0, 0
    with simulate_car(seed, difficulty=difficulty, camera=camera) as simulator:
        track = simulator.world.track
        distance = laps * track.length
        while done < distance:
            if is_cancelled():
                raise CancelledError
            done += simulator.world.traffic.free_ahead(done)
            simulator.reset(simulator.world.pose_at(station=done % track.length))
            failed = _drive_until_failure(
                simulator, make_driver(), distance - done, control_rate, offsets
            )
            duration_ns += simulator.time_ns
            done += max(simulator.status.progress, 0.0) + _FORWARD * failed
            failures += failed
    return Laps(
        seed=seed,
        laps=laps,
        failures=failures,
        distance=distance,
        mean_offset=float(np.mean(offsets)),
        max_offset=float(np.max(offsets)),
        duration=duration_ns / 1e9,
    )


def _drive_until_failure(
    simulator: CarSimulator,
    driver: Driver,
    distance: float,
    control_rate: float,
    offsets: list[float],
) -> bool:
    """Drive from rest for a distance or until a failure; returns whether there was one."""
    tick, seen_ns, seen_at = 0, 0, 0.0
    while simulator.status.progress < distance:
        tick += 1
        step(simulator, driver, round(tick * 1e9 / control_rate))
        status = simulator.status
        offsets.append(abs(status.place.offset))
        if status.departures or status.collisions:
            return True
        if simulator.time_ns - seen_ns >= _PATIENCE_NS:
            if status.progress - seen_at < _SLOWEST * _PATIENCE_NS / 1e9:
                return True
            seen_ns, seen_at = simulator.time_ns, status.progress
    return False


def _evaluate(bundle: Path, laps: int, seed: int, is_cancelled: IsCancelled) -> Laps:
    policy = kept_policy(bundle)
    return drive_laps(
        lambda: PolicyDriver(policy),
        seed,
        laps=laps,
        control_rate=policy.contract.control_rate,
        is_cancelled=is_cancelled,
    )
