# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One step of LTC neurons as ONNX nodes; equations in `liquid_control.nn.ltc` and `solvers`.

What the wiring and the weights fix is folded into constants: softplus, masks, capacitances and
the number of unfolds. Numerator and denominator of the membrane equation are written divided by
`unfolds * cm`, so that a step of length `elapsed` needs no further constants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from liquid_control.nn.ltc import LEAST_CONDUCTANCE, LTCCell
from liquid_control.nn.onnx_export.graph import MULTIPLY_NS, NODE_NS, Graph
from liquid_control.nn.onnx_export.solvers import solve
from liquid_control.nn.solvers import COMPILED

Float64 = NDArray[np.float64]

# All elementwise work on one synapse in the matrix layout; see NODE_NS.
ELEMENT_NS = 1.5


@dataclass(frozen=True)
class Synapses:
    """Sigmoid synapses from sources to targets, all matrices [source, target].

    Attributes:
        exists: where a synapse is.
        slope, offset: the synapse opens as sigmoid(slope * source + offset).
        current, conductance: what an open synapse adds to numerator and denominator.
    """

    exists: NDArray[np.bool_]
    slope: Float64
    offset: Float64
    current: Float64
    conductance: Float64


class SynapticCurrent:
    """Emits numerator and denominator [1, targets] for a source [1, sources].

    Two layouts, by size. Products: one column for each synapse that exists, gathered from the
    sources and summed onto the targets by dense products; few nodes, fine for small networks.
    Matrix: elementwise on the [target, source] matrix, rows without synapse left out; more nodes,
    less arithmetic for large ones.

    Args:
        scale: name of a scalar [1, 1] that multiplies the weights; None for 1.
    """

    def __init__(self, graph: Graph, synapses: Synapses, scale: str | None = None):
        self.graph = graph
        self.targets = synapses.exists.shape[1]
        self.empty = not synapses.exists.any()
        if self.empty:
            return
        self.products = _prefers_products(synapses.exists)
        layout = self._products if self.products else self._matrix
        self.opening, weights = layout(synapses)
        self.weights = [graph.constant(weight) for weight in weights]
        if scale is not None:
            self.weights = [graph.add('Mul', weight, scale) for weight in self.weights]

    def __call__(self, source: str, *fixed: str) -> list[str]:
        """Numerator and denominator, each added to its part of `fixed` [1, targets]."""
        if self.empty:
            return list(fixed)
        slope, offset = self.opening
        if self.products:
            opened = self.graph.add('Sigmoid', self.graph.add('Gemm', source, slope, offset))
            return [
                self.graph.add('Gemm', opened, weight, base)
                for weight, base in zip(self.weights, fixed, strict=True)
            ]
        opened = self.graph.add('Mul', source, slope)
        opened = self.graph.add('Sigmoid', self.graph.add('Add', opened, offset))
        return [
            self.graph.add('Add', self._sum(self.graph.add('Mul', opened, weight)), base)
            for weight, base in zip(self.weights, fixed, strict=True)
        ]

    def _products(self, synapses: Synapses) -> tuple[list[str], list[Float64]]:
        sources, targets = np.nonzero(synapses.exists)
        columns = np.arange(len(sources))
        slope = np.zeros((synapses.exists.shape[0], len(columns)))
        slope[sources, columns] = synapses.slope[sources, targets]
        offset = synapses.offset[sources, targets][None]
        weights = []
        for matrix in (synapses.current, synapses.conductance):
            weight = np.zeros((len(columns), self.targets))
            weight[columns, targets] = matrix[sources, targets]
            weights.append(weight)
        return [self.graph.constant(slope), self.graph.constant(offset)], weights

    def _matrix(self, synapses: Synapses) -> tuple[list[str], list[Float64]]:
        rows = _hull(synapses.exists)
        self.padding = [rows.start, self.targets - rows.stop]
        opening = [synapses.slope[:, rows].T, synapses.offset[:, rows].T]
        # No synapse, no weight: what the sigmoid is there does not matter.
        weights = [
            np.where(synapses.exists, matrix, 0.0)[:, rows].T
            for matrix in (synapses.current, synapses.conductance)
        ]
        return [self.graph.constant(matrix) for matrix in opening], weights

    def _sum(self, opened: str) -> str:
        """Sum over sources [rows, sources] -> [targets]."""
        axis = self.graph.constant([1], np.int64)
        total = self.graph.add('ReduceSum', opened, axis, keepdims=0)
        if not any(self.padding):
            return total
        return self.graph.add('Pad', total, self.graph.constant(self.padding, np.int64))


