# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How the reference library is used, in its documents and tests, with our layers in its place."""

from __future__ import annotations

import ncps.torch
import ncps.wirings
import pytest
import torch
from torch import nn

from liquid_control.nn import LTC, NCP, AutoNCP, CfC, FullyConnected, from_ncps, wiring

kinds = pytest.mark.parametrize('kind', [LTC, CfC])
X = torch.randn(5, 3, 8)


@kinds
@pytest.mark.parametrize(
    ('units', 'options', 'outputs', 'state'),
    [
        (32, {}, (5, 3, 32), (5, 32)),
        (32, {'batch_first': False}, (5, 3, 32), (3, 32)),
        (32, {'return_sequences': False}, (5, 32), (5, 32)),
        (NCP(10, 10, 8, 6, 6, 4, 6), {}, (5, 3, 8), (5, 28)),
        (NCP(10, 10, 8, 6, 6, 4, 6), {'batch_first': False}, (5, 3, 8), (3, 28)),
        (AutoNCP(28, 10), {}, (5, 3, 10), (5, 28)),
        (FullyConnected(8, 4), {}, (5, 3, 4), (5, 8)),
    ],
)
def test_shapes_are_the_documented_ones(kind, units, options, outputs, state):
    layer = kind(8, units, **options)
    for given in (layer(X), layer(X, torch.zeros(state)), layer(X, torch.zeros(state), 1.0)):
        assert (given[0].shape, given[1].shape) == (outputs, state)
    assert layer(X[0])[0].shape == (outputs[-1:] if len(outputs) == 2 else (3, outputs[-1]))


def test_a_projection_has_its_size():
    assert CfC(8, 32, proj_size=10)(X)[0].shape == (5, 3, 10)


class Unrolled(nn.Module):
    """The reference's example: a cell unrolled by hand, from a state of zeros."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        state, outputs = torch.zeros(len(x), self.layer.state_size), []
        for features in x.unbind(1):
            output, state = self.layer.step(features, state)
            outputs.append(output)
        return torch.stack(outputs, 1)


@kinds
def test_a_layer_learns_the_sine_of_the_examples(kind):
    torch.manual_seed(0)
    time = torch.linspace(0, 3 * torch.pi, 48)
    x = torch.stack([time.sin(), time.cos()], 1)[None]
    y = (2 * time).sin()[None, :, None]
    layer = kind(2, FullyConnected(8, 1) if kind is LTC else AutoNCP(16, 1))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (layer(x)[0] - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    torch.testing.assert_close(Unrolled(layer)(x), layer(x)[0])


def test_layers_of_the_reference_are_taken_over_and_named_where_they_are_not():
    theirs = ncps.torch.CfC(8, ncps.wirings.AutoNCP(28, 4))
    torch.testing.assert_close(from_ncps(theirs)(X)[0], theirs(X)[0])
    for kind in (LTC, CfC):
        with pytest.raises(TypeError, match='from_ncps takes over layers of ncps'):
            kind(8, ncps.wirings.AutoNCP(28, 4))
    assert isinstance(AutoNCP(28, 4), wiring.Wiring)


@kinds
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_run_and_learn(kind, dtype):
    layer = kind(8, AutoNCP(12, 2)).to(dtype)
    x, elapsed = X.to(dtype).requires_grad_(), torch.rand(5, 3).to(dtype).requires_grad_()
    outputs, state = layer(x, torch.zeros(5, 12, dtype=dtype), elapsed)
    assert outputs.dtype == state.dtype == dtype
    outputs.sum().backward()
    assert x.grad.isfinite().all()
    assert elapsed.grad.isfinite().all()
    expected = layer.float()(X.float(), elapsed=elapsed.detach().float())[0]
    assert (outputs.float() - expected).abs().max() < 0.05


@kinds
def test_batches_of_none_and_modes_without_gradients(kind):
    layer = kind(8, AutoNCP(12, 2))
    outputs, state = layer(X[:0], elapsed=torch.zeros(0, 3))
    assert (outputs.shape, state.shape) == ((0, 3, 2), (0, 12))
    outputs.sum().backward()
    with torch.inference_mode():
        outputs, state = layer(X)
        torch.testing.assert_close(layer(X, state)[0], layer(X, state.clone())[0])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        again, _ = layer(X.bfloat16(), elapsed=torch.ones(5, 3).bfloat16())
    torch.testing.assert_close(again, outputs, rtol=0, atol=0.05)
