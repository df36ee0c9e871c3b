# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Verbs that measure what is said of liquid networks, on this machine and on your policies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from liquid_control.cli.learn import Changes, recipe_for
from liquid_control.cli.options import (
    Difficulty,
    Effort,
    LearningTopicOptions,
    Out,
    Quick,
    Workplace,
    cores,
    grouped,
    read_difficulty,
)
from liquid_control.cli.terminal import table_console

Policies = Annotated[
    list[str], typer.Argument(help='Policy bundles: directories, or shipped names.')
]
Worlds = Annotated[int, typer.Option(help='Unseen worlds, the same for all policies.', min=1)]

app = typer.Typer(
    help='Measure what is said of liquid networks. Each study writes tables (CSV), pictures (PNG) '
    'and one report.html into its folder, keeps what it has measured, and goes on from there.',
    no_args_is_help=True,
)


@app.command()
@grouped
def solvers(effort: Effort) -> None:
    """Solvers of an LTC: error, memory with and without the adjoint method, time, stability."""
    from liquid_control.evaluate.evidence.cells.solvers import study

    _run(study(**effort.settings), effort)


@app.command()
@grouped
def expressivity(effort: Effort) -> None:
    """The trajectory-length experiment of the LTC paper, and the same per amplitude."""
    from liquid_control.evaluate.evidence.cells.expressivity import study

    _run(study(**effort.settings), effort)


@app.command()
@grouped
def memory(
    cell: Annotated[
        list[str] | None, typer.Option(help='To measure; may be repeated. All without it.')
    ] = None,
    *,
    effort: Effort,
) -> None:
    """How far back cells learn, what mixed memory changes, and what success depends on."""
    from liquid_control.common.errors import ConfigError
    from liquid_control.evaluate.evidence.cells.memory import study
    from liquid_control.nn.cells import CELLS

    for name in cell or ():
        if name not in CELLS:
            raise ConfigError(f'--cell must be one of {", ".join(CELLS)}, found {name!r}')
    _run(study(cell, **effort.settings), effort)


@app.command()
@grouped
def bounds(policies: Policies, effort: Effort) -> None:
    """What a policy can never do: certified bounds of states, commands and their changes."""
    from liquid_control.evaluate.evidence.cells.bounds import study
    from liquid_control.learn.export.rebuild import load_network

    _run(study(_bundles(policies), load_network, **effort.settings), effort)


@app.command()
def compact(
    policies: Policies,
    scores: Annotated[
        Path | None, typer.Option(help='CSV with the columns policy and score, to show beside.')
    ] = None,
    quick: Quick = False,
    out: Out = None,
) -> None:
    """How small policies are: parameters, synapses, bytes, multiplications, time, energy."""
    from liquid_control.evaluate.evidence.cells.compact import read_scores, study

    known = read_scores(scores) if scores is not None else None
    _run(study(_bundles(policies), scores=known, quick=quick), Workplace(jobs=1, out=out))


@app.command()
@grouped
def flights(
    policies: Policies,
    test: Annotated[
        list[str] | None, typer.Option(help='To fly; may be repeated. All without it.')
    ] = None,
    number: Annotated[
        int, typer.Option('--flights', help='Of each policy in the training scene.', min=1)
    ] = 100,
    others: Annotated[int, typer.Option(help='In each other test.', min=1)] = 50,
    *,
    workplace: Workplace,
) -> None:
    """Flights in other seasons, from afar, target turned, hidden, with a distractor: by name."""
    from liquid_control.evaluate.evidence.flights import study

    bundles = _bundles(policies)
    _run(study(bundles, tests=test or (), flights=number, others=others), workplace)


@app.command()
@grouped
def goals(
    policies: Policies,
    worlds: Annotated[int, typer.Option(help='Rooms as trained, for each policy.', min=1)] = 100,
    others: Annotated[int, typer.Option(help='Rooms of each other kind.', min=0)] = 30,
    first: Annotated[int, typer.Option(help='The first world; 5000 to 5999 are for this.')] = 5000,
    *,
    workplace: Workplace,
) -> None:
    """The simulated rover in unseen rooms: goals reached without a touch, length of the way."""
    from liquid_control.evaluate.evidence.goals import study

    bundles = _bundles(policies)
    _run(study(bundles, worlds=worlds, others=others, first=first), workplace)


