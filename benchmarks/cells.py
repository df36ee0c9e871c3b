# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training speed of the cells: forward and backward over sequences, against ncps and torch's LSTM.

Every contender of a row runs once per round, in turns, and medians over rounds are compared, so a
busy moment of the machine falls on all alike. Inputs ask for gradients, as features of an encoder
do. "same solver" compares LTC's fused solver with the reference's, which knows no other; "best
solver" takes that of new policies, two midpoint steps, the more accurate one at control rates.
Memory is the growth of the resident set (on CUDA: of allocated memory) at its peak in one run.

    python benchmarks/cells.py [--quick] [--threads 2] [--device cuda]

The whole table takes about twenty minutes. `--cells` and `--sizes` measure a part of it: rows of
the same device and number of threads that an earlier call has measured stay in the table.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ncps.torch
import ncps.wirings
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from script import run_script
from torch import Tensor, nn

from liquid_control.nn import LTC, NCP, AutoNCP, CfC, Random, Wiring
from liquid_control.nn.kernels import plain_torch
from liquid_control.nn.kernels.build import library
from liquid_control.nn.solvers import POLICY_SOLVER, POLICY_UNFOLDS

BATCH = 32
CELLS = ('LTC', 'CfC wired', 'CfC dense', 'LTC mixed memory', 'CfC mixed memory')
SIZES = [(19, 32), (32, 64), (64, 64), (64, 256), (256, 256)]  # neurons, inputs
STEPS = [32, 64, 256]
# What keeps something for every synapse is left out where that takes more of the free memory.
SHARE_OF_MEMORY = 0.5
SECONDS_PER_ROW = 2.0
STATUS = Path('/proc/self/status')
OUT = Path('out/bench/cells.json')
CONSOLE = Console(width=170)

Layer = Callable[[Tensor], tuple[Tensor, object]]


def wirings(neurons: int) -> tuple[Wiring, ncps.wirings.Wiring]:
    """The published circuit for 19 neurons, AutoNCP for others, from both libraries."""
    if neurons == 19:
        return NCP(12, 6, 1, 6, 4, 10, 6), ncps.wirings.NCP(12, 6, 1, 6, 4, 10, 6)
    return AutoNCP(neurons, neurons // 8), ncps.wirings.AutoNCP(neurons, neurons // 8)


def without_kernel(layer: nn.Module) -> Layer:
    def run(x: Tensor) -> tuple[Tensor, object]:
        with plain_torch():
            return layer(x)

    return run


def contenders(cell: str, neurons: int, inputs: int, steps: int, device: str) -> dict[str, Layer]:
    """Name -> layer, for one row of the table."""
    ours_wiring, their_wiring = wirings(neurons)
    layers: dict[str, nn.Module]
    options: dict[str, Any] = {'mixed_memory': 'mixed memory' in cell}
    if cell.startswith('LTC'):
        solver = {'solver': POLICY_SOLVER, 'unfolds': POLICY_UNFOLDS}
        layers = {
            'ours': LTC(inputs, ours_wiring, **options),
            'best solver': LTC(inputs, ours_wiring, **solver, **options),
            'ncps': ncps.torch.LTC(inputs, their_wiring, **options),
        }
    else:
        units = (neurons, neurons) if cell == 'CfC dense' else (ours_wiring, their_wiring)
        layers = {
            'ours': CfC(inputs, units[0], **options),
            'ncps': ncps.torch.CfC(inputs, units[1], **options),
        }
    layers['LSTM'] = nn.LSTM(inputs, neurons, batch_first=True)
    runs: dict[str, Layer] = {name: layer.to(device) for name, layer in layers.items()}
    runs['plain torch'] = without_kernel(layers['ours'])
    # Five tensors of the size of all synapses, existing or not, for every unfold and step.
    needed = 5 * 4 * BATCH * steps * neurons * (6 * neurons + inputs)
    if cell.startswith('LTC') and needed > SHARE_OF_MEMORY * free_memory(device):
        del runs['ncps'], runs['plain torch']
    return runs


def free_memory(device: str) -> float:
    """Bytes that may still be taken."""
    if device == 'cuda':
        return torch.cuda.mem_get_info()[0]
    return 1024 * _kilobytes(Path('/proc/meminfo'), 'MemAvailable')


def train_once(layer: Layer, x: Tensor) -> float:
    """Seconds of one forward and backward pass."""
    synchronize = torch.cuda.synchronize if x.is_cuda else lambda: None
    synchronize()
    started = time.perf_counter()
    layer(x)[0].sum().backward()
    synchronize()
    return time.perf_counter() - started


def peak_megabytes(layer: Layer, x: Tensor) -> float:
    """Growth of memory at its peak within one forward and backward pass that is not the first."""
    train_once(layer, x)
    gc.collect()
    if x.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        train_once(layer, x)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    ctypes.CDLL(None).malloc_trim(0)
    Path('/proc/self/clear_refs').write_text('5')  # the peak starts from now
    before = _kilobytes(STATUS, 'VmRSS')
    train_once(layer, x)
    return max(0.0, _kilobytes(STATUS, 'VmHWM') - before) / 1e3


def _kilobytes(file: Path, field: str) -> float:
    lines = file.read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field))


