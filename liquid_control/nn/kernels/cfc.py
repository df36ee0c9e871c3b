# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""CfC over whole sequences on the compiled kernel, as an autograd function."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from liquid_control.nn.kernels.higher import Plain, beyond_kernels, plain_gradients
from liquid_control.nn.kernels.native import INT, POINTER, call, fields, fill, threads
from liquid_control.nn.kernels.rows import Rows
from liquid_control.nn.kernels.saved import save, saved

VECTOR = 8  # rows of weights are padded to a multiple of this
# Below this many multiplications a second thread costs more than it saves.
WORTH_A_THREAD = 1_000_000


class _Cfc(ctypes.Structure):
    """`Cfc` of cfc.cpp, field for field."""

    _fields_ = (
        *fields(INT, 'batch', 'steps', 'units', 'hidden', 'no_gate', 'threads'),
        *fields(INT, 'heads_in_all', 'width', 'head_width'),
        *fields(INT, 'row_step', 'row_batch'),
        *fields(ctypes.c_double, 'scale', 'slope'),
        *fields(POINTER, 'elapsed'),
        *fields(INT, 'elapsed_step', 'elapsed_batch'),
        *fields(POINTER, 'state', 'states', 'backbone', 'heads', 'heads_bias'),
        *fields(POINTER, 'state_panels', 'heads_panels', 'grad_states'),
        *fields(POINTER, 'state_panels_back', 'heads_panels_back', 'grad_backbone', 'grad_heads'),
        *fields(POINTER, 'grad_elapsed', 'grad_state'),
    )


class _Plan(NamedTuple):
    """What a call and its backward pass have in common besides tensors."""

    rows: Rows
    activation: tuple[float, float]
    no_gate: bool
    hidden: int
    heads: int


def cfc_sequence(
    x: Tensor,
    state: Tensor,
    elapsed: Tensor,
    heads: tuple[Tensor, Tensor],
    backbone: tuple[Tensor, Tensor] | None,
    activation: tuple[float, float],
    no_gate: bool,
    plain: Plain,
) -> Tensor:
    """States after each step, [time, batch, units].

    Args:
        x: inputs [time, batch, inputs].
        state: before the first step [batch, units].
        elapsed: seconds [time, batch].
        heads: weight [4 units, width] and bias [4 units]: ff1, ff2, time_a, time_b one below the
            other; or [3 units, …], with a fixed elapsed time folded into the last. Without
            backbone the width is that of inputs and state side by side.
        backbone: weight [hidden, inputs + units] and bias [hidden], or None.
        activation: (scale, slope) of the backbone's scale * tanh(slope * z).
        no_gate: add the far target instead of blending.
        plain: the same in plain torch, of x, state, elapsed, heads and backbone one by one.
    """
    tensors = (x, state, elapsed, *heads, *(backbone or ()))
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return _CfcSequence.apply(activation, no_gate, keep, plain, *tensors)


