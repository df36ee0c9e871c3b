# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Changes to a training window's images, with commands that are true of what is seen then.

Light and camera differ from drive to drive and hardly within a second or two: each change is
drawn once per window and applied to all its frames. Only the pixel noise is new in every frame.
Everything stays uint8, through OpenCV: a training step must not wait for its images.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from liquid_control.contract.commands import TURNING, axis_of
from liquid_control.learn.data.episode import image_names
from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.train.recipe import Augment

Images = NDArray[np.uint8]


def augment(steps: Steps, spec: Augment, signals: Signals, rng: np.random.Generator) -> Steps:
    """A changed window; `steps` itself stays as it is.

    Args:
        steps: one window, [T, ...].
        signals: what its inputs and commands are.
        rng: of all draws.
    """
    if rng.random() < spec.flip:
        steps = mirror(steps, signals)
    if spec.turn:
        steps = turned(steps, rng.uniform(-spec.turn, spec.turn), spec, signals)
    images = {
        name: torch.from_numpy(_changed(steps.inputs[name].numpy(), spec, rng))
        for name in image_names(signals.inputs)
    }
    return replace(steps, inputs={**steps.inputs, **images})


def _changed(images: Images, spec: Augment, rng: np.random.Generator) -> Images:
    images = _light(_shift(images, spec, rng), spec, rng)
    if rng.random() < spec.cutout:
        images = _cut_out(images, rng)
    if spec.noise:
        images = _noise(images, rng.uniform(0, spec.noise), rng)
    return images


def mirror(steps: Steps, signals: Signals) -> Steps:
    """The same drive with left and right exchanged; as it is where nobody can tell how."""
    inputs = {}
    for name, spec in signals.inputs.items():
        mirrored = spec.mirrored(steps.inputs[name].numpy())
        if mirrored is None:
            return steps
        inputs[name] = torch.from_numpy(np.ascontiguousarray(mirrored))
    mirrors = [axis_of(name).mirrors for name in signals.command_names]
    if None in mirrors:
        return steps
    signs = torch.tensor([-1.0 if each else 1.0 for each in mirrors])
    return replace(steps, inputs=inputs, commands=steps.commands * signs)


def turned(steps: Steps, angle: float, spec: Augment, signals: Signals) -> Steps:
    """As if the robot had stood so much further to the left (rad) and steered back.

    A camera that turns sees everything move to one side, near or far alike.
    """
    images = {}
    for name in image_names(signals.inputs):
        image: Any = signals.inputs[name]
        focal = image.source_width / 2 / math.tan(spec.field_of_view / 2)  # source pixels per rad
        moved = round(angle * focal * image.width / image.crop[2])
        images[name] = torch.from_numpy(_aside(steps.inputs[name].numpy(), moved))
    turns = [name in TURNING for name in signals.command_names]
    commands = steps.commands - torch.tensor(turns) * (spec.turn_back * angle)
    return replace(steps, inputs={**steps.inputs, **images}, commands=commands)


def _shift(images: Images, spec: Augment, rng: np.random.Generator) -> Images:
    """The images moved by a few pixels; the gap repeats the edge."""
    if spec.shift == 0:
        return images
    down, right = rng.integers(-spec.shift, spec.shift, 2, endpoint=True)
    height = images.shape[1]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    return _aside(np.take(images, rows, axis=1), int(right))


def _aside(images: Images, right: int) -> Images:
    tall = _tall(images)
    move = np.array([[1, 0, right], [0, 1, 0]], np.float32)
    moved = cv2.warpAffine(
        tall, move, tall.shape[1::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8).reshape(images.shape)


def _light(images: Images, spec: Augment, rng: np.random.Generator) -> Images:
    """Gamma curve and colour cast, and a darkened half-plane."""
    gamma = np.exp(rng.uniform(-1, 1) * spec.gamma)
    tint = np.exp(rng.uniform(-1, 1, 3) * spec.tint)
    curve = np.linspace(0, 1, 256)[:, None] ** gamma * tint * 255
    table = np.clip(np.round(curve), 0, 255).astype(np.uint8)[None]
    count, height, width, _ = images.shape
    lit = cv2.LUT(_tall(images), table)
    if rng.random() < spec.shadow:
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
        rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
        in_shadow = np.cos(angle) * columns + np.sin(angle) * rows > offset
        light = np.where(in_shadow, round(255 * rng.uniform(0.35, 0.85)), 255).astype(np.uint8)
        light = np.repeat(light[:, :, None], 3, axis=2)
        lit = cv2.multiply(lit, np.tile(light, (count, 1, 1)), scale=1 / 255)
    return np.asarray(lit, np.uint8).reshape(images.shape)


def _cut_out(images: Images, rng: np.random.Generator) -> Images:
    """A rectangle of up to half of each side in mid grey."""
    height, width = images.shape[1:3]
    tall, wide = rng.integers(1, height // 2), rng.integers(1, width // 2)
    top, left = rng.integers(0, height - tall), rng.integers(0, width - wide)
    images = images.copy()
    images[:, top : top + tall, left : left + wide] = 127
    return images


def _noise(images: Images, deviation: float, rng: np.random.Generator) -> Images:
    """Pixel noise: one field of random numbers, seen through another window in each frame."""
    count, height, width, _ = images.shape
    field = rng.standard_normal((height * 2, width * 2, 3), np.float32) * deviation
    field = np.round(field).astype(np.int16)
    noisy = np.empty_like(images)
    for frame in range(count):
        top, left = rng.integers(0, height), rng.integers(0, width)
        patch = field[top : top + height, left : left + width]
        cv2.add(images[frame], patch, dst=noisy[frame], dtype=cv2.CV_8U)
    return noisy


def _tall(images: Images) -> Images:
    """All frames as one tall image: OpenCV is fast within a call and slow between them."""
    return images.reshape(-1, *images.shape[2:])
