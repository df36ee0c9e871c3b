# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What policies see and learn, from messages of the types in which robots record it."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import recordings as rec
from support.ackermann import ACKERMANN, ackermann_workspace

from liquid_control.bags import samples
from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader
from liquid_control.common.errors import SensorError

WHEELBASE = 0.325
CAR = ('steering_angle', 'speed')
TURN = {'linear': {'x': 2.0}, 'angular': {'z': 1.0}}


@pytest.fixture(autouse=True)
def workspace(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    ackermann_workspace(tmp_path_factory.mktemp('workspace'), monkeypatch)


def command(tmp_path: Path, msgtype: str, values: dict, names: tuple[str, ...]) -> list[float]:
    entry = rec.Entry(rec.START_NS, '/drive', values)
    bag = rec.write_bag(tmp_path / 'bag', [entry], drive=msgtype)
    with BagReader(bag) as reader:
        return list(samples.command(next(iter(reader.messages())), names, WHEELBASE))


@pytest.mark.parametrize(
    ('msgtype', 'values'),
    [
        ('geometry_msgs/msg/Twist', TURN),
        ('geometry_msgs/msg/TwistStamped', {'twist': TURN}),
        ('nav_msgs/msg/Odometry', {'twist': {'twist': TURN}}),
        (
            ACKERMANN,
            {'drive': {'steering_angle': math.atan(WHEELBASE / 2.0), 'speed': 2.0}},
        ),
    ],
)
def test_every_kind_of_command_gives_the_same_angle_speed_and_yaw_rate(
    tmp_path: Path, msgtype: str, values: dict
) -> None:
    names = ('steering_angle', 'speed', 'yaw_rate')
    found = command(tmp_path, msgtype, values, names)
    assert found == pytest.approx([math.atan(WHEELBASE / 2.0), 2.0, 1.0], abs=1e-6)


def test_a_standing_car_keeps_its_angle_where_the_message_names_it(tmp_path: Path) -> None:
    drive = {'drive': {'steering_angle': 0.25, 'speed': 0.0}}
    assert command(tmp_path, ACKERMANN, drive, CAR) == pytest.approx([0.25, 0.0])
    twist = command(tmp_path / 'twist', 'geometry_msgs/msg/Twist', {}, CAR)
    assert math.isnan(twist[0])
    assert twist[1] == 0.0


def test_normalised_commands_come_as_they_are(tmp_path: Path) -> None:
    found = command(tmp_path, 'geometry_msgs/msg/Twist', TURN, ('steering', 'throttle'))
    assert found == [1.0, 2.0]


def test_every_axis_of_a_twist_is_told(tmp_path: Path) -> None:
    names = ('velocity_x', 'velocity_y', 'velocity_z', 'roll_rate', 'pitch_rate', 'yaw_rate')
    twist = {
        'linear': dict(zip('xyz', (1.0, 2.0, 3.0), strict=True)),
        'angular': dict(zip('xyz', (4.0, 5.0, 6.0), strict=True)),
    }
    assert command(tmp_path, 'geometry_msgs/msg/Twist', twist, names) == [1, 2, 3, 4, 5, 6]


def test_a_motion_that_the_commands_do_not_have_is_refused_but_of_odometry(tmp_path: Path) -> None:
    slide = {'linear': {'x': 1.0, 'y': 0.5}}
    with pytest.raises(SensorError, match='is commanded, which steering_angle'):
        command(tmp_path, 'geometry_msgs/msg/Twist', slide, CAR)
    odometry = {'twist': {'twist': slide}}
    assert command(tmp_path / 'odom', 'nav_msgs/msg/Odometry', odometry, CAR) == [0.0, 1.0]


def test_an_array_is_told_in_the_order_of_the_commands(tmp_path: Path) -> None:
    names, kind = ('a/position', 'b/position'), 'std_msgs/msg/Float64MultiArray'
    assert command(tmp_path, kind, {'data': [0.5, -0.5]}, names) == [0.5, -0.5]
    with pytest.raises(SensorError, match='3 numbers where 2 are commanded'):
        command(tmp_path / 'other', kind, {'data': [0.0] * 3}, names)
    with pytest.raises(SensorError, match='absurd'):
        command(tmp_path / 'absurd', kind, {'data': [0.0, 1e6]}, names)


@pytest.mark.parametrize(
    ('msgtype', 'names'),
    [
        (ACKERMANN, ('steering', 'throttle')),
        ('nav_msgs/msg/Odometry', ('steering', 'throttle')),
        (ACKERMANN, ('velocity_x', 'velocity_y')),
        ('geometry_msgs/msg/Twist', ('a/position',)),
        ('sensor_msgs/msg/Imu', ('speed',)),
    ],
)
def test_messages_that_cannot_tell_a_command_are_refused_by_type(
    msgtype: str, names: tuple[str, ...]
) -> None:
    with pytest.raises(BagError, match=r'cannot tell|carries no command'):
        samples.check_command('/topic', msgtype, names)


def test_a_message_that_commands_nothing_is_refused_by_its_type(tmp_path: Path) -> None:
    with pytest.raises(BagError, match='sensor_msgs/msg/Imu carries no command'):
        command(tmp_path, 'sensor_msgs/msg/Imu', {}, CAR)


def test_raw_and_compressed_images_are_the_same_image(tmp_path: Path) -> None:
    pixels = rec.image(3)
    png = cv2.imencode('.png', pixels[..., ::-1])[1].reshape(-1)
    entries = [
        rec.image_entry(3, rec.START_NS),
        rec.Entry(rec.START_NS, '/png', {'format': 'png', 'data': png}),
    ]
    kind = 'sensor_msgs/msg/CompressedImage'
    with BagReader(rec.write_bag(tmp_path / 'bag', entries, png=kind)) as reader:
        for message in reader.messages():
            np.testing.assert_array_equal(samples.image(reader, message), pixels)
