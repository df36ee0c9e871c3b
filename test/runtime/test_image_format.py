# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Compressed images: the format says in which order colours came; only 8 bits are images."""

import queue

import cv2
import numpy as np
import pytest

from liquid_control.bags.messages import serialize
from liquid_control.common.errors import ImageError
from liquid_control.common.image import Pixels, decode_compressed
from liquid_control.contract.inputs.image import COMPRESSED, ImageReader
from liquid_control.runtime.sensing.vision import Vision


def smooth_image() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64].astype(np.float32)
    return np.stack([60 + 2 * x, 200 - 2 * y, 90 + x + y], 2).astype(np.uint8)


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', image[..., ::-1])[1].tobytes()


@pytest.mark.parametrize(
    ('format', 'swapped'),
    [
        ('jpeg', False),
        ('rgb8; jpeg compressed bgr8', False),
        ('bgr8; jpeg compressed bgr8', False),
        ('rgb8; jpeg compressed rgb8', True),
        ('bgr8; jpeg compressed rgb8', True),
        ('yuv422_yuy2; jpeg compressed mono8', False),
    ],
)
def test_the_format_tells_in_which_order_the_colours_were_compressed(
    format: str, swapped: bool
) -> None:
    image = smooth_image()
    # Who hands red, green, blue to an encoder that takes blue, green, red first writes this.
    data = jpeg(image[..., ::-1] if swapped else image)
    error = np.abs(decode_compressed(data, format).astype(int) - image.astype(int))
    assert error.max() <= 12


def test_a_jpeg_without_its_end_is_refused_and_one_that_is_padded_is_not() -> None:
    rng = np.random.default_rng(0)
    data = jpeg(rng.integers(0, 256, (240, 320, 3)).astype(np.uint8))
    for share in (0.5, 0.9, 0.99):
        with pytest.raises(ImageError, match='JPEG that is cut short'):
            decode_compressed(data[: round(len(data) * share)])
    assert decode_compressed(data + bytes(100)).shape == (240, 320, 3)


@pytest.mark.parametrize(
    ('format', 'message'),
    [
        ('16UC1; compressedDepth png', "of format '16UC1; compressedDepth png' is no JPEG or PNG"),
        ('rgb8; zstd', 'is no JPEG or PNG'),
        ('16UC1; png compressed ', 'a PNG of 16 bits, expected 8'),
        ('png', 'a PNG of 16 bits, expected 8'),
    ],
)
def test_what_is_not_of_8_bits_is_refused(format: str, message: str) -> None:
    data = cv2.imencode('.png', np.full((48, 64), 1000, np.uint16))[1].tobytes()
    with pytest.raises(ImageError, match=message):
        decode_compressed(data, format)


def test_the_camera_on_the_robot_goes_by_the_format_too() -> None:
    image = smooth_image()
    values = {
        'format': 'rgb8; jpeg compressed rgb8',
        'data': np.frombuffer(jpeg(image[..., ::-1]), np.uint8),
    }
    sent = [serialize('sensor_msgs/msg/CompressedImage', values, 1)]
    seen: queue.Queue[Pixels] = queue.Queue()
    vision = Vision(
        lambda timeout: sent.pop() if sent else None,
        lambda pixels, stamp_ns, received_ns: seen.put(pixels),
        reader=ImageReader(),
        msgtype=COMPRESSED,
        now_ns=lambda: 1,
        on_error=lambda error: pytest.fail(str(error)),
    )
    vision.start()
    try:
        found = seen.get(timeout=30)
    finally:
        vision.stop()
    assert np.abs(found.astype(int) - image.astype(int)).max() <= 12
