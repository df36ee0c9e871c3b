# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How far back cells learn: gradients over the lag, an adding task by length, what it hangs on.

The caveats of liquid networks, measured: gradients that vanish along an equation solved in time,
what mixed memory changes, what training costs, and how much success depends on the learning rate
and on initial values. All cells of `network.cell`, as a new policy has them.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.inputs.odometry import SpeedSpec
from liquid_control.evaluate.evidence.cells.compiled import CompiledStep
from liquid_control.evaluate.evidence.study import (
    Measured,
    Piece,
    Report,
    Study,
    Table,
    grouped,
    spread,
)
from liquid_control.evaluate.report.figures import STYLE
from liquid_control.evaluate.statistics import wilson
from liquid_control.nn.cells import CELLS
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork

NEURONS, ELAPSED = 16, 0.05
LAGS = (1, 2, 5, 10, 20, 40)
LENGTHS, RATE = (4, 8, 16), 1e-2
RATES = (3e-3, 1e-2, 3e-2)
SEEDS, QUICK_SEEDS = 3, 1
UPDATES, QUICK_UPDATES = 600, 20
QUICK_CELLS = ('ltc', 'cfc', 'cfc-mixed-memory', 'lstm', 'feed-forward')
BATCH, TESTED = 32, 512
# Training ends before its last update where so many in a row had errors below this share of the
# variance: most of the time goes into networks that learn nothing.
SETTLED, IN_A_ROW = 0.1, 25
# The variance of the sum: the squared error of an answer that has learnt nothing.
CHANCE = 1 / 6
# An error below this share of it counts as learnt.
LEARNT = 0.25


def layer(cell: str, seed: int, **changes: Any) -> PolicyNetwork:
    """A new policy's core with two inputs and one output, and its linear readout."""
    torch.manual_seed(seed)
    config = NetworkConfig(
        commands=(CommandSpec('steering', '1', -1.0, 1.0),),
        cell=cell,
        neurons=NEURONS,
        inputs=dict.fromkeys(('value', 'mark'), SpeedSpec(rate=1 / ELAPSED, max_age=ELAPSED)),
        **changes,
    )
    return PolicyNetwork(config)


def study(
    cells: list[str] | None = None,
    *,
    updates: int = UPDATES,
    seed: int = 0,
    quick: bool = False,
) -> Study:
    """Gradients, tasks and times of cells; all without a list, a few where it must be quick.

    Args:
        updates: after which a network that has not learnt its task is given up.
    """
    names = cells or list(QUICK_CELLS if quick else CELLS)
    seeds = QUICK_SEEDS if quick else SEEDS
    updates = QUICK_UPDATES if quick else updates
    lengths, rates = (LENGTHS[:2], RATES[:2]) if quick else (LENGTHS, RATES)
    pieces: list[Piece] = []
    for index in range(seeds):
        for cell in names:
            same = {'cell': cell, 'seed': seed + index}
            pieces.append({'what': 'gradient', **same})
            pieces += [
                {'what': 'task', **same, 'length': n, 'rate': RATE, 'updates': updates}
                for n in lengths
            ]
            pieces += [
                {'what': 'task', **same, 'length': lengths[1], 'rate': rate, 'updates': updates}
                for rate in rates
                if rate != RATE
            ]
    timed = [{'what': 'time', 'cell': cell, 'rounds': 1 if quick else 9} for cell in names]
    return Study('memory', measure, pieces, summarise, alone=timed)


def measure(piece: Piece) -> Measured:
    """One piece; see `study`."""
    if piece['what'] == 'gradient':
        return _gradients(piece['cell'], piece['seed'])
    if piece['what'] == 'time':
        return _times(piece['cell'], piece['rounds'])
    error, updates = adding_error(piece)
    return {'error': error, 'updates': updates}


def _gradients(cell: str, seed: int) -> Measured:
    """Norm of the derivative of the last output by the inputs so many steps before it."""
    network = layer(cell, seed)
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(BATCH, max(LAGS) + 1, 2, generator=generator) * 2 - 1
    x.requires_grad_()
    outputs, _ = network.cell(x, None, ELAPSED)
    (gradient,) = torch.autograd.grad(outputs[:, -1].sum(), x)
    norms = gradient.norm(dim=-1).mean(dim=0).flip(0)
    return {str(lag): float(norms[lag]) for lag in (0, *LAGS)}


