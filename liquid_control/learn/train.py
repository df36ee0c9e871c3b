"""Training: bags and a recipe in, a policy bundle out.

Two trainings with the same seed, bags and recipe give the same weights on the same machine, also
when one of them was killed and resumed: nothing depends on time or on the order of files. Started
by `torchrun`, several processes share every batch between them, and the first one writes.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.console import Console
from torch.utils.data import DataLoader

from liquid_control import __version__
from liquid_control.bags.errors import BagError
from liquid_control.learn.augment import augment
from liquid_control.learn.callbacks import EpochLines, StopOnInterrupt, TrainingAborted
from liquid_control.learn.dataset import build
from liquid_control.learn.episode import Episode
from liquid_control.learn.export import check_precision, export_bundle
from liquid_control.learn.imitation import Imitation
from liquid_control.learn.parity import run_network
from liquid_control.learn.processes import Processes
from liquid_control.learn.recipe import Recipe
from liquid_control.learn.scores import scores
from liquid_control.learn.sequences import Steps, WindowOrder, Windows, whole
from liquid_control.learn.stretches import HUMAN, learnable, seconds
from liquid_control.learn.weights import load_weights
from liquid_control.nn.policy import PolicyNetwork
from liquid_control.runtime.bundle import load_bundle
from liquid_control.runtime.contract import Contract
from liquid_control.runtime.errors import ConfigError

STORE = Path('out/dataset')
RUNS = Path('out/train')

# Recorded steps on which the exported graphs are compared with torch.
PARITY_STEPS = 1000


@dataclass(frozen=True)
class Split:
    """Episodes to learn from, to choose the weights by, and to report on only."""

    train: list[Episode]
    validation: list[Episode]
    test: list[Episode]


def train(
    sources: Sequence[Path],
    recipe: Recipe,
    path: Path,
    *,
    command: str = '',
    warm_start: Path | None = None,
    resume: bool = False,
    keep_interrupted: bool = True,
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
        precision: number format of the encoder: 'float32', 'float16' or 'int8'.
        store: of decoded bags.
        runs: where checkpoints and logs go, in a folder of the policy's name.
        jobs: processes that decode bags.

    Returns:
        What was written; None in all but the first of several processes.

    Raises:
        LiquidControlError: bags or recipe cannot be used, or the export was refused.
    """
    processes = Processes.of_this_run()
    if console is None:
        console = Console(stderr=True, quiet=processes.rank > 0)
    check_precision(precision)
    torch.set_float32_matmul_precision('highest')
    episodes = build(sources, recipe.signals, store, console, jobs=jobs)
    split = split_episodes(episodes, recipe)
    run = runs / path.name
    last = run / 'last.ckpt'
    if resume:
        _check_resumable(last, recipe)
    lightning.seed_everything(recipe.fit.seed, verbose=False)
    network = PolicyNetwork(recipe.network_config())
    if warm_start is not None:
        taken = load_weights(network, warm_start)
        console.print(f'starting from {warm_start}: {", ".join(taken)}')
        before, now = load_bundle(warm_start).contract.network.solver, network.spec().solver
        if 'core' in taken and before != now:
            console.print(f'its neurons were solved with {before}; they go on with {now}')
    period_ns = round(1e9 / recipe.control_rate)
    module = Imitation(network, recipe)
    interrupt = StopOnInterrupt(console, keep=keep_interrupted)
    try:
        checkpoint = _fit(
            module, split, period_ns, run, last if resume else None, interrupt, console
        )
    except TrainingAborted:
        raise KeyboardInterrupt from None
    if processes.rank > 0:
        return None
    module.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    network.eval()
    judged = split.test or split.validation or split.train
    longest = max(judged, key=lambda episode: episode.duration)
    contract = export_bundle(
        network,
        name=path.name,
        path=path,
        control_rate=recipe.control_rate,
        elapsed_range=recipe.elapsed_range,
        steps=_first(whole(longest, period_ns, recipe.weights), PARITY_STEPS),
        image=recipe.signals.image,
        imu=recipe.signals.imu,
        speed=recipe.signals.speed,
        provenance=_provenance(network, recipe, split, period_ns, command),
        precision=precision,
    )
    console.print(f'{path}: written')
    return contract


def split_episodes(episodes: Sequence[Episode], recipe: Recipe) -> Split:
    """Whole episodes to judge by, the others to learn from, and frames to report a score on.

    Raises:
        BagError: there is nothing to learn from.
    """
    cut = [episode.cut(recipe.frames) for episode in episodes]
    usable = [episode for episode in cut if learnable(episode.stretches, recipe.weights, 0)]
    if not usable:
        raise BagError(
            'a policy drove in all of these recordings: take over from it where it should do '
            'better, or record a person; `weights` in the recipe decide what is learnt from'
        )
    # By digest: which episodes are held out must not depend on names or their order.
    usable.sort(key=lambda episode: episode.digest)
    held_out = round(recipe.holdout * len(usable))
    return Split(
        train=usable[held_out:],
        validation=usable[:held_out],
        test=[e.cut(recipe.test_frames) for e in episodes] if recipe.test_frames else [],
    )


