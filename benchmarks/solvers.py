"""Solvers of the membrane equation: error after one elapsed time, work, and time.

Random networks of 19 neurons (NCP wiring) and 32 inputs; inputs and states uniform within
[-1, 1]. The error is the largest over the neurons, its median and 99th percentile over networks
and states, against RK4 with steps of at most a millisecond, in float64. Once for layers as `LTC`
makes them, with time constants of about a second, and once as they begin in a new policy, with
those of a robot. The time is that of a training step (forward and backward, 32 sequences of 32
steps, float32), measured in turns.

    python benchmarks/solvers.py
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from liquid_control.contract.contract import CommandSpec
from liquid_control.nn import LTC, AutoNCP
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork

INPUTS, UNITS, OUTPUTS = 32, 19, 1
NETWORKS, STATES = 24, 32
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

Errors = dict[tuple[str, int], torch.Tensor]


def layer(solver: str, unfolds: int, seed: int) -> LTC:
    torch.manual_seed(seed)
    return LTC(INPUTS, AutoNCP(UNITS, OUTPUTS, seed=seed), solver=solver, unfolds=unfolds)


def policy(solver: str, unfolds: int, seed: int) -> LTC:
    torch.manual_seed(seed)
    config = NetworkConfig(
        commands=(CommandSpec('steering_angle', 'rad', -0.5, 0.5),),
        cell='ltc',
        neurons=UNITS,
        image_size=(24, 48),
        features=INPUTS,
        wiring_seed=seed,
        solver=solver,
        unfolds=unfolds,
    )
    return PolicyNetwork(config).cell


MAKERS: dict[str, tuple[Callable[[str, int, int], LTC], tuple[str, ...]]] = {
    'layer': (layer, ('1/30', '1/20', '1/4', '1')),
    'policy': (policy, ('1/100', '1/50', '1/20', '1/10')),
}


def seconds(label: str) -> float:
    numerator, _, denominator = label.partition('/')
    return int(numerator) / int(denominator or 1)


@torch.no_grad()
def errors(make: Callable[[str, int, int], LTC], elapsed: float) -> Errors:
    """Largest error over the neurons for each candidate, of every network and state."""
    found: dict[tuple[str, int], list[torch.Tensor]] = {name: [] for name in CANDIDATES}
    exact_unfolds = max(100, round(1000 * elapsed))
    for seed in range(NETWORKS):
        exact = make('rk4', exact_unfolds, seed).double()
        x = torch.rand(STATES, INPUTS, dtype=torch.float64) * 2 - 1
        state = torch.rand(STATES, UNITS, dtype=torch.float64) * 2 - 1
        truth = exact.step(x, state, elapsed)[1]
        for solver, unfolds in CANDIDATES:
            got = make(solver, unfolds, seed).double().step(x, state, elapsed)[1]
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
    times = training_times()
    rows = []
    for kind, (make, elapsed) in MAKERS.items():
        by_elapsed = {label: errors(make, seconds(label)) for label in elapsed}
        table = Table(
            box=SIMPLE,
            title=f'{kind}, {UNITS} neurons, {INPUTS} inputs: largest error after elapsed times',
            caption='work: evaluations of the synapses; time: a training step, against fused 6',
        )
        for heading in ('solver', 'work', *(f'{label} s' for label in elapsed), 'time'):
            justify = 'left' if heading == 'solver' else 'right'
            table.add_column(heading, justify=justify, no_wrap=True)
        for solver, unfolds in CANDIDATES:
            row: dict[str, object] = {
                'network': kind,
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
            table.add_row(f'{solver} {unfolds}', str(row['evaluations']), *cells, f'{ratio:.2f}')
        Console().print(table)
    out = Path('out/bench/solvers.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    main()
