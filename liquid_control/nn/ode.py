# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Neurons of a differential equation, solved over each elapsed time: CT-RNN and neural ODE.

They are what a liquid network is measured against: the same solvers, the same interface, another
right-hand side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from liquid_control.nn.intact import altered_child
from liquid_control.nn.layer import LiquidCell, Step, each_step
from liquid_control.nn.options import one_of, whole_number
from liquid_control.nn.solvers import SOLVERS, dopri5_adjoint

# Time constants to begin with, s: a car steers in tenths of a second.
TIME_CONSTANT = 0.1

Parameters = TypeVar('Parameters', bound=Sequence[Tensor])


class ODECell(LiquidCell, Generic[Parameters]):
    """cm dv/dt = N - D v, both of the inputs and the state; subclasses say what they are.

    Args:
        input_size, units, outputs: inputs, neurons, outputs.
        solver: a name in `SOLVERS`.
        unfolds: solver steps in one elapsed time.
    """

    def __init__(self, input_size: int, units: int, outputs: int, solver: str, unfolds: int):
        super().__init__()
        self.input_size = whole_number('input_size', input_size)
        self.state_size = whole_number('units', units)
        self.output_size = whole_number('outputs', outputs)
        self.solver = one_of('solver', solver, SOLVERS)
        self.unfolds = whole_number('unfolds', unfolds)

    def heard(self, x: Tensor) -> Tensor:
        """What inputs [time, batch, inputs] contribute; depends on no state."""
        raise NotImplementedError

    def effective_parameters(self) -> Parameters:
        """What `current` takes, as the equations use it."""
        raise NotImplementedError

    def current(self, p: Parameters, heard: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """N and D [batch, units] of the state [batch, units]."""
        raise NotImplementedError

    @property
    def capacitance(self) -> Tensor:
        """cm, s, for all neurons or for each [units]."""
        raise NotImplementedError

    def stepper(self, x: Tensor, elapsed: Tensor) -> Step:
        heard, seconds = self.heard(x).unbind(), each_step(elapsed, x)
        solve, cm, p = SOLVERS[self.solver], self.capacitance, self.effective_parameters()

        def step(t: int, state: Tensor) -> Tensor:
            def current(v: Tensor) -> tuple[Tensor, Tensor]:
                return self.current(p, heard[t], v)

            if solve is dopri5_adjoint:
                tensors = heard[t], cm, *p
                return dopri5_adjoint(state, seconds[t], current, cm, self.unfolds, tensors)
            return solve(state, seconds[t], current, cm, self.unfolds)

        return step

    def parameter_masks(self) -> dict[str, Tensor]:
        return {}


class CTRNNCell(ODECell[Sequence[Tensor]]):
    """Continuous-time recurrent neurons: tau dv/dt = -v + tanh(W x + U v + b).

    Source: Funahashi and Nakamura, "Approximation of dynamical systems by continuous time
    recurrent neural networks", Neural Networks 1993; tau is learnt, one for each neuron.
    """

    def __init__(self, input_size: int, units: int, outputs: int, solver: str, unfolds: int):
        super().__init__(input_size, units, outputs, solver, unfolds)
        self.input_map = nn.Linear(self.input_size, self.state_size)
        self.recurrent_map = nn.Linear(self.state_size, self.state_size, bias=False)
        self.output = nn.Linear(self.state_size, self.output_size)
        self.log_tau = nn.Parameter(torch.full((self.state_size,), math.log(TIME_CONSTANT)))

    @property
    def weight(self) -> Tensor:
        return self.log_tau

    @property
    def capacitance(self) -> Tensor:
        return torch.exp(self.log_tau)

    def altered(self) -> str | None:
        return altered_child(self, nn.Linear.forward)

    def heard(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    def effective_parameters(self) -> Sequence[Tensor]:
        return (self.recurrent_map.weight,)

    def current(self, p: Sequence[Tensor], heard: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        target = torch.tanh(heard + functional.linear(v, *p))
        return target, torch.ones_like(target)

    def readout(self, states: Tensor) -> Tensor:
        return self.output(states)


class NeuralODECell(ODECell[Sequence[Tensor]]):
    """A network for the slope: dv/dt = (W2 tanh(W1 [x, v] + b1) + b2) / 0.1 s.

    Source: Chen et al., "Neural Ordinary Differential Equations", NeurIPS 2018, in the recurrent
    form of Rubanova et al. 2019 (arXiv 1907.03907). Nothing keeps its state within bounds: it
    begins as a leak towards what the inputs say (W1 of the state 1, W2 -1), for one that begins
    anywhere drifts and does not learn drives that are longer than what it was trained on.
    """

    def __init__(self, input_size: int, units: int, outputs: int, solver: str, unfolds: int):
        super().__init__(input_size, units, outputs, solver, unfolds)
        self.input_map = nn.Linear(self.input_size, self.state_size)
        self.recurrent_map = nn.Linear(self.state_size, self.state_size, bias=False)
        self.slope = nn.Linear(self.state_size, self.state_size)
        self.output = nn.Linear(self.state_size, self.output_size)
        with torch.no_grad():
            nn.init.eye_(self.recurrent_map.weight)
            nn.init.eye_(self.slope.weight).neg_()
            nn.init.zeros_(self.slope.bias)

    @property
    def weight(self) -> Tensor:
        return self.output.weight

    @property
    def capacitance(self) -> Tensor:
        return torch.full_like(self.output.weight[0, 0], TIME_CONSTANT)

    def altered(self) -> str | None:
        return altered_child(self, nn.Linear.forward)

    def heard(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    def effective_parameters(self) -> Sequence[Tensor]:
        return self.recurrent_map.weight, self.slope.weight, self.slope.bias

    def current(self, p: Sequence[Tensor], heard: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        recurrent, weight, bias = p
        hidden = torch.tanh(heard + functional.linear(v, recurrent))
        slope = functional.linear(hidden, weight, bias)
        return slope, torch.zeros_like(slope)

    def readout(self, states: Tensor) -> Tensor:
        return self.output(states)
