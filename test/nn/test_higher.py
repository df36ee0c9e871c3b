# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Derivatives beyond the first, and several at once: those of plain torch, through the kernels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from support.layer_runs import LAYERS, assert_equal, draw
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp
from torch.func import functional_call

from liquid_control.nn import LTC, CfC
from liquid_control.nn.kernels import plain_torch

KINDS = {
    **LAYERS,
    'ltc runge-kutta': lambda f, n: LTC(f, n, solver='rk4', unfolds=1),
    'cfc pure': lambda f, n: CfC(f, n, mode='pure'),
    'cfc with mixed memory': lambda f, n: CfC(f, n, mixed_memory=True),
    'cfc projected': lambda f, n: CfC(f, n, proj_size=2),
}
kinds = pytest.mark.parametrize('kind', KINDS)


def case(kind: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A layer, and inputs, state (None with mixed memory) and elapsed times of two sequences."""
    torch.manual_seed(0)
    layer = KINDS[kind](2, 2).double()
    x, state, elapsed = (tensor.detach() for tensor in draw(layer, 1, 2, 3))
    return layer, (x, (state, state) if layer.mixed_memory else state, elapsed + 0.1)


def both_ways(compute: Callable[[], list[Tensor]]) -> None:
    """The same with the kernels and without, and not all zeros."""
    found = compute()
    with plain_torch():
        expected = compute()
    assert all(tensor.abs().max() > 1e-9 for tensor in expected)
    assert_equal(found, expected, 1e-8)


@kinds
def test_derivatives_of_functions_are_those_of_plain_torch(kind):
    layer, (x, state, elapsed) = case(kind)
    along = (torch.randn_like(x), torch.randn_like(elapsed))

    def outputs(x: Tensor, elapsed: Tensor) -> Tensor:
        return layer(x, state, elapsed)[0]

    def loss(x: Tensor, elapsed: Tensor) -> Tensor:
        return outputs(x, elapsed).square().sum()

    def compute() -> list[Tensor]:
        rows = hessian(loss, (x, elapsed))
        at_once = jacobian(outputs, (x, elapsed), vectorize=True)
        products = [derive(loss, (x, elapsed), along)[1] for derive in (hvp, vhp)]
        forward = jvp(outputs, (x, elapsed), along)[1]
        back = vjp(outputs, (x, elapsed), torch.ones_like(outputs(x, elapsed)))[1]
        single = [hessian(lambda x: layer.step(x, state, 0.1)[0].square().sum(), x[:, 0])]
        return [*rows[0], *rows[1], *at_once, *products[0], *products[1], forward, *back, *single]

    both_ways(compute)


@kinds
def test_losses_with_a_gradient_in_them_are_those_of_plain_torch(kind):
    layer, (x, state, elapsed) = case(kind)
    weights = dict(layer.named_parameters())

    def penalty() -> list[Tensor]:
        """Of the gradient by the inputs, as in a critic."""
        asking = x.clone().requires_grad_()
        outputs, _ = layer(asking, state, elapsed)
        (gradient,) = torch.autograd.grad(outputs.sum(), asking, create_graph=True)
        loss = (gradient.norm(dim=-1) - 1).square().mean()
        return [
            t
            for t in torch.autograd.grad(loss, weights.values(), allow_unused=True)
            if t is not None
        ]

    def adapted() -> list[Tensor]:
        """Two inner steps of learning, then by the weights before them."""
        inner = weights
        for _ in range(2):
            loss = functional_call(layer, inner, (x, state, elapsed))[0].square().mean()
            by_weight = torch.autograd.grad(loss, inner.values(), create_graph=True)
            inner = {
                name: weight - 0.3 * gradient
                for (name, weight), gradient in zip(inner.items(), by_weight, strict=True)
            }
        loss = (functional_call(layer, inner, (x, state, elapsed))[0] - 1).square().mean()
        return list(torch.autograd.grad(loss, weights.values()))

    both_ways(penalty)
    both_ways(adapted)


@kinds
def test_the_third_derivative_too(kind):
    layer, (x, state, elapsed) = case(kind)

    def compute() -> list[Tensor]:
        times = elapsed.clone().requires_grad_()
        value = layer(x, state, times)[0].sum()
        for _ in range(3):
            (slope,) = torch.autograd.grad(value, times, create_graph=True)
            value = slope.square().sum()
        return [slope.detach()]

    both_ways(compute)


@kinds
def test_gradients_may_be_asked_for_in_a_batch(kind):
    layer, (x, state, elapsed) = case(kind)
    weights = tuple(layer.parameters())

    def compute() -> list[Tensor]:
        outputs = layer(x, state, elapsed)[0]
        directions = torch.eye(outputs.numel(), dtype=x.dtype).view(-1, *outputs.shape)
        return list(torch.autograd.grad(outputs, weights, directions, is_grads_batched=True))

    both_ways(compute)


@kinds
def test_the_transforms_of_torch_work(kind):
    layer, (x, state, elapsed) = case(kind)
    weights = dict(layer.named_parameters())

    def outputs(x: Tensor, elapsed: Tensor = elapsed) -> Tensor:
        return layer(x, state, elapsed)[0]

    def loss(weights: dict[str, Tensor], x: Tensor, elapsed: Tensor) -> Tensor:
        return functional_call(layer, weights, (x, None, elapsed))[0].square().sum()

    expected = jacobian(outputs, x)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(transform(outputs)(x), expected)
    torch.testing.assert_close(
        torch.func.hessian(lambda x: outputs(x).sum())(x), hessian(lambda x: outputs(x).sum(), x)
    )
    _, tangent = torch.func.jvp(outputs, (x, elapsed), (x, elapsed))
    torch.testing.assert_close(tangent, jvp(outputs, (x, elapsed), (x, elapsed))[1])
    of_each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(weights, x, elapsed)
    whole = torch.autograd.grad(loss(weights, x, elapsed), weights.values())
    for found, total in zip(of_each.values(), whole, strict=True):
        torch.testing.assert_close(found.sum(0), total)


@kinds
def test_forward_mode_derivatives_work(kind):
    layer, (x, state, elapsed) = case(kind)
    along = torch.randn_like(x)
    with forward_ad.dual_level():
        outputs = layer(forward_ad.make_dual(x, along), state, elapsed)[0]
        found = forward_ad.unpack_dual(outputs).tangent
    expected = jvp(lambda x: layer(x, state, elapsed)[0], x, along)[1]
    torch.testing.assert_close(found, expected)
