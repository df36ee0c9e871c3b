# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The equations of a CfC cell, on tensors: what its step is, whichever modules hold the weights.

See `liquid_control.nn.cfc` for their source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from liquid_control.nn.layer import Step, each_step, states_of


class CfCEquations(NamedTuple):
    """What the equations use; masked where the wiring has no synapse.

    Attributes:
        mode: a name in `MODES`.
        activation: of the backbone.
        backbone: weight [out, in] and bias [out] of each layer in front of the heads; the first
            takes inputs and state side by side.
        heads, heads_bias: [heads * units, width] and [heads * units]: those of the mode, one below
            the other. At a fixed rate ff1, ff2 and the sum that the gate takes.
        w_tau, A: [1, units], in the mode 'pure' only.
    """

    mode: str
    activation: Callable[[Tensor], Tensor]
    backbone: tuple[tuple[Tensor, Tensor], ...]
    heads: Tensor
    heads_bias: Tensor
    w_tau: Tensor | None
    A: Tensor | None

    def at_fixed_rate(self, seconds: Tensor) -> CfCEquations:
        """The same with one elapsed time for all steps folded in: a head less to multiply."""
        heads = self.heads.chunk(4)
        bias = self.heads_bias.chunk(4)
        return self._replace(
            heads=torch.cat([*heads[:2], seconds * heads[2] + heads[3]]),
            heads_bias=torch.cat([*bias[:2], seconds * bias[2] + bias[3]]),
        )

    def stepper(self, x: Tensor, elapsed: Tensor) -> Step:
        """As `LiquidCell.stepper`."""
        currents, seconds = self.input_current(x).unbind(), each_step(elapsed, x)
        return lambda t, state: self.advance(currents[t], state, seconds[t])

    def input_current(self, x: Tensor) -> Tensor:
        """What inputs [..., inputs] contribute to the first layer; depends on no state."""
        weight, bias = (*self.backbone, (self.heads, self.heads_bias))[0]
        return functional.linear(x, weight[:, : x.shape[-1]], bias)

    def advance(self, input_current: Tensor, state: Tensor, seconds: Tensor) -> Tensor:
        """The state [batch, units] after one step.

        Args:
            input_current: of the inputs at this step [batch, width of the first layer].
            state: before it [batch, units].
            seconds: elapsed [batch, 1].
        """
        (first, _), *rest = (*self.backbone, (self.heads, self.heads_bias))
        units = state.shape[-1]
        z = torch.addmm(input_current, state, first[:, -units:].T)
        for weight, bias in rest:
            z = functional.linear(self.activation(z), weight, bias)
        heads = z.split(units, dim=-1)
        return next_state(self.mode, heads, seconds, self.w_tau, self.A)


def next_state(
    mode: str, heads: Sequence[Tensor], seconds: Tensor, w_tau: Tensor | None, A: Tensor | None
) -> Tensor:
    """The state [batch, units] that the heads, each [batch, units], lead to."""
    if w_tau is not None and A is not None:
        (z,) = heads
        return A - A * torch.exp(-seconds * (w_tau.abs() + z.abs())) * z
    near, far, *time = heads
    near, far = torch.tanh(near), torch.tanh(far)
    if mode == 'elastance':
        time = [time[0] * torch.sigmoid(time[2]), time[1]]
    gate = torch.sigmoid(time[0] * seconds + time[1] if len(time) == 2 else time[0])
    return near + gate * far if mode == 'no_gate' else near * (1.0 - gate) + gate * far


def cfc_states(
    mode: str,
    activation: Callable[[Tensor], Tensor],
    x: Tensor,
    state: Tensor,
    elapsed: Tensor,
    heads: Tensor,
    heads_bias: Tensor,
    *backbone: Tensor,
) -> Tensor:
    """States after each step [time, batch, units] of a gated CfC; see `CfCEquations`.

    Args:
        x, state: inputs [time, batch, inputs], and the state before the first step [batch, units].
        elapsed: seconds [time, batch].
        backbone: weight and bias of its one layer, or nothing.
    """
    layers = ((backbone[0], backbone[1]),) if backbone else ()
    p = CfCEquations(mode, activation, layers, heads, heads_bias, None, None)
    return states_of(p.stepper(x, elapsed), state, len(x))
