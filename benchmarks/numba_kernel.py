# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The LTC kernel in C++ against the same loops in numba: why the kernels are written in C++.

Forward pass of the fused solver without gradients, batch 32, 64 steps, one thread, the published
circuit and a larger one. Both run 16 episodes side by side in the lanes of vectors, walk existing
synapses only and use the same polynomial for exp; medians, in turns. Numba is no part of the
project: `pip install numba` for this script.

    python benchmarks/numba_kernel.py
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import numba
import numpy as np
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from script import run_script

from liquid_control.nn import LTC, NCP, AutoNCP, Wiring
from liquid_control.nn.kernels.build import library
from liquid_control.nn.kernels.ltc import Topology
from liquid_control.nn.ltc import LEAST_CONDUCTANCE

BATCH, STEPS, LANES, ROUNDS = 32, 64, 16, 15
NETWORKS: dict[str, tuple[int, Wiring]] = {
    '19/32': (32, NCP(12, 6, 1, 6, 4, 10, 6)),
    '64/64': (64, AutoNCP(64, 8)),
}
EXP2 = (1.535336178e-4, 1.339887445e-3, 9.618437358e-3, 5.550332471e-2, 0.2402264791, 0.6931472029)
FAST = {'nsz', 'arcp', 'contract'}  # a NaN must stay visible

Array = np.ndarray


@numba.njit(fastmath=FAST, error_model='numpy', inline='always')
def drive(synapses, j, v, numerator, denominator, whole, fraction):
    """Adds what the synapses onto neuron j open; v is [sources, LANES]."""
    first, source, constants = synapses
    shift = np.float32(12582912.0)
    bits = fraction.view(np.int32)
    shifted = whole.view(np.int32)
    for s in range(first[j], first[j + 1]):
        mu, scale, w, w_erev = constants[s]
        row = v[source[s]]
        for k in range(LANES):
            z = min(max(scale * (row[k] - mu), np.float32(-126)), np.float32(126))
            whole[k] = z + shift
            f = z - (whole[k] - shift)
            p = np.float32(EXP2[0]) * f + np.float32(EXP2[1])
            p = p * f + np.float32(EXP2[2])
            p = p * f + np.float32(EXP2[3])
            p = p * f + np.float32(EXP2[4])
            p = p * f + np.float32(EXP2[5])
            fraction[k] = p * f + np.float32(1)
        for k in range(LANES):
            bits[k] += shifted[k] << 23
        for k in range(LANES):
            y = np.float32(1) / (np.float32(1) + fraction[k])
            numerator[k] += w_erev * y
            denominator[k] += w * y


@numba.njit(fastmath=FAST, error_model='numpy')
def forward(x, elapsed, cm, leak, leak_rev, recurrent, sensory, unfolds):
    """States [time, batch, units] of inputs [time, batch, inputs]; batch a multiple of LANES."""
    steps, batch, inputs = x.shape
    units = len(cm)
    states = np.empty((steps, batch, units), np.float32)
    whole, fraction = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    a, b = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for start in range(0, batch, LANES):
        v, after = np.zeros((units, LANES), np.float32), np.zeros((units, LANES), np.float32)
        num, den = np.empty((units, LANES), np.float32), np.empty((units, LANES), np.float32)
        u = np.empty((inputs, LANES), np.float32)
        for t in range(steps):
            for k in range(LANES):
                for i in range(inputs):
                    u[i, k] = x[t, start + k, i]
            for j in range(units):
                num[j, :] = leak_rev[j]
                den[j, :] = leak[j]
                drive(sensory, j, u, num[j], den[j], whole, fraction)
            for _ in range(unfolds):
                for j in range(units):
                    a[:] = num[j]
                    b[:] = den[j]
                    drive(recurrent, j, v, a, b, whole, fraction)
                    for k in range(LANES):
                        h = elapsed[t, start + k] / np.float32(unfolds)
                        after[j, k] = v[j, k] + h * (a[k] - b[k] * v[j, k]) / (cm[j] + h * b[k])
                v, after = after, v
            for k in range(LANES):
                for j in range(units):
                    states[t, start + k, j] = v[j, k]
    return states


def packed(mask: torch.Tensor, *weights: torch.Tensor) -> tuple[Array, Array, Array]:
    """First synapse of each target, sources, and the constants [synapses, 4]."""
    place = Topology.of(mask)
    mu, sigma, w, erev = (place.gather(weight) for weight in weights)
    scale = -sigma / np.log(2)
    constants = torch.stack([mu, scale, w, w * erev], dim=1).float().contiguous()
    return place.first.numpy(), place.source.numpy(), constants.numpy()


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    library()
    table = Table(box=SIMPLE, title=f'LTC forward, batch {BATCH}, {STEPS} steps, one thread, ms')
    for column in ('neurons/inputs', 'C++', 'numba', 'numba : C++', 'numba, first call, s'):
        table.add_column(column, justify='right')
    rows = []
    for name, (inputs, wiring) in NETWORKS.items():
        torch.manual_seed(0)
        cell = LTC(inputs, wiring).rnn_cell
        p = cell.effective_parameters()
        x, elapsed = torch.randn(STEPS, BATCH, inputs), torch.rand(STEPS, BATCH)
        state = torch.zeros(BATCH, wiring.units)
        arguments = (
            *(part.numpy() for part in (x, elapsed, p.cm, p.gleak + LEAST_CONDUCTANCE)),
            (p.gleak * p.vleak).numpy(),
            packed(cell.sparsity_mask, p.mu, p.sigma, p.w, p.erev),
            packed(
                *(cell.sensory_sparsity_mask, p.sensory_mu, p.sensory_sigma),
                *(p.sensory_w, p.sensory_erev),
            ),
            cell.unfolds,
        )
        begin = time.perf_counter()
        error = np.abs(forward(*arguments) - cell.scan(x, state, elapsed).numpy()).max()
        compiling = time.perf_counter() - begin
        assert error < 1e-5, f'the two differ by {error}'
        runs = {
            'cpp': lambda args=(x, state, elapsed), cell=cell: cell.scan(*args),
            'numba': lambda arguments=arguments: forward(*arguments),
        }
        times: dict[str, list[float]] = {key: [] for key in runs}
        for _ in range(ROUNDS):
            for key, run in runs.items():
                begin = time.perf_counter()
                run()
                times[key].append(1e3 * (time.perf_counter() - begin))
        cpp, other = (statistics.median(times[key]) for key in runs)
        rows.append({'network': name, 'cpp_ms': cpp, 'numba_ms': other, 'first_s': compiling})
        table.add_row(name, f'{cpp:.2f}', f'{other:.2f}', f'{other / cpp:.2f}', f'{compiling:.1f}')
    Console().print(table)
    out = Path('out/bench/numba_kernel.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    run_script(main)
