# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings as crashes, other programs and old ROS leave them: what is whole is read."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
import yaml
from rosbags.rosbag2 import CompressionMode, StoragePlugin
from support import recordings as rec
from support.bag_makers import IMU, PERIOD_NS, START_NS, TWIST, write_bag
from support.messy_bags import add_int8s, left_open, mcap_file, ros1_bag, rosbag2, with_wal
from typer.testing import CliRunner

from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.repair import repair
from liquid_control.cli.main import app
from liquid_control.learn.data.ingest import bag_digest

COUNT = list(range(10))


def counts(path: Path) -> list[int]:
    with BagReader(path) as reader:
        return [message.value.data for message in reader.messages(['/count'])]


def forwards(path: Path) -> list[float]:
    with BagReader(path) as reader:
        return [message.value.linear_acceleration.x for message in reader.messages()]


@pytest.mark.parametrize('encoding', ['jsonschema', 'protobuf', 'flatbuffer', ''])
def test_channels_that_are_not_ros_cost_nothing_else_and_are_named(
    tmp_path: Path, encoding: str
) -> None:
    with mcap_file(tmp_path / 'mixed.mcap') as mcap:
        schema = mcap.register_schema('foo', encoding, b'{}') if encoding else 0
        channel = mcap.register_channel('/dashboard', encoding or 'x', schema)
        mcap.add_message(channel, START_NS, b'{"a": 1}', START_NS)
        add_int8s(mcap)
    assert counts(tmp_path / 'mixed.mcap') == COUNT
    with BagReader(tmp_path / 'mixed.mcap') as reader:
        assert list(reader.topics) == ['/count']
        assert list(reader.others) == ['/dashboard']
        assert len(list(reader.messages())) == 10


def test_a_definition_that_cannot_be_read_costs_only_its_own_topic(tmp_path: Path) -> None:
    with mcap_file(tmp_path / 'x.mcap') as mcap:
        for name, text in (('Empty', b''), ('Broken', b'no_such/Thing x\n'), ('Odd', b'\xff(')):
            schema = mcap.register_schema(f'my_msgs/msg/{name}', 'ros2msg', text)
            channel = mcap.register_channel(f'/{name}', 'cdr', schema)
            mcap.add_message(channel, START_NS, bytes(16), START_NS)
        add_int8s(mcap)
    assert counts(tmp_path / 'x.mcap') == COUNT
    with BagReader(tmp_path / 'x.mcap') as reader:
        for name in ('/Empty', '/Broken', '/Odd'):
            (message,) = reader.messages([name])
            with pytest.raises(BagError, match='no definition of my_msgs'):
                _ = message.value


def test_a_record_outside_chunks_that_is_damaged_costs_what_needs_it(tmp_path: Path) -> None:
    file = tmp_path / 'bag' / 'bag_0.mcap'
    with mcap_file(file, use_chunking=False) as mcap:
        add_int8s(mcap, topic='/other')
        add_int8s(mcap)
    content = bytearray(file.read_bytes()[:-40])
    content[content.index(b'/other')] = 0xFF
    file.write_bytes(content)
    os.utime(file, (0, 0))
    assert counts(file) == COUNT
    assert repair(file.parent).message_counts == {'/count': 10}


def test_two_versions_of_a_type_are_each_decoded_by_their_own(tmp_path: Path) -> None:
    with mcap_file(tmp_path / 'x.mcap') as mcap:
        for count, text in enumerate((b'uint8 a', b'uint8 a\nuint8 b')):
            schema = mcap.register_schema('my_msgs/msg/Thing', 'ros2msg', text)
            channel = mcap.register_channel('/thing', 'cdr', schema)
            data = b'\0\1\0\0' + bytes(range(7, 8 + count))
            mcap.add_message(channel, START_NS + count, data, START_NS)
    with BagReader(tmp_path / 'x.mcap') as reader:
        old, new = (message.value for message in reader.messages())
    assert (old.a, hasattr(old, 'b'), new.a, new.b) == (7, False, 7, 8)


