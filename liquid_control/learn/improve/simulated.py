# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Collector in the simulator: policies drive, the expert answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from liquid_control.common.errors import ConfigError
from liquid_control.contract.bundle import load_bundle
from liquid_control.learn.improve.improvement import Evaluation
from liquid_control.learn.train.recipe import Recipe
from liquid_control.rollout.dagger import Guided, guide, summarise
from liquid_control.rollout.holding import evaluate_holding
from liquid_control.rollout.laps import evaluate_laps
from liquid_control.rollout.reaching import REACHED, TOUCHED, evaluate_reaching
from liquid_control.rollout.tasks import robot_of
from liquid_control.sim.outdoors_world import CRASHED, HELD
from liquid_control.sim.simulator import SELECTION_SEEDS

FAILURES = 'failures per 10 laps'
OFFSET = 'mean offset from centre, cm'
STRETCH = 'mean stretch without failure, m'
FAILED = 'goals not reached, %'
MISSED = 'targets not held, %'


@dataclass(frozen=True)
class SimulatedCollector:
    """Guided drives in ever new worlds; evaluated by failures in worlds nobody collects in.

    drives, seconds: number of guided drives in a round, and simulated duration of each, s
    first_seed: of the guided drives, which count up from there
    evaluation_seeds: worlds to evaluate in; a car drives `laps` in each
    workers: processes
    """

    drives: int = 6
    seconds: float = 20.0
    first_seed: int = 1000
    evaluation_seeds: tuple[int, ...] = SELECTION_SEEDS
    laps: int = 1
    workers: int = 2
    console: Console | None = None

    def __post_init__(self) -> None:
        if self.drives < 1 or self.laps < 1 or self.seconds <= 0 or not self.evaluation_seeds:
            raise ConfigError(
                'drives, laps and seeds to evaluate on must be at least one and seconds > 0, '
                f'found {self.drives} drives of {self.seconds:g} s, {self.laps} laps on '
                f'{len(self.evaluation_seeds)} tracks'
            )
        if max(self.evaluation_seeds) >= self.first_seed:
            raise ConfigError(
                f'seeds from {self.first_seed} on are for collecting: evaluate on smaller ones, '
                f'found {max(self.evaluation_seeds)}'
            )

    @property
    def settings(self) -> dict[str, Any]:
        return {
            'collector': 'simulator',
            'drives': self.drives,
            'seconds': self.seconds,
            'first_seed': self.first_seed,
            'evaluation_seeds': list(self.evaluation_seeds),
            'laps': self.laps,
        }

    def recipe(self, recipe: Recipe) -> Recipe:
        # Whoever drove, the recorded command is the expert's.
        human = recipe.weights.human
        weights = replace(recipe.weights, interventions=human, autonomous=human)
        return replace(recipe, weights=weights)

    def record(self, number: int, policy: Path, folder: Path) -> list[Path]:
        first = self.first_seed + (number - 1) * self.drives
        drives = [Guided(first + i, self.seconds, policy) for i in range(self.drives)]
        return guide(drives, folder, workers=self.workers, console=self.console)

    def describe(self, bags: Sequence[Path]) -> dict[str, float]:
        parts = [summarise(bag) for bag in bags]
        return {
            'driven, s': self.seconds * len(parts),
            'takeovers': float(sum(part.takeovers for part in parts)),
            'driven by the expert': float(np.mean([part.expert_share for part in parts])),
        }

    def evaluate(self, policy: Path) -> Evaluation:
        robot = robot_of(load_bundle(policy).contract.command_names)
        if robot == 'car':
            return self._evaluate_laps(policy)
        if robot == 'rover':
            return self._evaluate_reaching(policy)
        if robot == 'quadrotor':
            return self._evaluate_holding(policy)
        raise ConfigError(f'improve knows no score of a simulated {robot}')

    def _evaluate_laps(self, policy: Path) -> Evaluation:
        tracks = evaluate_laps(
            policy,
            self.evaluation_seeds,
            laps=self.laps,
            workers=self.workers,
            console=self.console,
        )
        failures = sum(track.failures for track in tracks)
        distance = sum(track.distance for track in tracks)
        offset = float(
            np.average([t.mean_offset for t in tracks], weights=[t.duration for t in tracks])
        )
        per_10_laps = 10 * failures / sum(track.laps for track in tracks)
        return Evaluation(
            score=(per_10_laps, offset),
            metrics={
                FAILURES: per_10_laps,
                OFFSET: 100 * offset,
                STRETCH: distance / (failures + len(tracks)),
            },
            details=tuple(asdict(track) for track in tracks),
        )

    def _evaluate_reaching(self, policy: Path) -> Evaluation:
        drives = evaluate_reaching(
            policy, self.evaluation_seeds, workers=self.workers, console=self.console
        )
        outcomes = [drive.outcome for drive in drives]
        failed = 1.0 - outcomes.count(REACHED) / len(drives)
        detours = [drive.detour for drive in drives if drive.outcome == REACHED]
        detour = float(np.mean(detours)) if detours else math.inf
        return Evaluation(
            score=(failed, detour),
            metrics={
                FAILED: 100 * failed,
                'touched something, %': 100 * outcomes.count(TOUCHED) / len(drives),
                "path, of the expert's": detour,
            },
            details=tuple(asdict(drive) for drive in drives),
        )

    def _evaluate_holding(self, policy: Path) -> Evaluation:
        flights = evaluate_holding(
            policy, self.evaluation_seeds, workers=self.workers, console=self.console
        )
        outcomes = [flight.outcome for flight in flights]
        missed = 1.0 - outcomes.count(HELD) / len(flights)
        times = [flight.seconds for flight in flights if flight.outcome == HELD]
        seconds = float(np.mean(times)) if times else math.inf
        return Evaluation(
            score=(missed, seconds),
            metrics={
                MISSED: 100 * missed,
                'crashed, %': 100 * outcomes.count(CRASHED) / len(flights),
                'time to hold, s': seconds,
            },
            details=tuple(asdict(flight) for flight in flights),
        )
