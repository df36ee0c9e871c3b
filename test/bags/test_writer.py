# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bags as they are written: what other tools expect of them, and what survives a failing disk."""

from __future__ import annotations

import errno
import io
import tracemalloc
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.highlevel import AnyReader
from support.bag_makers import IMU, PERIOD_NS, START_NS, TWIST, write_bag

from liquid_control.bags.errors import BagError
from liquid_control.bags.mcap_file import Compression
from liquid_control.bags.metadata import qos_profile
from liquid_control.bags.reader import BagReader
from liquid_control.bags.writer import BagWriter


def test_metadata_has_the_layout_of_ros2_bag(tmp_path: Path) -> None:
    path = tmp_path / 'drive'
    with BagWriter(path, custom_data={'robot': 'a'}) as bag:
        bag.add_topic(IMU, 'sensor_msgs/msg/Imu', qos=[qos_profile(depth=5, reliable=False)])
        bag.write_message(IMU, {}, START_NS)
        bag.write_message(IMU, {}, START_NS + 7)

    forever = {'sec': 9223372036, 'nsec': 854775807}
    content = yaml.safe_load((path / 'metadata.yaml').read_text())
    information = content['rosbag2_bagfile_information']
    assert information.pop('ros_distro')
    assert information == {
        'version': 9,
        'storage_identifier': 'mcap',
        'duration': {'nanoseconds': 7},
        'starting_time': {'nanoseconds_since_epoch': START_NS},
        'message_count': 2,
        'topics_with_message_count': [
            {
                'topic_metadata': {
                    'name': IMU,
                    'type': 'sensor_msgs/msg/Imu',
                    'serialization_format': 'cdr',
                    'offered_qos_profiles': [
                        {
                            'history': 'keep_last',
                            'depth': 5,
                            'reliability': 'best_effort',
                            'durability': 'volatile',
                            'deadline': forever,
                            'lifespan': forever,
                            'liveliness': 'automatic',
                            'liveliness_lease_duration': forever,
                            'avoid_ros_namespace_conventions': False,
                        }
                    ],
                    'type_description_hash': 'RIHS01_'
                    '7d9a00ff131080897a5ec7e26e315954b8eae3353c3f995c55faf71574000b5b',
                },
                'message_count': 2,
            }
        ],
        'compression_format': '',
        'compression_mode': '',
        'relative_file_paths': ['drive_0.mcap'],
        'files': [
            {
                'path': 'drive_0.mcap',
                'starting_time': {'nanoseconds_since_epoch': START_NS},
                'duration': {'nanoseconds': 7},
                'message_count': 2,
            }
        ],
        'custom_data': {'robot': 'a'},
    }


@pytest.mark.parametrize('compression', ['zstd', 'lz4', 'none'])
def test_rosbags_and_mcap_decode_what_was_written(
    tmp_path: Path, compression: Compression
) -> None:
    path = write_bag(tmp_path / 'bag', messages=30, compression=compression)

    with AnyReader([path]) as reader:
        ours = [
            (connection.topic, stamp, reader.deserialize(data, connection.msgtype))
            for connection, stamp, data in reader.messages()
        ]
    assert [m.linear_acceleration.x for t, _, m in ours if t == IMU] == list(range(30))
    assert [s for t, s, _ in ours if t == TWIST] == [START_NS + i * PERIOD_NS for i in range(30)]

    with (path / 'bag_0.mcap').open('rb') as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()], validate_crcs=True)
        theirs = [message for *_, message in reader.iter_decoded_messages(topics=[TWIST])]
        assert reader.get_header().profile == 'ros2'
    assert [message.twist.linear.x for message in theirs] == list(range(30))


