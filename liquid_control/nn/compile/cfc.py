"""One step of CfC neurons as ONNX nodes; equations in `liquid_control.nn.cfc`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from liquid_control.nn.cfc import CfCCell, LeCunTanh, WiredCfCCell
from liquid_control.nn.compile.graph import Graph

Float64 = NDArray[np.float64]


def _silu(graph: Graph, z: str) -> str:
    return graph.add('Mul', z, graph.add('Sigmoid', z))


def _gelu(graph: Graph, z: str) -> str:
    half = graph.add('Mul', z, graph.constant([[0.5]]))
    erf = graph.add('Erf', graph.add('Mul', z, graph.constant([[0.5**0.5]])))
    return graph.add('Mul', half, graph.add('Add', erf, graph.constant([[1.0]])))


def _single(op: str) -> Callable[[Graph, str], str]:
    return lambda graph, z: graph.add(op, z)


# What multiplies the input, the nodes, what multiplies the output; the factors become weights.
_ACTIVATIONS: dict[type[nn.Module], tuple[float, Callable[[Graph, str], str], float]] = {
    LeCunTanh: (0.666, _single('Tanh'), 1.7159),
    nn.Tanh: (1.0, _single('Tanh'), 1.0),
    nn.ReLU: (1.0, _single('Relu'), 1.0),
    nn.SiLU: (1.0, _silu, 1.0),
    nn.GELU: (1.0, _gelu, 1.0),
}


def cfc_step(graph: Graph, cell: CfCCell, inputs: list[str], elapsed: str) -> str:
    """Nodes of one step; returns the name of the state after it.

    Args:
        inputs: inputs of the cell, in parts, and its state: together [1, inputs + units].
        elapsed: seconds [1, 1].
    """
    p = cell.effective_parameters()
    z = graph.add('Concat', *inputs, axis=1)
    before, activate, after = _ACTIVATIONS[type(cell.activation)]
    gain = 1.0
    for weight, bias in p.backbone:
        z = activate(graph, graph.linear(z, _array(weight).T * gain * before, _row(bias) * before))
        gain = after

    heads, heads_bias = _array(p.heads).T * gain, _row(p.heads_bias)
    if p.w_tau is not None and p.A is not None:
        return _pure(
            graph, graph.linear(z, heads, heads_bias), elapsed, _array(p.w_tau), _array(p.A)
        )
    near, far, rate, shift = np.split(heads, 4, axis=1)
    near_bias, far_bias, rate_bias, shift_bias = np.split(heads_bias, 4, axis=1)
    near_target = graph.add('Tanh', graph.linear(z, near, near_bias))
    far_target = graph.add('Tanh', graph.linear(z, far, far_bias))
    # elapsed * rate(z) + shift(z): the inner product adds the bias that the outer has no room for.
    timed = graph.linear(elapsed, graph.linear(z, rate, rate_bias), shift_bias)
    gate = graph.add('Sigmoid', graph.linear(z, shift, timed))
    if cell.mode == 'no_gate':
        return graph.add('Add', near_target, graph.add('Mul', gate, far_target))
    way = graph.add('Mul', gate, graph.add('Sub', far_target, near_target))
    return graph.add('Add', near_target, way)


def wired_cfc_step(
    graph: Graph, cell: WiredCfCCell, inputs: list[str], state: str, elapsed: str
) -> str:
    """Nodes of one step of every layer in turn; `inputs` without the state [1, units]."""
    sizes = cell.layer_sizes
    before = graph.split('Split', state, graph.constant(sizes, np.int64), count=len(sizes), axis=1)
    after: list[str] = []
    for layer, own_state in zip(cell.layers, before, strict=True):
        after.append(cfc_step(graph, layer, [*(after[-1:] or inputs), own_state], elapsed))
    return graph.add('Concat', *after, axis=1)


def _pure(graph: Graph, z: str, elapsed: str, w_tau: Float64, A: Float64) -> str:
    """A - A exp(-elapsed (|w_tau| + |z|)) z."""
    speed = graph.add('Add', graph.add('Abs', z), graph.constant(np.abs(w_tau)))
    left = graph.add('Exp', graph.add('Mul', speed, graph.add('Neg', elapsed)))
    lost = graph.add('Mul', graph.add('Mul', left, z), graph.constant(-A))
    return graph.add('Add', lost, graph.constant(A))


def _row(bias: Tensor) -> Float64:
    return _array(bias)[None]


def _array(tensor: Tensor) -> Float64:
    array: Float64 = tensor.detach().double().cpu().numpy()
    return array
