# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Serialized messages (CDR) field by field: what reads and writes the few that come or go often.

A subscription that hands over bytes costs a fraction of one that builds a Python message, and a
image's pixels are used in place. Every read is bounds-checked: a message from the network that
lies about its sizes raises `SensorError`. Writing field by field takes a tenth of the time of
building a Python message and having it converted.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import SensorError
from liquid_control.common.stamps import split_ns, to_ns

Serialized = bytes | memoryview
_TIME = struct.Struct('<iI')
_ENCAPSULATION = 4  # bytes before the data; alignment counts from after them


class Cursor:
    """Walks through a message in the order of its definition; every step raises SensorError."""

    def __init__(self, message: Serialized, kind: str) -> None:
        """kind: the message's type, for errors."""
        if len(message) < _ENCAPSULATION or message[0] != 0 or message[1] not in (0, 1):
            raise SensorError(f'{kind}: not a CDR message ({len(message)} bytes)')
        self._message = message
        self._kind = kind
        self._order = '<' if message[1] == 1 else '>'
        self.at = _ENCAPSULATION
        """Where the next field begins, before its alignment."""

    def take(self, layout: str, alignment: int) -> tuple[Any, ...]:
        """Numbers of a struct layout whose first member has the given alignment."""
        at = self.at + (-(self.at - _ENCAPSULATION) % alignment)
        layout = self._order + layout
        try:
            values = struct.unpack_from(layout, self._message, at)
        except struct.error as error:
            raise SensorError(
                f'{self._kind}: message of {len(self._message)} bytes is cut short'
            ) from error
        self.at = at + struct.calcsize(layout)
        return values

    def array(self, dtype: str) -> NDArray[Any]:
        """A sequence of numbers, `dtype` as in numpy ('f4', 'f8'); a view of the message."""
        (count,) = self.take('I', 4)
        kind = np.dtype(self._order + dtype)
        at = self.at
        if count:
            at += -(at - _ENCAPSULATION) % kind.itemsize
        end = at + count * kind.itemsize
        self._within(end, count * kind.itemsize)
        self.at = end
        return np.frombuffer(self._message, kind, count, at) if count else np.empty(0, kind)

    def blob(self) -> memoryview:
        """A length and that many bytes."""
        (size,) = self.take('I', 4)
        end = self.at + size
        self._within(end, size)
        view = memoryview(self._message)[self.at : end]
        self.at = end
        return view

    def string(self) -> str:
        return bytes(self.blob()).rstrip(b'\0').decode('utf-8', 'replace')

    def skip(self, known: bytes) -> bool:
        """Pass over bytes that are as in an earlier message; returns whether they are."""
        at = self.at + (-(self.at - _ENCAPSULATION) % 4)
        if bytes(self._message[at : at + len(known)]) != known:
            return False
        self.at = at + len(known)
        return True

    def since(self, start: int) -> bytes:
        """The bytes from `start`, aligned to 4, to here: what `skip` passes over."""
        return bytes(self._message[start + (-(start - _ENCAPSULATION) % 4) : self.at])

    def time(self) -> int:
        """A builtin_interfaces/Time, ns."""
        sec, nanosec = self.take('iI', 4)
        return to_ns(sec, nanosec)

    def header(self) -> int:
        """A std_msgs/Header -> stamp, ns."""
        stamp_ns = self.time()
        self.blob()
        return stamp_ns

    def _within(self, end: int, size: int) -> None:
        if end > len(self._message):
            raise SensorError(
                f'{self._kind}: announces {size} bytes, message has '
                f'{len(self._message) - self.at} left'
            )


@functools.lru_cache
def _strings(texts: tuple[str, ...]) -> bytes:
    """A string[] that begins at a multiple of four: names are written at every tick."""
    message = Writer()
    message.put('I', len(texts))
    for text in texts:
        message.string(text)
    return message.done()[_ENCAPSULATION:]


class Writer:
    """Serializes a message, field after field in the order of its definition."""

    def __init__(self) -> None:
        self._data = bytearray(b'\0\1\0\0')  # plain CDR, little endian

    def put(self, kind: str, *values: float) -> None:
        """Numbers of one type, `kind` as in `struct`; floats are rounded to it."""
        data = self._data
        data += bytes(-(len(data) - _ENCAPSULATION) % struct.calcsize(kind))
        data += struct.pack(f'<{len(values)}{kind}', *values)

    def time(self, stamp_ns: int) -> None:
        """A builtin_interfaces/Time."""
        sec, nanosec = split_ns(stamp_ns)
        self.put('i', sec)
        self.put('I', nanosec)

    def header(self, stamp_ns: int, frame_id: str) -> None:
        """A std_msgs/Header."""
        self.time(stamp_ns)
        self.string(frame_id)

    def times(self, stamps_ns: Sequence[int]) -> None:
        """A builtin_interfaces/Time[] of any length."""
        self.put('I', len(stamps_ns))
        for stamp_ns in stamps_ns:
            self._data += _TIME.pack(*split_ns(stamp_ns))

    def string(self, text: str) -> None:
        data = text.encode() + b'\0'
        self.put('I', len(data))
        self._data += data

    def strings(self, texts: Sequence[str]) -> None:
        """A string[] of any length."""
        data = self._data
        data += bytes(-(len(data) - _ENCAPSULATION) % 4)
        data += _strings(tuple(texts))

    def blob(self, data: bytes | memoryview) -> None:
        """A uint8[] of any length."""
        self.put('I', len(data))
        self._data += data

    def floats(self, values: Sequence[float] | NDArray[np.float32]) -> None:
        """A float32[] of any length."""
        self.put('I', len(values))
        self._data += np.asarray(values, '<f4').tobytes()

    def doubles(self, values: Sequence[float] | NDArray[np.floating]) -> None:
        """A float64[] of any length."""
        self.put('I', len(values))
        if len(values):
            self.put('d', *values)

    def done(self) -> bytes:
        """The message."""
        return bytes(self._data)
