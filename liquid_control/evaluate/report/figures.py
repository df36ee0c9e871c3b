# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Figures of a replay: commands over time, recorded and from the policy."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liquid_control.common.files import write_output
from liquid_control.contract.contract import CommandSpec
from liquid_control.evaluate.replay.bag_replay import BagReplay
from liquid_control.evaluate.replay.compare import CommandError

BLUE, ORANGE, GREY, RED = '#2364aa', '#e4572e', '#8a8f98', '#c1121f'
DPI = 120

STYLE: Any = {
    'font.size': 10,
    'axes.titlesize': 11,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.color': '#e3e6ea',
    'axes.axisbelow': True,
    'legend.frameon': False,
    'figure.constrained_layout.use': True,
}


def panels(height: float, ratios: list[float]) -> tuple[Figure, list[Axes]]:
    """Panels above each other that share the time axis.

    Args:
        height: of the figure, inches.
        ratios: heights of the panels relative to each other.
    """
    figure = Figure(figsize=(10, height))
    axes = figure.subplots(
        len(ratios), 1, sharex=True, squeeze=False, gridspec_kw={'height_ratios': ratios}
    )
    return figure, list(axes[:, 0])


def label(command: CommandSpec) -> str:
    """Name and unit for an axis."""
    name = command.name.replace('_', ' ')
    return name if command.unit == '1' else f'{name}, {command.unit}'


@rc_context(STYLE)
def draw_replay(replay: BagReplay, path: Path) -> None:
    """Write a figure: every command as recorded and as the policy gives it, and the error."""
    trace, commands = replay.trace, replay.contract.commands
    figure, axes = panels(3.4 * len(commands) + 0.6, [3, 1.2] * len(commands))
    for index, command in enumerate(commands):
        above, below = axes[2 * index], axes[2 * index + 1]
        policy, recorded = trace.policy[:, index], trace.recorded[:, index]
        above.plot(trace.time, recorded, color=GREY, linewidth=1.8, label='recorded')
        above.plot(
            trace.time, policy, color=BLUE, linewidth=1.2, label=f'policy {replay.contract.name}'
        )
        above.set_ylabel(label(command))
        above.set_title(_title(command, replay.errors[command.name]))
        above.legend(loc='lower right', bbox_to_anchor=(1, 0.98), ncols=2)
        error = policy - recorded
        below.fill_between(trace.time, error, color=ORANGE, alpha=0.35, linewidth=0)
        below.plot(trace.time, error, color=ORANGE, linewidth=0.9)
        below.axhline(0, color=GREY, linewidth=0.8)
        limit = np.nanmax(np.abs(error), initial=1e-6)
        below.set_ylim(-1.1 * limit, 1.1 * limit)
        below.set_ylabel('error')
    axes[-1].set_xlabel('time since the first tick, s')
    axes[-1].set_xlim(0, max(float(trace.time[-1]), 1e-3))
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix.lower().removeprefix('.'), dpi=DPI)
    write_output(path, drawn.getvalue())


def _title(command: CommandSpec, error: CommandError | None) -> str:
    name = command.name.replace('_', ' ').capitalize()
    if error is None:
        return f'{name}: nothing recorded to compare with'
    unit = '' if command.unit == '1' else f' {command.unit}'
    r2 = '' if error.r2 is None else f'R² {error.r2:.3f}, '
    return f'{name}: {r2}mean absolute error {error.mae:.3g}{unit}'
