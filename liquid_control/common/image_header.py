# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How large a compressed image will be, read from its header before anything is decoded.

A PNG of 130 KB can hold a billion pixels, a JPEG can have its few pixels drawn a thousand times
over. OpenCV decodes many formats; the two that image transports use are let through.
"""

from __future__ import annotations

import struct

from liquid_control.common.errors import ImageError

MAX_PIXELS = 4096 * 4096
# Every scan of a progressive JPEG goes over all pixels; encoders make about ten.
MAX_SCANNED = 16 * MAX_PIXELS

_PNG = b'\x89PNG\r\n\x1a\n'
_JPEG = b'\xff\xd8\xff'
_START_OF_SCAN = 0xDA
# Start of a frame, of any kind but those that are no frame: tables, extensions, arithmetic coding.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def check_header(data: memoryview) -> None:
    """Refuse an image that is no JPEG or PNG, or would be too large.

    Raises:
        ImageError: with what was found.
    """
    head = bytes(data[:24])
    scans = 1
    if head.startswith(_PNG) and head[12:16] == b'IHDR' and len(head) == 24:
        width, height = struct.unpack('>II', head[16:24])
    elif head.startswith(_JPEG):
        width, height = _jpeg_size(data)
        # In the coded data itself 0xFF is never followed by a marker.
        scans = bytes(data).count(bytes([0xFF, _START_OF_SCAN]))
    else:
        raise ImageError(
            f'compressed image of {len(data)} bytes is not a JPEG or PNG; '
            'check the format of the image transport'
        )
    if not 0 < width * height <= MAX_PIXELS or width * height * scans > MAX_SCANNED:
        drawn = f', drawn {scans} times' if scans > 1 else ''
        raise ImageError(
            f'compressed image of {width}x{height} pixels{drawn}: at most {MAX_PIXELS} pixels are '
            'decoded; set the camera to a smaller image'
        )


def _jpeg_size(data: memoryview) -> tuple[int, int]:
    """Width and height, from the segment that starts the frame."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _FRAMES:
            height, width = struct.unpack('>HH', data[at + 5 : at + 9])
            return width, height
        if marker == _START_OF_SCAN:
            break
        at += 2
        if marker not in _STANDALONE:
            at += struct.unpack('>H', data[at : at + 2])[0]
    raise ImageError(f'compressed image of {len(data)} bytes is a JPEG without an image')
