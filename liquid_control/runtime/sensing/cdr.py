"""The few messages that come or go often, straight from and to their serialized bytes (CDR).

A subscription that hands over bytes costs a fraction of one that builds a Python message, and the
picture's pixels are used in place. Offsets follow the message definitions of sensor_msgs and
nav_msgs, which have not changed since ROS 2 began. Every read is bounds-checked: a message from
the network that lies about its sizes raises `SensorError`. Writing field by field takes a tenth of
the time of building a Python message and having it converted.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import SensorError

Serialized = bytes | memoryview
_ENCAPSULATION = 4  # bytes before the data; alignment counts from after them
_NS = 1_000_000_000


@dataclass(frozen=True)
class ImageMessage:
    """A sensor_msgs/Image; `data` is a view of the message's bytes."""

    stamp_ns: int
    encoding: str
    width: int
    height: int
    step: int
    data: memoryview


@dataclass(frozen=True)
class CompressedImageMessage:
    """A sensor_msgs/CompressedImage; `data` is a view of the message's bytes."""

    stamp_ns: int
    format: str
    data: memoryview


class _Cursor:
    """Walks through a CDR stream."""

    def __init__(self, message: Serialized, kind: str) -> None:
        if len(message) < _ENCAPSULATION or message[0] != 0 or message[1] not in (0, 1):
            raise SensorError(f'{kind}: not a CDR message ({len(message)} bytes)')
        self._message = message
        self._kind = kind
        self._order = '<' if message[1] == 1 else '>'
        self._at = _ENCAPSULATION

    def take(self, layout: str, alignment: int) -> tuple[int, ...] | tuple[float, ...]:
        """Values of a struct layout whose first member has the given alignment."""
        at = self._at + (-(self._at - _ENCAPSULATION) % alignment)
        layout = self._order + layout
        try:
            values = struct.unpack_from(layout, self._message, at)
        except struct.error as error:
            raise SensorError(
                f'{self._kind}: message of {len(self._message)} bytes is cut short'
            ) from error
        self._at = at + struct.calcsize(layout)
        return values

    def blob(self) -> memoryview:
        """A length and that many bytes."""
        (size,) = self.take('I', 4)
        end = self._at + int(size)
        if end > len(self._message):
            raise SensorError(
                f'{self._kind}: announces {size} bytes, message has '
                f'{len(self._message) - self._at} left'
            )
        view = memoryview(self._message)[self._at : end]
        self._at = end
        return view

    def string(self) -> str:
        return bytes(self.blob()).rstrip(b'\0').decode('utf-8', 'replace')

    def header(self) -> int:
        """A std_msgs/Header -> stamp, ns."""
        sec, nanosec = self.take('iI', 4)
        self.blob()
        return int(sec) * _NS + int(nanosec)


def read_image(message: Serialized) -> ImageMessage:
    """Parse a serialized sensor_msgs/Image. Raises SensorError."""
    cursor = _Cursor(message, 'sensor_msgs/Image')
    stamp_ns = cursor.header()
    height, width = cursor.take('II', 4)
    encoding = cursor.string()
    cursor.take('B', 1)
    (step,) = cursor.take('I', 4)
    return ImageMessage(stamp_ns, encoding, int(width), int(height), int(step), cursor.blob())


def read_compressed_image(message: Serialized) -> CompressedImageMessage:
    """Parse a serialized sensor_msgs/CompressedImage. Raises SensorError."""
    cursor = _Cursor(message, 'sensor_msgs/CompressedImage')
    return CompressedImageMessage(cursor.header(), cursor.string(), cursor.blob())


def read_imu(message: Serialized) -> tuple[int, NDArray[np.float32]]:
    """Parse a serialized sensor_msgs/Imu.

    Returns:
        Stamp (ns); linear acceleration x y z (m/s^2) and angular velocity x y z (rad/s), [6].

    Raises:
        SensorError: not such a message.
    """
    cursor = _Cursor(message, 'sensor_msgs/Imu')
    stamp_ns = cursor.header()
    # orientation 4, covariance 9, angular velocity 3, covariance 9, linear acceleration 3
    values = cursor.take('28d', 8)
    with np.errstate(over='ignore'):  # what float32 cannot hold becomes infinite, and is refused
        return stamp_ns, np.array(values[25:28] + values[13:16], np.float32)


def read_odometry_speed(message: Serialized) -> tuple[int, float]:
    """Parse a serialized nav_msgs/Odometry -> stamp (ns), speed (m/s). Raises SensorError."""
    cursor = _Cursor(message, 'nav_msgs/Odometry')
    stamp_ns = cursor.header()
    cursor.blob()  # child_frame_id
    # pose 7, covariance 36, then twist.linear.x
    return stamp_ns, float(cursor.take('44d', 8)[43])


def read_odometry_pose(message: Serialized) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Parse a serialized nav_msgs/Odometry.

    Returns:
        Stamp (ns), position x y z (m), orientation x y z w.

    Raises:
        SensorError: not such a message.
    """
    cursor = _Cursor(message, 'nav_msgs/Odometry')
    stamp_ns = cursor.header()
    cursor.blob()  # child_frame_id
    values = cursor.take('7d', 8)
    return stamp_ns, values[:3], values[3:]


def read_clock(message: Serialized) -> int:
    """Parse a serialized rosgraph_msgs/Clock -> time (ns). Raises SensorError."""
    sec, nanosec = _Cursor(message, 'rosgraph_msgs/Clock').take('iI', 4)
    if sec < 0 or nanosec >= _NS:
        raise SensorError(f'/clock must tell a time since 1970, found {sec} s and {nanosec} ns')
    return int(sec) * _NS + int(nanosec)


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
        sec, nanosec = divmod(stamp_ns, _NS)
        self.put('i', sec)
        self.put('I', nanosec)

    def string(self, text: str) -> None:
        data = text.encode() + b'\0'
        self.put('I', len(data))
        self._data += data

    def floats(self, values: Sequence[float] | NDArray[np.float32]) -> None:
        """A float32[] of any length."""
        self.put('I', len(values))
        self._data += np.asarray(values, '<f4').tobytes()

    def done(self) -> bytes:
        """The message."""
        return bytes(self._data)
