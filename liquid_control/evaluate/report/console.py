# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a replay shows on the terminal: a progress bar, then tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from liquid_control.bags.reader import BagReader
from liquid_control.common.jobs import count_progress
from liquid_control.common.plain_text import printable
from liquid_control.evaluate.replay.bag_replay import BagReplay, Options, frame_count, replay_bag
from liquid_control.evaluate.replay.compare import Comparison
from liquid_control.runtime.inference.policy import Policy

# The bar is told of every so many frames; telling it costs more than a step of the policy.
_REPORT_EVERY = 50


def replay_with_progress(
    reader: BagReader, policy: Policy, options: Options, console: Console
) -> BagReplay:
    """Replay a bag with a progress bar. Raises as `replay_bag`."""
    total = frame_count(reader, policy.contract, options)
    with count_progress(console, transient=True) as progress:
        title = f'frames of {reader.path.name}, {policy.contract.name}'
        task = progress.add_task(title, total=total)

        def on_frame(done: int) -> None:
            if done % _REPORT_EVERY == 0:
                progress.update(task, completed=done)

        return replay_bag(reader, policy, options, on_frame=on_frame)


def print_replay(replay: BagReplay, console: Console) -> None:
    """The errors of each command, and how fast it went."""
    title = Text(printable(f'{replay.contract.name} on {replay.bag.name}'))
    table = Table(title=title, title_justify='left')
    table.add_column('command', no_wrap=True)
    for heading in ('MAE', 'RMSE', 'R²', 'corr', 'largest', 'ticks'):
        table.add_column(heading, justify='right')
    for command in replay.contract.commands:
        error = replay.errors[command.name]
        name = command.name if command.unit == '1' else f'{command.name}, {command.unit}'
        if error is None:
            table.add_row(Text(printable(name)), *['–'] * 6)
            continue
        table.add_row(
            Text(printable(name)),
            f'{error.mae:.4f}',
            f'{error.rmse:.4f}',
            '–' if error.r2 is None else f'{error.r2:.3f}',
            '–' if error.corr is None else f'{error.corr:.3f}',
            f'{error.max_abs:.4f}',
            str(error.ticks),
        )
    console.print(table)
    if 'steering_angle' in replay.errors:
        console.print(f'wheelbase of the recorded robot: {replay.wheelbase:g} m', highlight=False)
    stages, silent = replay.stages, replay.silent
    shares = (
        ('decoding', stages.decoding),
        ('encoder', stages.encoder),
        ('core', stages.core),
        ('reading', replay.wall - stages.decoding - stages.encoder - stages.core),
    )
    console.print(
        f'{replay.frames} frames, {replay.duration:.1f} s in {replay.wall:.2f} s: '
        f'{replay.real_time_factor:.0f} times real time '
        f'({", ".join(f"{name} {share / replay.wall:.0%}" for name, share in shares)})',
        highlight=False,
    )
    for line in (*replay.faults.refusals.lines(), *map(str, replay.faults.jumps)):
        said = Text(printable(line), style='yellow')
        console.print(said, highlight=False, soft_wrap=True)
    if replay.left_out:
        console.print(
            f'{replay.left_out} of {len(replay.trace.stamp_ns)} ticks left out, on a robot a '
            f'safe stop ({", ".join(f"{name} {time:.1f} s" for name, time in silent.items())}): '
            f'{printable(replay.problem)}',
            style='yellow',
            highlight=False,
            soft_wrap=True,
            markup=False,
        )


def print_comparison(comparison: Comparison, ticks: int, console: Console) -> None:
    """Whether two replays are equal, and if not, where they part."""
    if comparison.problem:
        console.print(printable(comparison.problem), style='red', highlight=False, markup=False)
        return
    largest = ', '.join(f'{name} {gap:.2e}' for name, gap in comparison.max_abs.items())
    limits = f'atol {comparison.atol:g}, rtol {comparison.rtol:g}'
    first = comparison.first
    if first is None:
        console.print(
            f'Equal to {comparison.reference} at {ticks} ticks ({limits}); largest difference: '
            f'{largest}',
            style='green',
            highlight=False,
            markup=False,
        )
        return
    console.print(
        f'Differs from {comparison.reference} at {comparison.different} of {ticks} ticks '
        f'({limits}), first at {first.stamp_ns} ns: {first.command} is {_value(first.found)}, '
        f'expected {_value(first.expected)}; largest difference: {largest}',
        style='red',
        highlight=False,
        markup=False,
    )


def _value(value: float | None) -> str:
    return 'missing' if value is None else f'{value:.6g}'
