# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Backward passes that a kernel cannot do: those that are themselves differentiated, or batched.

The kernels compute gradients outside of torch's sight. Where a gradient of the gradient is wanted
(Hessians, penalties on gradients, meta-learning), or several are asked for at once, the same
sequence is run again in plain torch and differentiated there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Plain = Callable[..., Tensor]


def beyond_kernels(grad: Tensor) -> bool:
    """Whether a backward pass that begins with `grad` is not one for a kernel."""
    if torch.is_grad_enabled():  # create_graph: torch must see how the gradient comes about
        return True
    try:
        grad.data_ptr()
    except RuntimeError:  # of a batch of gradients (is_grads_batched, vmap): it has no memory
        return True
    return False


def plain_gradients(
    plain: Plain, tensors: Sequence[Tensor], wanted: Sequence[bool], grad: Tensor
) -> list[Tensor | None]:
    """Gradients of `plain(*tensors)` for those wanted, None for the others.

    Args:
        plain: the same sequence in plain torch.
        tensors: its arguments.
        wanted: one for each of them.
        grad: of the result.
    """
    graph = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast(grad.device.type, enabled=False):
        # Views of their own: one argument may depend on another, or be the same tensor.
        arguments = [tensor.view_as(tensor) for tensor in tensors]
        result = plain(*arguments)
        leaves = [argument for argument, use in zip(arguments, wanted, strict=True) if use]
        grads = iter(
            torch.autograd.grad(result, leaves, grad, create_graph=graph, allow_unused=True)
        )
    return [next(grads) if use else None for use in wanted]
