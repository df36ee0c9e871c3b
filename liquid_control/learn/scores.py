"""How close given commands are to recorded ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from liquid_control.runtime.contract import CommandSpec


def scores(
    given: Tensor, recorded: Tensor, commands: Sequence[CommandSpec]
) -> dict[str, dict[str, float]]:
    """For each command: mean absolute and root mean square error in its unit, and R².

    Args:
        given, recorded: [T, C]; steps with an unknown recorded command (NaN) are left out. R² is
            NaN where the recorded command never changes.
    """
    result = {}
    for index, command in enumerate(commands):
        known = torch.isfinite(recorded[:, index])
        truth, error = recorded[known, index], (given - recorded)[known, index]
        spread = float((truth - truth.mean()).square().sum())
        result[command.name] = {
            'mae': float(error.abs().mean()),
            'rmse': float(error.square().mean().sqrt()),
            'r2': 1 - float(error.square().sum()) / spread if spread > 0 else math.nan,
        }
    return result
