# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One step of CfC neurons as ONNX nodes; equations in `liquid_control.nn.cfc`.

Small cells take a form with fewer nodes and more multiplications. A new state is
near * sigmoid(-t) + far * sigmoid(t); both halves come from one product, and their sum is left to
the weights of whatever hears them. Nor is the old state of a wired cell split into layers: zero
weights do that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from liquid_control.nn.cfc import CfCCell, LeCunTanh, WiredCfCCell
from liquid_control.nn.onnx_export.graph import MULTIPLY_NS, NODE_NS, Graph

Float64 = NDArray[np.float64]

# Nodes that the small form saves for each group of neurons.
SAVED_NODES = 2.5


def _single(op: str) -> Callable[[Graph, str], str]:
    return lambda graph, z: graph.add(op, z)


def _silu(graph: Graph, z: str) -> str:
    return graph.add('Mul', z, graph.add('Sigmoid', z))


def _gelu(graph: Graph, z: str) -> str:
    half = graph.add('Mul', z, graph.constant([[0.5]]))
    erf = graph.add('Erf', graph.add('Mul', z, graph.constant([[0.5**0.5]])))
    return graph.add('Mul', half, graph.add('Add', erf, graph.constant([[1.0]])))


# What multiplies the input, the nodes, what multiplies the output; the factors become weights.
_ACTIVATIONS: dict[type, tuple[float, Callable[[Graph, str], str], float]] = {
    LeCunTanh: (0.666, _single('Tanh'), 1.7159),
    nn.Tanh: (1.0, _single('Tanh'), 1.0),
    nn.ReLU: (1.0, _single('Relu'), 1.0),
    nn.SiLU: (1.0, _silu, 1.0),
    nn.GELU: (1.0, _gelu, 1.0),
}


@dataclass(frozen=True)
class _Part:
    """What neurons hear: the values `names`, side by side, times `reading` [width, size]."""

    names: tuple[str, ...]
    reading: Float64


def cfc_step(graph: Graph, cell: CfCCell, inputs: list[str], state: str, elapsed: str) -> str:
    """Nodes of one step; returns the name of the state after it.

    Args:
        inputs: inputs of the cell, side by side [1, inputs].
        state: [1, units].
        elapsed: seconds [1, 1].
    """
    heard = [
        _Part(tuple(inputs), np.eye(cell.input_size)),
        _Part((state,), np.eye(cell.state_size)),
    ]
    backbone = cell.equations().backbone
    width = len(backbone[-1][1]) if backbone else cell.input_size + cell.state_size
    small = _saves(2 * cell.state_size * (width + cell.state_size), groups=1)
    return _read(graph, [_group(graph, cell, heard, elapsed, small)])


def wired_cfc_step(
    graph: Graph, cell: WiredCfCCell, inputs: list[str], state: str, elapsed: str
) -> str:
    """Nodes of one step of every layer in turn; arguments as for `cfc_step`."""
    sizes = cell.layer_sizes
    small = _prefers_small(cell)
    if small:
        readings = np.split(np.eye(cell.state_size), np.cumsum(sizes)[:-1], axis=1)
        before = [_Part((state,), reading) for reading in readings]
    else:
        split = graph.constant(sizes, np.int64)
        names = graph.split('Split', state, split, count=len(sizes), axis=1)
        before = [_Part((name,), np.eye(size)) for name, size in zip(names, sizes, strict=True)]
    heard = _Part(tuple(inputs), np.eye(cell.input_size))
    after = []
    for layer, own in zip(cell.layers, before, strict=True):
        heard = _group(graph, layer, [heard, own], elapsed, small)
        after.append(heard)
    return _read(graph, after)


def _prefers_small(cell: WiredCfCCell) -> bool:
    """Whether the nodes saved are worth the multiplications that the small form adds."""
    added, heard_size = 0, 0
    for layer in cell.layers:
        units = layer.state_size
        width = layer.input_size + heard_size + cell.state_size
        others = cell.state_size - units + heard_size
        added += 4 * others * units + 2 * width * units + 2 * cell.state_size * units
        heard_size = units
    return _saves(added, groups=len(cell.layers))


def _saves(multiplications: int, groups: int) -> bool:
    return multiplications * MULTIPLY_NS < SAVED_NODES * groups * NODE_NS


