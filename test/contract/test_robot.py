# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Robot files: read strictly, with numbers that a robot can have."""

import os
from pathlib import Path

import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.contract.robot import Robot

GOOD = (Path(__file__).parents[2] / 'config' / 'robots' / 'simulated_car.yaml').read_text()


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('wheelbase: 0.325', 'wheelbase: 1.0e-300', 'wheelbase must be within'),
        ('wheelbase: 0.325', 'wheelbase: .nan', 'wheelbase must be within'),
        ('wheelbase: 0.325', 'wheelbase: 0x' + 'f' * 5000, 'no number of at most'),
        ('max_rate: 3.0', 'max_rate: .inf', 'max_rate must be within'),
        ('max_rate: 3.0', 'max_rate: 0.0', 'max_rate must be within'),
        ('max: 2.5', 'max: 1.0e+300', 'speed: min and max must be within'),
        ('name: simulated_car', 'name: "\\uD800"', 'half a character'),
        ('name: simulated_car', 'name: [', 'not valid YAML'),
        ('name: simulated_car', '#' * 100_000, 'at most 65536 bytes'),
    ],
)
def test_impossible_robot_is_refused_by_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    file = tmp_path / 'robot.yaml'
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        Robot.load(file)


def test_what_is_no_robot_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe')
    for path in (tmp_path / 'pipe', tmp_path, tmp_path / 'nowhere', 'a\0b'):
        with pytest.raises(ConfigError, match='robot file'):
            Robot.load(path)


DRONE = """
name: drone
limits:
  velocity_x: {min: -1.0, max: 2.0, max_rate: 1.0}
  velocity_z: {min: -0.5, max: 1.0, max_rate: 1.0}
land: {after: 10.0, speed: 0.4}
fence: {radius: 10.0, height: [0.5, 4.0], tilt: 0.6}
"""


def test_a_robot_without_steered_wheels_has_no_wheelbase(tmp_path: Path) -> None:
    file = tmp_path / 'drone.yaml'
    file.write_text(DRONE)
    robot = Robot.load(file)
    assert robot.wheelbase is None
    assert robot.land is not None
    assert robot.fence is not None
    assert (robot.land.speed, robot.fence.height) == (0.4, (0.5, 4.0))
    file.write_text(GOOD.replace('wheelbase: 0.325', ''))
    with pytest.raises(ConfigError, match='needs its wheelbase'):
        Robot.load(file)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('speed: 0.4', 'speed: 0.6', 'limits.velocity_z.min of at most -0.6'),
        ('after: 10.0', 'after: -1.0', 'after must be within'),
        ('speed: 0.4', 'speed: .nan', 'sinking speed must be within'),
        ('radius: 10.0', 'radius: 0.0', 'radius must be within'),
        ('[0.5, 4.0]', '[4.0, 0.5]', 'two increasing numbers'),
        ('tilt: 0.6', 'tilt: 3.0', 'tilt must be within'),
        ('tilt: 0.6', 'tilt: 0.6, max_age: 9.0', 'max_age must be within'),
        ('velocity_x', 'velocity', 'no command is called'),
        ('min: -1.0, max: 2.0', 'min: 0.5, max: 2.0', 'min <= 0 <= max is needed'),
        ('min: -1.0, max: 2.0', 'min: 2.0, max: 2.0', 'min < max is needed'),
        ('velocity_z: {min: -0.5', 'yaw_rate: {min: -0.5', 'limits.velocity_z.min'),
    ],
)
def test_a_landing_or_fence_that_cannot_be_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in DRONE
    file = tmp_path / 'drone.yaml'
    file.write_text(DRONE.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        Robot.load(file)
