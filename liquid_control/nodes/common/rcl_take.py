# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Serialized messages, taken from DDS without the interpreter lock.

rclpy holds the lock while DDS copies a message: 0.35 ms for an image of 640x480, in which the
control thread cannot wake. A call through ctypes lets go of it. What is used here are public C
functions of rcl and rcutils, the same since ROS 2 Foxy; where they are not found, rclpy takes.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

_OK, _NOTHING_TO_TAKE = 0, 401


class _Allocator(ctypes.Structure):
    """rcutils_allocator_t."""

    _fields_ = [
        (name, ctypes.c_void_p)
        for name in ('allocate', 'deallocate', 'reallocate', 'zero_allocate', 'state')
    ]


class _Bytes(ctypes.Structure):
    """rcutils_uint8_array_t."""

    _fields_ = [
        ('buffer', ctypes.c_void_p),
        ('length', ctypes.c_size_t),
        ('capacity', ctypes.c_size_t),
        ('allocator', _Allocator),
    ]


def taker(handle: Any, message_type: Any) -> Callable[[], memoryview | None]:
    """What takes the oldest message that waits, None where none does; one thread at a time.

    Args:
        handle: of an rclpy subscription, which must outlive this.
    """
    if missing():
        return functools.partial(_take_by_rclpy, handle, message_type)
    return Taker(handle).take


@functools.cache
def missing() -> str:
    """Why messages cannot be taken without the interpreter lock here; '' where they can."""
    try:
        _functions()
    except (OSError, AttributeError) as error:
        return f'messages are taken by rclpy, which makes ticks later while frames come: {error}'
    return ''


def _functions() -> tuple[Any, Any, Any, Any]:
    rcl, rcutils = ctypes.CDLL('librcl.so'), ctypes.CDLL('librcutils.so')
    return (
        rcl.rcl_take_serialized_message,
        rcutils.rcutils_get_default_allocator,
        rcutils.rcutils_uint8_array_init,
        rcutils.rcutils_uint8_array_fini,
    )


def _take_by_rclpy(handle: Any, message_type: Any) -> memoryview | None:
    taken = handle.take_message(message_type, True)
    return memoryview(taken[0]) if taken is not None else None


class Taker:
    """Takes one subscription's messages; one thread at a time."""

    def __init__(self, handle: Any) -> None:
        """handle: of an rclpy subscription, which must outlive this."""
        self._take, default_allocator, array_init, array_fini = _functions()
        self._take.argtypes = [ctypes.c_void_p] * 4
        self._subscription = handle.pointer
        self._bytes = _Bytes()
        self._view = np.empty(0, np.uint8)
        default_allocator.restype = _Allocator
        allocator = default_allocator()
        array = ctypes.byref(self._bytes)
        array_init(array, ctypes.c_size_t(0), ctypes.byref(allocator))
        weakref.finalize(self, array_fini, array)

    def take(self) -> memoryview | None:
        """The oldest message that waits, None where none does."""
        status = self._take(self._subscription, ctypes.byref(self._bytes), None, None)
        if status == _NOTHING_TO_TAKE:
            return None
        if status != _OK:
            raise RuntimeError(f'rcl_take_serialized_message ends with status {status}')
        if self._bytes.capacity != len(self._view):  # it grew, and moved
            buffer = (ctypes.c_uint8 * self._bytes.capacity).from_address(self._bytes.buffer)
            self._view = np.frombuffer(buffer, np.uint8)
        # A copy, because the next message comes into the same buffer; numpy makes it without the
        # lock.
        return memoryview(self._view[: self._bytes.length].copy())
