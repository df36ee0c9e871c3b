# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A feed-forward network that sees the last few steps at once: a memory of fixed length.

The stack is its state, so that it runs behind the same interface as a network with memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from liquid_control.nn.intact import altered_child
from liquid_control.nn.layer import LiquidCell, Step
from liquid_control.nn.options import whole_number
from liquid_control.nn.recurrent import with_elapsed


class StackCell(LiquidCell):
    """One hidden layer on a stack of inputs, each with the time that led to it.

    The state holds the hidden neurons, which no later step looks at, then the stack: the newest
    inputs first. It starts from zeros, as if nothing had been seen yet.

    Args:
        input_size, units, outputs: inputs, hidden neurons, outputs.
        depth: steps in the stack, this one included.
    """

    def __init__(self, input_size: int, units: int, outputs: int, depth: int):
        super().__init__()
        self.input_size = whole_number('input_size', input_size)
        self.units = whole_number('units', units)
        self.output_size = whole_number('outputs', outputs)
        self.depth = whole_number('depth', depth)
        self.hidden = nn.Linear(self.depth * (self.input_size + 1), self.units)
        self.output = nn.Linear(self.units, self.output_size)
        self.kept_size = (self.depth - 1) * (self.input_size + 1)
        self.state_size = self.units + self.kept_size

    @property
    def weight(self) -> Tensor:
        return self.output.weight

    def altered(self) -> str | None:
        return altered_child(self, nn.Linear.forward)

    def stepper(self, x: Tensor, elapsed: Tensor) -> Step:
        xs = with_elapsed(x, elapsed).unbind()

        def step(t: int, state: Tensor) -> Tensor:
            stack = torch.cat([xs[t], state[..., self.units :]], dim=-1)
            neurons = torch.tanh(self.hidden(stack))
            return torch.cat([neurons, stack[..., : self.kept_size]], dim=-1)

        return step

    def readout(self, states: Tensor) -> Tensor:
        return self.output(states[..., : self.units])

    def parameter_masks(self) -> dict[str, Tensor]:
        return {}
