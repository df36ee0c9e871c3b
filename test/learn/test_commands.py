# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a recording decides by itself about commands, and what it asks."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from support import recordings as rec

from liquid_control.bags.errors import BagError
from liquid_control.common.errors import ConfigError, LiquidControlError
from liquid_control.learn.data.infer import infer_signals

PERIOD_NS = 50_000_000
SECONDS = 10
Twist = dict[str, float]


def drive(
    path: Path,
    command: Callable[[float], Twist],
    topic: str = rec.COMMAND,
    follows: float | None = None,
) -> Path:
    """A bag with an IMU and TwistStamped commands.

    Args:
        follows: odometry tells this share of the speed.
    """
    entries = []
    for at in range(0, SECONDS * 1_000_000_000, PERIOD_NS):
        told = command(at / 1e9)
        twist = {
            'linear': {axis: told.get(f'v{axis}', 0.0) for axis in 'xyz'},
            'angular': {axis: told.get(f'w{axis}', 0.0) for axis in 'xyz'},
        }
        stamp_ns = rec.START_NS + at
        entries += [rec.imu_entry(stamp_ns), rec.Entry(stamp_ns, topic, {'twist': twist})]
        if follows is not None:
            moved = {'linear': {'x': follows * told['vx']}, 'angular': {'z': told['wz']}}
            entries.append(rec.Entry(stamp_ns + 1, rec.ODOM, {'twist': {'twist': moved}}))
    types = {} if topic == rec.COMMAND else {topic.strip('/'): 'geometry_msgs/msg/TwistStamped'}
    return rec.write_bag(path, entries, **types)


def stick(seconds: float) -> Twist:
    """Steering that goes to its stop, and throttle."""
    return {'vx': 0.4, 'wz': max(-1.0, min(1.0, 1.5 * math.sin(seconds)))}


def car(seconds: float) -> Twist:
    return {'vx': 1.3, 'wz': 0.8 * math.sin(seconds)}


def spin(seconds: float) -> Twist:
    return {'vx': 0.0, 'wz': 1.2} if int(seconds) % 2 else {'vx': 0.5, 'wz': 0.1}


def strafe(seconds: float) -> Twist:
    return {'vx': 0.5, 'vy': 0.4 * math.sin(seconds), 'wz': 0.3}


def fly(seconds: float) -> Twist:
    return {'vx': 1.5, 'vz': 0.5 * math.cos(seconds), 'wz': 0.2 * math.sin(seconds)}


@pytest.mark.parametrize(
    ('command', 'names', 'note'),
    [
        (car, ('steering_angle', 'speed'), '--commands velocity_x,yaw_rate'),
        (spin, ('velocity_x', 'yaw_rate'), 'turns on the spot'),
        (strafe, ('velocity_x', 'velocity_y', 'yaw_rate'), 'told velocity_y'),
        (fly, ('velocity_x', 'velocity_z', 'yaw_rate'), 'told velocity_z'),
    ],
)
def test_commands_are_those_that_the_robot_is_told_and_it_is_said(
    tmp_path: Path, command: Callable[[float], Twist], names: tuple[str, ...], note: str
) -> None:
    said: list[str] = []
    found = infer_signals([drive(tmp_path / 'bag', command)], on_status=said.append)
    assert found.command_names == names
    assert any(note in text for text in said)
    assert any('wheelbase' in text for text in said) == ('steering_angle' in names)


@pytest.mark.parametrize('names', [('velocity_x', 'yaw_rate'), ('yaw_rate', 'speed')])
def test_the_other_can_be_chosen(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = infer_signals([drive(tmp_path / 'bag', car)], commands=names)
    assert found.command_names == names
    assert {spec.name: spec.max for spec in found.commands}['yaw_rate'] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ('command', 'topic'),
    [(stick, rec.COMMAND), (lambda t: {'vx': 0.4, 'wz': 0.5 * math.sin(t)}, '/donkey/drive')],
)
def test_normalised_commands_are_asked_about(
    tmp_path: Path, command: Callable[[float], Twist], topic: str
) -> None:
    bag = drive(tmp_path / 'bag', command, topic)
    with pytest.raises(
        BagError, match='--commands steering,throttle or --commands steering_angle'
    ):
        infer_signals([bag])
    found = infer_signals([bag], commands=('steering', 'throttle'))
    assert [(spec.min, spec.max, spec.unit) for spec in found.commands] == [
        (-1.0, 1.0, '1'),
        (0.0, 1.0, '1'),
    ]


def test_what_the_odometry_follows_is_not_normalised(tmp_path: Path) -> None:
    found = infer_signals([drive(tmp_path / 'bag', stick, follows=0.9)])
    assert found.command_names == ('steering_angle', 'speed')
    with pytest.raises(BagError, match='steering,throttle'):
        infer_signals([drive(tmp_path / 'other', stick, follows=5.0)])


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (('speed', 'velocity_y'), 'cannot stand together'),
        (('elbow/position',), 'no command is called|cannot tell|never moves'),
        (('velocity',), 'no command is called'),
    ],
)
def test_what_cannot_be_learnt_from_it_is_refused(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(LiquidControlError, match=message) as caught:
        infer_signals([drive(tmp_path / 'bag', car)], commands=names)
    assert isinstance(caught.value, BagError | ConfigError)


def arm(path: Path) -> Path:
    entries = []
    for at in range(0, SECONDS * 1_000_000_000, PERIOD_NS):
        values = [0.5 * math.sin(at / 1e9), 1.0]
        entries.append(rec.imu_entry(rec.START_NS + at))
        entries.append(rec.Entry(rec.START_NS + at, '/arm/commands', {'data': values}))
    return rec.write_bag(path, entries, **{'arm/commands': 'std_msgs/msg/Float64MultiArray'})


def test_joints_are_named_by_the_user(tmp_path: Path) -> None:
    bag = arm(tmp_path / 'bag')
    with pytest.raises(BagError, match='--commands shoulder/position,elbow/position'):
        infer_signals([bag])
    first, second = infer_signals([bag], commands=('a/position', 'b/position')).commands
    assert (first.min, first.max) == pytest.approx((-0.7, 0.7), abs=0.01)
    assert (second.min, second.max) == pytest.approx((0.95, 1.05))
    assert infer_signals([bag], commands=('a/velocity', 'b/velocity')).commands[0].min < 0