@app.command()
@grouped
def attention(policies: Policies, worlds: Worlds = 8, *, effort: Effort) -> None:
    """Whether policies look at the same places when the camera is noisy."""
    from liquid_control.evaluate.evidence.attention import study

    _run(study(_bundles(policies), worlds=worlds, **effort.settings), effort)


@app.command()
@grouped
def drive(
    policies: Policies,
    worlds: Worlds = 20,
    difficulty: Difficulty = None,
    *,
    effort: Effort,
) -> None:
    """The simulated car over unseen worlds: finished laps, departures, watchdog stops, offset."""
    from liquid_control.evaluate.evidence.drives.drive import study

    harder = read_difficulty('car', difficulty)
    chosen = study(_bundles(policies), worlds=worlds, difficulty=harder, **effort.settings)
    _run(chosen, effort)


@app.command()
@grouped
def robust(
    policies: Policies,
    disturbance: Annotated[
        list[str] | None, typer.Option(help='One of them; may be repeated. All without it.')
    ] = None,
    worlds: Worlds = 20,
    difficulty: Difficulty = None,
    *,
    effort: Effort,
) -> None:
    """Every disturbance raised to the strength at which half of the laps fail.

    With --disturbance also one of the world's difficulties, such as night, or the preset hard.
    """
    from liquid_control.evaluate.evidence.drives.robust import study

    chosen = study(
        _bundles(policies),
        disturbances=disturbance,
        worlds=worlds,
        difficulty=read_difficulty('car', difficulty),
        **effort.settings,
    )
    _run(chosen, effort)


@app.command()
@grouped
def rates(
    policies: Policies,
    worlds: Worlds = 10,
    difficulty: Difficulty = None,
    *,
    effort: Effort,
) -> None:
    """Other rates and irregular ticks, told the elapsed time and not told it."""
    from liquid_control.evaluate.evidence.drives.rates import study

    harder = read_difficulty('car', difficulty)
    chosen = study(_bundles(policies), worlds=worlds, difficulty=harder, **effort.settings)
    _run(chosen, effort)


@app.command()
@grouped
def hard(
    policies: Policies,
    difficulty: Difficulty = None,
    strength: Annotated[
        list[float] | None,
        typer.Option(
            help='What --difficulty is multiplied by; may be repeated. 0, 0.5 and 1 without it.',
            min=0.0,
            max=1.0,
        ),
    ] = None,
    worlds: Worlds = 20,
    *,
    effort: Effort,
) -> None:
    """Worlds that grow harder (the preset hard without --difficulty): who fails first.

    Policies that are called alike but for a number at the end are trainings of one kind.
    """
    from liquid_control.evaluate.evidence.drives.hard import STRENGTHS, study

    shares = read_difficulty('car', difficulty or ['hard=1'])
    chosen = study(
        _bundles(policies),
        shares,
        strengths=strength or STRENGTHS,
        worlds=worlds,
        **effort.settings,
    )
    _run(chosen, effort)


