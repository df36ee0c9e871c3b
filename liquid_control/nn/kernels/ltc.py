# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""LTC over whole sequences on the compiled kernel, as an autograd function."""

from __future__ import annotations

import ctypes
from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from liquid_control.nn.kernels.cuda import LtcSequenceOnCuda
from liquid_control.nn.kernels.higher import Plain, beyond_kernels, plain_gradients
from liquid_control.nn.kernels.native import INT, POINTER, call, fields, fill, threads
from liquid_control.nn.kernels.rows import Rows
from liquid_control.nn.kernels.saved import save, saved

SOLVERS = {'fused': 0, 'exponential_midpoint': 1}
MEMBRANE = ('cm', 'leak', 'leak_rev')
WEIGHTS = ('mu', 'sigma', 'w', 'erev')
GIVEN = 3 + len(MEMBRANE) + 2 * len(WEIGHTS)  # tensors of `ltc_sequence`
# Below this many synapse evaluations a second thread costs more than it saves.
WORTH_A_THREAD = 50_000


class Topology(NamedTuple):
    """Where synapses are: sorted by target, as the kernel walks them.

    Attributes:
        shape: sources, units.
        flat: [synapses] position in a flattened [sources, units] matrix.
        source: [synapses] source neuron.
        first: [units + 1] first synapse of each target.
    """

    shape: torch.Size
    flat: Tensor
    source: Tensor
    first: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> Topology:
        """The synapses of a mask [sources, units], kept as long as the mask lives unchanged."""
        # An inference tensor does not tell when it changes.
        version = None if mask.is_inference() else mask._version
        known = _topologies.get(mask)
        if version is not None and known is not None and known[0] == version:
            return known[1]
        target, source = mask.T.nonzero(as_tuple=True)
        counts = torch.bincount(target, minlength=mask.shape[1])
        first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        topology = cls(mask.shape, source * mask.shape[1] + target, source.contiguous(), first)
        _topologies[mask] = version, topology
        return topology

    def gather(self, matrix: Tensor) -> Tensor:
        """The values [synapses] of a matrix [sources, units]."""
        return matrix.reshape(-1).index_select(0, self.flat)

    def spread(self, values: Tensor) -> Tensor:
        """A matrix [sources, units] of values [synapses], zero where no synapse is."""
        return values.new_zeros(self.shape.numel()).scatter_(0, self.flat, values).view(self.shape)


# Mask -> its version, and what was made of it.
_topologies: MutableMapping[Tensor, tuple[int | None, Topology]] = WeakIdKeyDictionary()


class _Synapses(ctypes.Structure):
    _fields_ = (
        *fields(INT, 'sources', 'count'),
        *fields(POINTER, 'first', 'source', *WEIGHTS, *(f'grad_{name}' for name in WEIGHTS)),
    )


class _Ltc(ctypes.Structure):
    """`Ltc` of ltc.hpp, field for field."""

    _fields_ = (
        *fields(INT, 'batch', 'steps', 'units', 'unfolds', 'solver', 'threads', 'keep'),
        *fields(INT, 'row_step', 'row_batch'),
        *fields(_Synapses, 'recurrent', 'sensory'),
        *fields(POINTER, *MEMBRANE, 'inputs', 'elapsed'),
        *fields(INT, 'elapsed_step', 'elapsed_batch'),
        *fields(POINTER, 'state', 'states', 'trace', 'scratch', 'grad_states'),
        *fields(POINTER, *(f'grad_{name}' for name in MEMBRANE)),
        *fields(POINTER, 'grad_inputs', 'grad_elapsed', 'grad_state'),
    )


def ltc_sequence(
    x: Tensor,
    state: Tensor,
    elapsed: Tensor,
    weights: tuple[Tensor, ...],
    masks: tuple[Tensor, Tensor],
    solver: str,
    unfolds: int,
    plain: Plain,
) -> Tensor:
    """States after each step, [time, batch, units].

    Args:
        x: mapped inputs [time, batch, inputs].
        state: before the first step [batch, units].
        elapsed: seconds [time, batch].
        weights: cm, total leak conductance, leak conductance times leak potential, all [units];
            mu, sigma, w, erev [units, units]; the same of the inputs [inputs, units].
        masks: where recurrent and sensory synapses are, of the same shapes.
        solver: a name in `SOLVERS`.
        unfolds: parts into which the solver splits each elapsed time.
        plain: the same in plain torch, of x, state, elapsed and the weights one by one.
    """
    tensors = (x, state, elapsed, *weights)
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    if x.is_cuda:
        return LtcSequenceOnCuda.apply(SOLVERS[solver], unfolds, keep, plain, *tensors)
    places = tuple(Topology.of(mask) for mask in masks)
    return _LtcSequence.apply(places, SOLVERS[solver], unfolds, keep, plain, *tensors)