class _CfcSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        activation: tuple[float, float],
        no_gate: bool,
        keep: bool,
        plain: Plain,
        *given: Tensor,
    ) -> Tensor:
        x, state, elapsed, heads, heads_bias, *backbone = given
        rows, inputs, units = Rows.of(x), x.shape[2], state.shape[1]
        heads_in_all = len(heads) // units
        x, state = rows.ordered(x), state.contiguous()
        heads, heads_bias = _whole(heads), _whole(heads_bias)
        first, first_bias, hidden = heads, heads_bias, 0
        if backbone:
            first, first_bias = (_whole(part) for part in backbone)
            hidden = len(first)
            heads = functional.pad(heads, (0, hidden - heads.shape[1]))

        tensors = (x, state, elapsed, first, heads)
        plan = _Plan(rows, activation, no_gate, hidden, heads_in_all)
        net = _network(plan, *tensors)
        driven = rows.empty(x, len(first))
        torch.addmm(first_bias, rows.flat(x), first[:, :inputs].T, out=rows.flat(driven))
        gates = rows.empty(x, len(heads)) if backbone else driven
        states = rows.empty(x, units)
        state_panels = _panels(first[:, inputs:].T)
        heads_panels = _panels(heads.T) if backbone else None
        fill(net, states=states, backbone=driven, heads=gates, heads_bias=heads_bias)
        fill(net, state_panels=state_panels, heads_panels=heads_panels)
        call('cfc_forward', net, x.dtype)
        if keep:
            ctx.plan, ctx.plain, ctx.given = plan, plain, len(given)
            ctx.backbone = backbone[0].shape[0] if backbone else 0
            save(ctx, *given, first, heads, states, driven, gates)
        return states

    @staticmethod
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        tensors = saved(ctx, like=grad_states)
        given, (first, heads, *made) = tensors[: ctx.given], tensors[ctx.given :]
        if beyond_kernels(grad_states):
            wanted = ctx.needs_input_grad[-ctx.given :]
            return *(None,) * 4, *plain_gradients(ctx.plain, given, wanted, grad_states)
        rows = ctx.plan.rows
        # Laid out and described anew: hooks on saved tensors may have moved them since.
        x, states, driven, gates, grad_states = (
            rows.ordered(tensor) for tensor in (given[0], *made, grad_states)
        )
        state, first, heads = (part.contiguous() for part in (given[1], first, heads))
        inputs, units = x.shape[2], state.shape[1]
        net = _network(ctx.plan, x, state, given[2], first, heads)
        grad_gates, grad_elapsed = torch.empty_like(gates), rows.empty(x, 1)
        grad_driven = torch.empty_like(driven) if ctx.backbone else grad_gates
        grad_state, grad_x = torch.empty_like(state), rows.empty(x, inputs)
        state_panels = _panels(first[:, inputs:], columns=net.width)
        heads_panels = _panels(heads) if ctx.backbone else None
        fill(net, backbone=driven, heads=gates, grad_states=grad_states)
        fill(net, state_panels_back=state_panels, heads_panels_back=heads_panels)
        fill(net, grad_backbone=grad_driven, grad_heads=grad_gates)
        fill(net, grad_elapsed=grad_elapsed, grad_state=grad_state)
        call('cfc_backward', net, x.dtype)

        # Of all steps at once: one product.
        before = torch.empty_like(states)
        before[0], before[1:] = state, states[:-1]
        torch.mm(rows.flat(grad_driven), first[:, :inputs], out=rows.flat(grad_x))
        grads = _weight_gradients(rows, grad_driven, x, before)
        if ctx.backbone:
            of_heads = _weight_gradients(rows, grad_gates, driven[..., : ctx.backbone])
            grads = [*of_heads, *(grad[: ctx.backbone] for grad in grads)]
        grads[:2] = (grad[: ctx.plan.heads * units] for grad in grads[:2])
        return *(None,) * 4, grad_x, grad_state, grad_elapsed.squeeze(-1), *grads


def _network(
    plan: _Plan, x: Tensor, state: Tensor, elapsed: Tensor, first: Tensor, heads: Tensor
) -> _Cfc:
    rows, (scale, slope), units = plan.rows, plan.activation, state.shape[1]
    net = _Cfc(**rows._asdict(), units=units, hidden=plan.hidden, no_gate=plan.no_gate)
    fill(net, heads_in_all=plan.heads, width=-(-units // VECTOR) * VECTOR, head_width=len(heads))
    fill(net, state=state, scale=scale, slope=slope)
    fill(net, elapsed=elapsed, elapsed_step=elapsed.stride(0), elapsed_batch=elapsed.stride(1))
    work = rows.steps * rows.batch * (units * len(first) + plan.hidden * len(heads))
    net.threads = threads(work, WORTH_A_THREAD)
    return net


def _weight_gradients(rows: Rows, grad: Tensor, *inputs: Tensor) -> list[Tensor]:
    """Gradients of a layer's weight and bias from that of its sums and from what entered it."""
    outer = rows.flat(grad)
    return [torch.cat([outer.T @ rows.flat(part) for part in inputs], dim=1), outer.sum(0)]


def _whole(tensor: Tensor) -> Tensor:
    """Zeros appended to the first dimension, up to whole vectors."""
    return functional.pad(tensor, (0, 0) * (tensor.dim() - 1) + (0, -len(tensor) % VECTOR))


def _panels(matrix: Tensor, columns: int | None = None) -> Tensor:
    """[depth, columns] as the kernel reads it: [columns / vector, depth, vector]."""
    vector = 32 // matrix.element_size()
    if columns is not None:
        matrix = functional.pad(matrix, (0, columns - matrix.shape[1]))
    return matrix.unflatten(1, (-1, vector)).transpose(0, 1).contiguous()
