# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Liquid time-constant (LTC) neurons: leaky membranes joined by conductance-based synapses.

Source: Hasani, Lechner et al., "Liquid Time-constant Networks", AAAI 2021.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from liquid_control.nn import kernels
from liquid_control.nn.layer import (
    LiquidCell,
    LiquidLayer,
    Step,
    each_step,
    number_of_units,
    states_of,
)
from liquid_control.nn.options import one_of, whole_number
from liquid_control.nn.solvers import SOLVERS, dopri5_adjoint
from liquid_control.nn.wiring import FullyConnected, Wiring

# Ranges from which the parameters start (before the positivity map where there is one).
INITIAL_RANGES = {
    'gleak': (0.001, 1.0),
    'vleak': (-0.2, 0.2),
    'cm': (0.4, 0.6),
    'sigma': (3.0, 8.0),
    'mu': (0.3, 0.8),
    'w': (0.001, 1.0),
    'sensory_sigma': (3.0, 8.0),
    'sensory_mu': (0.3, 0.8),
    'sensory_w': (0.001, 1.0),
}
MAPPINGS = ('affine', 'linear', None)
# Keeps the conductance of a neuron above zero; as in the reference.
LEAST_CONDUCTANCE = 1e-8
# Elements of the largest temporary of plain torch's sensory part [steps, batch, inputs, units].
CACHED = 1 << 20


class LTCParameters(NamedTuple):
    """What the equations use: conductances and capacitance positive, zero where no synapse is.

    Neurons [units], synapses [source, target]. Potentials and reversal potentials are without
    unit, `gleak` and `w` are conductances, cm / conductance is a time in seconds.
    """

    gleak: Tensor
    vleak: Tensor
    cm: Tensor
    w: Tensor
    sigma: Tensor
    mu: Tensor
    erev: Tensor
    sensory_w: Tensor
    sensory_sigma: Tensor
    sensory_mu: Tensor
    sensory_erev: Tensor

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """Those of `ltc_stepper`, in its order."""
        membrane = self.cm, self.gleak + LEAST_CONDUCTANCE, self.gleak * self.vleak
        sensory = self.sensory_mu, self.sensory_sigma, self.sensory_w, self.sensory_erev
        return *membrane, self.mu, self.sigma, self.w, self.erev, *sensory


