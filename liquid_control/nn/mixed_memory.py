# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Mixed memory: an LSTM in front of a liquid cell that remembers beyond its time constants.

Source: Lechner and Hasani, "Learning Long-Term Dependencies in Irregularly-Sampled Time Series",
2020 (arXiv 2006.04418).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from liquid_control.nn.intact import intact


class MixedMemory(nn.Module):
    """An LSTM cell that writes the state from which the liquid cell then evolves.

    The memory itself takes no notice of the elapsed time; only the liquid cell does.

    Args:
        input_size: number of inputs.
        state_size: neurons of the liquid cell.
    """

    def __init__(self, input_size: int, state_size: int):
        super().__init__()
        self.input_map = nn.Linear(input_size, 4 * state_size)
        self.recurrent_map = nn.Linear(state_size, 4 * state_size, bias=False)
        nn.init.xavier_uniform_(self.input_map.weight)
        nn.init.uniform_(self.input_map.bias, -0.1, 0.1)
        nn.init.orthogonal_(self.recurrent_map.weight)

    def forward(self, x: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs [batch, inputs], liquid state and memory [batch, units] -> the new two."""
        gates = self.input_map(x)
        if intact(self.recurrent_map, nn.Linear.forward):
            gates = torch.addmm(gates, state, self.recurrent_map.weight.T)
        else:
            gates = gates + self.recurrent_map(state)
        candidate, write, keep, read = gates.chunk(4, dim=1)
        # A forget gate that starts open: the memory must survive before it has learnt to.
        kept = memory * torch.sigmoid(keep + 1.0)
        memory = kept + torch.tanh(candidate) * torch.sigmoid(write)
        return torch.tanh(memory) * torch.sigmoid(read), memory
