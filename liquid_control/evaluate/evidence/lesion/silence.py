# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A network with some synapses silenced.

A silenced synapse goes on passing the mean of what it passed on an intact drive, and no longer
what its source does: the rest works where it worked before. Nothing else of the network changes,
and what comes out is a network like any other, with a graph of its own. A silenced neuron is
silent towards all neurons that hear it and towards the command that it gives.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liquid_control.evaluate.evidence.study import EvidenceError
from liquid_control.nn.cfc import CfC, WiredCfCCell
from liquid_control.nn.ltc import LTC, LTCCell
from liquid_control.nn.policy import PolicyNetwork
from liquid_control.nn.wiring import Wiring

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def wiring_of(network: PolicyNetwork) -> Wiring:
    """The wiring of a network that can be silenced in parts.

    Raises:
        EvidenceError: it is none of wired CfC or LTC neurons.
    """
    layer = network.cell
    wired = isinstance(layer, CfC | LTC) and layer.wiring is not None and layer.lstm is None
    if not wired or network.config.cell not in ('cfc', 'cfc-elastance', 'ltc'):
        raise EvidenceError(
            f'lesions need a wired cell (cfc, cfc-elastance or ltc), found {network.config.cell}'
        )
    assert layer.wiring is not None
    return layer.wiring


def order(network: PolicyNetwork) -> list[int]:
    """The neuron, as the wiring numbers it, of each number of the state."""
    wiring = wiring_of(network)
    if isinstance(network.cell.rnn_cell, WiredCfCCell):
        return [neuron for neurons in wiring.layers.values() for neuron in neurons]
    return list(range(wiring.units))


def synapses(wiring: Wiring) -> list[tuple[int, int]]:
    """Source and target of each synapse; sources are the inputs, and then the neurons."""
    matrix = np.concatenate([wiring.sensory_adjacency, wiring.adjacency])
    return [(int(source), int(target)) for source, target in np.argwhere(matrix)]


@torch.no_grad()
def silenced(
    network: PolicyNetwork,
    means: Floats,
    *,
    mask: Mask | None = None,
    neurons: list[int] | None = None,
) -> PolicyNetwork:
    """A copy with synapses and neurons silenced.

    Args:
        means: of what the sources said on an intact drive: inputs as the core sees them, then
            neurons as the wiring numbers them, [inputs + neurons].
        mask: what is silent, [inputs + neurons, neurons].
        neurons: silent as a whole.
    """
    wiring = wiring_of(network)
    inputs = len(wiring.sensory_adjacency)
    silent = np.zeros((inputs + wiring.units, wiring.units), bool) if mask is None else mask.copy()
    for neuron in neurons or ():
        silent[inputs + neuron] = True
    found = copy.deepcopy(network)
    cell = found.cell.rnn_cell
    if isinstance(cell, WiredCfCCell):
        _silence_cfc(cell, wiring, means, silent)
    else:
        assert isinstance(cell, LTCCell)
        _silence_ltc(cell, means, silent)
    states = torch.from_numpy(means[inputs:][order(network)]).float()
    outputs = found.cell.rnn_cell.readout(states)
    for neuron in set(neurons or ()) & set(range(wiring.output_size)):
        found.bias[neuron] += found.gain[neuron] * outputs[neuron]
        found.gain[neuron] = 0.0
    return found


def _silence_cfc(cell: WiredCfCCell, wiring: Wiring, means: Floats, silent: Mask) -> None:
    inputs = len(wiring.sensory_adjacency)
    heard = list(range(inputs))
    for layer, neurons in zip(cell.layers, wiring.layers.values(), strict=True):
        own = [inputs + neuron for neuron in neurons]
        sources = [*heard, *own]
        gone = torch.from_numpy(silent[np.ix_(sources, list(neurons))].T)
        said = torch.from_numpy(means[sources]).float()
        mask = dict(layer.named_buffers(recurse=False)).get('sparsity_mask')
        for index, name in enumerate(layer.heads):
            head = layer.get_submodule(name)
            weight, bias = head.get_parameter('weight'), head.get_parameter('bias')
            acting = weight.clone()
            if mask is not None and index < layer.masked_heads:
                acting *= mask
            bias.add_((acting * gone) @ said)
            weight.mul_(~gone)
        heard = own


def _silence_ltc(cell: LTCCell, means: Floats, silent: Mask) -> None:
    inputs = cell.input_size
    said = torch.from_numpy(means).float()
    parts = (
        ('sensory_', cell.map_inputs(said[:inputs]), silent[:inputs]),
        ('', said[inputs:], silent[inputs:]),
    )
    for prefix, source, gone in parts:
        w, sigma, mu = (cell.get_parameter(f'{prefix}{name}') for name in ('w', 'sigma', 'mu'))
        opening = torch.sigmoid(sigma * (source[:, None] - mu))
        where = torch.from_numpy(gone)
        # With no slope a synapse is always half open.
        constant = _softplus_inverse(2 * torch.nn.functional.softplus(w) * opening)
        w[where] = constant[where]
        sigma[where] = 0.0


def _softplus_inverse(values: Tensor) -> Tensor:
    positive = values.double().clamp_min(1e-12)
    return torch.where(positive > 20, positive, torch.log(torch.expm1(positive))).float()
