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
