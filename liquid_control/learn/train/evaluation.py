# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How well a trained network gives the recorded commands, and what follows where it does not."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from liquid_control.contract.commands import FORWARD
from liquid_control.learn.data.sequences import whole
from liquid_control.learn.data.split import Split
from liquid_control.learn.data.spread import Spread
from liquid_control.learn.export.parity import run_network
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.scores import scores
from liquid_control.nn.ensemble import AnyPolicy

# R² on the training data themselves below which a network has hardly learnt, whatever they are.
POOR = 0.5

Metrics = dict[str, dict[str, float | str]]


@dataclass(frozen=True)
class TrainingEvaluation:
    """What training came to.

    Attributes:
        metrics: 'training, speed' and so on -> scores, see `scores`.
        notes: command -> what a person has to know of it, where it was not learnt well.
    """

    metrics: Metrics
    notes: dict[str, str]


def evaluate(
    network: AnyPolicy, split: Split, recipe: Recipe, spread: Spread
) -> TrainingEvaluation:
    """Score all parts; a speed that is worse than its own mean gives way to that mean.

    Nothing of the kind is done for steering: no constant can stand in for it.
    """
    metrics = _metrics(network, split, recipe)
    notes = {}
    held = False
    for index, command in enumerate(recipe.signals.commands):
        name, mean = command.name, float(spread.mean[index])
        part = 'validation' if split.validation else 'training'
        score = metrics[f'{part}, {name}']
        r2 = score['r2']
        if isinstance(r2, str) or r2 > 0:
            continue
        words = f'{name} was not learnt: R² {r2:.2f} on the {part} data, worse than a constant'
        if name in FORWARD and float(score['rmse']) >= spread.deviation[index]:
            for member in network.members:
                member.hold(index, mean)
            held = True
            notes[name] = f'{words}; the policy gives its mean, {mean:.3g} {command.unit}, always'
        else:
            notes[name] = f'{words}; do not rely on it: record more, or train longer (--epochs)'
    for command in recipe.signals.commands:
        r2 = metrics[f'training, {command.name}']['r2']
        if r2 == 'constant':
            notes[command.name] = (
                f'{command.name} never changes in what was learnt from: the policy gives that '
                'value, whatever it sees'
            )
        if command.name not in notes and isinstance(r2, float) and r2 < POOR:
            notes[command.name] = (
                f'{command.name} was hardly learnt: R² {r2:.2f} on the training data themselves; '
                'train longer (--epochs), with another --set fit.learning_rate or more --neurons, '
                'and look whether what the policy sees can tell the command'
            )
    return TrainingEvaluation(_metrics(network, split, recipe) if held else metrics, notes)


def _metrics(network: AnyPolicy, split: Split, recipe: Recipe) -> Metrics:
    period_ns = round(1e9 / recipe.control_rate)
    metrics: Metrics = {}
    for part, episodes in split.parts.items():
        if not episodes:
            continue
        given, recorded = [], []
        for episode in episodes:
            steps = whole(episode, period_ns, recipe.weights)
            given.append(torch.from_numpy(run_network(network, steps)))
            recorded.append(steps.commands)
        found = scores(torch.cat(given), torch.cat(recorded), recipe.signals.commands)
        metrics |= {f'{part}, {name}': score for name, score in found.items()}
    return metrics
