"""Serialized messages, taken from DDS without the interpreter lock.

rclpy holds the lock while DDS copies a message: 0.35 ms for a picture of 640x480, in which the
control thread cannot wake. A call through ctypes lets go of it. What is used here are public C
functions of rcl and rcutils, the same since ROS 2 Foxy.
"""

from __future__ import annotations

import ctypes
import weakref
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


class Taker:
    """Takes one subscription's messages; one thread at a time."""

    def __init__(self, handle: Any) -> None:
        """handle: of an rclpy subscription, which must outlive this."""
        rcl, rcutils = ctypes.CDLL('librcl.so'), ctypes.CDLL('librcutils.so')
        self._take = rcl.rcl_take_serialized_message
        self._take.argtypes = [ctypes.c_void_p] * 4
        self._subscription = handle.pointer
        self._bytes = _Bytes()
        self._view = np.empty(0, np.uint8)
        rcutils.rcutils_get_default_allocator.restype = _Allocator
        allocator = rcutils.rcutils_get_default_allocator()
        array = ctypes.byref(self._bytes)
        rcutils.rcutils_uint8_array_init(array, ctypes.c_size_t(0), ctypes.byref(allocator))
        weakref.finalize(self, rcutils.rcutils_uint8_array_fini, array)

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
