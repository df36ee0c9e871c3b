# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Liquid-resistance liquid-capacitance (LRC) neurons: saturated synapses, a gate on their speed.

With openings s_ij = sigmoid(sigma_ij (v_i - mu_ij)) of the synapses, inputs and neurons alike,

    f_j = gleak_j + sum_i w_ij s_ij        what makes the neuron forget
    u_j = gleak_j + sum_i h_ij s_ij        what drives it
    e_j = sigmoid(sum_i o_ij y_i + p_j)    elastance, of inputs and state y: its speed
    dv_j/dt = e_j (-sigmoid(f_j) v_j + vleak_j tanh(u_j)) / 20 ms

Source: Farsang, Neubauer and Grosu, "Liquid Resistance Liquid Capacitance Networks", 2024 (arXiv
2403.08791), with the asymmetric elastance. They take one explicit Euler step for one unit of time.
The elastance slows a neuron and cannot quicken it, and what a robot sees must come through three
layers within tenths of a second: a unit is 20 ms here, and elastance begins at 0.73. A neuron with
a vleak near zero says nothing: it begins within 0.5 and 1, for h has both signs. With 0.1 s, 0.5
and within -1 and 1 some networks did not learn at all. Other solvers serve too. Synapses and
elastance follow the wiring.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from liquid_control.nn.ltc import INITIAL_RANGES
from liquid_control.nn.ode import ODECell
from liquid_control.nn.wiring import Wiring

# See the module docstring.
TIME_UNIT = 0.02  # s
INITIAL_OFFSET = 1.0
LEAST_VLEAK = 0.5


class LRCParameters(NamedTuple):
    """What the equations use: w positive; w, h and the elastance zero where no synapse is.

    Neurons [units], synapses [source, target], elastance [source, target] with its offset [units].
    """

    gleak: Tensor
    vleak: Tensor
    mu: Tensor
    sigma: Tensor
    w: Tensor
    h: Tensor
    elastance: Tensor
    sensory_mu: Tensor
    sensory_sigma: Tensor
    sensory_w: Tensor
    sensory_h: Tensor
    sensory_elastance: Tensor
    offset: Tensor


class LRCCell(ODECell[LRCParameters]):
    """Parameters and equations of LRC neurons in a wiring.

    Args:
        input_size: number of inputs.
        wiring: neurons and synapses; polarities say where h starts.
        solver, unfolds: see `ODECell`.
    """

    # Parameters and masks that are registered by name.
    mu: Tensor
    sigma: Tensor
    w: Tensor
    h: Tensor
    elastance: Tensor
    sparsity_mask: Tensor
    elastance_mask: Tensor
    sensory_mu: Tensor
    sensory_sigma: Tensor
    sensory_w: Tensor
    sensory_h: Tensor
    sensory_elastance: Tensor
    sensory_sparsity_mask: Tensor

    def __init__(self, input_size: int, wiring: Wiring, solver: str, unfolds: int):
        self_hearing = np.eye(wiring.units, dtype=np.int32)
        wiring.build(input_size)
        super().__init__(input_size, wiring.units, wiring.output_size, solver, unfolds)
        self.wiring = wiring
        for prefix, synapses in (
            ('', wiring.adjacency),
            ('sensory_', wiring.sensory_adjacency),
        ):
            polarity = torch.tensor(synapses, dtype=torch.get_default_dtype())
            for name in ('mu', 'sigma', 'w'):
                self.register_parameter(prefix + name, _uniform(polarity.shape, name))
            size = torch.rand(polarity.shape)
            self.register_parameter(f'{prefix}h', nn.Parameter(polarity * size))
            spread = torch.randn(polarity.shape) / sum(polarity.shape) ** 0.5
            self.register_parameter(f'{prefix}elastance', nn.Parameter(spread))
            self.register_mask(f'{prefix}sparsity_mask', synapses)
        self.register_mask('elastance_mask', np.abs(wiring.adjacency) | self_hearing)
        units = (self.state_size,)
        self.gleak = _uniform(units, 'gleak')
        self.vleak = nn.Parameter(LEAST_VLEAK + (1 - LEAST_VLEAK) * torch.rand(units))
        self.offset = nn.Parameter(torch.full(units, INITIAL_OFFSET))
        # Inputs within (-1, 1) come to where the synapses open.
        self.input_w = nn.Parameter(torch.full((self.input_size,), 0.5))
        self.input_b = nn.Parameter(torch.full((self.input_size,), 0.5))
        self.output_w = nn.Parameter(torch.ones(self.output_size))
        self.output_b = nn.Parameter(torch.zeros(self.output_size))

    @property
    def weight(self) -> Tensor:
        return self.gleak

    @property
    def capacitance(self) -> Tensor:
        return torch.full_like(self.gleak[0], TIME_UNIT)

    def effective_parameters(self) -> LRCParameters:
        """The parameters as the equations use them."""
        synapse, sensory = self.sparsity_mask, self.sensory_sparsity_mask
        return LRCParameters(
            gleak=functional.softplus(self.gleak),
            vleak=self.vleak,
            mu=self.mu,
            sigma=self.sigma,
            w=functional.softplus(self.w) * synapse,
            h=self.h * synapse,
            elastance=self.elastance * self.elastance_mask,
            sensory_mu=self.sensory_mu,
            sensory_sigma=self.sensory_sigma,
            sensory_w=functional.softplus(self.sensory_w) * sensory,
            sensory_h=self.sensory_h * sensory,
            sensory_elastance=self.sensory_elastance * sensory,
            offset=self.offset,
        )

    def heard(self, x: Tensor) -> Tensor:
        p, x = self.effective_parameters(), x * self.input_w + self.input_b
        f, u = _sums(x, p.sensory_mu, p.sensory_sigma, p.sensory_w, p.sensory_h)
        return torch.cat([f + p.gleak, u + p.gleak, x @ p.sensory_elastance + p.offset], dim=-1)

    def current(self, p: LRCParameters, heard: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        f, u, speed = heard.chunk(3, dim=-1)
        forget, push = _sums(v, p.mu, p.sigma, p.w, p.h)
        elastance = torch.sigmoid(speed + v @ p.elastance)
        driven = p.vleak * torch.tanh(u + push)
        return elastance * driven, elastance * torch.sigmoid(f + forget)

    def readout(self, states: Tensor) -> Tensor:
        return states[..., : self.output_size] * self.output_w + self.output_b

    def parameter_masks(self) -> dict[str, Tensor]:
        masks = {'elastance': self.elastance_mask, 'sensory_elastance': self.sensory_sparsity_mask}
        for name in ('mu', 'sigma', 'w', 'h'):
            masks |= {name: self.sparsity_mask, f'sensory_{name}': self.sensory_sparsity_mask}
        return masks


def _uniform(shape: tuple[int, ...], name: str) -> nn.Parameter:
    low, high = INITIAL_RANGES[name]
    return nn.Parameter(torch.rand(shape) * (high - low) + low)


def _sums(
    source: Tensor, mu: Tensor, sigma: Tensor, w: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """What open synapses from sources [..., sources] add to f and u of each neuron."""
    opening = torch.sigmoid(sigma * (source.unsqueeze(-1) - mu))
    return (opening * w).sum(-2), (opening * h).sum(-2)
