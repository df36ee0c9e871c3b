# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The robot files that are shipped: each can be driven, and says where its figures are from."""

from __future__ import annotations

from pathlib import Path

import pytest

from liquid_control.contract.commands import axis_of, check_together
from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.robot import Robot
from liquid_control.contract.wire import FORMS
from liquid_control.runtime.control.safety import Envelope

FOLDER = Path(__file__).parents[2] / 'config' / 'robots'
FILES = sorted(FOLDER.glob('*.yaml'))
TYPES = {'f1tenth': 'ackermann', 'px4_quadrotor': 'px4_trajectory_setpoint'}


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_a_robot_can_be_driven_and_stops(file: Path) -> None:
    robot = Robot.load(file)
    assert robot.name == file.stem
    names = tuple(robot.limits)
    check_together(names)
    assert FORMS[TYPES.get(robot.name, 'twist_stamped')].carries(names)
    specs = [CommandSpec(n, axis_of(n).units[0], *_range(robot, n)) for n in names]
    envelope = Envelope(specs, robot)
    envelope.clamp([spec.max for spec in specs])
    seconds = 0.0
    while not envelope.at_rest:
        envelope.brake(0.05)
        seconds += 0.05
    assert seconds < 1.5, 'a robot that needs longer needs a reason'


def _range(robot: Robot, name: str) -> tuple[float, float]:
    return robot.limits[name].min, robot.limits[name].max


def test_there_is_one_for_each_kind_of_robot() -> None:
    assert {file.stem for file in FILES} >= {
        'simulated_car',
        'turtlebot4',
        'f1tenth',
        'donkeycar',
        'px4_quadrotor',
        'omnidirectional',
    }