def test_a_message_keeps_its_bytes_and_both_times(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/chatter', 'std_msgs/msg/String')
        bag.write('/chatter', b'\x00\x01\x00\x00\x03\x00\x00\x00hi\x00', 20, publish_ns=10)
    with (tmp_path / 'bag/bag_0.mcap').open('rb') as stream:
        ((schema, _, message),) = make_reader(stream).iter_messages()
    assert (schema.name, schema.encoding) == ('std_msgs/msg/String', 'ros2msg')
    assert (message.log_time, message.publish_time) == (20, 10)
    assert message.data == b'\x00\x01\x00\x00\x03\x00\x00\x00hi\x00'


def test_plain_values_become_messages_with_defaults_for_the_rest(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8)
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/image', 'sensor_msgs/msg/Image')
        bag.add_topic('/odom', 'nav_msgs/msg/Odometry')
        bag.write_message(
            '/image', {'header': {'frame_id': 'camera'}, 'width': 4, 'data': pixels}, START_NS
        )
        bag.write_message('/odom', {'twist': {'twist': {'linear': {'x': 1.5}}}}, START_NS + 1)
        with pytest.raises(ValueError, match="no field \\['heigth'\\]"):
            bag.write_message('/image', {'heigth': 3}, START_NS)
    with BagReader(tmp_path / 'bag') as reader:
        image, odom = (message.value for message in reader.messages())
    assert (image.header.frame_id, image.width, image.height) == ('camera', 4, 0)
    assert (image.header.stamp.sec, image.header.stamp.nanosec) == (1_700_000_000, 0)
    np.testing.assert_array_equal(image.data, pixels)
    assert odom.twist.twist.linear.x == 1.5
    np.testing.assert_array_equal(odom.pose.covariance, np.zeros(36))


@pytest.mark.parametrize('limit', [{'split_ns': 25 * PERIOD_NS}, {'split_bytes': 1500}])
def test_split_files_hold_every_message_once_and_each_reads_by_itself(
    tmp_path: Path, limit: dict[str, int]
) -> None:
    path = write_bag(tmp_path / 'bag', messages=100, flush_every=5, **limit)

    information = yaml.safe_load((path / 'metadata.yaml').read_text())[
        'rosbag2_bagfile_information'
    ]
    files = information['relative_file_paths']
    assert files == [f'bag_{i}.mcap' for i in range(len(files))]
    assert len(files) > 3
    assert sum(entry['message_count'] for entry in information['files']) == 200
    with BagReader(path) as reader:
        assert [m.value.twist.linear.x for m in reader.messages([TWIST])] == list(range(100))
    with BagReader(path / files[2]) as reader:
        assert set(reader.topics) == {IMU, TWIST}


def test_an_existing_directory_is_not_overwritten(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag')
    with pytest.raises(BagError, match='exists already'):
        BagWriter(path)
    assert BagReader(path).message_counts[IMU] == 100


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(BagError, match=r'cannot record to .*file/bag: Not a directory'):
        BagWriter(tmp_path / 'file/bag')


class FullDisk(io.FileIO):
    """A file on a disk with room for `room` bytes: takes what fits, then refuses."""

    room = 0

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        fitting = memoryview(data).cast('B')[: max(0, self.room - self.tell())]
        if not fitting:
            raise OSError(errno.ENOSPC, 'No space left on device')
        return super().write(fitting) or 0


class SmallDiskWriter(BagWriter):
    """Writes to a disk with room for 20 kB."""

    def _open_stream(self, path: Path) -> BinaryIO:
        disk = FullDisk(path, 'xb')
        disk.room = 20_000
        return io.BufferedWriter(disk)


def test_a_full_disk_leaves_a_finished_bag_with_all_that_was_written(tmp_path: Path) -> None:
    bag = SmallDiskWriter(tmp_path / 'bag', compression='none')
    bag.add_topic(IMU, 'sensor_msgs/msg/Imu')
    written = 0

    def write_until_full() -> None:
        nonlocal written
        while True:
            bag.write_message(IMU, {'linear_acceleration': {'x': float(written)}}, written + 1)
            bag.flush()
            written += 1

    with pytest.raises(BagError, match='No space left on device; what was written before is kept'):
        write_until_full()
    bag.close()

    assert (tmp_path / 'bag/metadata.yaml').exists()
    with BagReader(tmp_path / 'bag') as reader:
        assert reader.is_finished
        values = [message.value.linear_acceleration.x for message in reader.messages()]
    assert values == list(range(len(values)))
    assert len(values) in (written, written + 1)
    assert bag.message_counts == {IMU: len(values)}
    with pytest.raises(BagError, match='is closed'):
        bag.write_message(IMU, {}, 1)


def test_a_recording_of_days_takes_no_more_memory_than_its_index(tmp_path: Path) -> None:
    topics = [f'/topic{number}' for number in range(15)]
    chunks = 1000
    with BagWriter(tmp_path / 'bag') as bag:
        for topic in topics:
            bag.add_topic(topic, 'std_msgs/msg/String')

        def write_chunk(second: int) -> None:
            for topic in topics:
                bag.write_message(topic, {'data': 'x'}, second)
            bag.flush()

        write_chunk(0)
        tracemalloc.start()
        for second in range(1, chunks):
            write_chunk(second)
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert grown / chunks < 500  # bytes; 230 are the index that the file's end needs
    with BagReader(tmp_path / 'bag') as reader:
        assert sum(1 for _ in reader.messages()) == chunks * len(topics)
