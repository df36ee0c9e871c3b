# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Images of ROS messages, decoded: raw in any common encoding, JPEG or PNG, to RGB."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import ImageError
from liquid_control.common.image_header import check_header

Pixels = NDArray[np.uint8]
Buffer = bytes | bytearray | memoryview | Pixels


def stay_in_one_thread() -> None:
    """Decode and resize in the calling thread alone, in this whole process.

    OpenCV's pool costs more than it saves at these sizes: a third of the time of a frame of
    1280x720, spent waiting on another core.
    """
    cv2.setNumThreads(1)


def _convert(code: int) -> Callable[[Pixels], Pixels]:
    def convert(image: Pixels) -> Pixels:
        return np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)

    return convert


# Encoding -> bytes per pixel, conversion to RGB. Names as in sensor_msgs/image_encodings; OpenCV
# names a Bayer pattern by its second row's second and third pixel, ROS by the first row.
_PACKED: dict[str, tuple[int, Callable[[Pixels], Pixels]]] = {
    'rgb8': (3, lambda image: image),
    'bgr8': (3, _convert(cv2.COLOR_BGR2RGB)),
    'rgba8': (4, _convert(cv2.COLOR_RGBA2RGB)),
    'bgra8': (4, _convert(cv2.COLOR_BGRA2RGB)),
    'mono8': (1, _convert(cv2.COLOR_GRAY2RGB)),
    '8UC1': (1, _convert(cv2.COLOR_GRAY2RGB)),
    '8UC3': (3, _convert(cv2.COLOR_BGR2RGB)),
    'yuv422': (2, _convert(cv2.COLOR_YUV2RGB_UYVY)),
    'uyvy': (2, _convert(cv2.COLOR_YUV2RGB_UYVY)),
    'yuv422_yuy2': (2, _convert(cv2.COLOR_YUV2RGB_YUY2)),
    'yuyv': (2, _convert(cv2.COLOR_YUV2RGB_YUY2)),
    'bayer_rggb8': (1, _convert(cv2.COLOR_BayerBG2RGB)),
    'bayer_bggr8': (1, _convert(cv2.COLOR_BayerRG2RGB)),
    'bayer_gbrg8': (1, _convert(cv2.COLOR_BayerGR2RGB)),
    'bayer_grbg8': (1, _convert(cv2.COLOR_BayerGB2RGB)),
}
ENCODINGS = (*_PACKED, 'nv12')

# What image_transport takes for images in colour, where the order of the channels matters.
_COLOURS = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'rgb16', 'bgr16', 'rgba16', 'bgra16')

# First bytes of a file, and where a PNG says how many bits a channel has.
_PNG = b'\x89PNG\r\n\x1a\n'
_PNG_DEPTH = 24
_JPEG = b'\xff\xd8'
_JPEG_PADDING = 4096


