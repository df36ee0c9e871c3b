# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Encoders as ONNX nodes: a graph of its own for an image, a few nodes of the core for a scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from torch import nn

from liquid_control.nn.encoder import (
    DEVIATION_FLOOR,
    SHARPNESS,
    ImageEncoder,
    Keypoints,
    ScanEncoder,
)
from liquid_control.nn.onnx_export.graph import FLOAT, FLOAT16, UINT8, Graph


def encoder_model(
    encoder: ImageEncoder,
    height: int,
    width: int,
    *,
    half: bool = False,
    others: Sequence[ImageEncoder] = (),
) -> onnx.ModelProto:
    """The graph of `encoder` for a batch of one: image uint8 [1, H, W, 3] -> features [1, F].

    Args:
        height, width: of the image, pixels.
        half: compute and store the layers in float16; input and output stay as they are.
        others: encoders of the same image, whose features follow.
    """
    graph = Graph({'image': ((1, height, width, 3), UINT8)})
    dtype = np.float16 if half else np.float32
    # The image as one channel: instance normalisation standardises it as a whole.
    flat = graph.add('Reshape', graph.add('Cast', 'image', to=FLOAT), _sizes(graph, 1, 1, -1))
    scale, shift = graph.constant([1.0]), graph.constant([0.0])
    floor = (255.0 * DEVIATION_FLOOR) ** 2
    flat = graph.add('InstanceNormalization', flat, scale, shift, epsilon=floor)
    x = graph.add('Reshape', flat, _sizes(graph, 1, height, width, 3))
    x = graph.add('Transpose', x, perm=[0, 3, 1, 2])
    if half:
        x = graph.add('Cast', x, to=FLOAT16)

    def through(layers: nn.Sequential, x: str) -> str:
        for layer in layers:
            x = _layer(graph, layer, x, dtype)
        return x

    parts = []
    for each in (encoder, *others):
        maps = through(each.convolutions, x)
        parts.append(through(each.project, maps))
        if each.places is not None:
            parts.append(through(each.places, maps))
    x = graph.joined(parts)
    if half:
        x = graph.add('Cast', x, to=FLOAT)
    size = sum(each.features for each in (encoder, *others))
    return graph.model('encoder', {'features': (graph.add('Tanh', x), (1, size))})


def scan_features(graph: Graph, encoder: ScanEncoder, ranges: str) -> str:
    """Nodes of `encoder` for ranges [1, sectors]; returns the name of the features [1, F]."""
    weight, bias = (
        part.detach().double().cpu().numpy()
        for part in (encoder.hidden.weight, encoder.hidden.bias)
    )
    # 1 - range / far goes into the first layer.
    x = graph.linear(ranges, -weight.T / encoder.far, (bias + weight.sum(axis=1))[None])
    x = graph.add('Relu', x)
    for layer in (encoder.project, encoder.norm):
        x = _layer(graph, layer, x, np.float32)
    return graph.add('Tanh', x)


def _layer(graph: Graph, layer: nn.Module, x: str, dtype: type[np.floating]) -> str:
    if isinstance(layer, nn.Dropout):
        return x
    if isinstance(layer, nn.ReLU):
        return graph.add('Relu', x)
    if isinstance(layer, nn.Flatten):
        return graph.add('Flatten', x, axis=1)
    if isinstance(layer, Keypoints):
        rows = graph.add('Reshape', x, _sizes(graph, 1, -1, len(layer.grid)))
        rows = graph.add('Mul', rows, graph.constant([SHARPNESS], dtype))
        places = graph.constant(layer.grid.detach().cpu().numpy(), dtype)
        x = graph.add('MatMul', graph.add('Softmax', rows, axis=-1), places)
        return graph.add('Flatten', x, axis=1)
    if not isinstance(layer, nn.Conv2d | nn.Linear | nn.LayerNorm):
        raise ValueError(f'{type(layer).__name__} has no compiled form')
    if layer.bias is None:
        raise ValueError(f'{type(layer).__name__} without a bias has no compiled form')
    weight, bias = (
        graph.constant(part.detach().cpu().numpy(), dtype) for part in (layer.weight, layer.bias)
    )
    if isinstance(layer, nn.LayerNorm):
        return graph.add('LayerNormalization', x, weight, bias, axis=-1, epsilon=layer.eps)
    if isinstance(layer, nn.Linear):
        return graph.add('Gemm', x, weight, bias, transB=1)
    return graph.add(
        'Conv', x, weight, bias, strides=layer.stride, pads=[*layer.padding, *layer.padding]
    )


def _sizes(graph: Graph, *sizes: int) -> str:
    return graph.constant(sizes, np.int64)
