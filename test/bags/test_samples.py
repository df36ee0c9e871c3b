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


def test_a_message_that_commands_nothing_is_refused_by_its_type(tmp_path: Path) -> None:
    with pytest.raises(BagError, match='sensor_msgs/msg/Imu carries no command'):
        command(tmp_path, 'sensor_msgs/msg/Imu', {}, CAR)


def test_raw_and_compressed_pictures_are_the_same_picture(tmp_path: Path) -> None:
    pixels = rec.picture(3)
    png = cv2.imencode('.png', pixels[..., ::-1])[1].reshape(-1)
    entries = [
        rec.image_entry(3, rec.START_NS),
        rec.Entry(rec.START_NS, '/png', {'format': 'png', 'data': png}),
    ]
    kind = 'sensor_msgs/msg/CompressedImage'
    with BagReader(rec.write_bag(tmp_path / 'bag', entries, png=kind)) as reader:
        for message in reader.messages():
            np.testing.assert_array_equal(samples.picture(reader, message), pixels)
