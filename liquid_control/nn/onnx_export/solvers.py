"""Solvers of `liquid_control.nn.solvers` as ONNX nodes, over a drive of any kind.

The equation is dv/dt = N - D v here: the capacitance is part of what the drive gives.
"""

from __future__ import annotations

from collections.abc import Callable

from liquid_control.nn.onnx_export.graph import Graph

# State [1, units] -> numerator and denominator [1, units]; None stands for a denominator of zero.
Drive = Callable[[str], tuple[str, str | None]]


def solve(graph: Graph, solver: str, v: str, elapsed: str, drive: Drive, unfolds: int) -> str:
    """Nodes from the state [1, units] to that after `elapsed` s [1, 1]; returns its name."""
    share = graph.constant([[1.0 / unfolds]])
    h = elapsed if unfolds == 1 else graph.add('Mul', elapsed, share)
    for _ in range(unfolds):
        v = SOLVERS[solver](graph, v, h, drive)
    return v


def _fused(graph: Graph, v: str, h: str, drive: Drive) -> str:
    """(v + h N) / (1 + h D)."""
    numerator, denominator = drive(v)
    after = _moved(graph, v, h, numerator)
    if denominator is None:
        return after
    one = graph.constant([[1.0]])
    return graph.add('Div', after, graph.add('Add', graph.add('Mul', h, denominator), one))


def _exponential_midpoint(graph: Graph, v: str, h: str, drive: Drive) -> str:
    half = graph.add('Mul', h, graph.constant([[0.5]]))
    middle = _decay(graph, v, half, *drive(v))
    return _decay(graph, v, h, *drive(middle))


def _decay(graph: Graph, v: str, h: str, numerator: str, denominator: str | None) -> str:
    if denominator is None:
        return _moved(graph, v, h, numerator)
    target = graph.add('Div', numerator, denominator)
    left = graph.add('Exp', graph.add('Mul', denominator, graph.add('Neg', h)))
    return graph.add('Add', target, graph.add('Mul', graph.add('Sub', v, target), left))


def _euler(graph: Graph, v: str, h: str, drive: Drive) -> str:
    return _moved(graph, v, h, _slope(graph, v, drive))


def _rk4(graph: Graph, v: str, h: str, drive: Drive) -> str:
    half, sixth, third = (
        graph.add('Mul', h, graph.constant([[share]])) for share in (1 / 2, 1 / 6, 1 / 3)
    )
    k1 = _slope(graph, v, drive)
    k2 = _slope(graph, _moved(graph, v, half, k1), drive)
    k3 = _slope(graph, _moved(graph, v, half, k2), drive)
    k4 = _slope(graph, _moved(graph, v, h, k3), drive)
    for part, weight in ((k1, sixth), (k2, third), (k3, third), (k4, sixth)):
        v = _moved(graph, v, weight, part)
    return v


def _slope(graph: Graph, v: str, drive: Drive) -> str:
    numerator, denominator = drive(v)
    if denominator is None:
        return numerator
    return graph.add('Sub', numerator, graph.add('Mul', denominator, v))


def _moved(graph: Graph, v: str, h: str, slope: str) -> str:
    return graph.add('Add', v, graph.add('Mul', h, slope))


SOLVERS: dict[str, Callable[[Graph, str, str, Drive], str]] = {
    'fused': _fused,
    'exponential_midpoint': _exponential_midpoint,
    'euler': _euler,
    'rk4': _rk4,
}
