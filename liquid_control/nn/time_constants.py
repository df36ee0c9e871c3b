# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How fast the neurons of a core are at given inputs and states: the 'liquid' in their time."""

from __future__ import annotations

import torch
from torch import Tensor

from liquid_control.nn.cfc import CfCCell, WiredCfCCell
from liquid_control.nn.layer import LiquidCell, LiquidLayer
from liquid_control.nn.ltc import LTCCell
from liquid_control.nn.ode import NeuralODECell, ODECell


@torch.no_grad()
def time_constants(
    layer: LiquidLayer, x: Tensor, packed: Tensor, seconds: Tensor
) -> Tensor | None:
    """Time constant of every neuron at N steps, s.

    Of an LTC, an LRC and a CT-RNN the one of their equation, cm / D, at the state before the step.
    A CfC has none in its equation: it is what its gate moves at, the inverse of the rate at which
    the gate's logit grows with the elapsed time; in the mode 'pure' the one of its exponential.

    Args:
        x: what the core sees, [N, inputs].
        packed: state before each step, [N, packed_size].
        seconds: elapsed at each step, [N].

    Returns:
        [N, units], in the order of the state; None for cells that know no such time.
    """
    unpacked = layer.unpack(packed)
    assert unpacked is not None
    if isinstance(unpacked, tuple):
        assert layer.lstm is not None
        state: Tensor = layer.lstm(x, *unpacked)[0]
    else:
        state = unpacked
    cell: LiquidCell = layer.rnn_cell
    if isinstance(cell, LTCCell):
        return _ltc(cell, cell.map_inputs(x), state)
    if isinstance(cell, ODECell) and not isinstance(cell, NeuralODECell):
        _, pull = cell.current(cell.effective_parameters(), cell.heard(x), state)
        return (cell.capacitance / pull).expand_as(state)
    if isinstance(cell, CfCCell):
        return _cfc(cell, x, state)
    if isinstance(cell, WiredCfCCell):
        # Each layer hears the new state of the one before it.
        after = cell(x[None], state, seconds[None])[0].split(cell.layer_sizes, -1)
        before, heard = state.split(cell.layer_sizes, -1), (x, *after)
        layers = zip(cell.layers, heard, before, strict=False)
        return torch.cat([_cfc(*each) for each in layers], dim=-1)
    return None


def _ltc(cell: LTCCell, x: Tensor, v: Tensor) -> Tensor:
    p = cell.effective_parameters()
    conductance = p.gleak
    for source, mu, sigma, w in (
        (v, p.mu, p.sigma, p.w),
        (x, p.sensory_mu, p.sensory_sigma, p.sensory_w),
    ):
        opening = torch.sigmoid(sigma * (source.unsqueeze(-1) - mu))
        conductance = conductance + (w * opening).sum(-2)
    return p.cm / conductance


def _cfc(cell: CfCCell, x: Tensor, h: Tensor) -> Tensor:
    p, units = cell.equations(), cell.state_size
    (first, _), *rest = (*p.backbone, (p.heads, p.heads_bias))
    z = torch.addmm(p.input_current(x), h, first[:, -units:].T)
    for weight, bias in rest:
        z = torch.nn.functional.linear(p.activation(z), weight, bias)
    heads = z.split(units, dim=-1)
    if p.w_tau is not None:
        return 1 / (p.w_tau.abs() + heads[0].abs())
    rate = heads[2] * torch.sigmoid(heads[4]) if p.mode == 'elastance' else heads[2]
    return 1 / rate.abs().clamp(min=1e-6)
