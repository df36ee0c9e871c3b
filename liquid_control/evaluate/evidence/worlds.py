# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The worlds that a study judges in."""

from __future__ import annotations

from liquid_control.evaluate.evidence.study import EvidenceError
from liquid_control.sim.simulator import EVALUATION_SEEDS


def unseen_worlds(count: int, seed: int) -> range:
    """So many worlds that no training sees, others for every seed.

    Raises:
        EvidenceError: there are not so many.
    """
    first = 100 * seed
    if count < 1 or seed < 0 or first + count > len(EVALUATION_SEEDS):
        raise EvidenceError(
            f'there are {len(EVALUATION_SEEDS)} worlds for judging, found {count} from number '
            f'{first} on: choose a smaller --seed or fewer --worlds'
        )
    return EVALUATION_SEEDS[first : first + count]
