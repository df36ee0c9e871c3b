# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""An arm, on a virtual clock: it starts from where it is, and a stop holds its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.runners import Drive

from liquid_control.common.errors import ConfigError
from liquid_control.contract.inputs import ImuSpec, JointsSpec, Reading
from liquid_control.contract.modes import Mode
from liquid_control.contract.robot import CommandLimits, Robot

LIMITS = {
    'elbow/position': CommandLimits(-1.5, 1.5, max_rate=1.0),
    'wheel/velocity': CommandLimits(-9.0, 9.0, max_rate=20.0),
}
JOINTS = JointsSpec(rate=100.0, max_age=0.2, joints=('wheel', 'elbow'), velocities=False)


class Arm(Drive):
    """Its elbow is where it was put, and not where it is told to be."""

    elbow = 1.2

    def __init__(self, path: Path) -> None:
        commands = ('elbow/position', 'wheel/velocity')
        super().__init__(path, Robot('arm', LIMITS), inputs={'joints': JOINTS}, commands=commands)

    def sense(self) -> None:
        reading = Reading(self.now, np.float32([0.0, self.elbow]))
        self.controller.runner.sensors.put('joints', reading, self.now)


def test_an_arm_starts_from_where_it_is_and_not_from_zero(tmp_path: Path) -> None:
    arm = Arm(tmp_path)
    arm.engage()
    assert arm.tick().command[0] == pytest.approx(1.2, abs=1.0 * 0.05 + 1e-6)


def test_a_stop_holds_its_place_and_brakes_its_wheels(tmp_path: Path) -> None:
    arm = Arm(tmp_path)
    arm.engage()
    place, _ = arm.tick(20).command
    arm.controller.stop('test')
    for _ in range(20):
        tick = arm.tick()
        assert tick.command[0] == place
    assert tick.command[1] == 0.0
    assert arm.controller.halt() == (place, 0.0)


def test_engaged_again_it_starts_from_where_it_was_put_meanwhile(tmp_path: Path) -> None:
    arm = Arm(tmp_path)
    arm.engage()
    arm.tick(20)
    arm.controller.disengage()
    arm.tick(20)
    assert arm.controller.mode is Mode.DISENGAGED
    arm.elbow = -1.0
    arm.engage()
    assert arm.tick().command[0] == pytest.approx(-1.0, abs=1.0 * 0.05 + 1e-6)


def test_a_policy_that_does_not_see_the_joint_is_refused(tmp_path: Path) -> None:
    imu = {'imu': ImuSpec(rate=100.0, max_age=0.2)}
    with pytest.raises(ConfigError, match='commands elbow/position and does not see it'):
        Drive(tmp_path, Robot('arm', LIMITS), inputs=imu, commands=('elbow/position',))
