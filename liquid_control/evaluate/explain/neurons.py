# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What each neuron does in a drive: activity, what it goes with, and a tree that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from liquid_control.contract.contract import Contract
from liquid_control.contract.inputs import ScanSpec
from liquid_control.evaluate.explain.drive import Drive, Floats
from liquid_control.evaluate.explain.tree import Tree, grow

# Of the ticks a tree grows on the first, and is judged by the last.
GROWN_ON = 2 / 3
# What steers a robot, where it has it.
STEERING = ('steering_angle', 'steering', 'yaw_rate', 'velocity_y')


@dataclass(frozen=True)
class Neuron:
    """One number of the state.

    Attributes:
        correlations: with each of the targets; limits: what chance alone reaches in 19 of 20
            cases, by how slowly both change.
        tree: from what is known of the world to the activity; names are those of `world`.
        told: share of the activity's variance that the tree tells in the last third; below 0:
            less than its mean would.
    """

    name: str
    mean: float
    deviation: float
    correlations: dict[str, float]
    limits: dict[str, float]
    tree: Tree
    told: float


@dataclass(frozen=True)
class Components:
    """Principal components of the activity.

    Attributes:
        shares: of the variance, each.
        scores: of the first ones over time, [T, 3].
        correlations: of the first with each target.
    """

    shares: Floats
    scores: Floats
    correlations: dict[str, float]


def steering(contract: Contract) -> str:
    """The command that steers, or the first."""
    names = contract.command_names
    return next((name for name in STEERING if name in names), names[0])


def targets(contract: Contract, drive: Drive) -> dict[str, Floats]:
    """What activity is held against: commands, and recorded motion."""
    commands = dict(zip(contract.command_names, drive.commands.T, strict=True))
    return commands | {f'measured {name}': each for name, each in drive.motion.items()}


def world(contract: Contract, drive: Drive) -> dict[str, Floats]:
    """What is known of the robot and of what it sees, finite, [T] each."""
    known = dict(drive.motion)
    for name, spec in contract.inputs.items():
        values = drive.inputs[name]
        if spec.encoder == 'image':
            frames = drive.frames[name]
            light = drive.images[name].mean(axis=(1, 2, 3))[frames]
            known[f'{name} brightness'] = light
            if name in drive.masks:
                right, down = _centres(drive.masks[name])
                known[f'{name} looks right'] = right[frames]
                known[f'{name} looks down'] = down[frames]
        elif isinstance(spec, ScanSpec):
            for where, part in zip(
                ('right', 'ahead', 'left'), np.array_split(values, 3, axis=1), strict=True
            ):
                known[f'{name} nearest {where}'] = part.min(axis=1)
        else:
            for index, element in enumerate(spec.elements()):
                known[f'{name} {element.name}'] = values[:, index]
    return {
        name: np.nan_to_num(each, nan=float(np.nanmean(each)))
        for name, each in known.items()
        if np.isfinite(each).any()
    }


def _centres(masks: Floats) -> tuple[Floats, Floats]:
    """Where attention is on average, right and down, -1 to 1."""
    height, width = masks.shape[1:]
    weight = np.maximum(masks.sum(axis=(1, 2)), 1e-9)
    right = (masks.sum(axis=1) @ np.linspace(-1, 1, width)) / weight
    down = (masks.sum(axis=2) @ np.linspace(-1, 1, height)) / weight
    return right, down


def correlation(a: Floats, b: Floats) -> tuple[float, float]:
    """Pearson's, and what chance reaches in 19 of 20 cases.

    Both change slowly, so neighbouring ticks tell the same: the number of independent ones is
    that of Bartlett's formula by the correlation of neighbours.
    """
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if len(a) < 8 or a.std() < 1e-9 or b.std() < 1e-9:
        return float('nan'), float('nan')
    found = float(np.corrcoef(a, b)[0, 1])
    with np.errstate(invalid='ignore'):  # one that moves at its first or last tick alone
        slow = np.prod([np.corrcoef(each[1:], each[:-1])[0, 1] for each in (a, b)])
    slow = float(np.clip(np.nan_to_num(slow), 0, 0.999))
    independent = max(len(a) * (1 - slow) / (1 + slow), 4.0)
    return found, float(min(1.0, 1.96 / np.sqrt(independent)))


def describe(names: Sequence[str], contract: Contract, drive: Drive) -> list[Neuron]:
    """Every number of the state."""
    held, known = targets(contract, drive), world(contract, drive)
    features = np.stack(list(known.values()), axis=1)
    grown = int(GROWN_ON * len(drive))
    found = []
    for name, activity in zip(names, drive.states.T.astype(np.float64), strict=True):
        both = {target: correlation(activity, each) for target, each in held.items()}
        tree = grow(features[:grown], activity[:grown])
        rest = activity[grown:]
        missed = ((rest - tree.predict(features[grown:])) ** 2).sum()
        about = max(float(((rest - rest.mean()) ** 2).sum()), 1e-12)
        found.append(
            Neuron(
                name=name,
                mean=float(activity.mean()),
                deviation=float(activity.std()),
                correlations={target: each[0] for target, each in both.items()},
                limits={target: each[1] for target, each in both.items()},
                tree=tree,
                told=float(1 - missed / about),
            )
        )
    return found


def components(contract: Contract, drive: Drive) -> Components:
    """Of the activity about its mean, as it is: neurons that hardly move count for little."""
    centred = drive.states - drive.states.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    scores = centred @ directions[:3].T
    first = scores[:, 0]
    return Components(
        shares=sizes**2 / max(float((sizes**2).sum()), 1e-12),
        scores=scores,
        correlations={
            name: correlation(first, each)[0] for name, each in targets(contract, drive).items()
        },
    )


def rows(neurons: Sequence[Neuron], taus: Floats | None, world_names: Sequence[str]) -> list[Any]:
    """Of the report's table; correlations within chance in brackets."""
    lines = []
    for index, neuron in enumerate(neurons):
        line: dict[str, Any] = {
            'neuron': neuron.name,
            'mean': neuron.mean,
            'deviation': neuron.deviation,
        }
        if taus is not None:
            low, middle, high = np.quantile(taus[:, index], (0.05, 0.5, 0.95))
            line['time constant, s'] = f'{middle:.3g} ({low:.2g} to {high:.2g})'
        for target, found in neuron.correlations.items():
            known = abs(found) > neuron.limits[target]
            line[f'r {target}'] = f'{found:+.2f}' if known else f'({found:+.2f})'
        line['told by tree'] = neuron.told
        line['tree'] = neuron.tree.words(world_names)
        lines.append(line)
    return lines
