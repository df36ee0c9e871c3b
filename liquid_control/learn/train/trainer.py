# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training: bags and a recipe in, a policy bundle out.

Two trainings with the same seed, bags and recipe give the same weights on the same machine, also
when one of them was killed and resumed: nothing depends on time or on the order of files. Started
by `torchrun`, several processes share every batch between them, and the first one writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from rich.console import Console

from liquid_control import __version__
from liquid_control.common.errors import ConfigError
from liquid_control.common.plain_text import printable
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import WHEELBASE, Contract
from liquid_control.learn.data.dataset import build, left_out_lines
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.segments import HUMAN
from liquid_control.learn.data.sequences import whole
from liquid_control.learn.data.split import Split, split_episodes
from liquid_control.learn.data.spread import spread
from liquid_control.learn.export.exporter import check_before, export_bundle, new_contract
from liquid_control.learn.train.allocator import reuse_memory
from liquid_control.learn.train.callbacks import StopOnInterrupt, TrainingAborted
from liquid_control.learn.train.evaluation import TrainingEvaluation, evaluate
from liquid_control.learn.train.fit import check_resumable, fit
from liquid_control.learn.train.imitation import Imitation, origin
from liquid_control.learn.train.processes import Processes
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.weights import CORE, load_weights, parts
from liquid_control.nn.ensemble import AnyPolicy, make_policy

STORE = Path('out/dataset')
RUNS = Path('out/train')

# Recorded steps on which the exported graphs are compared with torch.
PARITY_STEPS = 1000


def train(
    sources: Sequence[Path],
    recipe: Recipe,
    path: Path,
    *,
    command: str = '',
    warm_start: Path | None = None,
    resume: bool = False,
    keep_interrupted: bool = True,
    is_cancelled: Callable[[], bool] = lambda: False,
    precision: str = 'float32',
    store: Path = STORE,
    runs: Path = RUNS,
    console: Console | None = None,
    jobs: int = 1,
) -> Contract | None:
    """Train a policy and export it to the bundle `path`, named after its last part.

    Args:
        sources: bags and datasets.
        command: that does the same, for the model card.
        warm_start: bundle whose weights to start from, as far as they fit.
        resume: go on with the run of this name that was interrupted.
        keep_interrupted: Ctrl-C ends training early, with the best weights so far; otherwise it
            raises KeyboardInterrupt, and `resume` goes on from the last whole epoch.
        is_cancelled: True breaks training off, as Ctrl-C does that is not kept.
        precision: number format of the encoder: 'float32', 'float16' or 'int8'.
        store: of decoded bags.
        runs: where checkpoints and logs go, in a folder of the policy's name.
        jobs: processes that decode bags.

    Returns:
        What was written; None in all but the first of several processes.

    Raises:
        LiquidControlError: bags or recipe cannot be used, or the export was refused.
    """
    reuse_memory()
    processes = Processes.of_this_run()
    if console is None:
        console = Console(stderr=True, quiet=processes.rank > 0)
    signals, run = recipe.signals, runs / path.name
    lightning.seed_everything(recipe.fit.seed, verbose=False)
    network = make_policy(recipe.network_config())
    facts = (path.name, recipe.control_rate, recipe.elapsed_range)
    if processes.rank == 0:
        check_before(new_contract(network, *facts), path, precision, run)
    torch.set_float32_matmul_precision('highest')
    episodes = build(sources, signals, store, console, jobs=jobs)
    for line in (line for episode in episodes for line in left_out_lines(episode)):
        console.print(printable(line), soft_wrap=True, highlight=False, markup=False)
    split = split_episodes(episodes, recipe)
    held_out = printable(f'held out to evaluate on: {split.held_out}')
    console.print(held_out, soft_wrap=True, highlight=False, markup=False)
    if split.validation and not split.chooses:
        console.print('too short to choose by: all epochs are trained, and the last weights count')
    found = spread(split.train, recipe.weights, signals.commands)
    for member in network.members:
        member.start_at(found.mean.tolist(), found.deviation.tolist())
    if warm_start is not None:
        _start_from(warm_start, network, console)
    data = ' '.join(sorted(episode.digest for episode in episodes))
    module = Imitation(network, recipe, found.scale(signals.commands).tolist(), data)
    last = run / 'last.ckpt'
    further = check_resumable(last, origin(recipe, data)) if resume else False
    period_ns = round(1e9 / recipe.control_rate)
    interrupt = StopOnInterrupt(console, keep=keep_interrupted, is_cancelled=is_cancelled)
    try:
        checkpoint = fit(
            module, split, period_ns, run, console, interrupt, last if resume else None, further
        )
    except TrainingAborted:
        raise KeyboardInterrupt from None
    except OSError as error:
        raise ConfigError(f'{run} cannot be written: {error.strerror or error}') from error
    if processes.rank > 0:
        return None
    module.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    network.eval()
    console.print('judging', highlight=False)
    evaluation = evaluate(network, split, recipe, found)
    for line in evaluation.notes.values():
        console.print(f'[yellow]{line}', soft_wrap=True, highlight=False)
    evaluated = split.test or split.validation or split.train
    longest = max(evaluated, key=lambda episode: episode.duration)
    contract = export_bundle(
        network,
        name=path.name,
        path=path,
        control_rate=recipe.control_rate,
        elapsed_range=recipe.elapsed_range,
        steps=whole(longest, period_ns, recipe.weights).first(PARITY_STEPS),
        provenance=_provenance(recipe, split, evaluation, command),
        precision=precision,
    )
    console.print(f'{path}: written', soft_wrap=True, highlight=False)
    return contract


