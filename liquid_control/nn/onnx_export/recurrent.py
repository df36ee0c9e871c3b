# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One step of the networks with memory gates, and of a stack, as ONNX nodes.

Equations in `liquid_control.nn.recurrent`, `stack` and `mixed_memory`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from liquid_control.nn.mixed_memory import MixedMemory
from liquid_control.nn.onnx_export.graph import Graph
from liquid_control.nn.recurrent import ELAPSED_UNIT, GRUCell, LSTMCell
from liquid_control.nn.stack import StackCell

Float64 = NDArray[np.float64]


def lstm_step(graph: Graph, cell: LSTMCell, inputs: list[str], state: str, elapsed: str) -> str:
    """Nodes of one step; returns the name of the state after it.

    Args:
        inputs: side by side [1, inputs].
        state: outputs of the neurons and their memory [1, 2 units].
        elapsed: seconds [1, 1].
    """
    n = cell.units
    h, memory = graph.parts(state, n, n)
    p = {name: array(value) for name, value in cell.neurons.named_parameters()}
    bias = (p['bias_ih'] + p['bias_hh'])[None]
    gates = graph.linear(_told(graph, inputs, elapsed), p['weight_ih'].T, bias)
    gates = graph.linear(h, p['weight_hh'].T, gates)
    write, keep, candidate, read = graph.parts(gates, n, n, n, n)  # torch's order
    after = _remember(graph, write, keep, candidate, read, memory)
    return graph.add('Concat', *after, axis=1)


def gru_step(graph: Graph, cell: GRUCell, inputs: list[str], state: str, elapsed: str) -> str:
    """As `lstm_step`; the state is [1, units]."""
    n = cell.units
    p = {name: array(value) for name, value in cell.neurons.named_parameters()}
    heard = graph.linear(_told(graph, inputs, elapsed), p['weight_ih'].T, p['bias_ih'][None])
    recalled = graph.linear(state, p['weight_hh'].T, p['bias_hh'][None])
    gates, candidate = graph.parts(heard, 2 * n, n)
    own_gates, own_candidate = graph.parts(recalled, 2 * n, n)
    opened = graph.add('Sigmoid', graph.add('Add', gates, own_gates))
    reset, keep = graph.parts(opened, n, n)
    new = graph.add('Add', candidate, graph.add('Mul', reset, own_candidate))
    new = graph.add('Tanh', new)
    kept = graph.add('Mul', keep, graph.add('Sub', state, new))
    return graph.add('Add', new, kept)


def mixed_memory_step(
    graph: Graph, cell: MixedMemory, x: str, state: str, memory: str
) -> tuple[str, str]:
    """Names of the state and the memory that inputs [1, inputs] lead to."""
    n = cell.recurrent_map.in_features
    weight, bias = array(cell.input_map.weight).T, array(cell.input_map.bias)[None]
    bias[:, 2 * n : 3 * n] += 1.0  # the forget gate that starts open
    gates = graph.linear(x, weight, bias)
    gates = graph.linear(state, array(cell.recurrent_map.weight).T, gates)
    candidate, write, keep, read = graph.parts(gates, n, n, n, n)
    return _remember(graph, write, keep, candidate, read, memory)


def stack_step(graph: Graph, cell: StackCell, inputs: list[str], state: str, elapsed: str) -> str:
    """As `lstm_step`; the state is the hidden neurons and the stack."""
    newest = _told(graph, inputs, elapsed)
    stack = newest
    if cell.kept_size:
        _, kept = graph.parts(state, cell.units, cell.kept_size)
        stack = graph.add('Concat', newest, kept, axis=1)
    hidden = array(cell.hidden.weight).T, array(cell.hidden.bias)[None]
    neurons = graph.add('Tanh', graph.linear(stack, *hidden))
    if not cell.kept_size:
        return neurons
    kept, _ = graph.parts(stack, cell.kept_size, cell.input_size + 1)
    return graph.add('Concat', neurons, kept, axis=1)


def array(tensor: Tensor) -> Float64:
    """A weight in float64."""
    values: Float64 = tensor.detach().double().cpu().numpy()
    return values


def _told(graph: Graph, inputs: list[str], elapsed: str) -> str:
    """Inputs side by side with the elapsed time as one more."""
    scaled = graph.add('Mul', elapsed, graph.constant([[1.0 / ELAPSED_UNIT]]))
    return graph.add('Concat', *inputs, graph.add('Tanh', scaled), axis=1)


def _remember(
    graph: Graph, write: str, keep: str, candidate: str, read: str, memory: str
) -> tuple[str, str]:
    """What neurons give and what they remember, from the sums of their gates."""
    kept = graph.add('Mul', memory, graph.add('Sigmoid', keep))
    written = graph.add('Mul', graph.add('Tanh', candidate), graph.add('Sigmoid', write))
    memory = graph.add('Add', kept, written)
    return graph.add('Mul', graph.add('Tanh', memory), graph.add('Sigmoid', read)), memory
