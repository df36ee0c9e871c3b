# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Work that is killed in the middle, in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from liquid_control.learn.data import dataset
from liquid_control.learn.data.signals import Signals

QUIET = Console(quiet=True)


def run_killed(work: Callable[..., None], *arguments: Any) -> None:
    """Run until SIGKILL; anything else that ends it is an error."""
    process = multiprocessing.get_context('spawn').Process(target=work, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def die_in_the_last_bag(bags: list[Path], signals: Signals, made: Path) -> None:
    """Make a dataset; the end comes at the first image of the last bag."""
    ingest = dataset.ingest

    def take(bag: Path, *arguments: Any) -> None:
        ingest(bag, *arguments[:-1], _die if bag == bags[-1] else arguments[-1])

    dataset.ingest = take
    dataset.add_bags(bags, signals, made, QUIET)


def die_in_the_last_epoch(
    bags: list[Path], recipe: Any, path: Path, store: Path, runs: Path, threads: int
) -> None:
    """Train a policy; the end comes before the first step of the last epoch."""
    import torch

    from liquid_control.learn.train.imitation import Imitation
    from liquid_control.learn.train.trainer import train

    torch.set_num_threads(threads)
    start = Imitation.on_train_batch_start

    def begin(module: Imitation, *arguments: Any) -> None:
        if module.current_epoch == recipe.fit.epochs - 1:
            _die()
        start(module, *arguments)

    Imitation.on_train_batch_start = begin
    train(bags, recipe, path, store=store, runs=runs, console=QUIET)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
