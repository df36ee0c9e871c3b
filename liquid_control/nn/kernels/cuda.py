# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""LTC over whole sequences on CUDA, as an autograd function around the Triton recurrence."""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from liquid_control.nn.kernels.higher import Plain, beyond_kernels, plain_gradients
from liquid_control.nn.kernels.saved import save, saved

log = logging.getLogger(__name__)

MOST_UNITS = 512  # targets of one program, all at once
# Elements of the largest temporary [rows, sources, targets]: bounds memory, fills the machine.
AT_ONCE = 1 << 24
MIDPOINT = 1


@functools.cache
def triton_is_here() -> bool:
    """Whether the Triton kernels can be used; it comes with torch's CUDA builds."""
    if importlib.util.find_spec('triton') is not None:
        return True
    log.warning('LTC runs on plain torch, many times slower: Triton is not installed')
    return False


class LtcSequenceOnCuda(torch.autograd.Function):
    """As `liquid_control.nn.kernels.ltc.ltc_sequence`; weights in its order."""

    @staticmethod
    def forward(
        ctx: Any,
        solver: int,
        unfolds: int,
        keep: bool,
        plain: Plain,
        *given: Tensor,
    ) -> Tensor:
        from liquid_control.nn.kernels import triton_ltc

        x, state, elapsed, *weights = given
        steps, batch, _ = x.shape
        units = state.shape[1]
        cm, leak, leak_rev, *matrices = (weight.contiguous() for weight in weights)
        recurrent, sensory = matrices[:4], matrices[4:]
        elapsed, rows = elapsed.contiguous(), x.flatten(0, 1)
        parts = [_synapses(part, *sensory) for part in rows.split(_rows_at_once(sensory))]
        numerators = torch.cat([part[0] for part in parts]) + leak_rev
        denominators = torch.cat([part[1] for part in parts]) + leak
        evaluations = unfolds * (2 if solver == MIDPOINT else 1)
        trace = x.new_empty(steps * evaluations + 1, batch, units)
        trace[0] = state
        tensors = (trace, numerators, denominators, elapsed, cm, *recurrent)
        options = launch_options(units, solver)
        triton_ltc.forward[(batch,)](*tensors, steps, batch, units, unfolds, **options)
        if keep:
            ctx.numbers, ctx.options = (steps, batch, units, unfolds), options
            ctx.plain = plain
            save(ctx, trace, numerators, denominators, *given)
        return trace[evaluations::evaluations].clone()

    @staticmethod
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        from liquid_control.nn.kernels import triton_ltc

        tensors = saved(ctx, like=grad_states)
        made, given = tensors[:3], tensors[3:]
        if beyond_kernels(grad_states):
            wanted = ctx.needs_input_grad[-len(given) :]
            return *(None,) * 4, *plain_gradients(ctx.plain, given, wanted, grad_states)
        # Laid out anew: hooks on saved tensors may have moved them since.
        x, _, elapsed, cm, _, _, *matrices = (tensor.contiguous() for tensor in given)
        recurrent, sensory, rows = matrices[:4], matrices[4:], x.flatten(0, 1)
        trace, numerators, denominators = (part.contiguous() for part in made)
        tensors = (trace, numerators, denominators, elapsed, cm, *recurrent)
        steps, batch, _, _ = ctx.numbers
        by_num, by_den = torch.empty_like(trace[1:]), torch.empty_like(trace[1:])
        by_cm, by_state, scratch = (torch.empty_like(trace[0]) for _ in range(3))
        by_elapsed = torch.empty_like(elapsed)
        triton_ltc.backward[(batch,)](
            *tensors, *ctx.numbers, grad_states.contiguous(),
            by_num, by_den, by_cm, by_elapsed, by_state, scratch,
            **ctx.options,
        )  # fmt: skip
        _, of_recurrent = _gradients(
            trace[:-1].flatten(0, 1), recurrent, by_num.flatten(0, 1), by_den.flatten(0, 1)
        )
        # The sensory sums enter every evaluation of their step.
        by_num, by_den = (
            part.unflatten(0, (steps, -1)).sum(1).flatten(0, 1) for part in (by_num, by_den)
        )
        by_x, of_sensory = _gradients(rows, sensory, by_num, by_den)
        by_x = by_x.unflatten(0, (steps, batch))
        membrane = (by_cm.sum(0), by_den.sum(0), by_num.sum(0))
        return (
            *(None,) * 4,
            *(by_x, by_state, by_elapsed, *membrane, *of_recurrent, *of_sensory),
        )


def launch_options(units: int, solver: int) -> dict[str, Any]:
    """Compile-time constants of the kernels for a layer of this size."""
    targets = 16
    while targets < units:
        targets *= 2
    # A block of sources by all targets in registers: 16 elements of each matrix per thread.
    warps = 4 if targets <= 64 else 8
    sources = max(4, min(targets, 16 * 32 * warps // targets))
    return {
        'MIDPOINT': solver == MIDPOINT,
        'TARGETS': targets,
        'SOURCES': sources,
        'num_warps': warps,
    }


def _rows_at_once(synapses: Sequence[Tensor]) -> int:
    return max(1, AT_ONCE // synapses[0].numel())


def _synapses(
    v: Tensor, mu: Tensor, sigma: Tensor, w: Tensor, erev: Tensor
) -> tuple[Tensor, Tensor]:
    """Driving current and conductance [rows, targets] that sources [rows, sources] open."""
    conductance = w * torch.sigmoid(sigma * (v.unsqueeze(-1) - mu))
    return (conductance * erev).sum(-2), conductance.sum(-2)


def _gradients(
    v: Tensor, synapses: Sequence[Tensor], by_num: Tensor, by_den: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Gradients of sources [rows, sources] and of the four matrices, a block of rows at a time."""
    weights = [weight.detach().requires_grad_() for weight in synapses]
    totals = [torch.zeros_like(weight) for weight in weights]
    of_sources = []
    for part, num, den in zip(
        *(tensor.split(_rows_at_once(synapses)) for tensor in (v, by_num, by_den)), strict=True
    ):
        with torch.enable_grad():
            part = part.detach().requires_grad_()
            outputs = _synapses(part, *weights)
        by_part, *grads = torch.autograd.grad(outputs, (part, *weights), (num, den))
        of_sources.append(by_part)
        for total, grad in zip(totals, grads, strict=True):
            total += grad
    return torch.cat(of_sources), totals
