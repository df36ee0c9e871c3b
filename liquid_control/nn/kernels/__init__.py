# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Compiled kernels under the cells: whole sequences, forward and backward, in one call.

C++ on the CPU (LTC and CfC), Triton on CUDA (LTC). The cells ask `serves` and otherwise run their
equations in plain torch, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from liquid_control.nn.kernels.build import library
from liquid_control.nn.kernels.cfc import cfc_sequence
from liquid_control.nn.kernels.cuda import MOST_UNITS, triton_is_here
from liquid_control.nn.kernels.ltc import SOLVERS, ltc_sequence

__all__ = [
    'MOST_UNITS',
    'SOLVERS',
    'at_hand',
    'cfc_sequence',
    'ltc_sequence',
    'plain_torch',
    'serves',
]

# Others are of libraries (quantised, distributed, fake): what they hold is for torch to say.
WITH_MEMORY = {Tensor, nn.Parameter}

_wanted = ContextVar('wanted', default=True)


@contextmanager
def plain_torch() -> Iterator[None]:
    """Run the cells without the kernels: to compare, or to look for a fault."""
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


def serves(x: Tensor, *others: Tensor, cuda: bool = False) -> bool:
    """Whether the kernels can run inputs [time, batch, inputs] with these other tensors.

    Args:
        cuda: whether there is a kernel on CUDA too.
    """
    return (
        _by_itself(x)
        and _wanted.get()
        and x.numel() > 0
        and x.dtype in (torch.float32, torch.float64)
        and all(
            (other.device, other.dtype) == (x.device, x.dtype) and type(other) in WITH_MEMORY
            for other in others
        )
        and forward_ad._current_level < 0
        and (
            (x.device.type == 'cpu' and library() is not None)
            or (x.device.type == 'cuda' and cuda and triton_is_here())
        )
    )


def at_hand(tensor: Tensor) -> bool:
    """Whether the numbers of a tensor can be looked at now, without waiting for a device."""
    return tensor.device.type == 'cpu' and _by_itself(tensor)


def _by_itself(tensor: Tensor) -> bool:
    """Whether nothing of torch looks on: what traces or transforms must see its own operators."""
    return (
        not torch.compiler.is_compiling()
        and type(tensor) in WITH_MEMORY
        and not torch.jit.is_tracing()
        and not torch._C._are_functorch_transforms_active()
        and not torch._C._len_torch_dispatch_stack()
    )
