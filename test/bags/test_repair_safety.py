# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Repair of somebody else's recording: only its own files are written, or nothing is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.bag_makers import IMU, PERIOD_NS, START_NS, write_bag
from support.messy_bags import add_int8s, mcap_file, rosbag2

from liquid_control.bags import in_use
from liquid_control.bags.errors import BagError
from liquid_control.bags.metadata import BagSummary
from liquid_control.bags.reader import BagReader
from liquid_control.bags.repair import repair
from liquid_control.bags.writer import BagWriter

TORN = b'TORN' * 50


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A bag without metadata.yaml, its only file cut off."""
    path = write_bag(tmp_path / 'bag')
    (path / 'metadata.yaml').unlink()
    file = path / 'bag_0.mcap'
    file.write_bytes(file.read_bytes()[:-300] + TORN)
    os.utime(file, (0, 0))
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


@pytest.mark.parametrize('name', ['.metadata.yaml.part', 'metadata.yaml'])
def test_a_link_planted_where_repair_writes_is_not_followed(
    torn: Path, tmp_path: Path, name: str
) -> None:
    precious = tmp_path / 'precious'
    precious.write_text('export A=1')
    (torn / name).symlink_to(precious)
    repair(torn)
    assert precious.read_text() == 'export A=1'
    assert not (torn / 'metadata.yaml').is_symlink()


@pytest.mark.parametrize('link', ['symbolic', 'hard'])
def test_a_file_that_is_also_somewhere_else_is_not_written(
    torn: Path, tmp_path: Path, link: str
) -> None:
    other = tmp_path / 'other.mcap'
    (torn / 'bag_0.mcap').rename(other)
    if link == 'symbolic':
        (torn / 'bag_0.mcap').symlink_to(other)
    else:
        (torn / 'bag_0.mcap').hardlink_to(other)
    before = other.read_bytes()
    with pytest.raises(BagError, match=r'is a link: copy|hard link\): repair a copy'):
        repair(torn)
    assert other.read_bytes() == before
    assert [file.name for file in torn.iterdir()] == ['bag_0.mcap']


def test_a_recording_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic(IMU, 'sensor_msgs/msg/Imu')
        bag.write_message(IMU, {}, START_NS)
        bag.flush()
        os.utime(tmp_path / 'bag' / 'bag_0.mcap', (0, 0))
        before = contents(tmp_path / 'bag')
        with pytest.raises(BagError, match='is being written: end its recorder first'):
            repair(tmp_path / 'bag')
        assert contents(tmp_path / 'bag') == before


def test_other_recorders_are_seen_by_their_open_file_their_lock_or_its_growth(
    torn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = torn / 'bag_0.mcap'
    with file.open('ab'), pytest.raises(BagError, match='is being written'):
        repair(torn)
    monkeypatch.setattr(in_use, '_has_writer', lambda path: False)
    with file.open('ab') as stream:
        assert in_use.lock(stream)
        with pytest.raises(BagError, match='is being written'):
            repair(torn)

    def grow(seconds: float) -> None:
        with file.open('ab') as stream:
            stream.write(b'more')

    file.touch()
    monkeypatch.setattr(time, 'sleep', grow)
    with pytest.raises(BagError, match='is being written'):
        repair(torn)
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)
    assert repair(torn).message_counts[IMU] == 100


def test_a_repair_that_fails_leaves_all_as_it_was(
    torn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (torn / 'bag_1.mcap').touch()
    os.utime(torn / 'bag_1.mcap', (0, 0))
    before = contents(torn)

    def full(summary: BagSummary, directory: Path) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(BagSummary, 'write', full)
    with pytest.raises(BagError, match='No space left on device; it is as it was'):
        repair(torn)
    assert contents(torn) == before
    monkeypatch.undo()
    (torn / 'bag_1.mcap.empty').symlink_to('/nowhere')
    with pytest.raises(BagError, match=r'bag_1\.mcap\.empty exists already'):
        repair(torn)
    assert contents(torn) == before


def test_messages_that_cannot_be_decoded_do_not_keep_the_rest_from_repair(tmp_path: Path) -> None:
    with mcap_file(tmp_path / 'bag' / 'bag_0.mcap') as mcap:
        schema = mcap.register_schema('my_msgs/msg/Thing', 'ros2msg', b'')
        thing = mcap.register_channel('/thing', 'cdr', schema)
        mcap.add_message(thing, START_NS, bytes(9), START_NS)
        schema = mcap.register_schema('foo', 'jsonschema', b'{}')
        mcap.add_message(mcap.register_channel('/a', 'json', schema), START_NS, b'{}', START_NS)
        add_int8s(mcap)
    file = tmp_path / 'bag' / 'bag_0.mcap'
    file.write_bytes(file.read_bytes()[:-20])
    os.utime(file, (0, 0))
    report = repair(tmp_path / 'bag')
    assert report.message_counts == {'/thing': 1, '/count': 10}
    assert report.unreadable == {'/thing': 1}


def test_a_part_that_is_gone_can_be_gone_on_without(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', split_ns=25 * PERIOD_NS)
    (path / 'bag_1.mcap').unlink()
    for file in path.iterdir():
        os.utime(file, (0, 0))
    with pytest.raises(BagError, match=r'lacks bag_1\.mcap.*go on without it after .*bag repair'):
        BagReader(path)
    assert repair(path).message_counts[IMU] == 75
    with BagReader(path) as reader:
        assert reader.message_counts[IMU] == 75


def test_what_is_no_mcap_bag_is_refused_by_name(tmp_path: Path) -> None:
    path = rosbag2(tmp_path / 'bag')
    with pytest.raises(BagError, match=r'holds bag\.db3: only plain \.mcap files'):
        repair(path)
    with pytest.raises(BagError, match='is no directory'):
        repair(path / 'bag.db3')
