# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which GPU this machine has and which TensorRT, asked of their own libraries.

The driver's interface is the same on a desktop and on a Jetson (where `nvidia-smi` may not exist),
and its answer needs no Python package.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

DRIVER = 'libcuda.so.1'
TENSORRT = tuple(f'libnvinfer.so.{major}' for major in range(12, 7, -1))

# CUdevice_attribute
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76


@dataclass(frozen=True)
class Device:
    """A GPU."""

    name: str
    """e.g. 'Orin'."""
    capability: str
    """Compute capability, e.g. '8.7': what a CUDA build must have been made for."""


def find_device(index: int, driver: str = DRIVER) -> Device | None:
    """The GPU with a CUDA device number; None where there is none, or no driver."""
    try:
        cuda = ctypes.CDLL(driver)
    except OSError:
        return None
    device = ctypes.c_int()
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGet(ctypes.byref(device), index) != 0:
        return None
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(name, len(name), device)
    numbers = []
    for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
        number = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        numbers.append(str(number.value))
    return Device(name.value.decode(errors='replace'), '.'.join(numbers))


def tensorrt_version(libraries: Sequence[str] = TENSORRT) -> str:
    """TensorRT's own version number, e.g. '100300' for 10.3.0; '' where it is not installed."""
    for name in libraries:
        try:
            return str(ctypes.CDLL(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
    return ''
