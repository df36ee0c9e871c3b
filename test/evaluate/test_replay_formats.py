# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The same drive in every kind of bag, in every kind of message, is the same replay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Rosbag2Writer
from rosbags.typesys import Stores, get_typestore
from support import recordings as rec
from support.ackermann import ACKERMANN, ackermann_workspace
from support.bundles import make_bundle

from liquid_control.bags.reader import BagReader
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.replay.bag_replay import Options, replay_bag
from liquid_control.evaluate.replay.trace import Trace
from liquid_control.runtime.inference.policy import Policy

WHEELBASE = 0.325


@pytest.fixture(scope='module')
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return Policy.load(make_bundle(tmp_path_factory.mktemp('models') / 'policy', speed=True))


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rec.write_bag(tmp_path_factory.mktemp('bags') / 'drive', rec.drive_entries(1.0))


def replayed(bag: Path, policy: Policy, **options: Any) -> Trace:
    with BagReader(bag) as reader:
        trace = replay_bag(reader, policy, Options(wheelbase=WHEELBASE, **options)).trace
    assert trace.answered.all()
    return trace


def write_sqlite3(bag: Path, path: Path) -> Path:
    store = get_typestore(Stores.ROS2_JAZZY)
    with (
        BagReader(bag) as reader,
        Rosbag2Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer,
    ):
        connections = {
            topic: writer.add_connection(topic, msgtype, typestore=store)
            for topic, msgtype in reader.topics.items()
        }
        for message in reader.messages():
            writer.write(connections[message.topic], message.log_ns, message.raw)
    assert list(path.glob('*.db3'))
    return path


def write_ros1(bag: Path, path: Path) -> Path:
    store, old = get_typestore(Stores.ROS2_JAZZY), get_typestore(Stores.ROS1_NOETIC)
    with BagReader(bag) as reader, Rosbag1Writer(path) as writer:
        connections = {
            topic: writer.add_connection(topic, msgtype, typestore=old)
            for topic, msgtype in reader.topics.items()
        }
        for message in reader.messages():
            raw = store.cdr_to_ros1(message.raw, message.msgtype)
            writer.write(connections[message.topic], message.log_ns, bytes(raw))
    return path


@pytest.mark.parametrize(
    ('write', 'name'),
    [(write_sqlite3, 'sqlite3'), (write_ros1, 'old.bag')],
    ids=['sqlite3', 'ros1'],
)
def test_other_kinds_of_bags_give_the_same_commands_bit_for_bit(
    tmp_path: Path, drive: Path, policy: Policy, write: Any, name: str
) -> None:
    expected = replayed(drive, policy)
    found = replayed(write(drive, tmp_path / name), policy)
    np.testing.assert_array_equal(found.stamp_ns, expected.stamp_ns)
    np.testing.assert_array_equal(found.policy, expected.policy)
    np.testing.assert_array_equal(found.recorded, expected.recorded)


def test_a_compressed_image_is_seen_as_the_image_it_is(
    tmp_path: Path, drive: Path, policy: Policy
) -> None:
    topic = rec.IMAGE + '/compressed'

    def compressed() -> Iterator[rec.Entry]:
        for entry in rec.drive_entries(1.0):
            if entry.topic == rec.IMAGE:
                pixels = entry.values['data'].reshape(120, 160, 3)
                png = cv2.imencode('.png', pixels[..., ::-1])[1].reshape(-1)
                yield rec.Entry(entry.stamp_ns, topic, {'format': 'png', 'data': png})
            else:
                yield entry

    kind = {topic[1:]: 'sensor_msgs/msg/CompressedImage'}
    found = replayed(rec.write_bag(tmp_path / 'bag', list(compressed()), **kind), policy)
    np.testing.assert_array_equal(found.policy, replayed(drive, policy).policy)


TURN = {'linear': {'x': 1.0}, 'angular': {'z': 0.5}}
ANGLE = math.atan(WHEELBASE * 0.5)


@pytest.mark.parametrize(
    ('msgtype', 'values'),
    [
        ('geometry_msgs/msg/Twist', TURN),
        ('geometry_msgs/msg/TwistStamped', {'twist': TURN}),
        ('nav_msgs/msg/Odometry', {'twist': {'twist': TURN}}),
        (ACKERMANN, {'drive': {'steering_angle': ANGLE, 'speed': 1.0}}),
    ],
)
def test_every_kind_of_command_can_be_compared_with(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    policy: Policy,
    msgtype: str,
    values: dict[str, Any],
) -> None:
    ackermann_workspace(tmp_path / 'workspace', monkeypatch)
    topic = '/what/was_sent'
    entries = [
        rec.Entry(entry.stamp_ns, topic, values) if entry.topic == rec.COMMAND else entry
        for entry in rec.drive_entries(1.0)
    ]
    bag = rec.write_bag(tmp_path / 'bag', entries, **{topic[1:]: msgtype})
    trace = replayed(bag, policy, topics={'odom': rec.ODOM, 'command': topic})
    np.testing.assert_allclose(trace.recorded, [[ANGLE, 1.0]] * len(trace.stamp_ns), atol=1e-6)


ROBOTS = [
    ('geometry_msgs/msg/TwistStamped', ('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate')),
    ('geometry_msgs/msg/Twist', ('velocity_x', 'velocity_y', 'yaw_rate')),
    ('std_msgs/msg/Float64MultiArray', ('elbow/position', 'wheel/velocity')),
]


@pytest.mark.parametrize(('msgtype', 'names'), ROBOTS, ids=lambda value: str(len(value)))
def test_commands_of_every_robot_are_compared_with_the_recorded_ones(
    tmp_path: Path, msgtype: str, names: tuple[str, ...]
) -> None:
    flies = Policy.load(make_bundle(tmp_path / 'policy', image=False, commands=names))
    told = {name: 0.1 * (index + 1) for index, name in enumerate(names)}
    twist = {
        'linear': {axis: told.get(f'velocity_{axis}', 0.0) for axis in 'xyz'},
        'angular': {'z': told.get('yaw_rate', 0.0)},
    }
    values = {'Float64MultiArray': {'data': list(told.values())}, 'Twist': twist}
    message = values.get(msgtype.rsplit('/', 1)[1], {'twist': twist})
    entries = []
    for step in range(60):
        stamp_ns = rec.START_NS + step * 20_000_000
        entries.append(rec.imu_entry(stamp_ns))
        entries.append(rec.Entry(stamp_ns, '/arm/commands', message))
    bag = rec.write_bag(tmp_path / 'bag', entries, **{'arm/commands': msgtype})
    trace = replayed(bag, flies)
    assert trace.names == names
    assert trace.recorded[-1] == pytest.approx(list(told.values()))
    if 'velocity_y' in names:
        car = Policy.load(make_bundle(tmp_path / 'car', image=False))
        with pytest.raises(ReplayError, match=r'velocity_y of 0\.2 is commanded'):
            replayed(bag, car)
