# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Collectors: where a round's recordings come from, and what tells which policy is better.

On a robot people drove and corrected, and policies are compared on recordings that neither has
learnt from. In the simulator, with MuJoCo: simulated.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console

from liquid_control.common.errors import ConfigError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract
from liquid_control.learn.data.dataset import build
from liquid_control.learn.data.ingest import bag_digest
from liquid_control.learn.data.sequences import whole
from liquid_control.learn.export.parity import run_bundle
from liquid_control.learn.improve.improvement import Evaluation
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.scores import scores
from liquid_control.learn.train.trainer import STORE

HELD_OUT = 0.2
"""Share of the new recordings that is held out."""


class Collector(Protocol):
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

    def evaluate(self, policy: Path) -> Evaluation:
        """How good a policy is, on what no round learns from."""


class RecordedCollector:
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
        inputs = recipe.network_config().bundle_inputs()
        if (dict(contract.inputs), contract.commands) != (inputs, signals.commands):
            raise ConfigError(
                f'the recipe sees or commands something else than {policy}: leave out --recipe, '
                'or train a new policy'
            )
        console = console or Console(stderr=True)
        known = _learnt_from(contract)
        digests = {bag_digest(bag): bag for bag in bags}
        taught = [
            episode.digest
            for episode in build(list(bags), signals, store, console)
            if len(episode.taught(recipe.weights))
        ]
        new = sorted(digest for digest in taught if digest not in known)
        held_out = new[: max(round(HELD_OUT * len(new)), 1)]
        if not held_out or len(held_out) == len(taught):
            raise ConfigError(
                f'a person drove in {len(taught)} of the {len(digests)} recordings given, '
                f'{len(new)} of them new to {policy}: at least one new one is needed to evaluate '
                'on and another one to learn from; or let the simulator make them with --rounds'
            )
        self._held_out = [digests[digest] for digest in held_out]
        self._bags = [bag for digest, bag in digests.items() if digest not in held_out]
        self._recipe = recipe
        self._store = store
        self._console = console
        self.settings = {'collector': 'recordings', 'held out': held_out, 'bags': sorted(digests)}

    def recipe(self, recipe: Recipe) -> Recipe:
        return recipe

    def record(self, number: int, policy: Path, folder: Path) -> list[Path]:
        return self._bags

    def describe(self, bags: Sequence[Path]) -> dict[str, float]:
        return {'recordings': float(len(bags))}

    def evaluate(self, policy: Path) -> Evaluation:
        recipe = self._recipe
        commands = recipe.signals.commands
        period_ns = round(1e9 / recipe.control_rate)
        given, recorded, details = [], [], []
        for episode in build(self._held_out, recipe.signals, self._store, self._console):
            steps = whole(episode, period_ns, recipe.weights)
            given.append(torch.from_numpy(run_bundle(policy, steps)))
            recorded.append(steps.commands)
            evaluated = torch.isfinite(steps.commands).any(dim=1).sum() * period_ns / 1e9
            details.append({'bag': episode.name, 'evaluated, s': float(evaluated)})
        found = scores(torch.cat(given), torch.cat(recorded), commands)
        weights = recipe.fit.command_weights or (1.0,) * len(commands)
        # Of what is known in them: there may be no speed in what is held out.
        known = [c.name for c in commands if 'rmse' in found[c.name]]
        loss = sum(
            weight * (float(found[c.name]['rmse']) / ((c.max - c.min) / 2)) ** 2
            for weight, c in zip(weights, commands, strict=True)
            if c.name in known
        )
        return Evaluation(
            score=(loss,),
            metrics={
                f'{c.name}, mean error, {c.unit}': float(found[c.name]['mae'])
                for c in commands
                if c.name in known
            },
            details=tuple(details),
        )


def _learnt_from(contract: Contract) -> set[str]:
    """Digests of the recordings that a policy says it learnt from; it may say anything."""
    said = contract.provenance.get('datasets')
    entries = said if isinstance(said, list) else []
    digests = [entry.get('sha256') for entry in entries if isinstance(entry, dict)]
    return {digest for digest in digests if isinstance(digest, str)}
