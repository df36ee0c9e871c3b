# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A camera: which part of its image becomes the encoder's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.cdr import Cursor, Serialized, Writer
from liquid_control.common.errors import BundleError, ConfigError
from liquid_control.contract import bounds
from liquid_control.contract.inputs.base import Element, InputSpec, Reader, Reading, Source

# Where nobody says otherwise: enough to see a lane, small enough for one slow core.
WIDTH, FEATURES = 96, 32
# The part of an image that is left out at the top: mostly sky, ceiling and people.
SKY = 1 / 3
# What is seen may be this much longer one way than the other.
STRIP = 12

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


@dataclass(frozen=True, kw_only=True)
class ImageSpec(InputSpec):
    """A camera's image, cut and resized.

    The crop is in pixels of the camera the policy was trained on. A camera of the same aspect
    ratio and another resolution is fine, the crop is scaled; any other image is refused.
    """

    kind: ClassVar[str] = 'image'
    suggested: ClassVar[str] = 'present'
    encoder: ClassVar[str] = 'image'

    width: int
    """Encoder input width, pixels."""
    height: int
    """Encoder input height, pixels."""
    source_width: int
    """Width of the camera image trained on, pixels."""
    source_height: int
    crop: tuple[int, int, int, int]
    """x, y, width, height in source pixels."""
    features: int
    """Size of the encoder's output."""
    color: str = 'rgb'

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.check(
            self.kind,
            BundleError,
            width=self.width,
            height=self.height,
            source_width=self.source_width,
            source_height=self.source_height,
            features=self.features,
        )
        for pixels in (self.width * self.height, self.source_width * self.source_height):
            bounds.check(self.kind, BundleError, **{'image pixels': pixels})
        x, y, width, height = self.crop
        if min(width, height) < 1 or min(x, y) < 0:
            raise BundleError(f'image: the size of the crop must be positive, found {self.crop}')
        if x + width > self.source_width or y + height > self.source_height:
            raise BundleError(
                f'image: crop {self.crop} must lie within the source image '
                f'{self.source_width}x{self.source_height}'
            )
        if self.color != 'rgb':
            raise BundleError(f"image: color must be 'rgb', found {self.color!r}")

    @property
    def core_width(self) -> int:
        return self.features

    def elements(self) -> tuple[Element, ...]:
        return ()

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        topic = 'image_raw' if name == cls.kind else f'{name}/image_raw'
        return (Source(topic, (RAW, COMPRESSED), suffixes=('', '/compressed')),)

    @classmethod
    def suggest(
        cls, message: Serialized, msgtype: str, *, rate: float, max_age: float
    ) -> ImageSpec:
        """All of the image but its top, in a size that one slow core can encode."""
        image = ImageReader().take('', message, msgtype).value
        height, width = image.shape[:2]
        top = round(height * SKY)
        if not 1 / STRIP <= (height - top) / width <= STRIP:
            raise ConfigError(
                f'images of {width}x{height} are a strip, of which nobody can guess what a '
                'policy should see: say so with signals.inputs in a recipe'
            )
        return cls(
            rate=rate,
            max_age=max_age,
            width=WIDTH,
            height=round(WIDTH * (height - top) / width),
            source_width=width,
            source_height=height,
            crop=(0, top, width, height - top),
            features=FEATURES,
        )

    def describe(self) -> str:
        x, y, width, height = self.crop
        return (
            f'{self.color.upper()} {self.width}x{self.height}, from {width}x{height} at '
            f'({x}, {y}) of a {self.source_width}x{self.source_height} image'
        )

    def mirrored(self, values: NDArray[Any]) -> NDArray[Any]:
        """Of [..., height, width, 3]."""
        return values[..., ::-1, :]

    def reader(self) -> Reader:
        return ImageReader()

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        height, width = value.shape[:2]
        message = Writer()
        message.header(stamp_ns, frame_id)
        message.put('I', height, width)
        message.string('rgb8')
        message.put('B', 0)
        message.put('I', 3 * width)
        message.blob(np.ascontiguousarray(value, np.uint8).tobytes())
        return {'': (RAW, message.done())}

    def made_up(self, rng: np.random.Generator) -> NDArray[Any]:
        """Any image of the encoder's size."""
        return rng.integers(0, 256, (self.height, self.width, 3), dtype=np.uint8)

    def refusal(self, value: NDArray[Any]) -> str:
        """Whether it fits is told where it is cut: another resolution may."""
        return ''


class ImageReader:
    """Undoes the transport's encoding; the image is as the camera took it."""

    def __init__(self) -> None:
        # OpenCV is for those who decode; a contract is read without it.
        from liquid_control.common import image

        self._image = image

    def take(self, role: str, message: Serialized, msgtype: str) -> Reading:
        if msgtype == COMPRESSED:
            cursor = Cursor(message, 'sensor_msgs/CompressedImage')
            stamp_ns, form = cursor.header(), cursor.string()
            return Reading(stamp_ns, self._image.decode_compressed(cursor.blob(), form))
        cursor = Cursor(message, 'sensor_msgs/Image')
        stamp_ns = cursor.header()
        height, width = cursor.take('II', 4)
        encoding = cursor.string()
        cursor.take('B', 1)  # is_bigendian
        (step,) = cursor.take('I', 4)
        rgb = self._image.to_rgb(encoding, width, height, step, cursor.blob())
        return Reading(stamp_ns, rgb)
