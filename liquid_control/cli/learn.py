# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Verbs that make policies: record the expert, prepare recordings, train, improve."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from liquid_control.cli.options import (
    Difficulty,
    LearningTopicOptions,
    cores,
    grouped,
    read_difficulty,
)
from liquid_control.cli.terminal import complain
from liquid_control.common.plain_text import printable

Changes = Annotated[
    list[str] | None,
    typer.Option('--set', help='Any field of a recipe, e.g. fit.epochs=3; may be repeated.'),
]
Jobs = Annotated[
    int | None, typer.Option(help='Processes that decode bags; all cores without it.', min=1)
]
Inputs = Annotated[
    str | None,
    typer.Option(help='What to see, where no recipe says it: e.g. image,imu or left:image,scan.'),
]
Commands = Annotated[
    str | None,
    typer.Option(
        help='What to command, where no recipe says it: e.g. velocity_x,yaw_rate or '
        'steering,throttle.'
    ),
]


def collect(
    out: Annotated[Path, typer.Option(help='Where the bags go, one directory for each seed.')],
    robot: Annotated[str, typer.Option(help='car, quadrotor or rover.')] = 'car',
    seeds: Annotated[str, typer.Option(help='Of the worlds, e.g. 0-59 or 3,5,8.')] = '0-59',
    seconds: Annotated[
        float | None,
        typer.Option(help='Simulated duration of each drive, s; what suits the robot without it.'),
    ] = None,
    disturb: Annotated[
        bool, typer.Option(help='Push the robot off its way, so that recoveries are shown.')
    ] = True,
    difficulty: Difficulty = None,
) -> None:
    """Record expert drives in the simulator, faster than life; resumes after an interruption."""
    from liquid_control.rollout.collect import collect as collect_bags

    strength = read_difficulty(robot, difficulty)
    collect_bags(
        _seeds(seeds), out, seconds=seconds, disturb=disturb, robot=robot, difficulty=strength
    )


@grouped
def dataset(
    bags: Annotated[list[Path], typer.Argument(help='Recordings.')],
    out: Annotated[Path, typer.Option(help='Dataset to make, or to add to.')],
    recipe: Annotated[
        str | None,
        typer.Option(help='YAML or shipped name; the first bag decides what it leaves open.'),
    ] = None,
    inputs: Inputs = None,
    commands: Commands = None,
    *,
    topics: LearningTopicOptions,
    changes: Changes = None,
    jobs: Jobs = None,
    ray: Annotated[
        str | None, typer.Option(help='Address of a Ray cluster that does the work.')
    ] = None,
) -> None:
    """Decode recordings once, for any number of trainings; resumes after an interruption."""
    from liquid_control.learn.data.dataset import add_bags, describe_dataset, is_dataset

    sources = [out] if is_dataset(out) else bags
    signals = _recipe(
        sources, recipe, changes, topics.named(), inputs=inputs, commands=commands
    ).signals
    console = Console(stderr=True)
    outcomes = add_bags(bags, signals, out, console, jobs=jobs or cores(), ray=ray)
    told = printable(describe_dataset(out))
    Console(soft_wrap=True).print(told, highlight=False, markup=False)
    reasons = [outcome.reason for outcome in outcomes if outcome.reason]
    for reason in reasons:
        complain(reason)
    if reasons:
        raise typer.Exit(1)


@grouped
def train(
    bags: Annotated[list[Path], typer.Argument(help='Recordings or datasets to learn from.')],
    out: Annotated[Path, typer.Option(help='Policy bundle to write, e.g. models/my_robot.')],
    recipe: Annotated[
        str | None,
        typer.Option(help='YAML or shipped name; --from or the first bag decides what it leaves.'),
    ] = None,
    cell: Annotated[
        str | None, typer.Option(help='cfc, ltc, or another; a wrong name lists them.')
    ] = None,
    neurons: Annotated[int | None, typer.Option(help='Of the liquid core.', min=4)] = None,
    epochs: Annotated[int | None, typer.Option(help='At most.', min=1)] = None,
    seed: Annotated[int | None, typer.Option(help='Same seed, same weights.', min=0)] = None,
    start_frame: Annotated[
        int | None, typer.Option(help='First frame to learn from, in every bag.', min=0)
    ] = None,
    end_frame: Annotated[int | None, typer.Option(help='First frame left out.', min=1)] = None,
    warm_start: Annotated[
        str | None, typer.Option('--from', help='Bundle whose network and weights to start from.')
    ] = None,
    resume: Annotated[
        bool, typer.Option(help='Go on with an interrupted training, or with more --epochs.')
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option(
            help='Of the encoder: float32, float16 or int8; as --from has it, or float32.'
        ),
    ] = None,
    inputs: Inputs = None,
    commands: Commands = None,
    *,
    topics: LearningTopicOptions,
    changes: Changes = None,
    jobs: Jobs = None,
) -> None:
    """Learn a policy from recordings and write its bundle.

    On several GPUs: torchrun --nproc-per-node 4 -m liquid_control.cli train ...
    """
    from liquid_control.common.assets import find_bundle
    from liquid_control.contract.bundle import load_bundle
    from liquid_control.learn.export.exporter import precision_of
    from liquid_control.learn.train.trainer import train as train_policy

    start = find_bundle(warm_start) if warm_start is not None else None
    train_policy(
        bags,
        _recipe(bags, recipe, changes, topics.named(), start, inputs, commands).changed(
            cell=cell,
            neurons=neurons,
            epochs=epochs,
            seed=seed,
            start_frame=start_frame,
            end_frame=end_frame,
        ),
        out,
        command=_as_typed(bags),
        warm_start=start,
        resume=resume,
        precision=precision or (precision_of(load_bundle(start).contract) if start else 'float32'),
        jobs=jobs or cores(),
    )