def ltc_stepper(solver: str, unfolds: int, x: Tensor, elapsed: Tensor, *weights: Tensor) -> Step:
    """The membrane equations over a sequence, one step at a time.

    Args:
        solver: a name in `SOLVERS`.
        unfolds: parts into which the solver splits each elapsed time.
        x: mapped inputs [time, batch, inputs].
        elapsed: seconds [time, batch], or [] for all.
        weights: cm, total leak conductance, leak conductance times leak potential, all [units];
            mu, sigma, w, erev [units, units]; the same of the inputs [inputs, units].
    """
    cm, leak, leak_rev = weights[:3]
    recurrent, senses = weights[3:7], weights[7:]
    # Nothing of this depends on the state: computed ahead, as many steps at once as caches hold.
    at_once = len(x)
    if not torch.compiler.is_compiling():  # a graph is for any size of batch
        at_once = max(1, CACHED // max(1, x.shape[1] * senses[0].numel()))
    sensory = [_synapses(part, *senses) for part in x.split(at_once)]
    numerators = (torch.cat([numerator for numerator, _ in sensory]) + leak_rev).unbind()
    denominators = (torch.cat([denominator for _, denominator in sensory]) + leak).unbind()
    seconds = each_step(elapsed, x)
    solve = SOLVERS[solver]

    def step(t: int, state: Tensor) -> Tensor:
        def current(v: Tensor) -> tuple[Tensor, Tensor]:
            numerator, denominator = _synapses(v, *recurrent)
            return numerator + numerators[t], denominator + denominators[t]

        if solve is dopri5_adjoint:
            tensors = numerators[t], denominators[t], cm, *recurrent
            return dopri5_adjoint(state, seconds[t], current, cm, unfolds, tensors)
        return solve(state, seconds[t], current, cm, unfolds)

    return step


def _synapses(
    source: Tensor, mu: Tensor, sigma: Tensor, w: Tensor, erev: Tensor
) -> tuple[Tensor, Tensor]:
    """Driving current and conductance that sources [..., sources] open in each target neuron."""
    conductance = w * torch.sigmoid(sigma * (source.unsqueeze(-1) - mu))
    return (conductance * erev).sum(-2), conductance.sum(-2)


def ltc_states(
    solver: str, unfolds: int, x: Tensor, state: Tensor, elapsed: Tensor, *weights: Tensor
) -> Tensor:
    """States after each step [time, batch, units]; arguments as for `ltc_stepper`."""
    return states_of(ltc_stepper(solver, unfolds, x, elapsed, *weights), state, len(x))


class LTCCell(LiquidCell):
    """Parameters and equations of LTC neurons; `LTC` is the layer to use."""

    # Parameters and masks that are registered by name.
    gleak: Tensor
    vleak: Tensor
    cm: Tensor
    sigma: Tensor
    mu: Tensor
    w: Tensor
    sparsity_mask: Tensor
    sensory_sigma: Tensor
    sensory_mu: Tensor
    sensory_w: Tensor
    sensory_sparsity_mask: Tensor

    def __init__(
        self,
        input_size: int,
        wiring: Wiring,
        input_mapping: str | None,
        output_mapping: str | None,
        solver: str,
        unfolds: int,
    ):
        super().__init__()
        self.input_mapping = one_of('input_mapping', input_mapping, MAPPINGS)
        self.output_mapping = one_of('output_mapping', output_mapping, MAPPINGS)
        self.solver = one_of('solver', solver, SOLVERS)
        self.unfolds = whole_number('unfolds', unfolds)
        self.wiring = wiring.build(input_size)
        self.input_size = wiring.sensory_adjacency.shape[0]
        self.state_size = wiring.units
        self.output_size = wiring.output_size

        units, inputs, outputs = self.state_size, self.input_size, self.output_size
        for name, (low, high) in INITIAL_RANGES.items():
            shape: tuple[int, ...] = (units,)
            if name.startswith('sensory_'):
                shape = (inputs, units)
            elif name in ('sigma', 'mu', 'w'):
                shape = (units, units)
            self.register_parameter(name, nn.Parameter(torch.rand(shape) * (high - low) + low))
        self.erev = nn.Parameter(_float(wiring.adjacency))
        self.sensory_erev = nn.Parameter(_float(wiring.sensory_adjacency))
        self.register_mask('sparsity_mask', wiring.adjacency)
        self.register_mask('sensory_sparsity_mask', wiring.sensory_adjacency)
        if self.input_mapping is not None:
            self.input_w = nn.Parameter(torch.ones(inputs))
        if self.input_mapping == 'affine':
            self.input_b = nn.Parameter(torch.zeros(inputs))
        if self.output_mapping is not None:
            self.output_w = nn.Parameter(torch.ones(outputs))
        if self.output_mapping == 'affine':
            self.output_b = nn.Parameter(torch.zeros(outputs))

    @property
    def weight(self) -> Tensor:
        return self.cm

    def effective_parameters(self) -> LTCParameters:
        """The parameters as the equations use them: softplus keeps what must be positive so."""
        positive = functional.softplus
        return LTCParameters(
            gleak=positive(self.gleak),
            vleak=self.vleak,
            cm=positive(self.cm),
            w=positive(self.w) * self.sparsity_mask,
            sigma=self.sigma,
            mu=self.mu,
            erev=self.erev,
            sensory_w=positive(self.sensory_w) * self.sensory_sparsity_mask,
            sensory_sigma=self.sensory_sigma,
            sensory_mu=self.sensory_mu,
            sensory_erev=self.sensory_erev,
        )

    def map_inputs(self, x: Tensor) -> Tensor:
        """x * input_w + input_b, as far as the mapping has them."""
        if self.input_mapping is not None:
            x = x * self.input_w
        return x + self.input_b if self.input_mapping == 'affine' else x

    def stepper(self, x: Tensor, elapsed: Tensor) -> Step:
        x, p = self.map_inputs(x), self.effective_parameters()
        if not self._has_kernel(x, elapsed):
            return ltc_stepper(self.solver, self.unfolds, x, elapsed, *p.weights)
        xs, seconds = x.split(1), elapsed.expand(x.shape[:2]).split(1)
        return lambda t, state: self._kernel(xs[t], state, seconds[t], p)[0]

    def scan(self, x: Tensor, state: Tensor, elapsed: Tensor) -> Tensor:
        if not self._has_kernel(x, elapsed):
            return super().scan(x, state, elapsed)
        p, elapsed = self.effective_parameters(), elapsed.expand(x.shape[:2])
        return self._kernel(self.map_inputs(x), state, elapsed, p)

    def _has_kernel(self, x: Tensor, elapsed: Tensor) -> bool:
        cuda = self.state_size <= kernels.MOST_UNITS
        parameters = (entry for entry in self._parameters.values() if entry is not None)
        return self.solver in kernels.SOLVERS and kernels.serves(
            x, elapsed, *parameters, cuda=cuda
        )

    def _kernel(self, x: Tensor, state: Tensor, elapsed: Tensor, p: LTCParameters) -> Tensor:
        masks = self.sparsity_mask, self.sensory_sparsity_mask
        plain = partial(ltc_states, self.solver, self.unfolds)
        return kernels.ltc_sequence(
            x, state, elapsed, p.weights, masks, self.solver, self.unfolds, plain
        )

    def readout(self, states: Tensor) -> Tensor:
        outputs = states[..., : self.output_size]
        if self.output_mapping is not None:
            outputs = outputs * self.output_w
        return outputs + self.output_b if self.output_mapping == 'affine' else outputs

    def parameter_masks(self) -> dict[str, Tensor]:
        synapse = ('w', 'sigma', 'mu', 'erev')
        return {name: self.sparsity_mask for name in synapse} | {
            f'sensory_{name}': self.sensory_sparsity_mask for name in synapse
        }


def _float(matrix: np.ndarray) -> Tensor:
    return torch.tensor(matrix, dtype=torch.get_default_dtype())


class LTC(LiquidLayer):
    """A layer of liquid time-constant neurons.

    Each neuron is a membrane with capacitance cm, a leak, and synapses whose conductance follows
    a sigmoid of the source's potential; so its time constant depends on its input. See
    docs/cells.md.

        >>> rnn = LTC(20, AutoNCP(32, 2))
        >>> outputs, state = rnn(torch.randn(4, 50, 20), elapsed=0.05)  # 50 steps of 50 ms

    The state holds the potentials in the order of the wiring: motor, command, inter neurons.

    Args:
        input_size: number of inputs.
        units: a wiring, or a number of fully connected neurons.
        return_sequences, batch_first, mixed_memory: see `LiquidLayer`.
        input_mapping: scale and offset learnt for each input: 'affine', 'linear' (scale only) or
            None.
        output_mapping: the same for the outputs.
        solver: 'fused' (the reference's), 'exponential_midpoint', 'euler', 'rk4', 'dopri5' or
            'dopri5_adjoint'; see `liquid_control.nn.solvers`.
        unfolds: solver steps in one elapsed time.
    """

    rnn_cell: LTCCell

    def __init__(
        self,
        input_size: int,
        units: Wiring | int,
        *,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        input_mapping: str | None = 'affine',
        output_mapping: str | None = 'affine',
        solver: str = 'fused',
        unfolds: int = 6,
    ):
        wiring = units if isinstance(units, Wiring) else FullyConnected(number_of_units(units))
        cell = LTCCell(input_size, wiring, input_mapping, output_mapping, solver, unfolds)
        super().__init__(cell, return_sequences, batch_first, mixed_memory)
        self.wiring = wiring
