# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How recorded commands are spread: the scale of their errors, and where a policy starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags.errors import BagError
from liquid_control.contract.contract import CommandSpec
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.segments import Weights
from liquid_control.learn.data.spans import contains

# What varies less than this share of half its range is as good as constant: an error in it counts
# no more than that.
LEAST = 0.05


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of each command in its unit, [C]."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def scale(self, commands: Sequence[CommandSpec]) -> NDArray[np.float64]:
        """By what errors are divided in the loss, [C]."""
        half_ranges = np.array([(command.max - command.min) / 2 for command in commands])
        return np.maximum(self.deviation, LEAST * half_ranges)


def spread(
    episodes: Sequence[Episode], weights: Weights, commands: Sequence[CommandSpec]
) -> Spread:
    """Of the commands that are learnt from, within their ranges.

    Raises:
        BagError: a command is known nowhere.
    """
    learnt = []
    for episode in episodes:
        counts = contains(episode.taught(weights), episode.command_ns)
        learnt.append(episode.commands[counts].astype(np.float64))
    low, high = np.array([(command.min, command.max) for command in commands]).T
    values = np.clip(np.concatenate(learnt), low, high)
    for index, command in enumerate(commands):
        if not np.isfinite(values[:, index]).any():
            raise BagError(
                f'{command.name} is known nowhere in what there is to learn from; record drives '
                'that have it, or name other commands in the recipe'
            )
    return Spread(np.nanmean(values, axis=0), np.nanstd(values, axis=0))
