# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One network and one seed, trained by a recipe as `train` does, and tried on what was held out.

Also with samples lost on the way, or whole control steps missed: the time between steps then
varies, and a network may be told it or not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from liquid_control.common.errors import ConfigError, LiquidControlError
from liquid_control.common.jobs import CancelledError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract
from liquid_control.learn.data.dataset import build
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.segments import Stamps
from liquid_control.learn.data.sequences import Steps, observe, ticks_of
from liquid_control.learn.data.split import split_episodes
from liquid_control.learn.export.parity import run_network
from liquid_control.learn.export.rebuild import load_policy
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.recipe_file import plain_recipe, read_recipe
from liquid_control.learn.train.scores import scores
from liquid_control.learn.train.trainer import train
from liquid_control.nn.cells import CELLS
from liquid_control.nn.ensemble import AnyPolicy

# Where samples are lost the ticks go on; where steps are missed the command before them holds.
LOST, TOLD, NOT_TOLD = 'samples lost', 'steps missed, told', 'steps missed, not told'
WAYS = (LOST, TOLD, NOT_TOLD)

DIGEST = 'digest'
"""Of the policy, in what was measured of it."""

Scores = dict[str, dict[str, float | str]]


@dataclass(frozen=True)
class HeldOut:
    """What a recipe holds out of recordings.

    Attributes:
        words: what it is.
        digests: of all recordings.
    """

    words: str
    digests: list[str]


def held_out(sources: Sequence[Path], recipe: Recipe, store: Path, *, jobs: int = 1) -> HeldOut:
    """Decode the recordings, once for all trials, and see what is held out of them.

    Raises:
        LiquidControlError: they cannot be used, or nothing is held out.
    """
    episodes = build(sources, recipe.signals, store, Console(stderr=True), jobs=jobs)
    split = split_episodes(episodes, recipe)
    if not split.test and not split.validation:
        raise ConfigError(
            f'nothing is held out to evaluate on ({split.held_out}): state test_frames or holdout '
            'in the recipe, or record more'
        )
    words = split.held_out
    if split.test:
        first, end = recipe.test_frames or (0, 0)
        words = f'frames {first} to {end - 1}, which no choice of the training saw'
    elif split.chooses:
        words += '; the epoch was chosen by it too'
    return HeldOut(words, sorted(episode.digest for episode in episodes))


def network_of(name: str) -> tuple[str, int | None]:
    """'cfc' -> a cell, and as many neurons as the recipe says; 'cfc-19' -> with 19 of them.

    Raises:
        ConfigError: there is no such cell.
    """
    cell, _, neurons = name.rpartition('-')
    if name not in CELLS and cell in CELLS and neurons.isdecimal():
        return cell, int(neurons)
    if name not in CELLS:
        raise ConfigError(
            f'--cell must be one of {", ".join(CELLS)}, or one with a number of neurons, such as '
            f'cfc-19; found {name!r}'
        )
    return name, None


def pieces(
    sources: Sequence[Path],
    recipe: Recipe,
    found: HeldOut,
    cells: Sequence[str],
    seeds: int,
    shares: Sequence[float],
) -> list[dict[str, Any]]:
    """Trials as plain data, seed by seed, so that all cells have some when not all are done.

    Args:
        cells: see `network_of`.
        shares: of samples, or of control steps, that get lost.

    Raises:
        ConfigError: there is no such cell, or not of so few neurons.
    """
    trials = []
    for index in range(seeds):
        for name in cells:
            cell, neurons = network_of(name)
            seed = recipe.fit.seed + index
            chosen = recipe.changed(cell=cell, neurons=neurons, seed=seed)
            trials.append(
                {
                    'cell': name,
                    'seed': seed,
                    'sources': [str(path.absolute()) for path in sources],
                    'data': found.digests,
                    'recipe': plain_recipe(chosen),
                    'shares': list(shares),
                }
            )
    return trials


def bundle_of(folder: Path, piece: Mapping[str, Any]) -> Path:
    """Where the policy of a trial lies, in the folder that `measure` is given."""
    return folder / 'policies' / f'{piece["cell"]}_{piece["seed"]}'


def stands(folder: Path, piece: Mapping[str, Any], measured: Mapping[str, Any]) -> bool:
    """Whether the policy that was measured lies there still, and none of another recipe."""
    try:
        digest = load_bundle(bundle_of(folder, piece)).digest
    except LiquidControlError:
        return False
    return bool(measured.get(DIGEST, digest) == digest)  # earlier versions did not note it


