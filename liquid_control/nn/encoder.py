# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Encoders: a camera image, or the ranges of a scan, to a few bounded features.

Both are fast on one CPU core.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# 'dense' weighs every place of the last map. 'keypoints' adds where in the image each of some
# channels answers: geometry, which generalises from little data.
ENCODERS = ('dense', 'keypoints')
# Channels after each convolution.
CHANNELS = (16, 24, 32, 48)
# Keypoints leave after this many of them, where places are still fine.
BEFORE_KEYPOINTS = 2
KEYPOINTS = 32
# Of the softmax over places: at 1 a new network's keypoints hardly leave the centre.
SHARPNESS = 2.0
# Of a scan's encoder, between ranges and features.
SCAN_UNITS = 128
# Smallest deviation of the pixels that counts as an image, as a share of full scale.
DEVIATION_FLOOR = 0.02


class Keypoints(nn.Module):
    """Spatial softmax: the mean place of each channel's answer, right and down within (-1, 1).

    Levine et al., End-to-end training of deep visuomotor policies, 2016.

    Args:
        height, width: of the maps.
    """

    grid: Tensor

    def __init__(self, height: int, width: int):
        super().__init__()
        down, right = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        places = torch.cartesian_prod(down, right).flip(1)
        self.register_buffer('grid', places, persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, C, H, W] -> places [B, 2 C]."""
        return (torch.softmax(SHARPNESS * maps.flatten(2), dim=-1) @ self.grid).flatten(1)


class ImageEncoder(nn.Module):
    """Strided convolutions and a linear layer, about 3 million multiplications an image.

    Each image is standardised by its own mean and deviation, so that exposure and light cancel
    out before the first layer. There is no batch normalisation: the network computes the same in
    training and on the robot. Features are normalised among themselves and end in tanh: no
    image, however strange, can push the liquid core beyond what it saw in training.

    Args:
        height, width: image size, pixels.
        features: number of features F; half of them from keypoints, where there are any.
        dropout: share of the last convolution's outputs dropped in training.
        kind: one of `ENCODERS`.
        channels: after each convolution; every one halves the image.
        keypoints: channels whose places are looked for, of the kind with keypoints.
    """

    def __init__(
        self,
        height: int,
        width: int,
        features: int,
        dropout: float = 0.0,
        kind: str = 'dense',
        *,
        channels: Sequence[int] = CHANNELS,
        keypoints: int = KEYPOINTS,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        depth, rows, columns = 3, height, width
        self.places: nn.Sequential | None = None
        places = features // 2 if kind == 'keypoints' else 0
        for index, wider in enumerate(channels):
            if places and index == BEFORE_KEYPOINTS:
                self.places = nn.Sequential(
                    _convolution(depth, keypoints, kernel=3, stride=1),
                    Keypoints(rows, columns),
                    nn.Linear(2 * keypoints, places),
                    nn.LayerNorm(places),
                )
            layers += [_convolution(depth, wider, kernel=3 if index else 5), nn.ReLU()]
            depth, rows, columns = wider, (rows + 1) // 2, (columns + 1) // 2
        head = [
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(depth * rows * columns, features - places),
            # Without it a few steps of training drive every feature into tanh's flat ends.
            nn.LayerNorm(features - places),
        ]
        shared = 2 * BEFORE_KEYPOINTS if places else len(layers)
        self.convolutions = nn.Sequential(*layers[:shared])
        self.project = nn.Sequential(*layers[shared:], *head)
        self.features = features

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (or float, 0 to 255) RGB [B, H, W, 3] -> features [B, F] within (-1, 1)."""
        pixels = images.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        centred = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
        # A covered lens deviates by next to nothing: the floor keeps its noise small.
        variance = centred.square().mean(dim=(1, 2, 3), keepdim=True) + DEVIATION_FLOOR**2
        maps = self.convolutions(centred / variance.sqrt())
        features = self.project(maps)
        if self.places is not None:
            features = torch.cat([features, self.places(maps)], dim=1)
        return torch.tanh(features)


class ScanEncoder(nn.Module):
    """Two linear layers: where something is near, and how near.

    Features are normalised among themselves and end in tanh, as those of an image.

    Args:
        sectors: of the scan.
        far: range that counts as free, m.
        features: number of features F.
    """

    def __init__(self, sectors: int, far: float, features: int):
        super().__init__()
        self.far = far
        self.features = features
        self.hidden = nn.Linear(sectors, SCAN_UNITS)
        nn.init.kaiming_normal_(self.hidden.weight, nonlinearity='relu')
        self.project = nn.Linear(SCAN_UNITS, features)
        self.norm = nn.LayerNorm(features)

    def forward(self, ranges: Tensor) -> Tensor:
        """Nearest return of each sector, m, [..., sectors] -> features [..., F] in (-1, 1)."""
        nearness = 1.0 - ranges / self.far
        return torch.tanh(self.norm(self.project(torch.relu(self.hidden(nearness)))))


def _convolution(channels: int, wider: int, *, kernel: int, stride: int = 2) -> nn.Conv2d:
    layer = nn.Conv2d(channels, wider, kernel, stride=stride, padding=kernel // 2)
    # Keeps the variance through all layers; torch's default loses most of it.
    nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')
    return layer
