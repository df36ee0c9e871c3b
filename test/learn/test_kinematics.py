# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a first recording tells of the robot, and that what it does not tell is said."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from support import recordings as rec
from support.ackermann import ACKERMANN, ackermann_workspace

from liquid_control.learn.data.infer import infer_signals


def angle(seconds: float) -> float:
    return 0.3 * math.sin(2 * seconds)


def odometry(at: int, speed: float, yaw_rate: float) -> rec.Entry:
    twist = {'linear': {'x': speed}, 'angular': {'z': yaw_rate}}
    return rec.Entry(rec.START_NS + at, rec.ODOM, {'twist': {'twist': twist}})


def write(path: Path, *entries: list[rec.Entry], **types: str) -> Path:
    """A bag of ten seconds of IMU, and these entries."""
    seen = [rec.imu_entry(rec.START_NS + at) for at in times(10.0, 10)]
    every = [entry for part in (seen, *entries) for entry in part]
    return rec.write_bag(path, sorted(every, key=lambda entry: entry.stamp_ns), **types)


def times(seconds: float, period_ms: int = 50) -> range:
    return range(0, round(seconds * 1e9), period_ms * 1_000_000)


def twists(command) -> list[rec.Entry]:
    return [rec.command_entry(rec.START_NS + at, *command(at / 1e9)) for at in times(10.0)]


def steered(wheelbase: float | None) -> tuple[list[rec.Entry], list[rec.Entry]]:
    """Ackermann commands, and the odometry of a car that follows them a tenth of a second late."""
    commands, moved = [], []
    for at in times(10.0):
        drive = {'steering_angle': angle(at / 1e9), 'speed': 2.0}
        commands.append(rec.Entry(rec.START_NS + at, '/drive', {'drive': drive}))
        if wheelbase is not None:
            turn = 2.0 * math.tan(angle(at / 1e9 - 0.1)) / wheelbase
            moved.append(odometry(at, 2.0, turn))
    return commands, moved


@pytest.mark.parametrize('wheelbase', [0.325, 2.7])
def test_the_wheelbase_is_estimated_from_steering_and_odometry(
    tmp_path: Path, wheelbase: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ackermann_workspace(tmp_path / 'ros', monkeypatch)
    said: list[str] = []
    bag = write(tmp_path / 'bag', *steered(wheelbase), drive=ACKERMANN)
    found = infer_signals([bag], on_status=said.append)
    assert found.command_names == ('steering_angle', 'speed')
    assert found.wheelbase == pytest.approx(wheelbase, rel=0.15)
    assert [line for line in said if 'wheelbase' in line] == [
        f'wheelbase: {found.wheelbase:g} m, by the recorded steering angles and odometry'
    ]


def test_an_assumed_wheelbase_is_said_and_a_stated_one_is_taken(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag', twists(lambda t: (1.0, math.sin(t))))
    said: list[str] = []
    assert infer_signals([bag], on_status=said.append).wheelbase == 0.325
    text = next(text for text in said if text.startswith('wheelbase'))
    assert '0.325 m is assumed' in text
    assert '--set signals.wheelbase=' in text
    said.clear()
    stated = infer_signals([bag], on_status=said.append, wheelbase=1.0)
    assert stated.wheelbase == 1.0
    assert not any('wheelbase' in text for text in said)
    # The range of the angle is by that wheelbase.
    assert stated.commands[0].max == pytest.approx(1.2 * math.atan(1.0), abs=0.05)


def test_angles_that_nothing_compares_with_need_no_wheelbase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ackermann_workspace(tmp_path / 'ros', monkeypatch)
    said: list[str] = []
    infer_signals(
        [write(tmp_path / 'bag', *steered(None), drive=ACKERMANN)], on_status=said.append
    )
    assert not any('wheelbase' in line for line in said)


def test_one_absurd_command_does_not_stretch_a_range(tmp_path: Path) -> None:
    def spike(seconds: float) -> tuple[float, float]:
        absurd = {3.0: (90.0, 0.1), 4.0: (math.inf, 0.1), 5.0: (1.0, math.nan)}
        return absurd.get(seconds, (1.0, math.sin(seconds)))

    said: list[str] = []
    found = infer_signals([write(tmp_path / 'bag', twists(spike))], on_status=said.append)
    assert [command.max for command in found.commands] == pytest.approx([0.4, 1.5])
    assert any('go up to 90 m/s, the others to 1' in text for text in said)


def test_a_rate_is_that_of_while_messages_come(tmp_path: Path) -> None:
    late = [rec.command_entry(rec.START_NS + at + 600_000_000_000, 1.0, 0.1) for at in times(2.0)]
    seen = [rec.imu_entry(rec.START_NS + at + 600_000_000_000) for at in times(2.0, 10)]
    bag = write(tmp_path / 'bag', twists(lambda t: (1.0, math.sin(t))), late, seen)
    imu = infer_signals([bag]).inputs['imu']
    assert imu.rate == pytest.approx(100.0)
