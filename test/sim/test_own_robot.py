# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""docs/robots.md is true: its robot is built from its URDF file, strafes, and is recorded."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liquid_control.bags.reader import BagReader
from liquid_control.rollout.collect import PlannedDrive, record
from liquid_control.rollout.tasks import TASKS, open_task
from liquid_control.sim.protocols import Pose
from liquid_control.sim.robots import ROBOTS

PAGE = Path(__file__).parents[2] / 'docs' / 'robots.md'


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The page's code, run beside its URDF file."""
    blocks = re.findall(r'```(xml|python)\n(.*?)```', PAGE.read_text(), re.S)
    (tmp_path / 'my_base.urdf').write_text(next(text for kind, text in blocks if kind == 'xml'))
    names: dict[str, Any] = {'__name__': 'my_robot', '__file__': str(tmp_path / 'my_robot.py')}
    source = '\n'.join(text for kind, text in blocks if kind == 'python')
    monkeypatch.setitem(ROBOTS, 'omni', None)  # both are taken out again
    monkeypatch.setitem(TASKS, 'omni', None)
    exec(compile(source, 'docs/robots.md', 'exec'), names)
    return names


def test_it_strafes_and_turns_at_once(example: dict[str, Any]) -> None:
    with example['simulate_omni'](3, difficulty={'furniture': 0.0, 'movers': 0.0}) as simulator:
        simulator.reset(Pose(1.0, 1.5, math.pi / 2))
        command = {'velocity_x': 0.0, 'velocity_y': -0.3, 'yaw_rate': 0.0}
        simulator.step(command, 2_000_000_000)
        motion = simulator.motion
        assert (motion.x, motion.y) == pytest.approx((1.6, 1.5), abs=0.03)
        assert motion.velocity_y == pytest.approx(-0.3, abs=0.01)
        simulator.step(command | {'yaw_rate': 0.8}, 500_000_000)
        assert simulator.motion.yaw_rate == pytest.approx(0.8, abs=0.05)


def test_its_expert_reaches_the_goal_and_its_recording_says_so(
    example: dict[str, Any], tmp_path: Path
) -> None:
    with open_task('omni', 4, {'movers': 0.0}) as task:
        while not task.over and not task.simulator.status.problem:
            task.simulator.step(task.expert(), 100_000_000)
        assert task.simulator.status.problem == ''
    with BagReader(record(PlannedDrive(4, 2.0, robot='omni'), tmp_path)) as reader:
        assert sorted(reader.topics) == ['/cmd_vel', '/goal_pose', '/odom', '/scan']
        sideways = [m.value.twist.linear.y for m in reader.messages(['/cmd_vel'])]
        scan = np.array(next(iter(reader.messages(['/scan']))).value.ranges)
    assert np.abs(sideways).max() > 0.1
    assert scan.min() > example['RADIUS']  # it does not see itself
