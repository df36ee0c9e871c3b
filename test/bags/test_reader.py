# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Reading bags of every kind, and what is said about those that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import IndexType
from mcap.writer import Writer as McapWriter
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Rosbag2Writer
from rosbags.typesys import Stores, get_typestore
from support.bag_makers import IMU, PERIOD_NS, START_NS, TWIST, write_bag

from liquid_control.bags.definitions import definition
from liquid_control.bags.errors import BagError, TopicError
from liquid_control.bags.messages import serialize
from liquid_control.bags.reader import BagReader
from liquid_control.bags.writer import BagWriter


def test_messages_come_in_log_time_order_from_a_file_that_is_out_of_order(tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(200)
    with BagWriter(tmp_path / 'bag', split_bytes=4000) as bag:
        bag.add_topic(IMU, 'sensor_msgs/msg/Imu')
        for count, i in enumerate(order):
            bag.write_message(
                IMU, {'linear_acceleration': {'x': float(i)}}, START_NS + int(i) * PERIOD_NS
            )
            if count % 7 == 0:
                bag.flush()
    with BagReader(tmp_path / 'bag') as reader:
        messages = list(reader.messages())
    assert [m.value.linear_acceleration.x for m in messages] == list(range(200))
    assert [m.log_ns for m in messages] == sorted(START_NS + i * PERIOD_NS for i in range(200))


def test_our_own_way_through_an_mcap_bag_meets_the_messages_that_rosbags_meets(
    tmp_path: Path,
) -> None:
    times = START_NS + np.random.default_rng(0).integers(0, 60, 200).cumsum() // 30
    times = np.random.default_rng(1).permuted(times.reshape(-1, 20), axis=1).reshape(-1)
    with BagWriter(tmp_path / 'bag', split_bytes=3000, compression='lz4') as bag:
        for topic in (IMU, TWIST):
            bag.add_topic(topic, 'geometry_msgs/msg/Twist')
        for count, time in enumerate(times.tolist()):
            topic = TWIST if 90 < count < 150 else IMU
            bag.write_message(topic, {'linear': {'x': float(count)}}, time)
            if count % 7 == 0:
                bag.flush()
    files = list((tmp_path / 'bag').glob('*.mcap'))
    assert len(files) > 2
    first, last = int(np.quantile(times, 0.2)), int(np.quantile(times, 0.8))
    with AnyReader(files) as theirs, BagReader(tmp_path / 'bag') as ours:
        for topics, start_ns, end_ns in (
            ([IMU, TWIST], None, None),
            ([IMU, TWIST], first, last),
            ([TWIST], None, last),
        ):
            connections = [c for c in theirs.connections if c.topic in topics]
            expected = [
                (log_ns, connection.topic, raw)
                for connection, log_ns, raw in theirs.messages(connections, start_ns, end_ns)
            ]
            found = [
                (message.log_ns, message.topic, message.raw)
                for message in ours.messages(topics, start_ns=start_ns, end_ns=end_ns)
            ]
            assert [log_ns for log_ns, *_ in found] == [log_ns for log_ns, *_ in expected]
            assert sorted(found) == sorted(expected)
            assert len(found) > 20


@pytest.mark.parametrize('options', [{'use_chunking': False}, {'index_types': IndexType.NONE}])
def test_files_without_an_index_are_read_too(tmp_path: Path, options: dict[str, Any]) -> None:
    with (tmp_path / 'plain.mcap').open('wb') as stream:
        mcap = McapWriter(stream, **options)
        mcap.start('ros2')
        schema = mcap.register_schema('std_msgs/msg/Int8', 'ros2msg', b'int8 data')
        channel = mcap.register_channel('/count', 'cdr', schema)
        for i in range(10):
            mcap.add_message(channel, i + 1, b'\x00\x01\x00\x00' + bytes([i]), i + 1)
        mcap.finish()
    with BagReader(tmp_path / 'plain.mcap') as reader:
        assert [message.value.data for message in reader.messages()] == list(range(10))


def test_topics_and_times_select_messages(tmp_path: Path) -> None:
    with BagReader(write_bag(tmp_path / 'bag')) as reader:
        assert reader.topics == {
            IMU: 'sensor_msgs/msg/Imu',
            TWIST: 'geometry_msgs/msg/TwistStamped',
        }
        assert reader.message_counts == {IMU: 100, TWIST: 100}
        assert (reader.start_ns, reader.end_ns) == (START_NS, START_NS + 99 * PERIOD_NS)
        part = reader.messages(
            [TWIST], start_ns=START_NS + 10 * PERIOD_NS, end_ns=START_NS + 20 * PERIOD_NS
        )
        assert [message.value.twist.linear.x for message in part] == list(range(10, 20))
        with pytest.raises(TopicError, match=r'no topic /camera; it has /cmd_vel \(geometry_msgs'):
            next(reader.messages(['/camera']))


def test_stamp_is_the_headers_else_the_log_time(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        for topic, msgtype in (
            ('/header', 'sensor_msgs/msg/Imu'),
            ('/unset', 'sensor_msgs/msg/Imu'),
            ('/none', 'geometry_msgs/msg/Twist'),
        ):
            bag.add_topic(topic, msgtype)
        bag.write('/header', serialize('sensor_msgs/msg/Imu', {}, 5_000_000_007), log_ns=1)
        bag.write('/unset', serialize('sensor_msgs/msg/Imu', {}, 0), log_ns=2)
        bag.write('/none', serialize('geometry_msgs/msg/Twist', {}, 0), log_ns=3)
    with BagReader(tmp_path / 'bag') as reader:
        stamps = {message.topic: message.stamp_ns for message in reader.messages()}
    assert stamps == {'/header': 5_000_000_007, '/unset': 2, '/none': 3}


def test_types_unknown_here_are_read_by_the_definition_in_the_bag(tmp_path: Path) -> None:
    with (tmp_path / 'strange.mcap').open('wb') as stream:
        mcap = McapWriter(stream)
        mcap.start('ros2')
        schema = mcap.register_schema(
            'strange_msgs/msg/Gadget', 'ros2msg', b'uint16 size\nstring[] names\n'
        )
        channel = mcap.register_channel('/gadget', 'cdr', schema)
        data = b'\x00\x01\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00a\x00'
        mcap.add_message(channel, log_time=9, publish_time=9, data=data)
        mcap.finish()
    with BagReader(tmp_path / 'strange.mcap') as reader:
        (message,) = reader.messages()
    assert (message.value.size, message.value.names) == (5, ['a'])


@pytest.mark.parametrize('plugin', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize('mode', [CompressionMode.NONE, CompressionMode.FILE])
def test_bags_of_other_writers_are_read(
    tmp_path: Path, plugin: StoragePlugin, mode: CompressionMode
) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = Rosbag2Writer(tmp_path / 'bag', version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(IMU, 'sensor_msgs/msg/Imu', typestore=store)
        for i in range(20):
            values = {'linear_acceleration': {'x': float(i)}}
            writer.write(connection, START_NS + i, serialize('sensor_msgs/msg/Imu', values, i + 1))
    with BagReader(tmp_path / 'bag') as reader:
        messages = list(reader.messages())
    assert [message.value.linear_acceleration.x for message in messages] == list(range(20))
    assert [message.stamp_ns for message in messages] == list(range(1, 21))


def test_ros1_bags_are_read_and_converted(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    with Rosbag1Writer(tmp_path / 'old.bag') as writer:
        connection = writer.add_connection(
            TWIST, 'geometry_msgs/msg/TwistStamped', typestore=store
        )
        zero = types['geometry_msgs/msg/Vector3'](0.0, 0.0, 0.0)
        for i in range(5):
            header = types['std_msgs/msg/Header'](
                i, types['builtin_interfaces/msg/Time'](100 + i, 5), 'base'
            )
            linear = types['geometry_msgs/msg/Vector3'](float(i), 0.0, 0.0)
            message = types['geometry_msgs/msg/TwistStamped'](
                header, types['geometry_msgs/msg/Twist'](linear, zero)
            )
            data = store.serialize_ros1(message, 'geometry_msgs/msg/TwistStamped')
            writer.write(connection, START_NS + i, data)
    with BagReader(tmp_path / 'old.bag') as reader:
        messages = list(reader.messages())
        assert [message.value.twist.linear.x for message in messages] == list(range(5))
        assert [message.stamp_ns for message in messages] == [
            (100 + i) * 1_000_000_000 + 5 for i in range(5)
        ]
        converted = reader.to_cdr(messages[3])
    expected = serialize(
        'geometry_msgs/msg/TwistStamped',
        {'header': {'frame_id': 'base'}, 'twist': {'linear': {'x': 3.0}}},
        103_000_000_005,
    )
    assert converted == expected


def test_memory_does_not_grow_with_the_bag(tmp_path: Path) -> None:
    import tracemalloc

    payload = np.zeros(200_000, np.uint8)
    with BagWriter(tmp_path / 'bag', compression='lz4') as bag:
        bag.add_topic('/image', 'sensor_msgs/msg/Image')
        for i in range(300):  # 60 MB
            bag.write_message('/image', {'data': payload}, START_NS + i)
    tracemalloc.start()
    with BagReader(tmp_path / 'bag') as reader:
        count = sum(len(message.raw) > 0 for message in reader.messages())
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 300
    assert peak < 12e6


def test_a_missing_bag_is_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match='nowhere does not exist'):
        BagReader(tmp_path / 'nowhere')


def test_a_directory_that_is_no_bag_is_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match='is no bag'):
        BagReader(tmp_path)


def test_a_bag_without_messages_is_called_empty(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic(IMU, 'sensor_msgs/msg/Imu')
    with pytest.raises(BagError, match='is empty'):
        BagReader(tmp_path / 'bag')


def test_a_file_of_no_bytes_is_no_bag(tmp_path: Path) -> None:
    (tmp_path / 'zero.mcap').touch()
    with pytest.raises(BagError, match=r'zero\.mcap is not an MCAP file'):
        BagReader(tmp_path / 'zero.mcap')


def test_damaged_metadata_is_named(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag')
    (path / 'metadata.yaml').write_text('rosbag2_bagfile_information: [')
    with pytest.raises(BagError, match=r'metadata\.yaml is damaged'):
        BagReader(path)


def test_a_missing_file_of_a_split_bag_is_named(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', split_ns=25 * PERIOD_NS)
    (path / 'bag_1.mcap').unlink()
    with pytest.raises(BagError, match=r'lacks bag_1\.mcap'):
        BagReader(path)


def test_a_message_that_does_not_fit_its_type_is_named(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic(IMU, definition(msgtype='sensor_msgs/msg/Imu').msgtype)
        bag.write(IMU, serialize('sensor_msgs/msg/Imu', {}, 1)[:60], log_ns=4)
    with (
        BagReader(tmp_path / 'bag') as reader,
        pytest.raises(BagError, match=r'message on /imu/data at 4 ns is not a sensor_msgs'),
    ):
        _ = next(reader.messages()).value
