# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recurrent networks that know no time by nature: LSTM and GRU, told it as one more input.

They are what a liquid network is measured against, behind the same interface. Sources: Hochreiter
and Schmidhuber 1997; Cho et al. 2014 (arXiv 1406.1078); both as torch computes them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from liquid_control.nn.intact import altered_child
from liquid_control.nn.layer import LiquidCell, Step
from liquid_control.nn.options import whole_number

# An elapsed time as an input is tanh(seconds / this): a robot's steps lie in the straight part.
ELAPSED_UNIT = 0.1  # s


def with_elapsed(x: Tensor, elapsed: Tensor) -> Tensor:
    """Inputs [time, batch, inputs] with the elapsed time [time, batch] or [] as one more."""
    told = torch.tanh(elapsed / ELAPSED_UNIT).expand(x.shape[:2])
    return torch.cat([x, told.unsqueeze(-1)], dim=-1)


class RecurrentCell(LiquidCell):
    """Neurons of torch's own recurrent cells, and a linear map of them to the outputs.

    Args:
        input_size, units, outputs: inputs, neurons, outputs.
    """

    kind: type[nn.LSTMCell] | type[nn.GRUCell]

    def __init__(self, input_size: int, units: int, outputs: int):
        super().__init__()
        self.input_size = whole_number('input_size', input_size)
        self.units = whole_number('units', units)
        self.output_size = whole_number('outputs', outputs)
        self.neurons = self.kind(self.input_size + 1, self.units)
        self.output = nn.Linear(self.units, self.output_size)

    @property
    def weight(self) -> Tensor:
        return self.output.weight

    def altered(self) -> str | None:
        return altered_child(self, self.kind.forward, nn.Linear.forward)

    def readout(self, states: Tensor) -> Tensor:
        return self.output(states[..., : self.units])

    def parameter_masks(self) -> dict[str, Tensor]:
        return {}


class LSTMCell(RecurrentCell):
    """Long short-term memory; the state holds the outputs of the neurons, then their memory."""

    kind = nn.LSTMCell

    def __init__(self, input_size: int, units: int, outputs: int):
        super().__init__(input_size, units, outputs)
        self.state_size = 2 * self.units
        with torch.no_grad():  # a memory must survive before it has learnt to
            self.neurons.bias_ih[self.units : 2 * self.units] = 1.0

    def stepper(self, x: Tensor, elapsed: Tensor) -> Step:
        xs = with_elapsed(x, elapsed).unbind()
        return lambda t, state: torch.cat(self.neurons(xs[t], state.chunk(2, dim=-1)), dim=-1)


class GRUCell(RecurrentCell):
    """Gated recurrent units."""

    kind = nn.GRUCell

    def __init__(self, input_size: int, units: int, outputs: int):
        super().__init__(input_size, units, outputs)
        self.state_size = self.units

    def stepper(self, x: Tensor, elapsed: Tensor) -> Step:
        xs = with_elapsed(x, elapsed).unbind()
        return lambda t, state: self.neurons(xs[t], state)