@grouped
def improve(
    out: Annotated[Path, typer.Option(help='Policy bundle to write, where it is better.')],
    warm_start: Annotated[str, typer.Option('--from', help='Policy bundle to improve.')],
    bags: Annotated[
        list[Path] | None, typer.Argument(help='Recordings to learn from besides.')
    ] = None,
    rounds: Annotated[
        int, typer.Option(help='In the simulator; 0: learn from the recordings alone.', min=0)
    ] = 0,
    drives: Annotated[int, typer.Option(help='In the simulator, in every round.')] = 6,
    seconds: Annotated[float, typer.Option(help='Simulated duration of each drive, s.')] = 20.0,
    evaluation_seeds: Annotated[
        str, typer.Option(help='Worlds to evaluate in, never driven in for data.')
    ] = '201-210',
    laps: Annotated[int, typer.Option(help='Of a car, on each of those tracks.')] = 1,
    recipe: Annotated[
        str | None,
        typer.Option(help='YAML or shipped name; the policy decides what it leaves open.'),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help='Of a round, at most.', min=1)] = None,
    *,
    topics: LearningTopicOptions,
    changes: Changes = None,
) -> None:
    """Make a policy better: drive, let the expert answer, retrain, evaluate, keep what is better.

    With --rounds in the simulator; without, from recordings of a robot that people corrected.
    Resumes after an interruption.
    """
    from liquid_control.common.assets import find_bundle
    from liquid_control.evaluate.report.improve_report import rounds_table, write_improve_report
    from liquid_control.learn.improve.collectors import Collector, RecordedCollector
    from liquid_control.learn.improve.loop import RUNS
    from liquid_control.learn.improve.loop import improve as improve_policy

    start, given = find_bundle(warm_start), bags or []
    chosen = _recipe(given, recipe, changes, topics.named(), start).changed(epochs=epochs)
    console = Console(stderr=True)
    collector: Collector
    if rounds:
        from liquid_control.learn.improve.simulated import SimulatedCollector

        collector = SimulatedCollector(
            drives=drives,
            seconds=seconds,
            evaluation_seeds=tuple(_seeds(evaluation_seeds, '--evaluation-seeds')),
            laps=laps,
            console=console,
        )
    else:
        collector = RecordedCollector(given, start, chosen, console=console)

    def show(folder: Path) -> None:
        write_improve_report(folder / 'improve.json', folder / 'report.html')

    improve_policy(
        start,
        out,
        chosen,
        collector,
        rounds=rounds or 1,
        bags=given if rounds else [],
        command=_as_typed(given),
        on_round=show,
        console=console,
    )
    folder = RUNS / out.name
    Console().print(rounds_table(folder / 'improve.json'))
    Console(soft_wrap=True).print(f'report: {folder}/report.html', highlight=False)


def _as_typed(bags: list[Path]) -> str:
    """This command line; a folder's bags, when all are named, as the pattern that stood there."""
    words = [shlex.quote(word) for word in ['liquid-control', *sys.argv[1:]]]
    for folder in {bag.parent for bag in bags}:
        named = [shlex.quote(str(bag)) for bag in bags if bag.parent == folder]
        if len(named) > 1 and len(named) == len(list(folder.iterdir())):
            words = [word for word in words if word not in named[1:]]
            words[words.index(named[0])] = f'{shlex.quote(str(folder))}/*'
    return ' '.join(words)


