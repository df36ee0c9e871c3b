# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small networks, steps to judge them on, and bundles of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from liquid_control.contract.contract import CommandSpec, Contract
from liquid_control.contract.inputs import ImageSpec, ImuSpec, InputSpec
from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.export.exporter import export_bundle
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork

COMMANDS = (
    CommandSpec('steering_angle', 'rad', -0.5, 0.5),
    CommandSpec('speed', 'm/s', 0.0, 3.0),
)
HEIGHT, WIDTH, FEATURES = 24, 48, 8
IMAGE = ImageSpec(
    width=WIDTH,
    height=HEIGHT,
    source_width=96,
    source_height=72,
    crop=(0, 24, 96, 48),
    rate=30.0,
    max_age=0.3,
    features=FEATURES,
)
INPUTS: dict[str, InputSpec] = {'image': IMAGE, 'imu': ImuSpec(rate=200.0, max_age=0.1)}
PROVENANCE = {
    'description': 'Follows a stripe.',
    'command': 'liquid-control train bags/stripe --out models/stripe',
    'datasets': [{'bag': 'stripe', 'sha256': 'c0ffee'}],
    'metrics': {'test, steering_angle': {'mae': 0.125, 'r2': 0.875}},
    'seed': 7,
}


def make_network(cell: str = 'cfc', seed: int = 0, **changes: object) -> PolicyNetwork:
    torch.manual_seed(seed)
    options: dict = {'neurons': 12, 'inputs': INPUTS, **changes}
    return PolicyNetwork(NetworkConfig(commands=COMMANDS, cell=cell, **options))


def make_steps(count: int = 60, height: int = HEIGHT, width: int = WIDTH) -> Steps:
    """A bright stripe that wanders, with an IMU that feels it."""
    rng = np.random.default_rng(1)
    place = 0.5 + 0.4 * np.sin(np.arange(count) / 7)
    images = rng.integers(40, 80, (count, height, width, 3), dtype=np.uint8)
    for image, share in zip(images, place, strict=True):
        column = int(share * (width - 6))
        image[:, column : column + 6] += 150
    imu = np.concatenate([rng.normal(size=(count, 5)), place[:, None]], axis=1)
    return Steps(
        inputs={
            'image': torch.from_numpy(images),
            'imu': torch.from_numpy(imu.astype(np.float32)),
        },
        elapsed=torch.from_numpy(rng.uniform(0.02, 0.1, count).astype(np.float32)),
        commands=torch.zeros(count, 2),
        weights=torch.ones(count),
    )


def write(path: Path, network: PolicyNetwork | None = None, **changes: object) -> Contract:
    options: dict = {
        'name': 'stripe',
        'control_rate': 20.0,
        'elapsed_range': (0.005, 0.25),
        'steps': make_steps(),
        'provenance': PROVENANCE,
        **changes,
    }
    return export_bundle(network or make_network(), path=path, **options)
