# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What all verbs of `evaluate` share: policies by name, and a study that is run and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from liquid_control.cli.options import Workplace, cores
from liquid_control.cli.terminal import table_console


def bundles_of(policies: list[str], *robots: str) -> list[Path]:
    """Bundles that a person named, each once.

    Args:
        robots: the simulated ones of which a policy must drive one, where it must.

    Raises:
        LiquidControlError: there is no such bundle, or it drives another robot.
    """
    from liquid_control.common.assets import find_bundle

    # Absolute: the same pieces from wherever a study goes on, and on other machines.
    found = [find_bundle(policy).absolute() for policy in policies]
    once = list({path.resolve(): path for path in reversed(found)}.values())[::-1]
    for path in once if robots else ():
        _check_robot(path, robots)
    return once


def _check_robot(path: Path, robots: Sequence[str]) -> None:
    from liquid_control.common.errors import ConfigError
    from liquid_control.contract.bundle import load_bundle
    from liquid_control.rollout.tasks import task_kind

    commands = load_bundle(path).contract.command_names
    takes = {robot: task_kind(robot).commands for robot in robots}
    if not any(sorted(each) == sorted(commands) for each in takes.values()):
        known = '; '.join(f'the simulated {name} takes {", ".join(takes[name])}' for name in takes)
        raise ConfigError(
            f'policy {path.name} commands {", ".join(commands)}, {known}: leave it out'
        )


def folder_of(workplace: Workplace, name: str) -> Path:
    """Where a study of this name writes."""
    return workplace.out or Path('out') / 'evaluate' / name


def run_study(study: Any, workplace: Workplace, title: str | None = None) -> Any:
    """Measure, write and show a study; returns its report."""
    from liquid_control.common.jobs import open_pool
    from liquid_control.evaluate.evidence.study import run

    folder = folder_of(workplace, study.name)
    with open_pool(workplace.jobs or cores(), workplace.ray) as pool:
        return run(study, folder, pool=pool, console=table_console(), title=title)


def cells_of(named: list[str] | None) -> list[str]:
    """Cells that a person named, see `network_of`; without any all.

    Raises:
        ConfigError: there is no such cell.
    """
    from liquid_control.learn.train.trial import network_of
    from liquid_control.nn.cells import CELLS

    for cell in named or ():
        network_of(cell)
    return named or list(CELLS)


def trials_of(
    sources: list[Path],
    recipe: Any,
    cells: list[str],
    seeds: int,
    shares: list[float],
    workplace: Workplace,
    command: str | None = None,
) -> tuple[Any, Callable[[dict[str, Any]], Path]]:
    """The study of cells that learn from recordings, and where the policy of a piece will lie.

    Decodes the recordings.

    Raises:
        LiquidControlError: they cannot be used, or the command is not known.
    """
    from functools import partial

    from liquid_control.common.errors import ConfigError
    from liquid_control.evaluate.evidence.recordings import NAME, study
    from liquid_control.learn.train import trial

    names = recipe.signals.command_names
    shown = command or names[0]
    if shown not in names:
        raise ConfigError(f'--command must be one of {", ".join(names)}, found {shown!r}')
    folder = folder_of(workplace, NAME).absolute()
    held_out = trial.held_out(sources, recipe, folder / 'dataset', jobs=workplace.jobs or 1)
    pieces = trial.pieces(sources, recipe, held_out, cells, seeds, shares)
    measure = partial(trial.measure, folder)
    chosen = study(pieces, measure, command=shown, held_out=held_out.words)
    return chosen, partial(trial.bundle_of, folder)
