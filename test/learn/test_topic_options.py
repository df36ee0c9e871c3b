# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which topics are learnt from: what is not used cannot be in doubt, the rest can be named."""

from __future__ import annotations

import inspect
import io
from pathlib import Path

import pytest
from support import recordings as rec
from support.messy_bags import rosbag2

from liquid_control.bags.errors import TopicError
from liquid_control.bags.input_topics import find_inputs
from liquid_control.bags.reader import BagReader
from liquid_control.bags.writer import BagWriter
from liquid_control.cli import learn as cli_learn
from liquid_control.cli import main as cli
from liquid_control.cli.options import named_topics
from liquid_control.common.errors import ConfigError
from liquid_control.contract.inputs import KINDS
from liquid_control.learn.data.infer import infer_signals
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.data.streams import Streams, read_streams

IMU, TWIST = 'sensor_msgs/msg/Imu', 'geometry_msgs/msg/TwistStamped'


def drive(path: Path, without: str = '', **doubles: str) -> Path:
    """A drive in which other topics repeat what is there; `a='/cmd_vel'` makes `/a`.

    without: topic that is left out then.
    """
    entries = list(rec.drive_entries(1.0))
    copies = [
        entry._replace(topic=f'/{name}')
        for name, topic in doubles.items()
        for entry in entries
        if entry.topic == topic
    ]
    types = {rec.COMMAND: TWIST, rec.IMU: IMU, rec.ODOM: 'nav_msgs/msg/Odometry'}
    kinds = {name: types[topic] for name, topic in doubles.items()}
    kept = [entry for entry in (*entries, *copies) if entry.topic != without]
    return rec.write_bag(path, sorted(kept), **kinds)


def streams(bag: Path, signals: Signals) -> Streams:
    with BagReader(bag) as reader:
        pixels = {'image': io.BytesIO()} if 'image' in signals.inputs else {}
        return read_streams(reader, signals, pixels, lambda: None)


def test_two_imus_beside_a_camera_are_done_without_unless_one_is_named(tmp_path: Path) -> None:
    bag = drive(tmp_path / 'bag', gyro=rec.IMU, imu=rec.IMU, without=rec.IMU)
    said: list[str] = []
    signals = infer_signals([bag], on_status=said.append)
    assert signals.inputs.keys() == {'image'}
    told = next(line for line in said if line.startswith('imu: not used'))
    assert '/gyro, /imu; name one with --topic imu=TOPIC' in told
    named = infer_signals([bag], {'imu': '/gyro'})
    assert named.inputs.keys() == {'image', 'imu'}
    assert len(streams(bag, named).inputs['imu']) > 100


def test_of_two_imus_the_one_called_as_on_the_robot_is_it(tmp_path: Path) -> None:
    bag = drive(tmp_path / 'bag', gyro=rec.IMU)
    said: list[str] = []
    assert infer_signals([bag], on_status=said.append).inputs.keys() == {'image', 'imu'}
    assert f'imu: {rec.IMU}, 200 Hz' in said


def test_two_odometries_that_nothing_is_learnt_from_are_no_matter(tmp_path: Path) -> None:
    bag = drive(tmp_path / 'bag', wheels=rec.ODOM)
    assert len(streams(bag, infer_signals([bag])).motion) == 0


def test_a_missing_command_is_told_before_all_else(tmp_path: Path) -> None:
    with pytest.raises(
        TopicError, match=r'needs a command topic .* --topic command=TOPIC may also'
    ):
        infer_signals([rosbag2(tmp_path / 'bag')])


def test_topics_that_nobody_published_on_play_no_part(tmp_path: Path) -> None:
    bag = tmp_path / 'bag'
    with BagWriter(bag) as writer:
        writer.add_topic('/nav', TWIST)
        writer.add_topic('/b', rec.TYPES[rec.IMAGE])
        for entry in rec.drive_entries(1.0):
            writer.add_topic(entry.topic, rec.TYPES[entry.topic])
            writer.write_message(entry.topic, entry.values, entry.stamp_ns)
    found = streams(bag, infer_signals([bag]))
    assert (found.topics['image'], found.topics['command']) == (rec.IMAGE, rec.COMMAND)


def test_a_command_that_was_never_sent_is_told(tmp_path: Path) -> None:
    bag = rosbag2(tmp_path / 'bag')
    with pytest.raises(TopicError, match=r'it has /imu \('):
        infer_signals([bag])
    with BagWriter(tmp_path / 'other') as writer:
        writer.add_topic(rec.COMMAND, TWIST)
        writer.add_topic(rec.IMU, IMU)
        writer.write_message(rec.IMU, {}, rec.START_NS)
    with pytest.raises(TopicError, match=r'TwistStamped, without a message'):
        infer_signals([tmp_path / 'other'])


def test_two_commands_are_asked_about_and_a_name_decides(tmp_path: Path) -> None:
    bag = drive(tmp_path / 'bag', other=rec.COMMAND)
    with pytest.raises(TopicError, match='name one with --topic command=TOPIC'):
        infer_signals([bag])
    assert infer_signals([bag], {'command': '/other'}).topics == {'command': '/other'}


def test_a_topic_for_what_is_not_learnt_is_refused(tmp_path: Path) -> None:
    signals = infer_signals([drive(tmp_path / 'bag')])
    with pytest.raises(ConfigError, match='topic scan=/laser: nothing is learnt from scan'):
        cli_learn._named(signals, {'scan': '/laser'})


def test_topics_are_named_by_input_by_part_and_as_in_a_remapping(tmp_path: Path) -> None:
    bag = drive(tmp_path / 'bag', wheels=rec.ODOM, gyro=rec.IMU)
    inputs = {'goal': KINDS['goal'](rate=50.0, max_age=0.1)}
    with BagReader(bag) as reader:
        for key in ('goal.odom', 'odom'):
            with pytest.raises(TopicError, match=r'no topic for goal.goal of type'):
                find_inputs(reader, inputs, {key: '/wheels'})
        imu = {'attitude': KINDS['imu'](rate=200.0, max_age=0.1)}
        for key in ('attitude', 'imu/data'):
            assert find_inputs(reader, imu, {key: '/gyro'}).leading == {'attitude': '/gyro'}
    with pytest.raises(ConfigError, match=r"--topic must be like imu=/imu/data, found 'imu'"):
        named_topics(['imu'])


@pytest.mark.parametrize(
    'verb', [cli.replay, cli_learn.dataset, cli_learn.train, cli_learn.improve]
)
def test_every_option_that_an_error_can_name_exists(verb: object) -> None:
    options = inspect.signature(verb).parameters  # type: ignore[arg-type]
    assert 'topic' in options
    for role in ('image', 'imu', 'odom', 'command'):
        assert f'{role}_topic' in options
    if verb is not cli.replay:  # which takes no account of who drove
        assert {'mode_topic', 'override_topic'} <= options.keys()
