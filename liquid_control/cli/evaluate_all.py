# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The verb `evaluate all`: equal data, cells that learn from it, and every study of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from liquid_control.cli.learn import Changes, recipe_for
from liquid_control.cli.options import Effort, LearningTopicOptions, grouped, read_difficulty
from liquid_control.cli.studies import bundles_of, cells_of, folder_of, run_study, trials_of
from liquid_control.cli.terminal import table_console

SHIPPED = ['track_cfc', 'track_ltc', 'track_ncp19']
RECIPE, DIFFICULTY = 'track_cfc', 'hard=0.7'
SIZES = ['cfc-19', 'cfc-12', 'cfc-8']
"""Beside every cell: how few neurons suffice."""
SEEDS = 3
QUICK_CELLS, QUICK_SEEDS = ['cfc'], 1


@dataclass(frozen=True)
class Lessons:
    """How much is learnt from, and how.

    Attributes:
        drives: of the expert, each of so many seconds.
        changes: of the recipe.
    """

    drives: int = 30
    seconds: float = 40.0
    changes: tuple[str, ...] = ('fit.epochs=6',)


QUICK = Lessons(2, 4.0, ('holdout=0.5', 'fit.epochs=1', 'fit.min_steps=4', 'fit.batch_size=4'))


@grouped
def everything(
    policies: Annotated[
        list[str] | None, typer.Argument(help='Of the simulated car; the shipped ones without.')
    ] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help='To train and to compare with; cfc-19 has 19 neurons; may be repeated. '
            f'Without it every cell, and {", ".join(SIZES)}.'
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help=f'Of each cell, {SEEDS} without it; 0: none is trained.', min=0),
    ] = None,
    bags: Annotated[
        Path | None,
        typer.Option(help='Folder of recordings to learn from, in place of new ones.'),
    ] = None,
    changes: Changes = None,
    *,
    effort: Effort,
) -> None:
    """From nothing to one table: equal data, trainings of every cell, all studies of them.

    Expert drives in hard worlds are collected, cells learn from them by the recipe track_cfc with
    six epochs, and they are judged in other worlds beside the policies that are named: who keeps
    driving, what fails first, causes, attention, bounds, sizes. It takes two to three hours of
    two cores; started again, it goes on where it was broken off.
    """
    from liquid_control.evaluate.evidence.overview import (
        AFTERWARDS,
        show_overview,
        studies,
        write_overview,
    )
    from liquid_control.evaluate.evidence.place import alone_in
    from liquid_control.learn.export.rebuild import load_network
    from liquid_control.learn.train.trial import stands

    folder = folder_of(effort, 'all').absolute()
    named = bundles_of(policies or SHIPPED, 'car')
    cells = cells_of(cell or (QUICK_CELLS if effort.quick else None))
    cells += SIZES if cell is None and not effort.quick else []
    seeds = seeds if seeds is not None else QUICK_SEEDS if effort.quick else SEEDS
    lessons = QUICK if effort.quick else Lessons()
    # What cannot be learnt or judged is refused now, not after hours.
    if seeds:
        _check_names(named, cells)
        drives, sources = _teacher(folder, bags, lessons)
        recipe = _recipe(sources, lessons, changes, cells)
    plan = studies(named, [], load_network, folder, **effort.settings)
    for name in plan.keys() - AFTERWARDS:
        plan[name]()
    before = 2 if seeds else 0  # what comes before the studies of policies
    count = before + len(plan)
    reports: dict[str, Any] = {}

    def measure(number: int, study: Any) -> None:
        # Processes of its own: what compiles for torch crashes where a camera has rendered.
        place = replace(effort, out=folder / study.name)
        reports[study.name] = run_study(study, place, f'{number} of {count}, {study.name}')
        write_overview(reports, folder, count)  # that it can be looked at before the end

    with alone_in(folder):
        if seeds:
            if drives is not None:
                measure(1, drives)
            place = folder / 'recordings'
            trials, bundle_of = trials_of(
                sources, recipe, cells, seeds, [0.0], replace(effort, out=place)
            )
            measure(2, replace(trials, stands=partial(stands, place)))
            trained = [bundle_of(piece) for piece in trials.pieces]
            plan = studies(named, trained, load_network, folder, **effort.settings)
        for number, study in enumerate(plan.values(), before + 1):
            measure(number, study())
        show_overview(reports, folder, table_console())


def _check_names(named: list[Path], cells: list[str]) -> None:
    """That no policy shares a row with the trainings of a cell.

    Raises:
        ConfigError: it is called like one.
    """
    from liquid_control.common.errors import ConfigError
    from liquid_control.evaluate.evidence.study import kind

    for path in named:
        if (cell := kind(path.name)) in cells:
            raise ConfigError(
                f'{path} is called like a training of the cell {cell} and would share its row: '
                f'give its folder another name, such as my_{path.name}'
            )


def _recipe(
    sources: list[Path], lessons: Lessons, changes: list[str] | None, cells: list[str]
) -> Any:
    """By which every cell learns.

    Raises:
        ConfigError: it cannot be changed so, or there is no cell of so few neurons.
    """
    from liquid_control.learn.train.trial import network_of

    changed = [*lessons.changes, *(changes or ())]
    recipe = recipe_for(sources, RECIPE, changed, LearningTopicOptions())
    for name in cells:
        cell, neurons = network_of(name)
        recipe.changed(cell=cell, neurons=neurons)
    return recipe


def _teacher(folder: Path, bags: Path | None, lessons: Lessons) -> tuple[Any, list[Path]]:
    """The study that collects what is learnt from, none where it is there; and the recordings."""
    from liquid_control.evaluate.evidence.teacher import NAME, study

    if bags is not None:
        return None, recordings_in(bags)
    difficulty = read_difficulty('car', [DIFFICULTY])
    place = folder / NAME / 'bags'
    return study(place, lessons.drives, seconds=lessons.seconds, difficulty=difficulty)


def recordings_in(folder: Path) -> list[Path]:
    """What lies in a folder of recordings, by name.

    Raises:
        ConfigError: nothing does.
    """
    from liquid_control.common.errors import ConfigError

    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not found:
        raise ConfigError(f'--bags must be a folder of recordings, found none in {folder}')
    return found
