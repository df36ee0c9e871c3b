# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""`bag info` tells what any recording holds and what is wrong with it, and is never at a loss."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import recordings as rec
from support.bag_makers import PERIOD_NS, write_bag
from support.messy_bags import add_int8s, mcap_file, ros1_bag, rosbag2
from typer.testing import CliRunner

from liquid_control.bags.info import inspect_bag
from liquid_control.cli.main import app

S = 1_000_000_000


def run(*paths: Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ['bag', 'info', *map(str, paths)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def problems(path: Path) -> str:
    info = inspect_bag(path)
    return '\n'.join([*info.problems, *(line for t in info.topics for line in t.problems)])


def test_a_drive_is_told_by_topics_rates_formats_and_uses(tmp_path: Path) -> None:
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(2.0))
    info = inspect_bag(bag)
    found = {t.topic: (round(t.rate or 0), t.what, t.role) for t in info.topics}
    assert found == {
        rec.COMMAND: (20, '', 'command'),
        rec.IMAGE: (30, 'rgb8 160x120', 'image'),
        rec.IMU: (200, '', 'imu'),
        rec.ODOM: (50, '', 'odom'),
    }
    assert not problems(bag)
    status, out, _ = run(bag)
    assert status == 0
    assert 'sensor_msgs/Image' in out
    assert '2.0 s from 2023-11-14 22:13:20 UTC' in out


def test_gaps_jumps_and_stamps_of_another_clock_are_named(tmp_path: Path) -> None:
    times = [0, 1, 2, 3, 8, 9, 10, 700, 701]
    entries = [rec.imu_entry(rec.START_NS + time * S // 10) for time in times]
    bag = rec.write_bag(tmp_path / 'gap', entries)
    assert 'gap of 69.0 s after 1.0 s, or a jump of the clock' in problems(bag)
    entries = [
        rec.imu_entry(rec.START_NS + i * S // 10)._replace(late_ns=late * S // 10)
        for i, late in ((0, 0), (1, 0), (2, 0), (1, 2), (3, 1))
    ]
    assert '1 stamps go back, by 0.100 s' in problems(rec.write_bag(tmp_path / 'back', entries))
    entries = [rec.imu_entry(S + i)._replace(late_ns=rec.START_NS) for i in range(5)]
    found = problems(rec.write_bag(tmp_path / 'boot', entries))
    assert '5 stamps are not by the clock of the recording (usually -1700000000.0 s)' in found
    entries = [rec.imu_entry(rec.START_NS)._replace(late_ns=i) for i in range(5)]
    assert 'all stamps are the same' in problems(rec.write_bag(tmp_path / 'same', entries))
    entries = [
        rec.imu_entry(rec.START_NS + i // 4 * S // 10)._replace(late_ns=i) for i in range(8)
    ]
    repeated = rec.write_bag(tmp_path / 'repeated', entries)
    assert '6 stamps are repeated' in problems(repeated)
    assert ' 10.0 ' in run(repeated)[1]  # Hz


def test_what_two_topics_could_be_is_asked(tmp_path: Path) -> None:
    entries = [e._replace(topic=topic) for e in [rec.imu_entry(1)] for topic in ('/a', '/b')]
    bag = rec.write_bag(
        tmp_path / 'bag', entries, a='sensor_msgs/msg/Imu', b='sensor_msgs/msg/Imu'
    )
    assert [topic.role for topic in inspect_bag(bag).topics] == ['imu?', 'imu?']
    assert 'several topics could be the imu: name one with --topic imu=TOPIC' in run(bag)[1]


def test_missing_torn_and_wrongly_described_files_are_all_told(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', split_ns=25 * PERIOD_NS)
    (path / 'bag_1.mcap').unlink()
    (path / 'bag_3.mcap').write_bytes(b'')
    (path / 'bag_2.mcap').write_bytes(b'garbage!' * 99)
    status, out, _ = run(path)
    assert status == 0
    for words in (
        'names what is not there: bag_1.mcap',
        'metadata.yaml tells of 200 messages, 50 are there',
        'bag_2.mcap: 0.0 MB, ',
        'bag_3.mcap: 0.0 MB, ',
    ):
        assert words in out
    (path / 'metadata.yaml').write_text('[')
    assert 'metadata.yaml is damaged' in run(path)[1]


def test_what_is_no_bag_is_one_line_each_and_keeps_no_other_from_being_told(
    tmp_path: Path,
) -> None:
    good = write_bag(tmp_path / 'good')
    (tmp_path / 'text').write_text('hello')
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    bad = [tmp_path / name for name in ('nowhere', 'text', 'pipe', 'folder', 'loop')]
    status, out, err = run(*bad, good)
    assert status == 1
    assert '200 messages on 2 topics' in out
    for path in bad:
        assert str(path) in out + err


@pytest.mark.parametrize('name', ['ros1', 'sqlite3', 'only json'])
def test_every_format_is_told(tmp_path: Path, name: str) -> None:
    if name == 'ros1':
        path = ros1_bag(tmp_path / 'x.bag', messages=5)
    elif name == 'sqlite3':
        path = rosbag2(tmp_path / 'bag')
    else:
        path = tmp_path / 'x.mcap'
        with mcap_file(path) as mcap:
            channel = mcap.register_channel('/a', 'json', 0)
            mcap.add_message(channel, 1, b'{}', 1)
    info = inspect_bag(path)
    assert sum(topic.message_count for topic in info.topics) in (1, 5, 20)
    assert run(path)[0] == 0


def test_names_of_others_do_not_reach_the_terminal_as_commands(tmp_path: Path) -> None:
    with mcap_file(tmp_path / 'x.mcap') as mcap:
        add_int8s(mcap, topic='/\x1b]0;owned\x07[red]')
    _, out, _ = run(tmp_path / 'x.mcap')
    assert '\x1b' not in out
    assert '[red]' in out
