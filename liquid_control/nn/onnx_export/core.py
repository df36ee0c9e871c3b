# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""core.onnx: one control step of a policy network, SI units in and out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from liquid_control.contract.inputs import ImageSpec
from liquid_control.nn.cfc import CfC, CfCCell, WiredCfCCell
from liquid_control.nn.ensemble import AnyPolicy
from liquid_control.nn.layer import LiquidCell, LiquidLayer
from liquid_control.nn.lrc import LRCCell
from liquid_control.nn.ltc import LTCCell
from liquid_control.nn.ode import CTRNNCell, NeuralODECell
from liquid_control.nn.onnx_export.cfc import cfc_step, wired_cfc_step
from liquid_control.nn.onnx_export.encoder import scan_features
from liquid_control.nn.onnx_export.graph import FLOAT, Graph
from liquid_control.nn.onnx_export.ltc import ltc_step
from liquid_control.nn.onnx_export.ode import ct_rnn_step, lrc_step, neural_ode_step
from liquid_control.nn.onnx_export.recurrent import (
    array,
    gru_step,
    lstm_step,
    mixed_memory_step,
    stack_step,
)
from liquid_control.nn.policy import PolicyNetwork
from liquid_control.nn.recurrent import GRUCell, LSTMCell
from liquid_control.nn.stack import StackCell

Float64 = NDArray[np.float64]


def core_model(network: AnyPolicy) -> onnx.ModelProto:
    """The graph of `network.core` for a batch of one, float32; names as in a bundle's contract.

    Inputs are those of the network by name, of an image its features [1, F], of others their
    numbers [1, W] in SI units; then elapsed [1, 1] (s) and state [1, S]. Outputs: command [1, C],
    next_state. Of an ensemble features and state are those of all members, and the command is the
    mean of theirs.

    Raises:
        ValueError: the network has a part without a compiled form.
    """
    config = network.config
    widths = {
        name: spec.features if isinstance(spec, ImageSpec) else spec.width
        for name, spec in config.bundle_inputs().items()
    }
    sizes = {**widths, 'elapsed': 1, 'state': network.state_size}
    graph = Graph({name: ((1, size), FLOAT) for name, size in sizes.items()})
    members = network.members

    def cut(name: str) -> list[str]:
        """What of it is each member's own."""
        count = len(members)
        return [name] if count == 1 else graph.parts(name, *[sizes[name] // count] * count)

    images = [cut(name) for name in members[0].images]
    scans = [
        [scan_features(graph, member.scan_encoder(name), name) for name in member.scans]
        for member in members
    ]
    vectors = _vectors(graph, members[0])
    states = []
    for index, (member, state) in enumerate(zip(members, cut('state'), strict=True)):
        parts = [*(features[index] for features in images), *scans[index], *vectors]
        states.append(layer_step(graph, member.cell, parts, state, 'elapsed'))
    return graph.model(
        'core',
        {
            'command': (_commands(graph, members, states), (1, len(config.commands))),
            'next_state': (graph.joined(states), (1, network.state_size)),
        },
    )


def _vectors(graph: Graph, network: PolicyNetwork) -> list[str]:
    """What the core sees of the vectors, if there are any: the same for all members."""
    if not network.vectors:
        return []
    scale = network.scale.detach().double().cpu().numpy()
    scaled = graph.add('Mul', graph.joined(network.vectors), graph.constant(1.0 / scale[None]))
    return [graph.add('Tanh', scaled)]


def layer_step(
    graph: Graph, layer: LiquidLayer, parts: list[str], state: str, elapsed: str
) -> str:
    """Nodes of one step of a layer; returns the name of its new state [1, packed_size].

    Args:
        parts: inputs of the layer, side by side [1, inputs].
        state: [1, packed_size].
        elapsed: seconds [1, 1].

    Raises:
        ValueError: the layer has been altered, or its solver has no compiled form.
    """
    if (name := layer.altered()) is not None:
        raise ValueError(
            f'{name} is not as it was made (replaced, hooked or pruned): its weights do not say '
            'what it computes; make that permanent first, such as by torch.nn.utils.prune.remove'
        )
    step = STEPS[type(layer.rnn_cell)]
    if layer.lstm is None:
        return step(graph, layer.rnn_cell, parts, state, elapsed)
    x = graph.joined(parts)
    liquid, memory = graph.parts(state, layer.state_size, layer.state_size)
    liquid, memory = mixed_memory_step(graph, layer.lstm, x, liquid, memory)
    liquid = step(graph, layer.rnn_cell, [x], liquid, elapsed)
    return graph.add('Concat', liquid, memory, axis=1)


def _of_one(step: Callable[..., str]) -> Callable[..., str]:
    """A step of a cell that hears one value, with inputs in any number of parts."""

    def of_parts(graph: Graph, cell: LiquidCell, parts: list[str], *others: str) -> str:
        return step(graph, cell, graph.joined(parts), *others)

    return of_parts


# Nodes of one step of every cell: of graph, cell, parts of the inputs, state, elapsed.
STEPS: dict[type[LiquidCell], Callable[..., str]] = {
    LTCCell: _of_one(ltc_step),
    CfCCell: cfc_step,
    WiredCfCCell: wired_cfc_step,
    LSTMCell: lstm_step,
    GRUCell: gru_step,
    StackCell: stack_step,
    CTRNNCell: _of_one(ct_rnn_step),
    NeuralODECell: _of_one(neural_ode_step),
    LRCCell: _of_one(lrc_step),
}


@torch.no_grad()
def readout(layer: LiquidLayer) -> tuple[Float64, Float64]:
    """Weight [packed_size, outputs] and bias [1, outputs] from a layer's state to its outputs."""

    def outputs(states: Tensor) -> Float64:
        values = layer.rnn_cell.readout(states)
        if isinstance(layer, CfC):
            values = layer.fc(values)
        array: Float64 = values.double().cpu().numpy()
        return array

    # Affine in the state: its values at zero and at the unit vectors say all of it.
    weight = next(layer.parameters())
    units = torch.eye(layer.state_size, dtype=weight.dtype, device=weight.device)
    bias = outputs(torch.zeros_like(units[:1]))
    weights = outputs(units) - bias
    memory = np.zeros((layer.packed_size - layer.state_size, weights.shape[1]))
    return np.concatenate([weights, memory]), bias


def _commands(graph: Graph, members: Sequence[PolicyNetwork], states: Sequence[str]) -> str:
    """The mean of what `PolicyNetwork.commands` makes of every member's new state."""
    shares = []
    for member, state in zip(members, states, strict=True):
        weight, bias = readout(member.cell)
        gain, shift = array(member.gain), array(member.bias)
        linear = graph.linear(state, weight * gain, bias * gain + shift)
        shares.append(graph.add('Tanh', linear))
    low, high = array(members[0].low), array(members[0].high)
    mean = np.tile(np.diag((high - low) / 2 / len(members)), (len(members), 1))
    return graph.linear(graph.joined(shares), mean, (low + high)[None] / 2)