@app.command()
@grouped
def recordings(
    bags: Annotated[list[Path], typer.Argument(help='Recordings or datasets.')],
    recipe: Annotated[
        str | None,
        typer.Option(help='YAML or shipped name; the first bag decides what it leaves open.'),
    ] = None,
    cell: Annotated[
        list[str] | None, typer.Option(help='To train; may be repeated. All without it.')
    ] = None,
    seeds: Annotated[int, typer.Option(help='Of each cell, from fit.seed on.', min=1)] = 5,
    lose: Annotated[
        str, typer.Option(help='Shares of samples, and of control steps, to do without.')
    ] = '0,0.2,0.4,0.6,0.8',
    command: Annotated[
        str | None, typer.Option(help='That the tables are of; the first without it.')
    ] = None,
    changes: Changes = None,
    quick: Annotated[
        bool, typer.Option('--quick', help='Two seeds, two epochs: to see that it works.')
    ] = False,
    *,
    topics: LearningTopicOptions,
    workplace: Workplace,
) -> None:
    """Every cell trained on your recordings by one recipe, and judged on what it holds out."""
    from functools import partial

    from liquid_control.common.errors import ConfigError
    from liquid_control.evaluate.evidence.recordings import NAME, study
    from liquid_control.learn.train import trial
    from liquid_control.nn.cells import CELLS

    cells = cell or list(CELLS)
    if unknown := [name for name in cells if name not in CELLS]:
        raise ConfigError(f'--cell must be one of {", ".join(CELLS)}, found {unknown[0]!r}')
    shares = _shares(lose)
    chosen = recipe_for(bags, recipe, changes, topics)
    if quick:
        chosen, seeds = chosen.changed(epochs=2), min(seeds, 2)
    names = chosen.signals.command_names
    shown = command or names[0]
    if shown not in names:
        raise ConfigError(f'--command must be one of {", ".join(names)}, found {shown!r}')
    folder = workplace.out or Path('out') / 'evaluate' / NAME
    held_out = trial.held_out(bags, chosen, folder / 'dataset', jobs=workplace.jobs or 1)
    pieces = trial.pieces(bags, chosen, held_out, cells, seeds, shares)
    measure = partial(trial.measure, folder.absolute())
    chosen_study = study(pieces, measure, command=shown, held_out=held_out.words)
    _run(chosen_study, workplace)


def _shares(text: str) -> list[float]:
    """'0,0.5' -> [0.0, 0.5]."""
    from liquid_control.common.errors import ConfigError

    try:
        shares = [float(part) for part in text.split(',') if part.strip()]
    except ValueError as error:
        raise ConfigError(f'--lose must be like 0,0.2,0.8, found {text!r}') from error
    if wrong := [share for share in shares if not 0 <= share < 1]:
        raise ConfigError(f'--lose must be at least 0 and below 1, found {wrong[0]:g}')
    return shares


@app.command()
@grouped
def causal(
    policies: Policies,
    worlds: Worlds = 12,
    robust: Annotated[
        Path | None,
        typer.Option(help='thresholds.csv of `evaluate robust`, to hold the ranking against.'),
    ] = None,
    *,
    effort: Effort,
) -> None:
    """What commands follow: causes as the expert does, or light, season, scenery and noise."""
    from liquid_control.evaluate.evidence.causal.causal import study

    bundles = _bundles(policies)
    _run(study(bundles, worlds=worlds, **effort.settings, robust=robust), effort)


@app.command()
@grouped
def lesion(
    policies: Policies,
    worlds: Worlds = 8,
    *,
    effort: Effort,
) -> None:
    """Neurons and synapses silenced one by one: which of them drive, and how many can go."""
    from liquid_control.evaluate.evidence.lesion.lesion import study
    from liquid_control.learn.export.rebuild import load_network

    _run(study(_bundles(policies), load_network, worlds=worlds, **effort.settings), effort)


def _bundles(policies: list[str]) -> list[Path]:
    from liquid_control.common.assets import find_bundle

    # Absolute: the same pieces from wherever a study goes on, and on other machines.
    return list(dict.fromkeys(find_bundle(policy).absolute() for policy in policies))


@app.command('all')
@grouped
def everything(
    policies: Annotated[
        list[str] | None, typer.Argument(help='Of the simulated car; the shipped ones without.')
    ] = None,
    *,
    effort: Effort,
) -> None:
    """All studies, one table of the policies, and a page that says what each found."""
    from liquid_control.evaluate.evidence.overview import studies, write_overview
    from liquid_control.learn.export.rebuild import load_network

    bundles = _bundles(policies or ['track_cfc', 'track_ltc'])
    folder = effort.out or Path('out') / 'evaluate'
    reports = {}
    for study in studies(bundles, load_network, folder, **effort.settings):
        # Processes of its own: what compiles for torch crashes where a camera has rendered.
        reports[study.name] = _run(study, replace(effort, out=folder / study.name))
    print(f'all of it: {write_overview(reports, folder, table_console())}')


def _run(study: Any, workplace: Workplace) -> Any:
    from liquid_control.common.jobs import open_pool
    from liquid_control.evaluate.evidence.study import run

    folder = workplace.out or Path('out') / 'evaluate' / study.name
    with open_pool(workplace.jobs or cores(), workplace.ray) as pool:
        return run(study, folder, pool=pool, console=table_console())
