# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The second opinion: what a command changes by where something is covered.

Occlusion (Zeiler and Fergus, 2014) through all that there is: encoder, core and the recurrent
state. Something is covered for some ticks, the policy is run over them again from the state that
it had before, and the command at the last one is compared. Needs the compiled graphs alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from liquid_control.contract.inputs import InputSpec, ScanSpec
from liquid_control.evaluate.explain.drive import Drive, Floats
from liquid_control.runtime.inference.policy import Policy

# Cells of the grid down a image; covered are squares of two by two of them.
GRID_ROWS = 6
# An input with more elements is covered a few at a time.
PARTS = 12

Cover = Callable[[str, Floats], Floats]
"""Input and its value at a tick -> the value in its place."""


def command_after(
    policy: Policy, drive: Drive, tick: int, hold: int, covered: Mapping[str, Cover]
) -> Floats:
    """The command [C] at a tick, had these inputs been covered at it and at `hold - 1` before."""
    first = tick - hold + 1
    policy.state = drive.states[first - 1] if first else np.zeros_like(drive.states[0])
    command = drive.commands[tick]
    for index in range(first, tick + 1):
        values = {name: values[index] for name, values in drive.inputs.items()}
        for name, cover in covered.items():
            values[name] = cover(name, np.asarray(index))
        command = policy.step(values, float(drive.elapsed[index]))
    return np.asarray(command)


def effect(
    policy: Policy, drive: Drive, tick: int, hold: int, covered: Mapping[str, Cover]
) -> Floats:
    """How far each command moves, as a share of its range, [C]."""
    span = np.array([spec.max - spec.min for spec in policy.contract.commands])
    moved = command_after(policy, drive, tick, hold, covered) - drive.commands[tick]
    return np.asarray(moved / span)


def image_effects(policy: Policy, drive: Drive, name: str, tick: int, hold: int) -> Floats:
    """What each cell of a image counts for: all commands' movements added, [rows, columns].

    A square is covered with the image's own mean colour; a cell has the mean of the squares
    that it is a part of.
    """
    height, width = drive.images[name].shape[1:3]
    rows, columns = GRID_ROWS, max(2, round(GRID_ROWS * width / height))
    down = np.linspace(0, height, rows + 1).round().astype(int)
    right = np.linspace(0, width, columns + 1).round().astype(int)
    total, count = np.zeros((rows, columns)), np.zeros((rows, columns))
    for row in range(rows - 1):
        for column in range(columns - 1):
            square = (slice(down[row], down[row + 2]), slice(right[column], right[column + 2]))
            moved = effect(
                policy, drive, tick, hold, {name: _covered_square(policy, drive, name, square)}
            )
            cells = np.s_[row : row + 2, column : column + 2]
            total[cells] += np.abs(moved).sum()
            count[cells] += 1
    return np.asarray(total / count)


def _covered_square(policy: Policy, drive: Drive, name: str, square: tuple[slice, slice]) -> Cover:
    features: dict[int, Floats] = {}

    def cover(_: str, index: Floats) -> Floats:
        frame = int(drive.frames[name][int(index)])
        if frame not in features:
            image = drive.images[name][frame].copy()
            image[square] = image.mean(axis=(0, 1)).round().astype(np.uint8)
            features[frame] = policy.encode_input(name, image)
        return features[frame]

    return cover


def parts_of(name: str, spec: InputSpec, width: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Parts of an input that are covered together: their name and elements.

    Of an image all features; of others the whole, then each element, or sectors side by side.
    """
    yield name, np.arange(width)
    if spec.encoder == 'image' or width == 1:
        return
    for part in np.array_split(np.arange(width), min(width, PARTS)):
        yield f'{name}/{_called(spec, part)}', part


def _called(spec: InputSpec, part: NDArray[np.int64]) -> str:
    if isinstance(spec, ScanSpec):  # from right to left
        view = math.degrees(spec.field_of_view)
        right, left = (view * edge / spec.sectors - view / 2 for edge in (part[0], part[-1] + 1))
        return f'{right:+.0f}° to {left:+.0f}°'
    names = [spec.elements()[index].name for index in (part[0], part[-1])]
    return names[0] if len(part) == 1 else ' to '.join(names)


def input_effects(policy: Policy, drive: Drive, tick: int, hold: int) -> dict[str, list[float]]:
    """Part of an input -> how far each command moves where it is as on average of the drive."""
    found = {}
    for name, spec in policy.contract.inputs.items():
        values = drive.inputs[name]
        usual = values.mean(axis=0)
        for called, part in parts_of(name, spec, values.shape[1]):

            def cover(
                _: str,
                index: Floats,
                values: Floats = values,
                usual: Floats = usual,
                part: NDArray[np.int64] = part,
            ) -> Floats:
                covered = values[int(index)].copy()
                covered[part] = usual[part]
                return np.asarray(covered)

            found[called] = effect(policy, drive, tick, hold, {name: cover}).tolist()
    return found