def _group(graph: Graph, cell: CfCCell, heard: list[_Part], elapsed: str, small: bool) -> _Part:
    """New state of neurons that all hear the same."""
    p = cell.equations()
    for weight, bias in p.backbone:
        if type(p.activation) not in _ACTIVATIONS:
            raise ValueError(f'the activation {p.activation} has no compiled form')
        before, activate, after = _ACTIVATIONS[type(p.activation)]
        z = _product(graph, heard, _array(weight).T * before, _array(bias)[None] * before)
        z = activate(graph, z)
        heard = [_Part((z,), np.eye(len(weight)) * after)]

    z = _side_by_side(graph, [name for part in heard for name in part.names])
    reading = _diagonal([part.reading for part in heard])
    heads, heads_bias = reading @ _array(p.heads).T, _array(p.heads_bias)[None]
    whole = np.eye(cell.state_size)
    if p.w_tau is not None and p.A is not None:
        ff1 = graph.linear(z, heads, heads_bias)
        return _Part((_pure(graph, ff1, elapsed, _array(p.w_tau), _array(p.A)),), whole)

    near, far, rate, offset, *elastance = np.split(heads, len(cell.heads), axis=1)
    near_bias, far_bias, rate_bias, offset_bias, *elastance_bias = np.split(
        heads_bias, len(cell.heads), axis=1
    )

    def gate(*signs: int) -> str:
        """sigmoid(sign * (elapsed * time_a + time_b)) for each of the signs, side by side.

        With elastance, time_a times its sigmoid.
        """
        rates, rates_bias, offsets, offsets_bias = (
            np.hstack([sign * matrix for sign in signs])
            for matrix in (rate, rate_bias, offset, offset_bias)
        )
        speed = graph.linear(z, rates, rates_bias)
        if elastance:
            tiles = 1, len(signs)
            weight, bias = (np.tile(part[0], tiles) for part in (elastance, elastance_bias))
            share = graph.linear(z, weight, bias)
            speed = graph.add('Mul', speed, graph.add('Sigmoid', share))
        # A product with elapsed [1, 1] adds the bias for which the last product has no room.
        timed = graph.linear(elapsed, speed, offsets_bias)
        return graph.add('Sigmoid', graph.linear(z, offsets, timed))

    blends = cell.mode in ('default', 'elastance')
    if small and blends:
        both = graph.linear(z, np.hstack([near, far]), np.hstack([near_bias, far_bias]))
        halves = graph.add('Mul', graph.add('Tanh', both), gate(-1, 1))
        return _Part((halves,), np.vstack([whole, whole]))
    target = graph.add('Tanh', graph.linear(z, near, near_bias))
    way = graph.add('Tanh', graph.linear(z, far, far_bias))
    if blends:
        way = graph.add('Sub', way, target)
    return _Part((graph.add('Add', target, graph.add('Mul', gate(1), way)),), whole)


def _product(graph: Graph, heard: list[_Part], weight: Float64, bias: Float64) -> str:
    """What is heard times weight [heard, out] plus bias [1, out]."""
    if any(len(part.names) > 1 for part in heard):
        z = _side_by_side(graph, [name for part in heard for name in part.names])
        return graph.linear(z, _diagonal([part.reading for part in heard]) @ weight, bias)
    # A product adds another for less than a copy side by side costs.
    total, start = graph.constant(bias), 0
    for part in heard:
        rows = weight[start : start + part.reading.shape[1]]
        total = graph.linear(part.names[0], part.reading @ rows, total)
        start += len(rows)
    return total


def _pure(graph: Graph, z: str, elapsed: str, w_tau: Float64, A: Float64) -> str:
    """A - A exp(-elapsed (|w_tau| + |z|)) z."""
    speed = graph.add('Add', graph.add('Abs', z), graph.constant(np.abs(w_tau)))
    left = graph.add('Exp', graph.add('Mul', speed, graph.add('Neg', elapsed)))
    lost = graph.add('Mul', graph.add('Mul', left, z), graph.constant(-A))
    return graph.add('Add', lost, graph.constant(A))


def _read(graph: Graph, parts: list[_Part]) -> str:
    """The parts themselves, side by side."""
    value = _side_by_side(graph, [name for part in parts for name in part.names])
    if all(len(part.reading) == part.reading.shape[1] for part in parts):
        return value
    reading = _diagonal([part.reading for part in parts])
    return graph.linear(value, reading, np.zeros((1, reading.shape[1])))


def _side_by_side(graph: Graph, names: list[str]) -> str:
    return names[0] if len(names) == 1 else graph.add('Concat', *names, axis=1)


def _diagonal(blocks: list[Float64]) -> Float64:
    """The blocks along the diagonal of a matrix of zeros."""
    rows, columns = (np.cumsum([0, *(block.shape[axis] for block in blocks)]) for axis in (0, 1))
    matrix = np.zeros((rows[-1], columns[-1]))
    for block, row, column in zip(blocks, rows, columns, strict=False):
        matrix[row : row + block.shape[0], column : column + block.shape[1]] = block
    return matrix


def _array(tensor: Tensor) -> Float64:
    array: Float64 = tensor.detach().double().cpu().numpy()
    return array
