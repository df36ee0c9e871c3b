# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The optimisation: epochs over windows of the recordings, checkpoints, and going on from them."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.console import Console
from torch.utils.data import DataLoader

from liquid_control.common.errors import ConfigError
from liquid_control.learn.data.augment import augment
from liquid_control.learn.data.sequences import Steps, WindowOrder, Windows, whole
from liquid_control.learn.data.split import Split
from liquid_control.learn.train.callbacks import Patience, Progress, StopOnInterrupt
from liquid_control.learn.train.imitation import Imitation
from liquid_control.learn.train.processes import Processes
from liquid_control.learn.train.recipe import Fit

# Batches are not made smaller than this for the sake of more steps.
SMALLEST_BATCH = 4


def fit(
    module: Imitation,
    split: Split,
    period_ns: int,
    run: Path,
    console: Console,
    interrupt: StopOnInterrupt,
    resume_from: Path | None = None,
    further: bool = False,
) -> Path:
    """Train; returns the checkpoint of the best weights (of the last, where nothing chooses).

    Args:
        resume_from: checkpoint to go on from.
        further: beyond the number of epochs that it was made with.
    """
    recipe = module.recipe
    how = recipe.fit
    processes = Processes.of_this_run()
    windows = Windows(
        split.train,
        period_ns,
        recipe.timing,
        how.seed,
        lambda steps, rng: augment(steps, recipe.augment, recipe.signals, rng),
        recipe.weights,
    )
    if windows.too_short:
        console.print(
            f'{windows.too_short:.1f} s are in pieces shorter than a window and are not learnt '
            'from; a lower timing.steps uses them',
            soft_wrap=True,
            highlight=False,
        )
    batch_size, batches = epoch_plan(windows.count_per_pass, how, processes.count)
    members = len(module.network.members)
    several = f'; each of {members} members has its own' if members > 1 else ''
    console.print(
        f'{windows.count_per_pass} windows of {recipe.timing.steps * period_ns / 1e9:g} s in '
        f'batches of {batch_size}: {batches} steps an epoch, {how.epochs} epochs, at most '
        f'{batches * how.epochs} steps{several}',
        soft_wrap=True,
        highlight=False,
    )
    loader = DataLoader(
        windows,
        batch_size=processes.share(batch_size) * members,
        sampler=WindowOrder(batches * batch_size * members, processes.rank, processes.count),
        collate_fn=Steps.stack,
    )
    held_out: Any = [whole(e, period_ns, recipe.weights) for e in split.validation]
    best = ModelCheckpoint(run, 'best', monitor='val_loss', enable_version_counter=False)
    last = ModelCheckpoint(run, 'last', enable_version_counter=False)
    callbacks: list[Callback] = [Progress(console), interrupt]
    if split.chooses:
        callbacks += [best, Patience(how.patience, anew=further)]
    callbacks += [last]  # after `best`, whose newest state it keeps
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
            max_epochs=how.epochs,
            accelerator='auto',
            devices=processes.per_machine,
            num_nodes=processes.machines,
            deterministic=True,
            gradient_clip_val=how.clip,
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
    return Path(best.best_model_path if split.chooses else last.best_model_path)


def epoch_plan(windows: int, fit: Fit, processes: int = 1) -> tuple[int, int]:
    """Windows in a batch, and batches in an epoch.

    Few windows make smaller batches before they are gone over again: as many steps cost less.
    """
    batch_size = fit.batch_size
    while round(windows * fit.passes / batch_size) < fit.min_steps:
        half = batch_size // 2
        if half < SMALLEST_BATCH or batch_size % 2 or half % processes:
            break
        batch_size = half
    return batch_size, max(round(windows * fit.passes / batch_size), fit.min_steps)


def check_resumable(last: Path, wanted: dict[str, Any]) -> bool:
    """Whether the run is to go on beyond what it was started for."""
    if not last.exists():
        raise ConfigError(f'nothing to resume: {last} does not exist; train without --resume')
    try:
        found = torch.load(last, weights_only=True)
    except Exception as error:  # damage can make torch raise anything
        raise ConfigError(f'{last} is damaged; train without --resume') from error
    for what, words in (('recipe', 'another recipe'), ('data', 'other recordings')):
        if found.get(what) != wanted[what]:
            raise ConfigError(
                f'{last} was trained with {words}; train without --resume, or with the same '
                'options as before'
            )
    if wanted['epochs'] < found['epochs']:
        raise ConfigError(
            f'{last} was to be trained for {found["epochs"]} epochs: --resume goes on for as many '
            f'or for more, found {wanted["epochs"]}'
        )
    return bool(wanted['epochs'] > found['epochs'])
