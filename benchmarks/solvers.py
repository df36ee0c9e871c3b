"""Solvers of the membrane equation: error after one elapsed time, work, and time.

Random networks of 19 neurons (NCP wiring) and 32 inputs; inputs and states uniform within
[-1, 1]. The error is the largest over the neurons, its median and 99th percentile over networks
and states, against RK4 with steps of at most a millisecond, in float64. The time is that of a
training step (forward and backward, 32 sequences of 32 steps, float32), measured in turns.

    python benchmarks/solvers.py
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from liquid_control.nn import LTC, AutoNCP

INPUTS, UNITS, OUTPUTS = 32, 19, 1
NETWORKS, STATES = 24, 32
ELAPSED = {'1/30': 1 / 30, '1/20': 1 / 20, '1/4': 1 / 4, '1': 1.0}
EVALUATIONS = {'fused': 1, 'exponential_midpoint': 2, 'euler': 1, 'rk4': 4}
CANDIDATES = [
    ('fused', 6),
    ('exponential_midpoint', 1),
    ('exponential_midpoint', 2),
    ('exponential_midpoint', 3),
    ('euler', 6),
    ('rk4', 1),
    ('rk4', 6),
]


def layer(solver: str, unfolds: int, seed: int) -> LTC:
    torch.manual_seed(seed)
    return LTC(INPUTS, AutoNCP(UNITS, OUTPUTS, seed=seed), solver=solver, unfolds=unfolds)


@torch.no_grad()
def errors(elapsed: float) -> dict[tuple[str, int], torch.Tensor]:
    """Largest error over the neurons for each candidate, of every network and state."""
    found: dict[tuple[str, int], list[torch.Tensor]] = {name: [] for name in CANDIDATES}
    exact_unfolds = max(100, round(1000 * elapsed))
    for seed in range(NETWORKS):
        exact = layer('rk4', exact_unfolds, seed).double()
        x = torch.rand(STATES, INPUTS, dtype=torch.float64) * 2 - 1
        state = torch.rand(STATES, UNITS, dtype=torch.float64) * 2 - 1
        truth = exact.step(x, state, elapsed)[1]
        for solver, unfolds in CANDIDATES:
            got = layer(solver, unfolds, seed).double().step(x, state, elapsed)[1]
            found[solver, unfolds].append((got - truth).abs().amax(dim=1))
    return {name: torch.cat(parts) for name, parts in found.items()}


def training_times(rounds: int = 7) -> dict[tuple[str, int], float]:
    """Median milliseconds of forward and backward."""
    layers = {name: layer(*name, seed=0) for name in CANDIDATES}
    x = torch.randn(32, 32, INPUTS)
    times: dict[tuple[str, int], list[float]] = {name: [] for name in CANDIDATES}
    for turn in range(rounds + 1):
        for name, rnn in layers.items():
            begin = time.perf_counter()
            rnn(x, elapsed=1 / 30)[0].sum().backward()
            if turn > 0:  # the first turn warms up
                times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(measured) for name, measured in times.items()}


def main() -> None:
    torch.set_num_threads(1)
    by_elapsed = {label: errors(seconds) for label, seconds in ELAPSED.items()}
    times = training_times()
    table = Table(
        box=SIMPLE,
        title=f'{UNITS} neurons, {INPUTS} inputs: largest error after one elapsed time, median',
        caption='work: evaluations of the synapses; time: a training step, against fused 6',
    )
    for heading in ('solver', 'work', *(f'{label} s' for label in ELAPSED), 'time'):
        table.add_column(heading, justify='left' if heading == 'solver' else 'right', no_wrap=True)
    rows = []
    for solver, unfolds in CANDIDATES:
        row: dict[str, object] = {
            'solver': solver,
            'unfolds': unfolds,
            'evaluations': EVALUATIONS[solver] * unfolds,
            'training_ms': times[solver, unfolds],
        }
        cells = []
        for label, found in by_elapsed.items():
            median, p99 = (found[solver, unfolds].quantile(q).item() for q in (0.5, 0.99))
            row[f'error_median_{label}'] = median
            row[f'error_p99_{label}'] = p99
            cells.append(f'{median:.1e}'.replace('e-0', 'e-').replace('e+0', 'e+'))
        rows.append(row)
        ratio = times[solver, unfolds] / times['fused', 6]
        table.add_row(
            f'{solver} {unfolds}',
            str(row['evaluations']),
            *cells,
            f'{ratio:.2f}',
        )
    Console().print(table)
    out = Path('out/bench/solvers.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    main()
