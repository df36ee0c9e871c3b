# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shipped policy of the rover, driven as on the robot through rooms it has never seen."""

from __future__ import annotations

from liquid_control.common.assets import SIMULATED, find_bundle
from liquid_control.evaluate.evidence.goals import ROBOT, ROOMS, drive
from liquid_control.rollout.reaching import REACHED


def test_the_shipped_policy_reaches_a_goal_among_people_without_touching_anything() -> None:
    policy = str(find_bundle(SIMULATED[ROBOT]))
    driven = drive({'policy': policy, 'digest': '', 'rooms': next(iter(ROOMS)), 'seed': 5000})
    assert driven['outcome'] == REACHED
    assert driven['driven'] < 1.3 * driven['expert']
