# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether modules are as they were made, so that their weights say all that they compute.

The cells read the weights of their submodules and compute whole sequences from them. A submodule
that computes something else (replaced, appended, hooked, pruned, quantised) must be called
instead, and cannot be saved or compiled as what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


def hooked(module: nn.Module) -> bool:
    """Whether something runs before, after or behind this module."""
    return bool(
        module._forward_pre_hooks
        or module._forward_hooks
        or module._backward_pre_hooks
        or module._backward_hooks
    )


def intact(module: nn.Module, *forwards: Callable[..., Any]) -> bool:
    """Whether calling the module runs one of these functions and nothing else.

    A parametrised weight is no matter: it is computed where it is read.
    """
    return (
        type(module).forward in forwards
        and 'forward' not in module.__dict__
        and not hooked(module)
    )


def altered_child(module: nn.Module, *forwards: Callable[..., Any]) -> str | None:
    """The name of the first child that does not run one of these functions alone."""
    children = module.named_children()
    return next((name for name, child in children if not intact(child, *forwards)), None)
