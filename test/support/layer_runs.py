# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Layers run forward and backward over sequences, for tests that compare two ways of doing so."""

from __future__ import annotations

import os
import shutil

import pytest
import torch
from torch import Tensor, nn

from liquid_control.nn import LTC, NCP, AutoNCP, CfC, FullyConnected, Random

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get('CXX', 'c++')) is None, reason='no C++ compiler'
)
# Every kind that a kernel serves, of inputs and neurons.
LAYERS = {
    'ltc': lambda f, n: LTC(f, AutoNCP(n + 3, n)),
    'ltc fully connected': lambda f, n: LTC(f, n, unfolds=2),
    'ltc midpoint': lambda f, n: LTC(f, FullyConnected(n), solver='exponential_midpoint'),
    'ltc midpoint, one unfold': lambda f, n: LTC(
        f, Random(n + 1, 1, sparsity=0.5), solver='exponential_midpoint', unfolds=1
    ),
    'ltc unmapped': lambda f, n: LTC(f, n, input_mapping=None, output_mapping=None),
    'cfc': lambda f, n: CfC(f, n),
    'cfc no gate': lambda f, n: CfC(f, n, mode='no_gate', backbone_units=11),
    'cfc tanh': lambda f, n: CfC(f, n, activation='tanh'),
    'cfc without backbone': lambda f, n: CfC(f, n, backbone_layers=0),
    'cfc wired': lambda f, n: CfC(f, AutoNCP(n + 3, n)),
    'cfc wired strictly': lambda f, n: CfC(f, AutoNCP(n + 3, n), strict_wiring=True),
    'cfc wired, no gate': lambda f, n: CfC(f, NCP(n + 1, 3, n, 2, 2, 2, 2), mode='no_gate'),
}
Sequence = tuple[Tensor, Tensor, Tensor]


def draw(layer: nn.Module, seed: int, batch: int, steps: int) -> Sequence:
    """Inputs, state and irregular elapsed times in float64, all asking for gradients."""
    generator = torch.Generator().manual_seed(seed)
    options = {'generator': generator, 'dtype': torch.float64}
    shape = (batch, steps) if layer.batch_first else (steps, batch)
    x = torch.randn(*shape, layer.input_size, **options)
    state = torch.randn(batch, layer.state_size, **options)
    elapsed = torch.rand(*shape, **options) * torch.randint(0, 3, shape, generator=generator)
    return x.requires_grad_(), state.requires_grad_(), elapsed.requires_grad_()


def run(layer: nn.Module, sequence: Sequence) -> list[Tensor]:
    """Outputs, last state and all gradients of a weighted sum of both."""
    outputs, state = layer(*sequence)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(outputs.shape, generator=generator, dtype=torch.float64)
    leaves = [t for t in (*sequence, *layer.parameters()) if t.requires_grad]
    grads = torch.autograd.grad(
        ((outputs * weights.to(outputs)).sum() + state.square().sum()), leaves
    )
    return [outputs, state, *grads]


def assert_equal(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    """Equal to `tolerance` times the largest number of each tensor."""
    for ours, theirs in zip(found, expected, strict=True):
        largest = theirs.abs().max().clamp_min(1e-3).item()
        torch.testing.assert_close(ours.to(theirs.dtype), theirs, rtol=0, atol=tolerance * largest)
