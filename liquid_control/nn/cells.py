# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The cells that a policy can have: `network.cell` of a recipe, and what each is made of.

All have one interface (see `LiquidLayer`): a sequence or a step, a state that goes on, and the
elapsed time, which those that know no time by nature get as one more input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from liquid_control.nn.cfc import CfC
from liquid_control.nn.layer import LiquidCell, LiquidLayer
from liquid_control.nn.lrc import LRCCell
from liquid_control.nn.ltc import LTC, LTCCell
from liquid_control.nn.ncp import AutoNCP
from liquid_control.nn.ode import CTRNNCell, NeuralODECell
from liquid_control.nn.recurrent import GRUCell, LSTMCell
from liquid_control.nn.solvers import COMPILED
from liquid_control.nn.stack import StackCell
from liquid_control.nn.wiring import Wiring

if TYPE_CHECKING:
    from liquid_control.nn.policy import NetworkConfig

# Of the published capacitance of an LTC neuron: time constants of 20 to 100 ms to begin with.
CAPACITANCE_SHARE = 0.1


@dataclass(frozen=True)
class Cell:
    """One kind of core.

    Attributes:
        make: the layer, with the outputs that the policy's commands need.
        solvers: names it can be solved by, its own choice first; none where it needs none.
        wired: whether neurons are joined as a wiring says.
        stacked: whether it sees a stack of steps.
    """

    make: Callable[[NetworkConfig], LiquidLayer]
    solvers: tuple[str, ...] = ()
    wired: bool = False
    stacked: bool = False


def layer(cell: LiquidCell, wiring: Wiring | None = None) -> LiquidLayer:
    """A layer of a cell that has none of its own."""
    made = LiquidLayer(cell, return_sequences=True, batch_first=True, mixed_memory=False)
    made.wiring = wiring
    return made


def _sizes(config: NetworkConfig) -> tuple[int, int, int]:
    return config.input_size, config.neurons, len(config.commands)


def _wiring(config: NetworkConfig) -> AutoNCP:
    outputs = len(config.commands)
    return AutoNCP(config.neurons, outputs, config.sparsity, config.wiring_seed)


def _cfc(config: NetworkConfig, **options: Any) -> CfC:
    return CfC(config.input_size, _wiring(config), **options)


def _dense_cfc(config: NetworkConfig) -> CfC:
    inputs, neurons, outputs = _sizes(config)
    return CfC(inputs, neurons, proj_size=outputs)


def _ltc(config: NetworkConfig, *, mixed_memory: bool = False) -> LTC:
    made = LTC(
        config.input_size,
        _wiring(config),
        solver=config.solver,
        unfolds=config.unfolds,
        mixed_memory=mixed_memory,
    )
    suit_to_robot(made.rnn_cell)
    return made


def suit_to_robot(cell: LTCCell) -> None:
    """Start an LTC where a robot's inputs and time constants are.

    The published initial values suit inputs within (0, 1) and time constants of about one unit of
    time. Ours are within (-1, 1), and a car steers in tenths of a second, through three layers.
    """
    with torch.no_grad():
        cell.input_w.fill_(0.5)
        cell.input_b.fill_(0.5)
        capacitance = CAPACITANCE_SHARE * functional.softplus(cell.cm)
        cell.cm.copy_(torch.log(torch.expm1(capacitance)))


def _lrc(config: NetworkConfig) -> LiquidLayer:
    wiring = _wiring(config)
    return layer(LRCCell(config.input_size, wiring, config.solver, config.unfolds), wiring)


CELLS: dict[str, Cell] = {
    'cfc': Cell(_cfc, wired=True),
    'ltc': Cell(_ltc, COMPILED, wired=True),
    'cfc-dense': Cell(_dense_cfc),
    'cfc-mixed-memory': Cell(lambda config: _cfc(config, mixed_memory=True), wired=True),
    'ltc-mixed-memory': Cell(lambda config: _ltc(config, mixed_memory=True), COMPILED, wired=True),
    'cfc-elastance': Cell(lambda config: _cfc(config, mode='elastance'), wired=True),
    'lrc': Cell(_lrc, COMPILED, wired=True),
    'lstm': Cell(lambda config: layer(LSTMCell(*_sizes(config)))),
    'gru': Cell(lambda config: layer(GRUCell(*_sizes(config)))),
    'ct-rnn': Cell(
        lambda config: layer(CTRNNCell(*_sizes(config), config.solver, config.unfolds)), COMPILED
    ),
    'neural-ode': Cell(
        lambda config: layer(NeuralODECell(*_sizes(config), config.solver, config.unfolds)),
        ('rk4', 'euler', 'dopri5', 'dopri5_adjoint'),
    ),
    'feed-forward': Cell(
        lambda config: layer(StackCell(*_sizes(config), config.stack)), stacked=True
    ),
}
