# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The whole drive as a film: what the camera shows, where the encoder looks, what neurons do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.image import Pixels
from liquid_control.contract.contract import Contract
from liquid_control.evaluate.explain.drive import Drive, Floats
from liquid_control.runtime.sensing.overlay import tinted

# Of a image in the film, pixels; and of the strip of neurons below.
_PICTURE, _STRIP, _LINE = 384, 24, 22
_INK, _PAPER = (240, 240, 240), 24
_BELOW, _ABOVE = np.array([33, 102, 172]), np.array([178, 24, 43])


def write_film(
    drive: Drive,
    contract: Contract,
    path: Path,
    *,
    on_tick: Callable[[int], None] = lambda count: None,
) -> None:
    """An MP4 file at the rate of the ticks; the name is given when it is whole.

    Raises:
        LiquidControlError: OpenCV cannot write such files here.
    """
    partial = path.with_name(f'.{path.stem}.partial.mp4')
    writer = None
    rate = contract.control_rate
    activity = _standardised(drive.states)
    try:
        for tick in range(len(drive)):
            frame = _frame(drive, contract, activity, tick)
            if writer is None:
                height, width = frame.shape[:2]
                code = cv2.VideoWriter.fourcc(*'mp4v')
                writer = cv2.VideoWriter(str(partial), code, rate, (width, height))
                if not writer.isOpened():
                    raise LiquidControlError(
                        f'{path}: this OpenCV writes no MP4: take opencv-python-headless from '
                        'PyPI, or leave the film out with --no-film'
                    )
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            on_tick(tick + 1)
        if writer is not None:
            writer.release()
            partial.replace(path)
    finally:
        if writer is not None:
            writer.release()
        partial.unlink(missing_ok=True)


def side_by_side(image: Pixels, mask: Floats | None, width: int = _PICTURE) -> Pixels:
    """A image, and the same with colour where the encoder looks, each `width` pixels wide."""
    height = round(width * image.shape[0] / image.shape[1])
    large = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
    parts = [large]
    if mask is not None:
        weight = cv2.resize(np.asarray(mask, np.float32), (width, height))
        parts.append(tinted(np.asarray(large, np.uint8), np.asarray(weight, np.float32)))
    return np.asarray(np.concatenate(parts, axis=1), np.uint8)


def _frame(drive: Drive, contract: Contract, activity: Floats, tick: int) -> Pixels:
    shown = []
    for name, images in drive.images.items():
        index = drive.frames[name][tick]
        masks = drive.masks.get(name)
        shown.append(side_by_side(images[index], None if masks is None else masks[index]))
    width = max(each.shape[1] for each in shown)
    shown = [_wide(each, width) for each in shown]
    shown.append(_strip(activity[tick], width))
    line = np.full((_LINE, width, 3), _PAPER, np.uint8)
    told = '  '.join(
        f'{spec.name} {value:+.2f}'
        for spec, value in zip(contract.commands, drive.commands[tick], strict=True)
    )
    text = f'{drive.time[tick]:6.2f} s  {told}'
    cv2.putText(line, text, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    frame = np.concatenate([*shown, line])
    # Codecs want even sides.
    height, width = (side - side % 2 for side in frame.shape[:2])
    return np.ascontiguousarray(frame[:height, :width])


def _strip(activity: Floats, width: int) -> Pixels:
    """Neurons side by side: blue below their mean, red above it."""
    share = np.minimum(np.abs(activity), 1)[:, None]
    colours = np.where(activity[:, None] > 0, _ABOVE, _BELOW) * share + 255 * (1 - share)
    cells = np.asarray(colours, np.uint8)[None]
    size = (width, _STRIP)
    return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _wide(image: Pixels, width: int) -> Pixels:
    missing = width - image.shape[1]
    return np.pad(image, ((0, 0), (0, missing), (0, 0)))


def _standardised(states: Floats) -> Floats:
    """About -1 to 1."""
    spread = np.maximum(states.std(axis=0), 1e-6)
    return np.asarray(np.tanh((states - states.mean(axis=0)) / spread))
