# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tensors kept for the backward pass: hooks may move them, but must not change them."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def save(ctx: Any, *tensors: Tensor) -> None:
    """Save tensors of one precision on one device for the backward pass."""
    ctx.shapes = [tensor.shape for tensor in tensors]
    ctx.save_for_backward(*tensors)


def saved(ctx: Any, like: Tensor) -> tuple[Tensor, ...]:
    """The tensors, in whatever memory order they come back.

    A kernel reads memory as it is told to: what is not as it was would be read as nonsense.

    Args:
        like: of their precision, on their device.

    Raises:
        RuntimeError: a hook on saved tensors gave back something else.
    """
    tensors: tuple[Tensor, ...] = ctx.saved_tensors
    for tensor, shape in zip(tensors, ctx.shapes, strict=True):
        if (tensor.shape, tensor.dtype, tensor.device) != (shape, like.dtype, like.device):
            raise RuntimeError(
                f'a hook on saved tensors gave back {list(tensor.shape)} in {tensor.dtype} on '
                f'{tensor.device} for {list(shape)} in {like.dtype} on {like.device}: it must '
                'give back what it was given'
            )
    return tensors
