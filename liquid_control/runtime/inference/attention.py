# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an encoder looks at: VisualBackProp, from the bundle's own graph.

Bojarski et al., VisualBackProp: efficient visualization of CNNs, 2016 (arXiv 1611.05418): the maps
of every convolution after its ReLU are averaged over their channels; from the last one on, the
mask is brought to the size of the maps before by a transposed convolution of ones, and multiplied
with their average; the one of the image's size is scaled to 0..1. So it tells where convolutions
find something, not what the liquid core makes of it. Of an ensemble it is the mean of the masks of
its members.

The encoder runs once more here, in a session of its own on the CPU: whoever asks for attention
takes nothing from the policy that drives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from liquid_control.common.errors import BundleError
from liquid_control.common.image import Pixels
from liquid_control.contract.bundle import Bundle
from liquid_control.contract.onnx_graph import Convolution, rectified_convolutions, with_outputs
from liquid_control.runtime.inference.providers import CPU
from liquid_control.runtime.inference.session import encoders_of
from liquid_control.runtime.sensing.image import Preprocessor

Maps = NDArray[np.float32]
"""After a layer, [C, H, W]."""
Mask = NDArray[np.float32]
"""How much each place counts, 0 to 1, [H, W]."""


class Attention:
    """The encoder of one image input, and where it looks. One thread at a time."""

    def __init__(self, bundle: Bundle, name: str) -> None:
        """Open a session.

        Raises:
            BundleError: there is no convolution with a ReLU in it, or it does not load.
        """
        graph = encoders_of(bundle)[name]
        self.spec = bundle.contract.images[name]
        self.preprocess = Preprocessor(self.spec)
        try:
            self._ways = rectified_convolutions(graph.data, where=graph.where)
            if not self._ways:
                raise BundleError('no convolution with a ReLU in it')
            # Each once: ways may begin alike.
            layers = (layer for way in self._ways for layer in way)
            self._outputs = list(dict.fromkeys(layer.output for layer in layers))
            self._session = _open(with_outputs(graph.data, self._outputs))
            image = np.zeros((self.spec.height, self.spec.width, 3), np.uint8)
            sizes = {name: maps.shape[1:] for name, maps in self._maps(image).items()}
        except Exception as error:  # ONNX Runtime raises many unrelated types
            raise BundleError(f'{graph.where} shows no attention: {error}') from error
        self._up: dict[str, tuple[Mask, Mask]] = {}
        for way in self._ways:
            before = image.shape[:2]
            for layer in way:
                after = sizes[layer.output]
                self._up[layer.output] = _up(layer, before, after)
                before = after

    def look(self, pixels: Pixels) -> Mask:
        """Where the encoder looks in its input, uint8 [H, W, 3], as the preprocessor made it."""
        maps = self._maps(pixels)
        return _scaled(np.mean([self._mask(way, maps) for way in self._ways], axis=0))

    def _mask(self, way: Sequence[Convolution], maps: dict[str, Maps]) -> Mask:
        mask = np.ones((), np.float32)
        for layer in reversed(way):
            rows, columns = self._up[layer.output]
            mask = rows @ (maps[layer.output].mean(axis=0) * mask) @ columns.T
            # Only a scale, which the end takes out again: products stay away from zero.
            mask /= max(float(mask.max()), np.finfo(np.float32).tiny)
        return _scaled(mask)

    def _maps(self, pixels: Pixels) -> dict[str, Maps]:
        found = self._session.run(self._outputs, {'image': pixels[None]})
        rectified = (np.maximum(maps[0], 0).astype(np.float32, copy=False) for maps in found)
        return dict(zip(self._outputs, rectified, strict=True))


def _scaled(mask: Mask) -> Mask:
    low, high = float(mask.min()), float(mask.max())
    return np.asarray((mask - low) / max(high - low, 1e-12), np.float32)


def _open(graph: bytes) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Never guess: a file may be readable as both of ONNX Runtime's formats.
    options.add_session_config_entry('session.load_model_format', 'ONNX')
    return ort.InferenceSession(graph, options, providers=[CPU])


def _up(layer: Convolution, before: Sequence[int], after: Sequence[int]) -> tuple[Mask, Mask]:
    """Down and right, from the maps after a layer to the size before it."""
    geometry = zip(before, after, layer.kernel, layer.strides, layer.pads, strict=True)
    rows, columns = (_transposed_ones(*axis) for axis in geometry)
    return rows, columns


def _transposed_ones(before: int, after: int, kernel: int, stride: int, pad: int) -> Mask:
    """One axis of a transposed convolution with a kernel of ones, as a matrix [before, after]."""
    place = np.arange(before)[:, None] + pad - stride * np.arange(after)[None]
    return ((place >= 0) & (place < kernel)).astype(np.float32)
