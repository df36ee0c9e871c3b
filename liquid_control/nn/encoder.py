"""The image encoder: one camera picture to a few bounded features, fast on one CPU core."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Channels after each convolution; every one halves the picture.
CHANNELS = (16, 24, 32, 48)
# Smallest deviation of the pixels that counts as a picture, as a share of full scale.
DEVIATION_FLOOR = 0.02


class ImageEncoder(nn.Module):
    """Four strided convolutions and a linear layer, about 3 million multiplications a picture.

    Each picture is standardised by its own mean and deviation, so that exposure and light cancel
    out before the first layer. There is no batch normalisation: the network computes the same in
    training and on the robot. Features are normalised among themselves and end in tanh: no
    picture, however strange, can push the liquid core beyond what it saw in training.

    Args:
        height, width: picture size, pixels.
        features: number of features F.
        dropout: share of the last convolution's outputs dropped in training.
    """

    def __init__(self, height: int, width: int, features: int, dropout: float = 0.0):
        super().__init__()
        layers: list[nn.Module] = []
        channels, rows, columns = 3, height, width
        for index, wider in enumerate(CHANNELS):
            kernel = 5 if index == 0 else 3
            convolution = nn.Conv2d(channels, wider, kernel, stride=2, padding=kernel // 2)
            # Keeps the variance through all layers; torch's default loses most of it.
            nn.init.kaiming_normal_(convolution.weight, nonlinearity='relu')
            layers += [convolution, nn.ReLU()]
            channels, rows, columns = wider, (rows + 1) // 2, (columns + 1) // 2
        self.convolutions = nn.Sequential(*layers)
        self.project = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(channels * rows * columns, features),
            # Without it a few steps of training drive every feature into tanh's flat ends.
            nn.LayerNorm(features),
        )
        self.features = features

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (or float, 0 to 255) RGB [B, H, W, 3] -> features [B, F] within (-1, 1)."""
        pixels = images.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        centred = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
        # A covered lens deviates by next to nothing: the floor keeps its noise small.
        variance = centred.square().mean(dim=(1, 2, 3), keepdim=True) + DEVIATION_FLOOR**2
        return torch.tanh(self.project(self.convolutions(centred / variance.sqrt())))
