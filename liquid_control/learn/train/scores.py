# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How close given commands are to recorded ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from liquid_control.common.metrics import errors_of
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
        found, wanted = (part[known, index].double().numpy() for part in (given, recorded))
        errors = errors_of(found, wanted, constant=CONSTANT * (command.max - command.min))
        result[command.name] = {
            'mae': errors.mae,
            'rmse': errors.rmse,
            'r2': errors.r2 if errors.r2 is not None else 'constant',
        }
    return result
