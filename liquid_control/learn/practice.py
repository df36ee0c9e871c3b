"""Practice: where a round's recordings come from, and what tells which policy is better.

In the simulator policies drive and the expert answers; on a robot people drove and corrected, and
policies are compared on recordings that neither has learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console

from liquid_control.learn.dataset import build
from liquid_control.learn.improvement import Judgement
from liquid_control.learn.ingest import bag_digest
from liquid_control.learn.parity import run_bundle
from liquid_control.learn.recipe import Recipe
from liquid_control.learn.scores import scores
from liquid_control.learn.sequences import whole
from liquid_control.learn.stretches import learnable
from liquid_control.learn.train import STORE
from liquid_control.runtime.bundle import load_bundle
from liquid_control.runtime.errors import ConfigError
from liquid_control.sim.guided import Guided, guide, summarise
from liquid_control.sim.laps import judge
from liquid_control.sim.simulator import SELECTION_SEEDS

FAILURES = 'failures per 10 laps'
OFFSET = 'mean offset from centre, cm'
STRETCH = 'mean stretch without failure, m'

HELD_OUT = 0.2
"""Share of the new recordings that is held out."""


class Practice(Protocol):
    """See the module docstring."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides what comes out; plain data."""

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe as it suits the recordings."""

    def record(self, number: int, policy: Path, folder: Path) -> list[Path]:
        """Bags of a round that are new; those already in `folder` are kept.

        Args:
            number: of the round, from 1.
            policy: bundle of the best policy so far.
        """

    def describe(self, bags: Sequence[Path]) -> dict[str, float]:
        """What happened in the bags of a round."""

    def judge(self, policy: Path) -> Judgement:
        """How good a policy is, on what no round learns from."""


@dataclass(frozen=True)
class SimulatedPractice:
    """Guided drives on ever new tracks; judged by failures on tracks nobody practises on.

    drives, seconds: number of guided drives in a round, and simulated duration of each, s
    first_seed: of the guided drives, which count up from there
    judge_seeds: tracks to judge on, `laps` on each
    workers: processes
    """

    drives: int = 6
    seconds: float = 20.0
    first_seed: int = 1000
    judge_seeds: tuple[int, ...] = SELECTION_SEEDS
    laps: int = 1
    workers: int = 2
    console: Console | None = None

    def __post_init__(self) -> None:
        if self.drives < 1 or self.laps < 1 or self.seconds <= 0 or not self.judge_seeds:
            raise ConfigError(
                'drives, laps and seeds to judge on must be at least one and seconds > 0, found '
                f'{self.drives} drives of {self.seconds:g} s, {self.laps} laps on '
                f'{len(self.judge_seeds)} tracks'
            )
        if max(self.judge_seeds) >= self.first_seed:
            raise ConfigError(
                f'seeds from {self.first_seed} on are for practice: judge on smaller ones, '
                f'found {max(self.judge_seeds)}'
            )

    @property
    def settings(self) -> dict[str, Any]:
        return {
            'practice': 'simulator',
            'drives': self.drives,
            'seconds': self.seconds,
            'first_seed': self.first_seed,
            'judge_seeds': list(self.judge_seeds),
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

    def judge(self, policy: Path) -> Judgement:
        tracks = judge(
            policy, self.judge_seeds, laps=self.laps, workers=self.workers, console=self.console
        )
        failures = sum(track.failures for track in tracks)
        distance = sum(track.distance for track in tracks)
        offset = float(
            np.average([t.mean_offset for t in tracks], weights=[t.duration for t in tracks])
        )
        per_10_laps = 10 * failures / sum(track.laps for track in tracks)
        return Judgement(
            score=(per_10_laps, offset),
            metrics={
                FAILURES: per_10_laps,
                OFFSET: 100 * offset,
                STRETCH: distance / (failures + len(tracks)),
            },
            details=tuple(asdict(track) for track in tracks),
        )


class RecordedPractice:
    """Recordings of a robot: one in five is held out and tells which policy is better.

    Held out are only recordings that the policy to improve has not learnt from, whole ones, chosen
    by their digests. Compared are the commands where a person drove, as far as `weights` in the
    recipe count it.

    Args:
        bags: all recordings, old and new.
        policy: bundle to improve.
        store: of decoded bags.

    Raises:
        ConfigError: there is no new recording to hold out, or none left to learn from; or the
            recipe sees or commands something else than the policy.
        BagError: a recording cannot be read.
    """

    def __init__(
        self,
        bags: Sequence[Path],
        policy: Path,
        recipe: Recipe,
        *,
        store: Path = STORE,
        console: Console | None = None,
    ) -> None:
        contract, signals = load_bundle(policy).contract, recipe.signals
        mine = contract.image, contract.imu, contract.speed, contract.commands
        if mine != (signals.image, signals.imu, signals.speed, signals.commands):
            raise ConfigError(
                f'the recipe sees or commands something else than {policy}: leave out --recipe, '
                'or train a new policy'
            )
        console = console or Console(stderr=True)
        known = {entry.get('sha256') for entry in contract.provenance.get('datasets', ())}
        digests = {bag_digest(bag): bag for bag in bags}
        taught = [
            episode.digest
            for episode in build(list(bags), signals, store, console)
            if learnable(episode.stretches, recipe.weights, 0)
        ]
        new = sorted(digest for digest in taught if digest not in known)
        held_out = new[: max(round(HELD_OUT * len(new)), 1)]
        if not held_out or len(held_out) == len(taught):
            raise ConfigError(
                f'a person drove in {len(taught)} of the {len(digests)} recordings given, '
                f'{len(new)} of them new to {policy}: at least one new one is needed to judge by '
                'and another one to learn from; or let the simulator make them with --rounds'
            )
        self._held_out = [digests[digest] for digest in held_out]
        self._bags = [bag for digest, bag in digests.items() if digest not in held_out]
        self._recipe = recipe
        self._store = store
        self._console = console
        self.settings = {'practice': 'recordings', 'held out': held_out, 'bags': sorted(digests)}

    def recipe(self, recipe: Recipe) -> Recipe:
        return recipe

    def record(self, number: int, policy: Path, folder: Path) -> list[Path]:
        return self._bags

    def describe(self, bags: Sequence[Path]) -> dict[str, float]:
        return {'recordings': float(len(bags))}

    def judge(self, policy: Path) -> Judgement:
        recipe = self._recipe
        commands = recipe.signals.commands
        period_ns = round(1e9 / recipe.control_rate)
        given, recorded, details = [], [], []
        for episode in build(self._held_out, recipe.signals, self._store, self._console):
            steps = whole(episode, period_ns, recipe.weights)
            given.append(torch.from_numpy(run_bundle(policy, steps)))
            recorded.append(steps.commands)
            judged = torch.isfinite(steps.commands).any(dim=1).sum() * period_ns / 1e9
            details.append({'bag': episode.name, 'judged, s': float(judged)})
        found = scores(torch.cat(given), torch.cat(recorded), commands)
        weights = recipe.fit.command_weights or (1.0,) * len(commands)
        loss = sum(
            weight * (found[c.name]['rmse'] / ((c.max - c.min) / 2)) ** 2
            for weight, c in zip(weights, commands, strict=True)
        )
        return Judgement(
            score=(loss,),
            metrics={f'{c.name}, mean error, {c.unit}': found[c.name]['mae'] for c in commands},
            details=tuple(details),
        )