def measure(
    folder: Path, piece: Mapping[str, Any], is_cancelled: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Train one piece, and score its commands on what is held out.

    Args:
        folder: takes decoded recordings, checkpoints and the policy's bundle.
    """
    recipe = read_recipe(dict(piece['recipe']), where='recipe')
    sources = [Path(path) for path in piece['sources']]
    bundle, store = bundle_of(folder, piece), folder / 'dataset'
    contract = _train(sources, recipe, folder, bundle, is_cancelled)
    network = load_policy(bundle)
    split = split_episodes(build(sources, recipe.signals, store, Console(quiet=True)), recipe)
    part = 'test' if split.test else 'validation'
    metrics = contract.provenance['metrics']
    commands = recipe.signals.command_names
    tried = {
        f'{way}, {share:g}': _tried(network, split.parts[part], recipe, way, share, piece['seed'])
        for share in piece['shares']
        for way in WAYS
    }
    return {
        DIGEST: load_bundle(bundle).digest,
        'parameters': contract.network.parameters,
        'held out': {command: metrics[f'{part}, {command}'] for command in commands},
        'training': {command: metrics[f'training, {command}'] for command in commands},
        'tried': tried,
    }


def _train(
    sources: list[Path],
    recipe: Recipe,
    folder: Path,
    bundle: Path,
    is_cancelled: Callable[[], bool],
) -> Contract:
    """The bundle's contract; goes on with a training that was broken off."""
    options: dict[str, Any] = {
        'store': folder / 'dataset',
        'runs': folder / 'runs',
        'console': Console(quiet=True),
        'keep_interrupted': False,
        'is_cancelled': is_cancelled,
    }
    contract = None
    try:
        if (folder / 'runs' / bundle.name / 'last.ckpt').exists():
            with contextlib.suppress(ConfigError):  # of another recipe, or damaged
                contract = train(sources, recipe, bundle, resume=True, **options)
        contract = contract or train(sources, recipe, bundle, **options)
    except KeyboardInterrupt:
        raise CancelledError from None
    assert contract is not None  # None is of several processes that train together
    return contract


def _tried(
    network: AnyPolicy,
    episodes: Sequence[Episode],
    recipe: Recipe,
    way: str,
    share: float,
    seed: int,
) -> dict[str, Any]:
    """Scores with a share lost, and at which share of ticks a robot would have stopped."""
    rng = np.random.default_rng([seed, round(1000 * share)])
    period_ns = round(1e9 / recipe.control_rate)
    given, recorded, old = [], [], []
    for episode in episodes:
        ticks = ticks_of(episode, period_ns)
        lost = {
            name: _lost(len(series), share if way == LOST else 0.0, rng)
            for name, series in episode.inputs.items()
        }
        elapsed = np.full(len(ticks), period_ns / 1e9)
        steps = observe(episode, ticks, elapsed, weights=recipe.weights, lost_samples=lost)
        missed = _lost(len(ticks), 0.0 if way == LOST else share, rng)
        given.append(_commands(network, steps, ticks, missed, told=way != NOT_TOLD))
        recorded.append(steps.commands)
        old.append(_too_old(episode, ticks, lost))
    found: Scores = scores(
        torch.from_numpy(np.concatenate(given)), torch.cat(recorded), recipe.signals.commands
    )
    return {'scores': found, 'too old': float(np.concatenate(old).mean())}


def _lost(count: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    lost: NDArray[np.bool_] = rng.random(count) < share
    lost[:1] = False
    return lost


def _commands(
    network: AnyPolicy, steps: Steps, ticks: Stamps, missed: NDArray[np.bool_], *, told: bool
) -> NDArray[np.float32]:
    """Commands [T, C] where the network is stepped only at the ticks that are not missed."""
    made = np.flatnonzero(~missed)
    elapsed = steps.elapsed.clone()[made]
    if told:
        elapsed[1:] = torch.from_numpy(np.diff(ticks[made]) / 1e9).float()
    seen = replace(steps.map(lambda values: values[made]), elapsed=elapsed)
    commands: NDArray[np.float32] = run_network(network, seen)
    held: NDArray[np.float32] = commands[np.cumsum(~missed) - 1]
    return held


def _too_old(
    episode: Episode, ticks: Stamps, lost: Mapping[str, NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """At which ticks a sample was older than the contract lets it grow, [T]."""
    too_old = np.zeros(len(ticks), np.bool_)
    for name, series in episode.inputs.items():
        left = series.without(lost[name])
        age = ticks - left.stamps[np.maximum(left.newest(ticks), 0)]
        too_old |= age > episode.max_age[name] * 1e9
    return too_old
