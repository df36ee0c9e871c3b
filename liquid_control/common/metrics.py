# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How far values are from those wanted: the errors that replays and trainings report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Errors:
    """In the unit of the values.

    Attributes:
        mae: mean absolute error.
        rmse: root of the mean squared error.
        r2: share of the wanted values' variance that is explained; None where they never change.
    """

    mae: float
    rmse: float
    r2: float | None


def errors_of(
    found: NDArray[np.float64], wanted: NDArray[np.float64], *, constant: float
) -> Errors:
    """Errors of one or more values [T].

    Args:
        constant: a deviation up to which wanted values count as never changing.
    """
    error = found - wanted
    mean_square, deviation = float(np.mean(error**2)), float(wanted.std())
    return Errors(
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(mean_square)),
        r2=1 - mean_square / deviation**2 if deviation > constant else None,
    )
