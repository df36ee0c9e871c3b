# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shipped flight policy, driven as on the robot: it sees, knows its fence, and holds."""

from __future__ import annotations

from liquid_control.common.assets import find_bundle
from liquid_control.evaluate.evidence.flights import TRAINING, measure
from liquid_control.sim.outdoors_world import HELD


def test_the_shipped_policy_holds_before_the_target_of_an_unseen_world() -> None:
    policy = str(find_bundle('quadrotor_cfc'))
    flown = measure({'policy': policy, 'digest': '', 'test': TRAINING, 'seed': 5000})
    assert flown['outcome'] == HELD
    assert 1.3 < flown['distance'] < 2.7
