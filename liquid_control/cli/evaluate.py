# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Verbs that measure what is said of liquid networks, on this machine and on your policies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liquid_control.cli.evaluate_all import everything
from liquid_control.cli.learn import Changes, recipe_for
from liquid_control.cli.options import (
    Difficulty,
    Effort,
    LearningTopicOptions,
    Out,
    Quick,
    Workplace,
    grouped,
    read_difficulty,
)
from liquid_control.cli.studies import bundles_of, cells_of, run_study, trials_of
from liquid_control.common.assets import SIMULATED

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

    run_study(study(**effort.settings), effort)


@app.command()
@grouped
def expressivity(effort: Effort) -> None:
    """The trajectory-length experiment of the LTC paper, and the same per amplitude."""
    from liquid_control.evaluate.evidence.cells.expressivity import study

    run_study(study(**effort.settings), effort)


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
    run_study(study(cell, **effort.settings), effort)


@app.command()
@grouped
def bounds(policies: Policies, effort: Effort) -> None:
    """What a policy can never do: certified bounds of states, commands and their changes."""
    from liquid_control.evaluate.evidence.cells.bounds import study
    from liquid_control.learn.export.rebuild import load_network

    run_study(study(bundles_of(policies), load_network, **effort.settings), effort)


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
    run_study(study(bundles_of(policies), scores=known, quick=quick), Workplace(jobs=1, out=out))


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

    bundles = bundles_of(policies)
    run_study(study(bundles, tests=test or (), flights=number, others=others), workplace)


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

    bundles = bundles_of(policies)
    run_study(study(bundles, worlds=worlds, others=others, first=first), workplace)


@app.command()
@grouped
def attention(policies: Policies, worlds: Worlds = 8, *, effort: Effort) -> None:
    """Whether policies look at the same places when the camera is noisy."""
    from liquid_control.evaluate.evidence.attention import study

    bundles = bundles_of(policies, *SIMULATED)
    run_study(study(bundles, worlds=worlds, **effort.settings), effort)


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
    chosen = study(
        bundles_of(policies, 'car'), worlds=worlds, difficulty=harder, **effort.settings
    )
    run_study(chosen, effort)


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
        bundles_of(policies, 'car'),
        disturbances=disturbance,
        worlds=worlds,
        difficulty=read_difficulty('car', difficulty),
        **effort.settings,
    )
    run_study(chosen, effort)


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
    chosen = study(
        bundles_of(policies, 'car'), worlds=worlds, difficulty=harder, **effort.settings
    )
    run_study(chosen, effort)


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
        bundles_of(policies, 'car'),
        shares,
        strengths=strength or STRENGTHS,
        worlds=worlds,
        **effort.settings,
    )
    run_study(chosen, effort)


@app.command()
@grouped
def recordings(
    bags: Annotated[list[Path], typer.Argument(help='Recordings or datasets.')],
    recipe: Annotated[
        str | None,
        typer.Option(help='YAML or shipped name; the first bag decides what it leaves open.'),
    ] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(help='To train; cfc-19 has 19 neurons; may be repeated. All without it.'),
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
    cells = cells_of(cell)
    shares = _shares(lose)
    chosen = recipe_for(bags, recipe, changes, topics)
    if quick:
        chosen, seeds = chosen.changed(epochs=2), min(seeds, 2)
    trials, _ = trials_of(bags, chosen, cells, seeds, shares, workplace, command)
    run_study(trials, workplace)


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

    bundles = bundles_of(policies, *SIMULATED)
    run_study(study(bundles, worlds=worlds, **effort.settings, robust=robust), effort)


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

    bundles = bundles_of(policies, *SIMULATED)
    run_study(study(bundles, load_network, worlds=worlds, **effort.settings), effort)


app.command('all')(everything)