def _fit(
    module: Imitation,
    split: Split,
    period_ns: int,
    run: Path,
    resume_from: Path | None,
    interrupt: StopOnInterrupt,
    console: Console,
) -> Path:
    """Train; returns the checkpoint of the best weights (of the last, without validation)."""
    recipe = module.recipe
    fit = recipe.fit
    names = recipe.signals.command_names
    processes = Processes.of_this_run()
    windows = Windows(
        split.train,
        period_ns,
        recipe.timing,
        fit.seed,
        lambda steps, rng: augment(steps, recipe.augment, names, rng),
        recipe.weights,
    )
    batches = max(round(windows.count_per_pass * fit.passes / fit.batch_size), 1)
    loader = DataLoader(
        windows,
        batch_size=processes.share(fit.batch_size),
        sampler=WindowOrder(batches * fit.batch_size, processes.rank, processes.count),
        collate_fn=Steps.stack,
    )
    held_out: Any = [whole(e, period_ns, recipe.weights) for e in split.validation]
    best = ModelCheckpoint(run, 'best', monitor='val_loss', enable_version_counter=False)
    last = ModelCheckpoint(run, 'last', enable_version_counter=False)
    callbacks: list[Callback] = [EpochLines(console), interrupt, last]
    if held_out:
        callbacks += [best, EarlyStopping('val_loss', patience=fit.patience)]
    if console.is_terminal:
        callbacks.append(RichProgressBar(leave=False))
    # Its notes on hardware and other products say nothing about this training.
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Windows are loaded in this process on purpose, a run's folder is written to again, and
        # training without held-out episodes is a choice.
        for known in (
            '.*num_workers',
            '.*does not have many workers',
            '.*not empty',
            '.*val_data',
        ):
            warnings.filterwarnings('ignore', known)
        warnings.filterwarnings('ignore', category=FutureWarning, module='lightning')
        trainer = lightning.Trainer(
            max_epochs=fit.epochs,
            accelerator='auto',
            devices=processes.per_machine,
            num_nodes=processes.machines,
            deterministic=True,
            gradient_clip_val=fit.clip,
            callbacks=callbacks,
            logger=[
                CSVLogger(run, name='', version=''),
                TensorBoardLogger(run, name='', version=''),
            ],
            enable_progress_bar=console.is_terminal,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
        )
        trainer.fit(
            module,
            loader,
            DataLoader(held_out, batch_size=None) if held_out else None,
            ckpt_path=resume_from,
        )
    return Path(best.best_model_path if held_out else last.best_model_path)


def _check_resumable(last: Path, recipe: Recipe) -> None:
    if not last.exists():
        raise ConfigError(f'nothing to resume: {last} does not exist; train without --resume')
    if torch.load(last, weights_only=True)['recipe'] != repr(recipe):
        raise ConfigError(
            f'{last} was trained with another recipe; train without --resume, or with the same '
            'options as before'
        )


def _first(steps: Steps, count: int) -> Steps:
    return Steps(**{part.name: getattr(steps, part.name)[:count] for part in fields(Steps)})


def _provenance(
    network: PolicyNetwork, recipe: Recipe, split: Split, period_ns: int, command: str
) -> dict[str, Any]:
    """What the bundle says of its making."""
    parts = {'training': split.train, 'validation': split.validation, 'test': split.test}
    metrics = {}
    for part, episodes in parts.items():
        if not episodes:
            continue
        runs = [whole(episode, period_ns, recipe.weights) for episode in episodes]
        given = torch.cat([torch.from_numpy(run_network(network, steps)) for steps in runs])
        recorded = torch.cat([steps.commands for steps in runs])
        for name, score in scores(given, recorded, recipe.signals.commands).items():
            metrics[f'{part}, {name}'] = score
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
            }
            for part, episodes in parts.items()
            for episode in sorted(episodes, key=lambda episode: episode.name)
        ],
        'metrics': metrics,
        'seed': recipe.fit.seed,
        'version': __version__,
    }


def _drivers(episode: Episode) -> dict[str, str]:
    """Who drove, where it was not a person or an expert all the time."""
    parts = seconds(episode.stretches)
    if set(parts) == {HUMAN}:
        return {}
    return {'who drove': ', '.join(f'{kind} {time:.1f} s' for kind, time in parts.items())}