def measure(layers: dict[str, Layer], x: Tensor, rounds: int) -> dict[str, dict[str, float]]:
    """Median milliseconds and peak megabytes of each contender."""
    times: dict[str, list[float]] = {name: [] for name in layers}
    memory = {name: peak_megabytes(layer, x) for name, layer in layers.items()}
    started = time.monotonic()
    for round_ in range(rounds):
        for name, layer in layers.items():
            times[name].append(train_once(layer, x))
        if round_ >= 2 and time.monotonic() - started > SECONDS_PER_ROW:
            break
    return {
        name: {'ms': 1e3 * statistics.median(seconds), 'peak_mb': memory[name]}
        for name, seconds in times.items()
    }


def speeds(
    cells: list[str], sizes: list[tuple[int, int]], steps: list[int], rounds: int, device: str
) -> list[dict[str, object]]:
    rows = []
    for cell in cells:
        for neurons, inputs in sizes:
            for length in steps:
                layers = contenders(cell, neurons, inputs, length, device)
                x = torch.randn(BATCH, length, inputs, device=device, requires_grad=True)
                place = {'cell': cell, 'neurons': neurons, 'inputs': inputs, 'steps': length}
                results = measure(layers, x, rounds)
                rows.append({**place, 'results': results})
                times = ', '.join(f'{name} {r["ms"]:.1f} ms' for name, r in results.items())
                CONSOLE.print(f'{cell} {neurons}/{inputs}, {length} steps: {times}')
    return rows


def linear_in_synapses(rounds: int, device: str) -> list[dict[str, object]]:
    """LTC of 64 neurons and 64 inputs with ever more of the possible synapses."""
    x = torch.randn(BATCH, 64, 64, device=device, requires_grad=True)
    layers: dict[str, Layer] = {}
    counts = {}
    for sparsity in (0.875, 0.75, 0.5, 0.0):
        wiring = Random(64, 8, sparsity=sparsity)
        layers[str(sparsity)] = LTC(64, wiring).to(device)
        counts[str(sparsity)] = wiring.synapse_count + wiring.sensory_synapse_count
    results = measure(layers, x, rounds)
    return [{'synapses': counts[name], **result} for name, result in results.items()]


def show(rows: list[dict[str, object]], device: str) -> None:
    table = Table(
        box=SIMPLE,
        title=f'Forward and backward, batch {BATCH}, {device}, {torch.get_num_threads()} threads',
    )
    for column in ('cell', 'neurons/inputs', 'steps'):
        table.add_column(column)
    for column in (
        'ours ms', 'us a step', 'best solver ms', 'plain torch ms', 'ncps ms', 'LSTM ms',
        'x ncps, same solver', 'x ncps, best solver', 'ours MB', 'ncps MB',
    ):  # fmt: skip
        table.add_column(column, justify='right')
    for row in rows:
        results = row['results']

        def cells(*names: str, field: str = 'ms', results: dict = results) -> list[str]:
            return [f'{results[n][field]:.1f}' if n in results else '-' for n in names]

        ratios = [
            f'{results["ncps"]["ms"] / results[name]["ms"]:.1f}'
            if 'ncps' in results and name in results
            else '-'
            for name in ('ours', 'best solver')
        ]
        table.add_row(
            str(row['cell']),
            f'{row["neurons"]}/{row["inputs"]}',
            str(row['steps']),
            *cells('ours'),
            f'{1e3 * results["ours"]["ms"] / row["steps"]:.0f}',
            *cells('best solver', 'plain torch', 'ncps', 'LSTM'),
            *ratios,
            *cells('ours', 'ncps', field='peak_mb'),
        )
    CONSOLE.print(table)


def show_synapses(rows: list[dict[str, object]]) -> None:
    table = Table(box=SIMPLE, title='LTC, 64 neurons, 64 inputs, 64 steps: time by synapses')
    for column in ('synapses', 'ms', 'ms per 1000 synapses'):
        table.add_column(column, justify='right')
    for row in rows:
        table.add_row(
            str(row['synapses']),
            f'{row["ms"]:.2f}',
            f'{1e3 * row["ms"] / row["synapses"]:.2f}',
        )
    CONSOLE.print(table)


def merged(report: dict[str, Any]) -> dict[str, Any]:
    """The report with the rows that an earlier call measured in the same way."""
    if not OUT.exists():
        return report
    before = json.loads(OUT.read_text())
    if any(before[key] != report[key] for key in ('device', 'threads', 'batch')):
        return report
    rows = {_place(row): row for row in (*before['rows'], *report['rows'])}
    return report | {'rows': [rows[place] for place in sorted(rows)]}


def _place(row: dict[str, Any]) -> tuple[int, ...]:
    return CELLS.index(row['cell']), row['neurons'], row['inputs'], row['steps']


def size(text: str) -> tuple[int, int]:
    neurons, inputs = map(int, text.split('/'))
    return neurons, inputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='two sizes, 32 steps, few rounds')
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--cells', nargs='+', choices=CELLS, default=list(CELLS))
    parser.add_argument('--sizes', nargs='+', type=size, default=SIZES, metavar='NEURONS/INPUTS')
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    library()  # compiled before anything is timed
    rounds = 5 if options.quick else 15
    sizes, steps = (SIZES[::2][:2], STEPS[:1]) if options.quick else (options.sizes, STEPS)
    report = merged(
        {
            'device': options.device,
            'threads': options.threads,
            'batch': BATCH,
            'rows': speeds(options.cells, sizes, steps, rounds, options.device),
            'linear_in_synapses': linear_in_synapses(rounds, options.device),
        }
    )
    show(report['rows'], options.device)
    show_synapses(report['linear_in_synapses'])
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(report, indent=1) + '\n')
    CONSOLE.print(f'rows written to {OUT}')


if __name__ == '__main__':
    run_script(main)
