# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The loop that makes the next policy better: collect, retrain, evaluate, keep what is better.

Every round learns from all recordings so far, from the weights of the best policy so far. A round
that is done stays done: after a kill the loop goes on inside the round that was interrupted, with
its finished recordings and its last checkpoint.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from liquid_control.common.assets import CONTRACT_FILE
from liquid_control.common.errors import ConfigError
from liquid_control.contract.bundle import SIGNATURE_FILE, load_bundle
from liquid_control.learn.data.ingest import bag_digest
from liquid_control.learn.export.card import model_card
from liquid_control.learn.export.exporter import (
    CARD_FILE,
    check_target,
    precision_of,
    put_in_place,
)
from liquid_control.learn.improve.collectors import Collector
from liquid_control.learn.improve.improvement import Improvement, Round
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.trainer import STORE, train

RUNS = Path('out/improve')


def improve(
    start: Path,
    out: Path,
    recipe: Recipe,
    collector: Collector,
    *,
    rounds: int,
    bags: Sequence[Path] = (),
    command: str = '',
    store: Path = STORE,
    runs: Path = RUNS,
    on_round: Callable[[Path], None] = lambda folder: None,
    console: Console | None = None,
) -> Improvement:
    """Improve a policy; the best is written to `out` where it is better than the start.

    Args:
        start: bundle to start from.
        out: bundle to write, named after its last part.
        collector: where recordings come from, and what tells which policy is better.
        bags: recordings that every round learns from, besides those of the rounds.
        command: that does the same, for the model card.
        store: of decoded bags.
        runs: where rounds go, in a folder of the policy's name; an interrupted improvement of
            that name goes on.
        on_round: told of that folder after every round; improve.json in it says it all.

    Raises:
        LiquidControlError: settings, bags, recipe or bundle cannot be used.
        KeyboardInterrupt: Ctrl-C; what is done is kept.
    """
    console = console or Console(stderr=True)
    if out.resolve() == start.resolve():
        raise ConfigError(f'--out is the policy to start from, {start}: name another directory')
    folder = runs / out.name
    check_target(out, folder)
    recipe = collector.recipe(recipe)
    settings = {
        'start': load_bundle(start).digest,
        'recipe': repr(recipe),
        'bags': [bag_digest(bag) for bag in bags],
        **collector.settings,
    }
    history = Improvement.resume(out.name, settings, folder)
    if not history.rounds:
        history = history.with_round(_first_round(start, collector))
        _conclude(history, folder, on_round, console)
    for number in range(len(history.rounds), rounds + 1):
        entry = _round(number, history, folder, recipe, collector, bags, command, store, console)
        history = history.with_round(entry)
        _conclude(history, folder, on_round, console)
    _publish(history, start, out, console)
    return history


def _first_round(start: Path, collector: Collector) -> Round:
    seconds: dict[str, float] = {}
    with _timed(seconds, 'judging'):
        evaluation = collector.evaluate(start)
    digest = load_bundle(start).digest
    return Round(0, str(start), digest, kept=True, evaluation=evaluation, seconds=seconds)


def _round(
    number: int,
    history: Improvement,
    folder: Path,
    recipe: Recipe,
    collector: Collector,
    bags: Sequence[Path],
    command: str,
    store: Path,
    console: Console,
) -> Round:
    """Collect with the best policy so far, learn from everything so far, evaluate."""
    seconds: dict[str, float] = {}
    best = history.best
    work = folder / f'round_{number}'
    console.print(f'round {number}, from {best.policy}', soft_wrap=True, highlight=False)
    with _timed(seconds, 'practising'):
        recorded = collector.record(number, Path(best.policy), folder / 'bags')
    earlier = [Path(bag) for entry in history.rounds for bag in entry.bags]
    bundle = work / history.name
    with _timed(seconds, 'training'):
        if not bundle.exists():
            train(
                [*bags, *earlier, *recorded],
                recipe,
                bundle,
                command=command,
                warm_start=Path(best.policy),
                resume=(work / 'train' / history.name / 'last.ckpt').exists(),
                keep_interrupted=False,
                precision=precision_of(load_bundle(best.policy).contract),
                store=store,
                runs=work / 'train',
                console=console,
            )
    with _timed(seconds, 'judging'):
        evaluation = collector.evaluate(bundle)
    return Round(
        number=number,
        policy=str(bundle),
        digest=load_bundle(bundle).digest,
        kept=evaluation.score < best.evaluation.score,
        evaluation=evaluation,
        bags=tuple(str(bag) for bag in recorded),
        collected=collector.describe(recorded),
        seconds=seconds,
    )


def _conclude(
    history: Improvement, folder: Path, on_round: Callable[[Path], None], console: Console
) -> None:
    history.save(folder)
    on_round(folder)
    entry = history.rounds[-1]
    figures = ', '.join(f'{name} {value:.3g}' for name, value in entry.evaluation.metrics.items())
    verdict = 'start' if entry.number == 0 else 'kept' if entry.kept else 'not better, left out'
    console.print(f'round {entry.number}: {figures}: {verdict}', soft_wrap=True, highlight=False)


def _publish(history: Improvement, start: Path, out: Path, console: Console) -> None:
    """Write the best bundle to `out`, its card with what this improvement measured."""
    best = history.best
    if best.number == 0:
        console.print(
            f'no round was better than {start}: keep it; nothing was written to {out}',
            soft_wrap=True,
        )
        return
    partial = out.with_name(f'.{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(best.policy, partial)
    contract = load_bundle(partial).contract
    facts: dict[str, Any] = {
        'improved from': f'{start.name}, {history.rounds[0].digest}',
        'round': best.number,
        'before': history.rounds[0].evaluation.metrics,
        'after': best.evaluation.metrics,
    }
    contract = replace(contract, provenance=contract.provenance | facts)
    contract.dump(partial / CONTRACT_FILE)
    (partial / CARD_FILE).write_text(model_card(contract), encoding='utf-8')
    (partial / SIGNATURE_FILE).unlink(missing_ok=True)
    put_in_place(partial, out)
    console.print(f'{out}: written, of round {best.number}', soft_wrap=True)


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[part] = round(time.monotonic() - started, 1)