def _start_from(bundle: Path, network: AnyPolicy, console: Console) -> None:
    """Take over a bundle's weights, and say which."""
    taken = load_weights(network, bundle)
    anew = [part for part in parts(network) if part not in taken]
    text = f'starting from {bundle}: {_named(taken)}'
    text += f'; anew: {_named(anew)}, of another shape' if anew else ''
    console.print(text, soft_wrap=True, highlight=False)
    before, now = load_bundle(bundle).contract.network.solver, network.spec().solver
    if CORE in taken and before != now:
        console.print(f'its neurons were solved with {before}; they go on with {now}')


def _named(taken: Sequence[str]) -> str:
    return ', '.join(part if part == CORE else f'encoder of {part}' for part in taken)


def _provenance(
    recipe: Recipe, split: Split, evaluation: TrainingEvaluation, command: str
) -> dict[str, Any]:
    """What the bundle says of its making."""
    signals = recipe.signals
    steers = {WHEELBASE: signals.wheelbase} if 'steering_angle' in signals.command_names else {}
    return {
        'description': recipe.description,
        'command': command,
        'datasets': [
            {
                'bag': episode.name,
                'sha256': episode.digest,
                'used for': part,
                'seconds': round(episode.duration, 2),
                **_drivers(episode),
                **_left_out(episode),
            }
            for part, episodes in split.parts.items()
            for episode in sorted(episodes, key=lambda episode: episode.name)
        ],
        'metrics': evaluation.metrics,
        **({'notes': evaluation.notes} if evaluation.notes else {}),
        'held out': split.held_out,
        **steers,
        'seed': recipe.fit.seed,
        'version': __version__,
    }


def _drivers(episode: Episode) -> dict[str, str]:
    """Who drove, where it was not a person or an expert all the time."""
    parts = episode.drivers()
    if set(parts) == {HUMAN}:
        return {}
    return {'who drove': ', '.join(f'{kind} {time:.1f} s' for kind, time in parts.items())}


def _left_out(episode: Episode) -> dict[str, str]:
    """What of a recording was not learnt from, and why, where it was not all of it."""
    lines = left_out_lines(episode)
    return {'left out': '; '.join(lines)} if lines else {}