def _hull(exists: NDArray[np.bool_]) -> slice:
    """The smallest run of targets that holds all with a synapse."""
    targets = np.flatnonzero(exists.any(axis=0))
    return slice(int(targets[0]), int(targets[-1]) + 1)


def _prefers_products(exists: NDArray[np.bool_]) -> bool:
    sources, targets = exists.shape
    rows = _hull(exists)
    products = np.count_nonzero(exists) * (sources + 2 * targets) * MULTIPLY_NS + 4 * NODE_NS
    matrix = sources * (rows.stop - rows.start) * ELEMENT_NS + 11 * NODE_NS
    return bool(products <= matrix)


def ltc_step(graph: Graph, cell: LTCCell, x: str, state: str, elapsed: str) -> str:
    """Nodes of one step; returns the name of the state after it.

    Args:
        x: inputs [1, inputs].
        state: [1, units].
        elapsed: seconds [1, 1].

    Raises:
        ValueError: the solver has no compiled form.
    """
    if cell.solver not in COMPILED:
        raise ValueError(
            f'only the solvers {", ".join(COMPILED)} can be compiled, got {cell.solver!r}'
        )
    p = {
        name: value.detach().double().cpu().numpy()
        for name, value in cell.effective_parameters()._asdict().items()
    }
    # The input mapping is affine: its value at one and at zero say all of it.
    corners = torch.stack([torch.zeros(cell.input_size), torch.ones(cell.input_size)])
    offset, end = cell.map_inputs(corners).detach().double().cpu().numpy()
    scale = end - offset

    rate = 1.0 / p['cm']
    if cell.solver in _SOLVERS:
        rate /= cell.unfolds
    if cell.solver == 'exponential_midpoint':
        rate = -rate
    sensory = Synapses(
        exists=p['sensory_w'] > 0,
        slope=p['sensory_sigma'] * scale[:, None],
        offset=p['sensory_sigma'] * (offset[:, None] - p['sensory_mu']),
        current=p['sensory_w'] * p['sensory_erev'] * rate,
        conductance=p['sensory_w'] * rate,
    )
    recurrent = Synapses(
        exists=p['w'] > 0,
        slope=p['sigma'],
        offset=-p['sigma'] * p['mu'],
        current=p['w'] * p['erev'] * rate,
        conductance=p['w'] * rate,
    )
    leak = [p['gleak'] * p['vleak'] * rate, (p['gleak'] + LEAST_CONDUCTANCE) * rate]
    fixed = SynapticCurrent(graph, sensory)(x, *(graph.constant(part[None]) for part in leak))
    if cell.solver in _SOLVERS:
        return _SOLVERS[cell.solver](graph, recurrent, state, elapsed, fixed, cell.unfolds)
    current = SynapticCurrent(graph, recurrent)

    def slope_of(v: str) -> tuple[str, str]:
        numerator, denominator = current(v, *fixed)
        return numerator, denominator

    return solve(graph, cell.solver, state, elapsed, slope_of, cell.unfolds)


def _fused(
    graph: Graph, synapses: Synapses, v: str, elapsed: str, fixed: list[str], unfolds: int
) -> str:
    """v after h is (v + h N / cm) / (1 + h D / cm): exact for an elapsed time of zero."""
    current = SynapticCurrent(graph, synapses, scale=elapsed)
    numerator = graph.add('Mul', fixed[0], elapsed)
    ones = graph.constant(np.ones((1, synapses.exists.shape[1])))
    denominator = graph.linear(elapsed, fixed[1], ones)
    for _ in range(unfolds):
        v = graph.add('Div', *current(v, graph.add('Add', v, numerator), denominator))
    return v


def _exponential_midpoint(
    graph: Graph, synapses: Synapses, v: str, elapsed: str, fixed: list[str], unfolds: int
) -> str:
    """Decay to N/D at the rate D/cm: half a step, then all of it with N and D of the middle."""
    current = SynapticCurrent(graph, synapses)
    half = graph.add('Mul', elapsed, graph.constant([[0.5]]))
    for _ in range(unfolds):
        middle = _decay(graph, v, half, *current(v, *fixed))
        v = _decay(graph, v, elapsed, *current(middle, *fixed))
    return v


def _decay(graph: Graph, v: str, h: str, numerator: str, denominator: str) -> str:
    target = graph.add('Div', numerator, denominator)
    left = graph.add('Exp', graph.add('Mul', denominator, h))
    return graph.add('Add', target, graph.add('Mul', graph.add('Sub', v, target), left))


# In forms of their own, with less to compute than `liquid_control.nn.onnx_export.solvers`.
_SOLVERS = {'fused': _fused, 'exponential_midpoint': _exponential_midpoint}