def adding_task(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs [count, length, 2] and sums [count]: add the two values that are marked.

    Source: Hochreiter and Schmidhuber 1997, section 5.4: one mark in each half.
    """
    values = torch.rand(count, length, generator=generator)
    marks = torch.zeros(count, length)
    half = length // 2
    first = torch.randint(0, half, (count,), generator=generator)
    second = torch.randint(half, length, (count,), generator=generator)
    rows = torch.arange(count)
    marks[rows, first] = marks[rows, second] = 1.0
    return torch.stack([2 * values - 1, marks], dim=-1), (values * marks).sum(dim=1)


def adding_error(piece: Piece) -> tuple[float, int]:
    """Mean squared error on new sequences after training, in shares of that of knowing nothing.

    And after how many updates.
    """
    network = layer(piece['cell'], piece['seed'])
    readout = torch.nn.Linear(1, 1)
    weights = [*network.cell.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(weights, lr=piece['rate'])
    generator = torch.Generator().manual_seed(piece['seed'])

    def answer(x: Tensor) -> Tensor:
        sums: Tensor = readout(network.cell(x, None, ELAPSED)[0][:, -1])
        return sums.squeeze(-1)

    settled = updates = 0
    while updates < piece['updates'] and settled < IN_A_ROW:
        x, wanted = adding_task(BATCH, piece['length'], generator)
        loss = (answer(x) - wanted).square().mean()
        if not torch.isfinite(loss):
            return float('inf'), updates
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        updates += 1
        settled = settled + 1 if loss.item() < SETTLED * CHANCE else 0
    with torch.no_grad():
        x, wanted = adding_task(TESTED, piece['length'], generator)
        return float((answer(x) - wanted).square().mean()) / CHANCE, updates


def _times(cell: str, rounds: int, steps: int = 32) -> Measured:
    """Milliseconds of a training step, microseconds of a step in ONNX Runtime."""
    from liquid_control.nn.onnx_export.core import core_model

    network = layer(cell, 0)
    x = torch.randn(BATCH, steps, 2)
    training = []
    for turn in range(rounds + 1):
        begin = time.perf_counter()
        network.cell(x, None, ELAPSED)[0].square().sum().backward()
        if turn:
            training.append(1e3 * (time.perf_counter() - begin))
    step = CompiledStep(core_model(network).SerializeToString(), ELAPSED)
    return {'training_ms': statistics.median(training), 'step_us': step.time(200 * rounds)}


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """Tables of gradients, of the task by length, of what success hangs on, and of times."""
    kinds = {
        what: [entry for entry in found if entry[0]['what'] == what]
        for what in ('gradient', 'task', 'time')
    }
    cells = list(dict.fromkeys(piece['cell'] for piece, _ in found))
    gradients = grouped(kinds['gradient'], 'cell')
    rows = []
    for cell in cells:
        row: dict[str, Any] = {'cell': cell}
        for lag in (0, *LAGS):
            shares = [_share(entry, lag) for entry in gradients[cell,]]
            row[f'{lag} back' if lag else 'newest'] = statistics.median(shares)
        rows.append(row)
    by_length = Table(
        'gradients',
        'Gradient by an input so many steps back, in shares of the largest',
        rows,
        f'At initial values; steps of {ELAPSED * 1e3:g} ms, {NEURONS} neurons, median over '
        f'{len(gradients[cells[0],])} seeds. 1: nothing fades; 1e-3: hardly anything is learnt.',
    )
    tasks, depends, best = _tasks(kinds['task'], cells)
    times = Table(
        'times',
        'Time of training and of a step',
        [
            {
                'cell': piece['cell'],
                'training step, ms': measured['training_ms'],
                'compiled step, µs': measured['step_us'],
            }
            for piece, measured in kinds['time']
        ],
        f'Training: forward and backward over {BATCH} sequences of 32 steps, one thread. Step: '
        'the core in ONNX Runtime, one thread.',
    )
    figures = {'memory': _figure(gradients, kinds['task'])}
    return Report('Memory', best, [by_length, tasks, depends, times], figures)


def _tasks(found: list[tuple[Piece, Measured]], cells: list[str]) -> tuple[Table, Table, str]:
    by_length = grouped([entry for entry in found if entry[0]['rate'] == RATE], 'cell', 'length')
    lengths = sorted({length for _, length in by_length})
    middle = lengths[1]
    by_rate = grouped([entry for entry in found if entry[0]['length'] == middle], 'cell', 'rate')
    rates = sorted({rate for _, rate in by_rate})
    seeds, updates = len(by_length[cells[0], middle]), found[0][0]['updates']
    rows, depends = [], []
    for cell in cells:
        row: dict[str, Any] = {'cell': cell}
        for length in lengths:
            row[f'{length} steps'] = spread([e['error'] for e in by_length[cell, length]])
        rows.append(row)
        again: dict[str, Any] = {'cell': cell}
        quickest: list[int] = []
        successes = 0
        for rate in rates:
            errors = [entry['error'] for entry in by_rate[cell, rate]]
            successes += sum(error < LEARNT for error in errors)
            again[f'rate {rate:g}'] = f'{sum(e < LEARNT for e in errors)} of {len(errors)}'
            quickest += [e['updates'] for e in by_rate[cell, rate] if e['error'] < LEARNT]
        interval = wilson(successes, seeds * len(rates))
        again['learnt, of all'] = f'{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]'
        again['updates, median'] = statistics.median(quickest) if quickest else None
        depends.append(again)
    length_table = Table(
        'adding',
        'Adding task: squared error in shares of that of knowing nothing, by length',
        rows,
        f'Mean and standard deviation over {seeds} seeds, at most {updates} updates of Adam at '
        f'{RATE:g}, {NEURONS} neurons. 1: nothing learnt.',
    )
    depend_table = Table(
        'success',
        f'How often the adding task of {middle} steps is learnt, by learning rate',
        depends,
        f'Learnt: error below {LEARNT:g} of that of knowing nothing; {seeds} seeds each. Updates: '
        f'of those; training ends once {IN_A_ROW} in a row had errors below {SETTLED:g}.',
    )
    longest = {
        cell: max(
            (n for n in lengths if np.mean([e['error'] for e in by_length[cell, n]]) < LEARNT),
            default=0,
        )
        for cell in cells
    }
    most = max(longest.values())
    able = [cell for cell in cells if longest[cell] == most]
    verdict = f'longest adding task learnt: {most} steps, by {", ".join(able)}'
    if not most:
        verdict = f'no cell learnt the adding task in {updates} updates'
    return length_table, depend_table, verdict


def _share(norms: Measured, lag: int) -> float:
    """Of the largest: through several layers it is not always the newest input that tells most."""
    return float(norms[str(lag)] / max(norms.values()))


@rc_context(STYLE)
def _figure(
    gradients: dict[tuple[Any, ...], list[Measured]], tasks: list[tuple[Piece, Measured]]
) -> Figure:
    figure = Figure(figsize=(10, 4.4))
    left, right = figure.subplots(1, 2)
    by_length = grouped([entry for entry in tasks if entry[0]['rate'] == RATE], 'cell', 'length')
    for (cell,), entries in gradients.items():
        medians = [statistics.median(_share(entry, lag) for entry in entries) for lag in LAGS]
        left.loglog(LAGS, np.maximum(medians, 1e-12), marker='.', label=cell)
        lengths = sorted(length for name, length in by_length if name == cell)
        errors = [np.mean([e['error'] for e in by_length[cell, n]]) for n in lengths]
        right.plot(lengths, errors, marker='.', label=cell)
    left.set_title('Gradient over the lag')
    left.set_xlabel('steps back')
    left.set_ylabel('share of the largest')
    right.set_title('Adding task')
    right.set_xlabel('length, steps')
    right.set_ylabel('error, 1: nothing learnt')
    right.set_ylim(0, 1.6)
    right.legend(fontsize=7, ncols=2)
    return figure
