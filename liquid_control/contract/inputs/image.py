"""A camera: which part of its picture becomes the encoder's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.cdr import Cursor, Serialized, Writer
from liquid_control.common.errors import BundleError
from liquid_control.contract import bounds
from liquid_control.contract.inputs.base import Element, InputSpec, Reader, Reading, Source

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


@dataclass(frozen=True, kw_only=True)
class ImageSpec(InputSpec):
    """A camera's picture, cut and resized.

    The crop is in pixels of the camera the policy was trained on. A camera of the same aspect
    ratio and another resolution is fine, the crop is scaled; any other picture is refused.
    """

    kind: ClassVar[str] = 'image'
    encoder: ClassVar[str] = 'image'

    width: int
    """Encoder input width, pixels."""
    height: int
    """Encoder input height, pixels."""
    source_width: int
    """Width of the camera picture trained on, pixels."""
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
                f'image: crop {self.crop} must lie within the source picture '
                f'{self.source_width}x{self.source_height}'
            )
        if self.color != 'rgb':
            raise BundleError(f"image: color must be 'rgb', found {self.color!r}")

    def elements(self) -> tuple[Element, ...]:
        return ()

    def sources(self, name: str) -> tuple[Source, ...]:
        usual = 'image_raw' if name == self.kind else f'{name}/image_raw'
        return (Source(self.topic or usual, (RAW, COMPRESSED), suffixes=('', '/compressed')),)

    def reader(self) -> Reader:
        return _ImageReader()

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

    def refusal(self, value: NDArray[Any]) -> str:
        """Whether it fits is told where it is cut: another resolution may."""
        return ''


class _ImageReader:
    """Undoes the transport's encoding; the picture is as the camera took it."""

    def __init__(self) -> None:
        # OpenCV is for those who decode; a contract is read without it.
        from liquid_control.common import image

        self._image = image

    def take(self, role: str, message: Serialized, msgtype: str) -> Reading | None:
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
