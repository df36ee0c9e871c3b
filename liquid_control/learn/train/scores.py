"""How close given commands are to recorded ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from liquid_control.contract.contract import CommandSpec

# A command that varies less than this share of its range has no R² worth the name.
CONSTANT = 1e-3


def scores(
    given: Tensor, recorded: Tensor, commands: Sequence[CommandSpec]
) -> dict[str, dict[str, float | str]]:
    """For each command: mean absolute and root mean square error in its unit, and R².

    Args:
        given, recorded: [T, C]; steps with an unknown recorded command (NaN) are left out. Instead
            of R² stands 'constant' where the recorded command never changes, and 'unknown' where
            there is none: then there are no errors either.
    """
    result: dict[str, dict[str, float | str]] = {}
    for index, command in enumerate(commands):
        known = torch.isfinite(recorded[:, index])
        if not known.any():
            result[command.name] = {'r2': 'unknown'}
            continue
        truth, error = recorded[known, index], (given - recorded)[known, index]
        spread = float((truth - truth.mean()).square().mean().sqrt())
        varies = spread > CONSTANT * (command.max - command.min)
        result[command.name] = {
            'mae': float(error.abs().mean()),
            'rmse': float(error.square().mean().sqrt()),
            'r2': 1 - float(error.square().mean()) / spread**2 if varies else 'constant',
        }
    return result