def to_rgb(encoding: str, width: int, height: int, step: int, data: Buffer) -> Pixels:
    """Decode the fields of a sensor_msgs/Image.

    Args:
        encoding: one of `ENCODINGS`.
        width, height: image size, pixels.
        step: bytes from one row to the next; may be longer than the pixels need.
        data: at least `step * height` bytes (3/2 of that for nv12).

    Returns:
        uint8 [height, width, 3], RGB; a view of `data` where that is possible.

    Raises:
        ImageError: unknown encoding, or sizes that do not fit each other.
    """
    if encoding == 'nv12':
        luma = _rows(encoding, width, height * 3 // 2, step, data, 1)
        if width % 2 or height % 2:
            raise ImageError(f'nv12 needs an even image size, found {width}x{height}')
        return _convert(cv2.COLOR_YUV2RGB_NV12)(np.ascontiguousarray(luma))
    if encoding not in _PACKED:
        raise ImageError(
            f'image encoding {encoding!r} is not supported, expected one of '
            f'{", ".join(ENCODINGS)}; convert it in the camera driver'
        )
    depth, convert = _PACKED[encoding]
    if depth == 2 and width % 2:
        raise ImageError(f'{encoding} needs an even width, found {width}')
    if encoding.startswith('bayer') and min(width, height) < 2:
        raise ImageError(f'{encoding} needs at least 2x2 pixels, found {width}x{height}')
    rows = _rows(encoding, width, height, step, data, depth)
    pixels = rows.reshape(height, width, depth)
    return convert(pixels if depth > 1 else pixels[:, :, 0])


def _rows(encoding: str, width: int, height: int, step: int, data: Buffer, depth: int) -> Pixels:
    """The image's bytes, row by row, without padding."""
    if width < 1 or height < 1:
        raise ImageError(f'image size must be positive, found {width}x{height}')
    if step < width * depth:
        raise ImageError(
            f'{encoding} {width}x{height} needs a step of at least {width * depth} bytes, '
            f'found {step}'
        )
    array = np.frombuffer(data, np.uint8)
    # The last row may come without its padding.
    if array.size < step * (height - 1) + width * depth:
        raise ImageError(
            f'{encoding} {width}x{height} with step {step} needs {step * height} bytes, '
            f'found {array.size}'
        )
    used = width * depth
    if array.size >= step * height:
        return array[: step * height].reshape(height, step)[:, :used]
    # Not filled up to a whole row: a step may be any number, gigabytes too.
    rows = np.empty((height, used), np.uint8)
    rows[:-1] = array[: step * (height - 1)].reshape(height - 1, step)[:, :used]
    rows[-1] = array[step * (height - 1) :][:used]
    return rows


def decode_compressed(data: Buffer, format: str = '') -> Pixels:
    """Decode the JPEG or PNG of a sensor_msgs/CompressedImage to RGB uint8 [height, width, 3].

    Args:
        data: of the message.
        format: of the message, as image_transport writes it: what the image was, a semicolon,
            how it was compressed and in which order of colours (`rgb8; jpeg compressed bgr8`).
            Without a semicolon it says nothing of colours: they are those of any JPEG or PNG.

    Raises:
        ImageError: the bytes are not a complete JPEG or PNG of 8 bits, or too many pixels.
    """
    before, _, how = format.partition(';')
    if how and 'compressed' not in how.split():
        raise ImageError(
            f'compressed image of format {format!r} is no JPEG or PNG of a camera; take the '
            "topic of image_transport's `compressed` for the camera"
        )
    array = np.frombuffer(data, np.uint8)
    if array.size == 0:
        raise ImageError('compressed image is empty')
    check_header(array.data)
    is_png = array.size > _PNG_DEPTH and array[: len(_PNG)].tobytes() == _PNG
    if is_png and (depth := array[_PNG_DEPTH]) > 8:
        raise ImageError(
            f'compressed image is a PNG of {depth} bits, expected 8: a camera sends '
            '8-bit colour or grey, a depth image is none'
        )
    if array[:2].tobytes() == _JPEG and not _ends(array):
        raise ImageError(f'compressed image of {array.size} bytes is a JPEG that is cut short')
    try:
        image = cv2.imdecode(array, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f'compressed image cannot be decoded: {error}') from error
    if image is None:
        raise ImageError(f'compressed image of {array.size} bytes is cut short or damaged')
    pixels = np.asarray(image, np.uint8)
    # As image_transport: what is not called bgr was handed to the encoder in the order red, green,
    # blue, which takes it for blue, green, red.
    if how and before.strip() in _COLOURS and 'compressed bgr' not in how:
        return pixels
    return _convert(cv2.COLOR_BGR2RGB)(pixels)


def _ends(jpeg: Pixels) -> bool:
    """Whether a JPEG has its end marker, after which some cameras pad; image data has none."""
    return b'\xff\xd9' in jpeg[-_JPEG_PADDING:].tobytes()