def recipe_for(
    sources: list[Path],
    recipe: str | None,
    changes: list[str] | None,
    topics: LearningTopicOptions,
) -> Any:
    """What to learn of recordings and how, for other verbs than these."""
    return _recipe(sources, recipe, changes, topics.named())


def _recipe(
    sources: list[Path],
    recipe: str | None,
    changes: list[str] | None,
    topics: dict[str, str],
    start: Path | None = None,
    inputs: str | None = None,
    commands: str | None = None,
) -> Any:
    """What to learn and how.

    The last word have `topics` and `changes`, before them `recipe`, before it the policy to start
    from or what the sources suggest.
    """
    from liquid_control.common.assets import recipe_file
    from liquid_control.common.errors import ConfigError
    from liquid_control.contract.bundle import load_bundle
    from liquid_control.learn.data.dataset import dataset_signals, is_dataset
    from liquid_control.learn.export.rebuild import load_policy, recipe_of
    from liquid_control.learn.train.recipe_file import build_recipe

    policy = None
    if start is not None:
        if recipe is None:
            load_policy(start)  # that it is what its contract says
        policy = recipe_of(load_bundle(start).contract)
        for path in filter(is_dataset, sources):
            held = dataset_signals(path)
            own = replace(policy.signals, wheelbase=held.wheelbase, topics=held.topics)
            policy = replace(policy, signals=own)
    kinds = _kinds(inputs)
    file = recipe_file(recipe) if recipe is not None else None
    wanted = [name.strip() for name in commands.split(',')] if commands else []
    notes: list[str] = []
    inferred: list[Any] = []

    def signals(
        wheelbase: float | None, named: Mapping[str, str] | None, stated: Sequence[str]
    ) -> Any:
        seen, told = kinds or named, wanted or stated
        inferred.append(_signals(sources, topics, notes.append, wheelbase, seen, told))
        return inferred[0]

    chosen = build_recipe(signals, path=file, changes=changes or (), start=policy)
    if kinds and {name: spec.kind for name, spec in chosen.signals.inputs.items()} != kinds:
        raise ConfigError(
            f'--inputs {inputs} chooses where nothing else says what is seen: a recipe, a dataset '
            f'or --from says {",".join(chosen.signals.inputs)}'
        )
    if wanted and list(chosen.signals.command_names) != wanted:
        raise ConfigError(
            f'--commands {",".join(wanted)} chooses where nothing else says what is commanded: '
            f'a recipe, a dataset or --from says {",".join(chosen.signals.command_names)}'
        )
    if inferred and chosen.signals.commands == inferred[0].commands:
        for note in notes:
            print(printable(note), file=sys.stderr)
    return replace(chosen, signals=_named(chosen.signals, topics))


def _signals(
    sources: list[Path],
    topics: dict[str, str],
    on_status: Callable[[str], None],
    wheelbase: float | None,
    inputs: Mapping[str, str] | None,
    commands: Sequence[str],
) -> Any:
    """What to take from bags: as a dataset among them says, or else the first bag."""
    from liquid_control.learn.data.dataset import dataset_signals, is_dataset
    from liquid_control.learn.data.infer import infer_signals

    for path in filter(is_dataset, sources):
        return dataset_signals(path)
    return infer_signals(sources, topics, on_status, wheelbase, inputs=inputs, commands=commands)


def _named(signals: Any, topics: dict[str, str]) -> Any:
    """The signals with the topics that were named on the command line."""
    return replace(signals, topics={**signals.topics, **topics})


def _kinds(inputs: str | None) -> dict[str, str] | None:
    """'left:image,imu' -> {'left': 'image', 'imu': 'imu'}."""
    from liquid_control.common.errors import ConfigError
    from liquid_control.contract.inputs import KINDS

    if inputs is None:
        return None
    wanted = {}
    for part in inputs.split(','):
        name, _, kind = part.strip().partition(':')
        kind = kind or name
        if kind not in KINDS:
            raise ConfigError(
                f'--inputs: {part.strip()!r} is no kind of input; there are {", ".join(KINDS)}'
            )
        wanted[name] = kind
    return wanted


def _seeds(text: str, option: str = '--seeds') -> list[int]:
    """'0-3,7' -> [0, 1, 2, 3, 7]."""
    from liquid_control.common.errors import ConfigError

    seeds: list[int] = []
    for part in text.split(','):
        first, _, last = part.partition('-')
        try:
            found = range(int(first), int(last or first) + 1)
        except ValueError as error:
            raise ConfigError(f'{option} must be like 0-59 or 3,5,8, found {text!r}') from error
        if not found:
            raise ConfigError(f'{option}: {part} holds no seed, did you mean {last}-{first}?')
        seeds += found
    return seeds
