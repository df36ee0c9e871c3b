# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""int8 weights and activations for an encoder graph, scaled on recorded images."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class _Images(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: NDArray[np.uint8]):
        self._rest: Iterator[NDArray[np.uint8]] = iter(images)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self._rest, None)
        return None if image is None else {'image': image[None]}


def quantize_encoder(model: onnx.ModelProto, images: NDArray[np.uint8]) -> onnx.ModelProto:
    """The same graph with its products in int8; standardisation and tanh stay in float32.

    Weights use 7 bits, one scale for each channel: x86 processors without VNNI would overflow
    on 8.

    Args:
        model: from `encoder_model`.
        images: uint8 [N, H, W, 3] RGB, typical ones: they set the scales of the activations.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, 'float.onnx'), Path(folder, 'int8.onnx')
        onnx.save(model, source)
        logging.disable(
            logging.WARNING
        )  # it suggests shape inference, which `model` has no use for
        try:
            quantize_static(
                source,
                target,
                _Images(images),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=['Conv', 'Gemm'],
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(target)
