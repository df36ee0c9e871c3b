# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pairs of a layer of ours and of the reference library `ncps`, with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ncps.torch
import ncps.wirings
import torch
from torch import Tensor, nn

from liquid_control.nn import LTC, NCP, AutoNCP, FullyConnected, Random, Wiring

# The two libraries draw the same synapses from the same arguments.
WIRINGS: dict[str, Callable[[], tuple[Wiring, ncps.wirings.Wiring]]] = {
    'autoncp': lambda: (AutoNCP(19, 2, seed=7), ncps.wirings.AutoNCP(19, 2, seed=7)),
    'sparse autoncp': lambda: (
        AutoNCP(48, 4, sparsity=0.8),
        ncps.wirings.AutoNCP(48, 4, sparsity_level=0.8),
    ),
    'published ncp': lambda: (
        NCP(12, 6, 1, 6, 4, 10, 6),
        ncps.wirings.NCP(12, 6, 1, 6, 4, 10, 6),
    ),
    'random': lambda: (
        Random(13, sparsity=0.4, seed=3),
        ncps.wirings.Random(13, sparsity_level=0.4, random_seed=3),
    ),
    'large autoncp': lambda: (AutoNCP(128, 8), ncps.wirings.AutoNCP(128, 8)),
    'fully connected': lambda: (FullyConnected(9), ncps.wirings.FullyConnected(9)),
}


@dataclass(frozen=True)
class Pair:
    """Our layer and the reference's, with equal weights."""

    ours: nn.Module
    theirs: nn.Module

    def to(self, dtype: torch.dtype) -> Pair:
        return Pair(self.ours.to(dtype), self.theirs.to(dtype))


def make_pair(kind: type, input_size: int, units: int | str, seed: int, **options: object) -> Pair:
    """Our layer loaded with the weights of the reference's, which are drawn from `seed`."""
    torch.manual_seed(seed)
    ours_units, their_units = WIRINGS[units]() if isinstance(units, str) else (units, units)
    their_options = dict(options)
    if kind is LTC and 'unfolds' in their_options:
        their_options['ode_unfolds'] = their_options.pop('unfolds')
    theirs = getattr(ncps.torch, kind.__name__)(input_size, their_units, **their_options)
    shake(theirs)
    ours = kind(input_size, ours_units, **options)
    ours.load_state_dict(theirs.state_dict())
    return Pair(ours, theirs)


@torch.no_grad()
def shake(layer: nn.Module) -> None:
    """Move the parameters away from their start, where the mappings are the identity.

    Matrices keep their scale: with larger ones the networks turn chaotic, and rounding grows.
    """
    for name, parameter in layer.named_parameters():
        if 'mask' not in name:
            size = parameter if parameter.dim() == 2 else 1.0
            parameter.add_(0.1 * size * torch.randn_like(parameter))


def run_reference(layer: nn.Module, x: Tensor, elapsed: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs [batch, time, outputs] and last state of the reference.

    Its elapsed times work for one sequence at a time only, so each runs alone.

    Args:
        layer: LTC or CfC of ncps, batch first.
        x: [batch, time, inputs].
        elapsed: seconds [batch, time].
    """
    outputs, states = [], []
    for sequence, seconds in zip(x, elapsed, strict=True):
        zeros = x.new_zeros(1, layer.state_size)
        start = (zeros, zeros) if layer.use_mixed else zeros
        output, state = layer(sequence[None], start, timespans=seconds[None])
        outputs.append(output)
        states.append(state[0] if layer.use_mixed else state)
    return torch.cat(outputs), torch.cat(states)


def irregular_seconds(batch: int, steps: int, seed: int) -> Tensor:
    """Elapsed times [batch, time] from 1 ms to about a second, no two alike."""
    generator = torch.Generator().manual_seed(seed)
    return 10.0 ** (torch.rand(batch, steps, generator=generator, dtype=torch.float64) * 3 - 3)