@pytest.mark.parametrize('torn', [b'', b'\x89MC', bytes(4096)])
@pytest.mark.parametrize('listed', [True, False])
def test_a_part_that_a_crash_left_empty_is_left_out_and_named(
    tmp_path: Path, torn: bytes, listed: bool
) -> None:
    path = write_bag(tmp_path / 'bag', split_ns=25 * PERIOD_NS)
    last = sorted(path.glob('*.mcap'))[-1]
    last.write_bytes(torn)
    if not listed:
        (path / 'metadata.yaml').unlink()
    with BagReader(path) as reader:
        assert reader.message_counts == {IMU: 75, TWIST: 75}
        assert f'{last.name} holds no whole message' in ' '.join(reader.problems)


@pytest.mark.parametrize('plugin', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize('has_metadata', [True, False])
def test_compression_is_recognised_where_it_is_and_not_where_it_is_announced(
    tmp_path: Path, plugin: StoragePlugin, mode: CompressionMode, has_metadata: bool
) -> None:
    path = rosbag2(tmp_path / 'bag', plugin, mode)
    if not has_metadata:
        (path / 'metadata.yaml').unlink()
    assert forwards(path) == list(range(20))
    assert len(bag_digest(path)) == 64
    (file,) = (file for file in path.iterdir() if file.name != 'metadata.yaml')
    assert forwards(file) == list(range(20))


@pytest.mark.parametrize('compression', ['', 'lz4', 'bz2'])
def test_a_ros1_bag_that_is_cut_off_gives_what_is_whole(tmp_path: Path, compression: str) -> None:
    whole = ros1_bag(tmp_path / 'whole.bag', compression)
    content = whole.read_bytes()
    cut = tmp_path / 'cut.bag'
    cut.write_bytes(content[: len(content) * 3 // 4])
    with BagReader(whole) as reader:
        expected = [message.value.data for message in reader.messages()]
        assert reader.is_finished
    with BagReader(cut) as reader:
        found = [message.value.data for message in reader.messages()]
        assert not reader.is_finished
    assert len(expected) == 2000
    assert len(found) > 900
    assert found == expected[: len(found)]


def test_a_ros1_bag_whose_recorder_was_killed_gives_what_is_whole(tmp_path: Path) -> None:
    path = ros1_bag(tmp_path / 'old.bag.active')
    left_open(path)
    with BagReader(path) as reader:
        found = [int(message.value.data[:4]) for message in reader.messages()]
    assert found == list(range(1999))


def test_an_mcap_file_of_ros1_messages_is_read_and_converted(tmp_path: Path) -> None:
    with mcap_file(tmp_path / 'x.mcap', profile='ros1') as mcap:
        schema = mcap.register_schema('std_msgs/UInt8', 'ros1msg', b'uint8 data')
        channel = mcap.register_channel('/count', 'ros1', schema)
        mcap.add_message(channel, START_NS, b'\x07', START_NS)
    with BagReader(tmp_path / 'x.mcap') as reader:
        assert reader.topics == {'/count': 'std_msgs/msg/UInt8'}
        (message,) = reader.messages()
        assert message.value.data == 7
        assert reader.to_cdr(message) == b'\0\1\0\0\x07'


def test_a_sqlite_file_that_is_cut_off_gives_the_messages_before(tmp_path: Path) -> None:
    path = rosbag2(tmp_path / 'bag', messages=400, padding=2000)
    file = path / 'bag.db3'
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    found = forwards(path)
    assert len(found) > 200
    assert found == list(range(len(found)))
    with BagReader(path) as reader:
        assert not reader.is_finished
        assert f'the {len(found)} messages before the damage' in ' '.join(reader.problems)


def test_messages_in_a_sqlite_journal_are_read_and_the_files_stay_as_they_are(
    tmp_path: Path,
) -> None:
    path = with_wal(tmp_path / 'bag')
    before = {file: file.read_bytes() for file in path.iterdir()}
    assert forwards(path) == [*range(20), 0]
    assert {file: file.read_bytes() for file in path.iterdir()} == before


@pytest.mark.parametrize('chunked', [True, False])
def test_messages_before_1970_and_out_of_order_are_read_in_order(
    tmp_path: Path, chunked: bool
) -> None:
    with mcap_file(tmp_path / 'x.mcap', use_chunking=chunked, chunk_size=100) as mcap:
        schema = mcap.register_schema('std_msgs/msg/Int8', 'ros2msg', b'int8 data')
        channel = mcap.register_channel('/count', 'cdr', schema)
        for i, log_ns in enumerate((START_NS, (1 << 64) - 5, 0, START_NS * 10 // 9, START_NS - 1)):
            mcap.add_message(channel, log_ns, b'\0\1\0\0' + bytes([i]), log_ns)
    assert counts(tmp_path / 'x.mcap') == [1, 2, 4, 0, 3]
    with BagReader(tmp_path / 'x.mcap') as reader:
        assert next(reader.messages()).log_ns == reader.start_ns == -5
        assert reader.end_ns == START_NS * 10 // 9


def test_metadata_that_does_not_tell_what_lies_there_is_named(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', split_ns=25 * PERIOD_NS)
    metadata = yaml.safe_load((path / 'metadata.yaml').read_text())
    files = metadata['rosbag2_bagfile_information']['relative_file_paths']
    files[:] = [files[0], files[0], files[1], files[2]]
    (path / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    with BagReader(path) as reader:
        assert reader.message_counts[IMU] == 75
        assert 'names a file twice' in reader.problems[0]
        assert 'does not name bag_3.mcap' in reader.problems[1]


@pytest.mark.parametrize('name', ['with space', 'a#b?c%20d', 'Prüfung-试', "it's"])
@pytest.mark.parametrize('plugin', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_any_name_will_do(tmp_path: Path, name: str, plugin: StoragePlugin) -> None:
    path = rosbag2(tmp_path / 'bag', plugin).rename(tmp_path / name)
    (path / 'metadata.yaml').unlink()
    (file,) = path.iterdir()
    file.rename(path / f'{name}{file.suffix}')
    assert forwards(path) == list(range(20))
    assert forwards(Path(f'{path}/')) == list(range(20))


def test_a_folder_of_several_bags_names_them(tmp_path: Path) -> None:
    write_bag(tmp_path / 'a')
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    with pytest.raises(BagError, match='is no bag but holds 2: name a, b'):
        BagReader(tmp_path)
    (tmp_path / 'old').mkdir()
    for name in ('x.bag', 'y.bag'):
        ros1_bag(tmp_path / 'old' / name, messages=1)
    with pytest.raises(BagError, match=r'holds 2 ROS 1 bags: name one of x\.bag, y\.bag'):
        BagReader(tmp_path / 'old')


def test_repair_is_not_named_where_it_cannot_help(tmp_path: Path) -> None:
    path = rosbag2(tmp_path / 'bag', mode=CompressionMode.MESSAGE)
    with sqlite3.connect(path / 'bag.db3') as database:
        database.execute("UPDATE messages SET data = X'28B52FFD00' WHERE id = 3")
    with pytest.raises(BagError, match='is damaged: ') as error:
        forwards(path)
    assert 'bag repair' not in str(error.value)


def test_what_is_not_read_is_told_by_those_who_learn_and_by_replay(tmp_path: Path) -> None:
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(0.6))
    (bag / 'bag_1.mcap').touch()
    (bag / 'metadata.yaml').unlink()
    for verb in (
        ['dataset', bag, '--out', tmp_path / 'd'],
        ['replay', bag, '--policy', 'track_cfc'],
    ):
        result = CliRunner().invoke(app, [str(word) for word in verb])
        assert result.exit_code == 0, result.output
        words = ' '.join(result.stderr.split())
        assert 'bag: bag_1.mcap holds no whole message and is left out' in words
