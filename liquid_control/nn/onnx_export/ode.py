# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One step of CT-RNN, neural ODE and LRC neurons as ONNX nodes.

Equations in `liquid_control.nn.ode` and `lrc`.
"""

from __future__ import annotations

from typing import Any

from liquid_control.nn.lrc import LRCCell
from liquid_control.nn.ode import CTRNNCell, NeuralODECell, ODECell
from liquid_control.nn.onnx_export.graph import Graph
from liquid_control.nn.onnx_export.ltc import Synapses
from liquid_control.nn.onnx_export.ltc import SynapticCurrent as Synapse
from liquid_control.nn.onnx_export.recurrent import array
from liquid_control.nn.onnx_export.solvers import SOLVERS, solve

# What was solved with steps of its own choice in training runs on a robot as the nearest with
# steps that are known beforehand; the export compares the two.
FIXED_STEPS = {'dopri5': 'rk4', 'dopri5_adjoint': 'rk4'}


def solver_of(cell: ODECell[Any]) -> str:
    """Name of the solver of the compiled form."""
    name = FIXED_STEPS.get(cell.solver, cell.solver)
    if name not in SOLVERS:
        raise ValueError(f'only the solvers {", ".join(SOLVERS)} can be compiled, got {name!r}')
    return name


def ct_rnn_step(graph: Graph, cell: CTRNNCell, x: str, state: str, elapsed: str) -> str:
    """Nodes of one step; returns the name of the state after it.

    Args:
        x: inputs [1, inputs].
        state: [1, units].
        elapsed: seconds [1, 1].
    """
    rate = 1.0 / array(cell.capacitance)[None]
    heard = graph.linear(x, array(cell.input_map.weight).T, array(cell.input_map.bias)[None])
    recurrent = graph.constant(array(cell.recurrent_map.weight).T)
    speed = graph.constant(rate)

    def current(v: str) -> tuple[str, str]:
        target = graph.add('Tanh', graph.linear(v, recurrent, heard))
        return graph.add('Mul', target, speed), speed

    return solve(graph, solver_of(cell), state, elapsed, current, cell.unfolds)


def neural_ode_step(graph: Graph, cell: NeuralODECell, x: str, state: str, elapsed: str) -> str:
    """As `ct_rnn_step`."""
    rate = 1.0 / array(cell.capacitance)
    heard = graph.linear(x, array(cell.input_map.weight).T, array(cell.input_map.bias)[None])
    recurrent = graph.constant(array(cell.recurrent_map.weight).T)
    weight = graph.constant(array(cell.slope.weight).T * rate)
    bias = graph.constant(array(cell.slope.bias)[None] * rate)

    def current(v: str) -> tuple[str, None]:
        hidden = graph.add('Tanh', graph.linear(v, recurrent, heard))
        return graph.linear(hidden, weight, bias), None

    return solve(graph, solver_of(cell), state, elapsed, current, cell.unfolds)


def lrc_step(graph: Graph, cell: LRCCell, x: str, state: str, elapsed: str) -> str:
    """As `ct_rnn_step`; the synapses in the layouts of an LTC's."""
    p = {name: array(value) for name, value in cell.effective_parameters()._asdict().items()}
    scale, shift = array(cell.input_w), array(cell.input_b)
    rate = 1.0 / array(cell.capacitance)
    sensory = Synapses(
        exists=p['sensory_w'] > 0,
        slope=p['sensory_sigma'] * scale[:, None],
        offset=p['sensory_sigma'] * (shift[:, None] - p['sensory_mu']),
        current=p['sensory_h'],
        conductance=p['sensory_w'],
    )
    recurrent = Synapses(
        exists=p['w'] > 0,
        slope=p['sigma'],
        offset=-p['sigma'] * p['mu'],
        current=p['h'],
        conductance=p['w'],
    )
    leak = graph.constant(p['gleak'][None])
    fixed = Synapse(graph, sensory)(x, leak, leak)
    weight = p['sensory_elastance']
    quickness = graph.linear(x, scale[:, None] * weight, (shift @ weight + p['offset'])[None])
    elastance = graph.constant(p['elastance'])
    driven = graph.constant(p['vleak'][None] * rate)
    forgotten = graph.constant([[rate]])
    synapse = Synapse(graph, recurrent)

    def current(v: str) -> tuple[str, str]:
        push, forget = synapse(v, *fixed)
        speed = graph.add('Sigmoid', graph.linear(v, elastance, quickness))
        numerator = graph.add('Mul', graph.add('Tanh', push), driven)
        denominator = graph.add('Mul', graph.add('Sigmoid', forget), forgotten)
        return graph.add('Mul', speed, numerator), graph.add('Mul', speed, denominator)

    return solve(graph, solver_of(cell), state, elapsed, current, cell.unfolds)
