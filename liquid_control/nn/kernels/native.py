# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Calls into the compiled library: tensors become pointers in a structure both sides know."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from liquid_control.nn.kernels.build import library

INT = ctypes.c_int64
POINTER = ctypes.c_void_p


def fields(kind: type, *names: str) -> list[tuple[str, type]]:
    """Fields of one kind for `ctypes.Structure._fields_`."""
    return [(name, kind) for name in names]


def fill(structure: ctypes.Structure, **values: Any) -> None:
    """Set fields; of a tensor, which the caller keeps alive, the address."""
    for name, value in values.items():
        setattr(structure, name, value.data_ptr() if isinstance(value, Tensor) else value)


def call(name: str, structure: ctypes.Structure, dtype: torch.dtype, *arguments: Any) -> None:
    """Run the kernel of this name for this precision; releases the interpreter lock meanwhile."""
    kind = {torch.float32: 'float', torch.float64: 'double'}[dtype]
    getattr(library(), f'{name}_{kind}')(ctypes.byref(structure), *arguments)


def threads(work: int, worth: int) -> int:
    """Threads for this much work; below `worth` a second one costs more than it saves."""
    return 1 if work < worth else torch.get_num_threads()
