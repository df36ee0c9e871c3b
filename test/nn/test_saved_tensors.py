# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is kept for the backward pass: moved, laid out anew, or changed before it is used."""

from __future__ import annotations

import pytest
import torch
from support.layer_runs import LAYERS, assert_equal, draw, needs_compiler, run
from torch import Tensor, nn
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

kinds = pytest.mark.parametrize('kind', LAYERS)


def turned(tensor: Tensor) -> Tensor:
    """The same numbers, with the first dimension next to each other in memory."""
    dims = tuple(range(tensor.dim()))[::-1]
    return tensor.permute(dims).clone(memory_format=torch.contiguous_format).permute(dims)


def spaced(tensor: Tensor) -> Tensor:
    """The same numbers, every second place in memory."""
    return torch.stack([tensor, torch.full_like(tensor, torch.nan)], dim=-1)[..., 0]


HOOKS = {
    'clone': Tensor.clone,
    'contiguous': lambda tensor: tensor.clone(memory_format=torch.contiguous_format),
    'turned': turned,
    'spaced': spaced,
}


@needs_compiler
@pytest.mark.parametrize('batch_first', [False, True])
@kinds
def test_hooks_may_lay_out_anew_what_is_saved(kind, batch_first):
    layer = LAYERS[kind](3, 4).double()
    layer.batch_first = batch_first
    sequence = draw(layer, 0, 3, 5)
    expected = run(layer, sequence)
    for hook in HOOKS.values():
        with saved_tensors_hooks(lambda tensor: tensor, hook):
            assert_equal(run(layer, sequence), expected, 1e-14)
        with saved_tensors_hooks(hook, lambda tensor: tensor):
            assert_equal(run(layer, sequence), expected, 1e-14)
    with save_on_cpu():
        assert_equal(run(layer, sequence), expected, 1e-14)


@needs_compiler
@kinds
def test_a_hook_that_changes_the_precision_is_refused(kind):
    layer = LAYERS[kind](3, 4).double()
    sequence = draw(layer, 0, 3, 5)
    with (
        saved_tensors_hooks(Tensor.half, lambda tensor: tensor),
        pytest.raises(RuntimeError, match='a hook on saved tensors gave back'),
    ):
        run(layer, sequence)


@needs_compiler
@kinds
def test_checkpointing_keeps_the_gradients(kind):
    layer = LAYERS[kind](3, 4).double()
    sequence = draw(layer, 0, 3, 5)

    class Recomputed(nn.Module):
        def forward(self, *tensors: Tensor) -> Tensor:
            return checkpoint(layer, *tensors, use_reentrant=False)

        def parameters(self):
            return layer.parameters()

    assert_equal(run(Recomputed(), sequence), run(layer, sequence), 0.0)


@kinds
@pytest.mark.parametrize('index', range(3), ids=['inputs', 'state', 'elapsed'])
def test_what_is_changed_before_the_backward_pass_is_noticed(kind, index):
    layer = LAYERS[kind](3, 4).double()
    sequence = [tensor.detach().clone() for tensor in draw(layer, 0, 3, 5)]
    outputs, _ = layer(*sequence)
    sequence[index].mul_(2.0)
    with pytest.raises(RuntimeError, match='modified by an inplace operation'):
        outputs.sum().backward()
