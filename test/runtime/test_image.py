# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Decoding: every encoding gives the same image, every lie about sizes is refused."""

import contextlib
import resource
import struct
import time
import zlib

import cv2
import numpy as np
import pytest

from liquid_control.common.errors import ImageError
from liquid_control.common.image import ENCODINGS, decode_compressed, to_rgb
from liquid_control.contract.contract import ImageSpec
from liquid_control.runtime.sensing.image import Preprocessor

WIDTH, HEIGHT = 64, 48


def smooth_image() -> np.ndarray:
    """Colours that change slowly, so that chroma subsampling and Bayer filters lose little."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return np.stack([60 + 2 * x, 200 - 2 * y, 90 + x + y], 2).astype(np.uint8)


def encode(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """The image as a camera of that encoding would send it, [rows, bytes]."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if encoding == 'rgb8':
        return rgb.reshape(HEIGHT, -1)
    if encoding in ('bgr8', '8UC3'):
        return rgb[..., ::-1].reshape(HEIGHT, -1)
    alpha = np.full_like(red, 255)
    if encoding == 'rgba8':
        return np.dstack([rgb, alpha]).reshape(HEIGHT, -1)
    if encoding == 'bgra8':
        return np.dstack([rgb[..., ::-1], alpha]).reshape(HEIGHT, -1)
    if encoding in ('mono8', '8UC1'):
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if encoding.startswith('bayer'):
        channel = {'r': red, 'g': green, 'b': blue}
        mosaic = np.empty_like(red)
        for index, letter in enumerate(encoding.split('_')[1][:4]):
            row, column = divmod(index, 2)
            mosaic[row::2, column::2] = channel[letter][row::2, column::2]
        return mosaic
    i420 = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    luma = i420[:HEIGHT]
    u = i420[HEIGHT : HEIGHT + HEIGHT // 4].reshape(HEIGHT // 2, WIDTH // 2)
    v = i420[HEIGHT + HEIGHT // 4 :].reshape(HEIGHT // 2, WIDTH // 2)
    if encoding == 'nv12':
        return np.vstack([luma, np.dstack([u, v]).reshape(HEIGHT // 2, WIDTH)])
    u, v = np.repeat(u, 2, axis=0), np.repeat(v, 2, axis=0)
    even, odd = luma[:, 0::2], luma[:, 1::2]
    order = [u, even, v, odd] if encoding in ('yuv422', 'uyvy') else [even, u, odd, v]
    return np.dstack(order).reshape(HEIGHT, -1)


@pytest.mark.parametrize('padding', [0, 13])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_every_encoding_decodes_to_the_same_image(encoding: str, padding: int) -> None:
    image = smooth_image()
    rows = encode(image, encoding)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    rgb = to_rgb(encoding, WIDTH, HEIGHT, padded.shape[1], padded.tobytes())
    expected = image
    if encoding in ('mono8', '8UC1'):
        expected = np.dstack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)] * 3)
    inside = (slice(4, -4), slice(4, -4))  # a Bayer filter guesses at the border
    error = np.abs(rgb[inside].astype(int) - expected[inside].astype(int))
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    assert error.max() <= 6, f'{encoding}: {error.max()}'


def test_last_row_may_lack_its_padding() -> None:
    rows = np.pad(encode(smooth_image(), 'bgr8'), ((0, 0), (0, 5)))
    data = rows.tobytes()[:-5]
    assert np.array_equal(to_rgb('bgr8', WIDTH, HEIGHT, rows.shape[1], data), smooth_image())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('rgb16', 4, 4, 24, bytes(96)), 'rgb16'),
        (('rgb8', 4, 4, 11, bytes(48)), 'step of at least 12'),
        (('rgb8', 4, 4, 12, bytes(47)), 'needs 48 bytes, found 47'),
        (('rgb8', 0, 4, 12, bytes(48)), 'positive'),
        (('nv12', 5, 4, 6, bytes(48)), 'even'),
        (('yuv422', 5, 4, 10, bytes(48)), 'even'),
        (('bayer_rggb8', 1, 4, 1, bytes(4)), '2x2'),
    ],
)
def test_impossible_images_are_refused_with_the_reason(arguments: tuple, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        to_rgb(*arguments)


@pytest.mark.parametrize(('extension', 'tolerance'), [('.png', 0), ('.jpg', 12)])
def test_compressed_images_decode(extension: str, tolerance: int) -> None:
    image = smooth_image()
    data = cv2.imencode(extension, image[..., ::-1])[1].tobytes()
    assert np.abs(decode_compressed(data).astype(int) - image.astype(int)).max() <= tolerance


@pytest.mark.parametrize('data', [b'', b'not an image', b'\xff\xd8\xff\xe0 broken'])
def test_bytes_that_are_no_image_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode_compressed(data)


def png(width: int, height: int) -> bytes:
    """A black image of one bit a pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        data = kind + content
        return struct.pack('>I', len(content)) + data + struct.pack('>I', zlib.crc32(data))

    header = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    coded = b''.join(pixels.compress(row) for _ in range(height)) + pixels.flush()
    chunks = ((b'IHDR', header), (b'IDAT', coded), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*each) for each in chunks)


def jpeg(size: tuple[int, int] = (65535, 65535), scans: int = 1) -> bytes:
    """A JPEG with another size written into it, and its one scan given again and again."""
    data = bytearray(cv2.imencode('.jpg', smooth_image())[1].tobytes())
    at = data.index(b'\xff\xc0')
    data[at + 5 : at + 9] = struct.pack('>HH', *reversed(size))
    scan = bytes(data[data.index(b'\xff\xda') : -2])
    return bytes(data[:-2]) + scan * (scans - 1) + b'\xff\xd9'


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (png(32767, 32767), '32767x32767 pixels: at most'),
        (jpeg(), '65535x65535 pixels: at most'),
        (jpeg((4000, 4000), scans=100), 'drawn 100 times'),
        (b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + b'\xff' * 40, '4294967295x4294967295 pixels'),
        (b'BM' + bytes(100), 'is not a JPEG or PNG'),
        (b'\xff\xd8\xff\xe0\0\x02\xff\xda' + bytes(40), 'a JPEG without an image'),
        (b'\xff\xd8' + b'\xff' * 1000, 'a JPEG without an image'),
        (b'P6 30000 30000 255 ' + bytes(100), 'is not a JPEG or PNG'),
    ],
    ids=['png', 'jpeg', 'scans', 'png of 2^64', 'bmp', 'no frame', 'fill bytes', 'pnm'],
)
def test_image_that_would_be_huge_is_refused_by_its_header(data: bytes, message: str) -> None:
    assert len(data) < 200_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    with pytest.raises(ImageError, match=message):
        decode_compressed(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, 'kB'
    assert time.process_time() - started < 0.5


def test_jpegs_of_all_kinds_are_measured() -> None:
    options = [(cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)]
    for option in options:
        data = cv2.imencode('.jpg', smooth_image(), option)[1].tobytes()
        assert decode_compressed(data).shape == smooth_image().shape


def test_step_of_gigabytes_takes_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for height in (1, 2):
        with contextlib.suppress(ImageError):
            assert to_rgb('rgb8', 1, height, 2**32 - 1, b'123').shape == (1, 1, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, 'kB'


SPEC = ImageSpec(
    width=32, height=12, source_width=64, source_height=48, crop=(0, 24, 64, 24), rate=30.0,
    max_age=0.3, features=4,
)  # fmt: skip


def test_crop_scales_with_the_camera() -> None:
    small = smooth_image()
    large = cv2.resize(small, (4 * WIDTH, 4 * HEIGHT), interpolation=cv2.INTER_LINEAR)
    difference = Preprocessor(SPEC)(large).astype(int) - Preprocessor(SPEC)(small).astype(int)
    assert Preprocessor(SPEC)(small).shape == (12, 32, 3)
    assert np.abs(difference).max() <= 3


@pytest.mark.parametrize(
    ('shape', 'message'), [((20, 30, 3), 'smaller than the crop'), ((64, 64, 3), 'aspect ratio')]
)
def test_image_of_another_geometry_is_refused(shape: tuple, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        Preprocessor(SPEC)(np.zeros(shape, np.uint8))