class _LtcSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        places: tuple[Topology, Topology],
        solver: int,
        unfolds: int,
        keep: bool,
        plain: Plain,
        *given: Tensor,
    ) -> Tensor:
        x, state, elapsed, *weights = given
        rows = Rows.of(x)
        tensors = [rows.ordered(x), state.contiguous(), elapsed]
        tensors += [weight.contiguous() for weight in weights[:3]]
        tensors += [places[0].gather(weight) for weight in weights[3:7]]
        tensors += [places[1].gather(weight) for weight in weights[7:]]
        net = _network(rows, places, solver, unfolds, *tensors)
        sizes = (INT * 3)()
        net.keep = keep
        call('ltc_sizes', net, x.dtype, sizes)
        states = rows.empty(x, state.shape[1])
        trace, scratch = x.new_empty(sizes[0] if keep else 0), x.new_empty(sizes[1])
        fill(net, states=states, trace=trace, scratch=scratch)
        call('ltc_forward', net, x.dtype)
        if keep:
            ctx.of_network = rows, places, solver, unfolds
            ctx.scratch_size, ctx.plain = sizes[2], plain
            save(ctx, trace, *given, *tensors[6:])
        return states

    @staticmethod
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        trace, *tensors = saved(ctx, like=grad_states)
        given, gathered = tensors[:GIVEN], tensors[GIVEN:]
        if beyond_kernels(grad_states):
            wanted = ctx.needs_input_grad[-GIVEN:]
            return *(None,) * 5, *plain_gradients(ctx.plain, given, wanted, grad_states)
        rows, places, *_ = ctx.of_network
        # Laid out and described anew: hooks on saved tensors may have moved them since.
        x, grad_states = rows.ordered(given[0]), rows.ordered(grad_states)
        trace, state, *weights = (
            part.contiguous() for part in (trace, given[1], *given[3:6], *gathered)
        )
        net = _network(*ctx.of_network, x, state, given[2], *weights)
        scratch = x.new_empty(ctx.scratch_size)
        grad_x, grad_elapsed = rows.empty(x, x.shape[2]), rows.empty(x, 1)
        grad_state = torch.empty_like(state)
        grads = [torch.empty_like(weight) for weight in weights]
        fill(net, trace=trace, scratch=scratch, grad_states=grad_states, grad_state=grad_state)
        fill(net, grad_inputs=grad_x, grad_elapsed=grad_elapsed)
        _attach(net, 'grad_', grads)
        call('ltc_backward', net, x.dtype)
        matrices = [places[0].spread(grad) for grad in grads[3:7]]
        matrices += [places[1].spread(grad) for grad in grads[7:]]
        inputs = (grad_x, grad_state, grad_elapsed.squeeze(-1))
        return (*(None,) * 5, *inputs, *grads[:3], *matrices)


def _network(
    rows: Rows,
    places: tuple[Topology, Topology],
    solver: int,
    unfolds: int,
    x: Tensor,
    state: Tensor,
    elapsed: Tensor,
    *weights: Tensor,
) -> _Ltc:
    net = _Ltc(**rows._asdict(), units=state.shape[1], unfolds=unfolds, solver=solver)
    fill(net, inputs=x, state=state)
    fill(net, elapsed=elapsed, elapsed_step=elapsed.stride(0), elapsed_batch=elapsed.stride(1))
    for group, place in zip((net.recurrent, net.sensory), places, strict=True):
        fill(group, sources=place.shape[0], count=len(place.flat))
        fill(group, first=place.first, source=place.source)
    _attach(net, '', weights)
    work = rows.steps * rows.batch * (net.recurrent.count * unfolds + net.sensory.count)
    net.threads = threads(work, WORTH_A_THREAD)
    return net


def _attach(net: _Ltc, prefix: str, weights: Sequence[Tensor]) -> None:
    """Membrane, recurrent and sensory weights, or with a prefix their gradients."""
    for group, names, part in (
        (net, MEMBRANE, weights[:3]),
        (net.recurrent, WEIGHTS, weights[3:7]),
        (net.sensory, WEIGHTS, weights[7:]),
    ):
        fill(group, **{prefix + name: w for name, w in zip(names, part, strict=True)})
