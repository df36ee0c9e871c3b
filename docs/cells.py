# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Draws the pictures of docs/cells.md into docs/images: `python docs/cells.py`."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from liquid_control.nn import LTC, NCP, CfC, FixedWiring

IMAGES = Path(__file__).parent / 'images'
LEVELS = {0.4: '#9db8d9', 0.6: '#3f6fb5', 1.0: '#1d3252'}
INPUT_ARRIVES = 0.2  # s


def one_neuron(solver: str = 'rk4', unfolds: int = 8) -> LTC:
    """A membrane with one excitatory synapse from one input."""
    nothing, one = np.zeros((1, 1)), np.ones((1, 1))
    layer = LTC(
        1,
        FixedWiring(nothing, one, output_size=1),
        input_mapping=None,
        output_mapping=None,
        solver=solver,
        unfolds=unfolds,
    )
    raw = {'cm': 0.25, 'gleak': 0.3, 'sensory_w': 3.0}
    values = {name: np.log(np.expm1(value)) for name, value in raw.items()}  # before softplus
    values |= {'vleak': 0.0, 'sensory_mu': 0.6, 'sensory_sigma': 8.0, 'sensory_erev': 1.0}
    with torch.no_grad():
        for name, value in values.items():
            layer.rnn_cell.get_parameter(name).fill_(float(value))
    return layer


@torch.no_grad()
def response(layer: LTC, level: float, rate: float) -> tuple[Tensor, Tensor]:
    """Times (s) and potentials while the input steps from 0 to `level`."""
    times = torch.arange(0.0, 1.4, 1 / rate)
    x = torch.where(times > INPUT_ARRIVES + 1e-6, level, 0.0)
    outputs, _ = layer(x.unsqueeze(-1), elapsed=1 / rate)
    return times, outputs[:, 0]


def draw_ltc(ax: Axes) -> None:
    exact = one_neuron()
    for level, colour in LEVELS.items():
        times, potential = response(exact, level, rate=500)
        gate = torch.sigmoid(torch.tensor(8.0 * (level - 0.6))).item()
        tau = 0.25 / (0.3 + 3.0 * gate)
        ax.plot(times, potential, color=colour, label=f'input {level}: τ = {1e3 * tau:.0f} ms')
    times, potential = response(one_neuron('exponential_midpoint', 1), 0.6, rate=20)
    ax.plot(times, potential, 'o', color='#c8553d', markersize=4, label='midpoint steps at 20 Hz')
    ax.set(title='LTC: stronger input, faster neuron', xlabel='time, s', ylabel='potential')
    ax.legend(frameon=False, fontsize=8)


@torch.no_grad()
def draw_cfc(ax: Axes) -> None:
    layer = CfC(1, 1, backbone_layers=0)
    cell = layer.rnn_cell
    for head, weight, bias in (
        ('ff1', 0.0, -0.4),
        ('ff2', 1.2, 0.1),
        ('time_a', 8.0, 1.0),
        ('time_b', 0.0, -3.0),
    ):
        linear = cell.get_submodule(head)
        linear.weight.copy_(torch.tensor([[weight, 0.0]]))
        linear.bias.fill_(bias)
    elapsed = torch.linspace(0, 1.4, 200)
    for level, colour in LEVELS.items():
        x = torch.full((200, 1), level)
        states, _ = layer.step(x, elapsed=elapsed)
        ax.plot(elapsed, states[:, 0], color=colour, label=f'input {level}')
    ax.set(
        title='CfC: one gate from a near to a far target',
        xlabel='elapsed time of one step, s',
        ylabel='state after the step',
    )
    ax.legend(frameon=False, fontsize=8)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    axes = NCP(12, 6, 1, 6, 4, 10, 6).build(32).draw()
    axes.figure.savefig(IMAGES / 'wiring.png', dpi=80)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout='constrained')
    draw_ltc(left)
    draw_cfc(right)
    for ax in (left, right):
        ax.spines[['top', 'right']].set_visible(False)
    figure.savefig(IMAGES / 'neuron.png', dpi=110)


if __name__ == '__main__':
    main()
