# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where encoders look, against the published method computed in torch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from liquid_control.common.assets import find_bundle
from liquid_control.contract.bundle import load_bundle
from liquid_control.learn.export.rebuild import load_network
from liquid_control.nn.encoder import ImageEncoder
from liquid_control.nn.onnx_export.encoder import encoder_model
from liquid_control.nn.onnx_export.quantize import quantize_encoder
from liquid_control.runtime.inference.attention import Attention
from liquid_control.runtime.sensing.overlay import overlay


def published(encoder: ImageEncoder, pixels: np.ndarray) -> np.ndarray:
    """VisualBackProp with torch's transposed convolution."""
    layers = [*encoder.convolutions, *encoder.project]
    trunk = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    maps: list[torch.Tensor] = []
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda _, __, found: maps.append(found))
    encoder(torch.from_numpy(pixels)[None])
    sizes = [pixels.shape[:2], *(each.shape[2:] for each in maps)]
    mask = torch.ones(())
    for index in reversed(range(len(maps))):
        conv, size = trunk[index], sizes[index]
        mask = maps[index].mean(dim=1, keepdim=True) * mask
        up = nn.ConvTranspose2d(1, 1, conv.kernel_size, conv.stride, conv.padding, bias=False)
        nn.init.ones_(up.weight)
        mask = up(mask, output_size=size)
    mask = mask[0, 0].detach().numpy()
    return (mask - mask.min()) / (mask.max() - mask.min())


@pytest.mark.parametrize('policy', ['track_cfc', 'quadrotor_cfc'])
@pytest.mark.parametrize('precision', ['float32', 'float16', 'int8'])
def test_attention_is_the_published_one_in_every_number_format(
    policy: str, precision: str
) -> None:
    bundle = load_bundle(find_bundle(policy))
    spec = bundle.contract.images['image']
    encoder = load_network(find_bundle(policy)).encoders['image']
    rng = np.random.default_rng(0)
    # Smooth, as images are.
    images = rng.integers(0, 256, (8, spec.height // 8, spec.width // 8, 3), dtype=np.uint8)
    images = images.repeat(8, axis=1).repeat(8, axis=2)
    if precision != 'float32':
        half = precision == 'float16'
        model = encoder_model(encoder, spec.height, spec.width, half=half)
        if precision == 'int8':
            model = quantize_encoder(model, images)
        bundle = dataclasses.replace(bundle, encoders={'image': model.SerializeToString()})
    found = Attention(bundle, 'image').look(images[0])
    expected = published(encoder, images[0])
    assert found.shape == expected.shape
    atol = {'float32': 1e-4, 'float16': 0.01, 'int8': 0.1}[precision]
    np.testing.assert_allclose(found, expected, atol=atol)


def test_overlay_shows_the_mask_in_colour_where_the_policy_looks() -> None:
    spec = load_bundle(find_bundle('track_cfc')).contract.images['image']
    camera = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    mask = np.zeros((spec.height, spec.width), np.float32)
    mask[:, : spec.width // 2] = 1
    drawn = overlay(camera, mask, spec).astype(int)
    assert drawn.shape == (240, 320, 3)
    told = drawn.max(axis=2) - drawn.min(axis=2)
    assert told[:80].max() == 0, 'above the crop there is nothing to see'
    assert told[80:, :158].min() == 255
    assert told[80:, 162:].max() == 0
