# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Solvers of `liquid_control.nn.solvers` as ONNX nodes, over synaptic currents of any kind.

The equation is dv/dt = N - D v here: the capacitance is part of what `current` gives.
"""

from __future__ import annotations

from collections.abc import Callable

from liquid_control.nn.onnx_export.graph import Graph

# State [1, units] -> numerator and denominator [1, units]; None stands for a denominator of zero.
SynapticCurrent = Callable[[str], tuple[str, str | None]]


def solve(
    graph: Graph, solver: str, v: str, elapsed: str, current: SynapticCurrent, unfolds: int
) -> str:
    """Nodes from the state [1, units] to that after `elapsed` s [1, 1]; returns its name."""
    h = elapsed
    if unfolds > 1:
        h = graph.add('Mul', elapsed, graph.constant([[1.0 / unfolds]]))
    for _ in range(unfolds):
        v = SOLVERS[solver](graph, v, h, current)
    return v


def _fused(graph: Graph, v: str, h: str, current: SynapticCurrent) -> str:
    """(v + h N) / (1 + h D)."""
    numerator, denominator = current(v)
    after = _moved(graph, v, h, numerator)
    if denominator is None:
        return after
    one = graph.constant([[1.0]])
    return graph.add('Div', after, graph.add('Add', graph.add('Mul', h, denominator), one))


def _exponential_midpoint(graph: Graph, v: str, h: str, current: SynapticCurrent) -> str:
    half = graph.add('Mul', h, graph.constant([[0.5]]))
    middle = _decay(graph, v, half, *current(v))
    return _decay(graph, v, h, *current(middle))


def _decay(graph: Graph, v: str, h: str, numerator: str, denominator: str | None) -> str:
    if denominator is None:
        return _moved(graph, v, h, numerator)
    target = graph.add('Div', numerator, denominator)
    left = graph.add('Exp', graph.add('Mul', denominator, graph.add('Neg', h)))
    return graph.add('Add', target, graph.add('Mul', graph.add('Sub', v, target), left))


def _euler(graph: Graph, v: str, h: str, current: SynapticCurrent) -> str:
    return _moved(graph, v, h, _slope(graph, v, current))


def _rk4(graph: Graph, v: str, h: str, current: SynapticCurrent) -> str:
    half, sixth, third = (
        graph.add('Mul', h, graph.constant([[share]])) for share in (1 / 2, 1 / 6, 1 / 3)
    )
    k1 = _slope(graph, v, current)
    k2 = _slope(graph, _moved(graph, v, half, k1), current)
    k3 = _slope(graph, _moved(graph, v, half, k2), current)
    k4 = _slope(graph, _moved(graph, v, h, k3), current)
    for part, weight in ((k1, sixth), (k2, third), (k3, third), (k4, sixth)):
        v = _moved(graph, v, weight, part)
    return v


def _slope(graph: Graph, v: str, current: SynapticCurrent) -> str:
    numerator, denominator = current(v)
    if denominator is None:
        return numerator
    return graph.add('Sub', numerator, graph.add('Mul', denominator, v))


def _moved(graph: Graph, v: str, h: str, slope: str) -> str:
    return graph.add('Add', v, graph.add('Mul', h, slope))


SOLVERS: dict[str, Callable[[Graph, str, str, SynapticCurrent], str]] = {
    'fused': _fused,
    'exponential_midpoint': _exponential_midpoint,
    'euler': _euler,
    'rk4': _rk4,
}
