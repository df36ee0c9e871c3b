# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bags of killed recorders and damaged disks: what is read of them, what repair makes of them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from support.bag_makers import IMU, TWIST, write_bag
from typer.testing import CliRunner

from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.repair import repair
from liquid_control.cli.main import app

# As a killed process leaves them: whole chunks of ten messages on each topic, no metadata.yaml.
PER_CHUNK = 10


@pytest.fixture(scope='module')
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_bag(tmp_path_factory.mktemp('original') / 'bag', flush_every=PER_CHUNK)
    return path / 'bag_0.mcap'


def cut_bag(path: Path, content: bytes) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / 'bag_0.mcap').write_bytes(content)
    (path / 'metadata.yaml').unlink(missing_ok=True)
    age(path)
    return path


def age(path: Path) -> None:
    """Let the files be old, so that a repair need not wait whether they grow."""
    for file in path.iterdir():
        os.utime(file, (0, 0))


def values(path: Path, topic: str) -> list[float]:
    with BagReader(path) as reader:
        if topic == IMU:
            return [m.value.linear_acceleration.x for m in reader.messages([topic])]
        return [m.value.twist.linear.x for m in reader.messages([topic])]


@given(share=st.floats(0.0, 1.0))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_bag_cut_anywhere_reads_up_to_its_last_whole_chunk(
    tmp_path: Path, original: Path, share: float
) -> None:
    content = original.read_bytes()
    summary = make_reader(io.BytesIO(content)).get_summary()
    assert summary is not None
    ends = [chunk.chunk_start_offset + chunk.chunk_length for chunk in summary.chunk_indexes]
    cut = int(share * 1.2 * max(ends))
    path = cut_bag(tmp_path / 'bag', content[:cut])
    whole = sum(end <= cut for end in ends)
    if whole == 0:
        with pytest.raises(BagError, match=r'no whole message|not an MCAP file'):
            BagReader(path)
        return
    found = values(path, IMU)
    assert found == list(range(PER_CHUNK * whole))
    assert values(path, TWIST) == found


def test_a_reader_says_that_a_bag_was_not_finished(tmp_path: Path, original: Path) -> None:
    content = original.read_bytes()
    path = cut_bag(tmp_path / 'bag', content[: len(content) // 3])
    before = (path / 'bag_0.mcap').read_bytes()
    with BagReader(path) as reader:
        assert not reader.is_finished
    assert (path / 'bag_0.mcap').read_bytes() == before


def test_repair_restores_index_and_metadata_and_loses_nothing_whole(
    tmp_path: Path, original: Path
) -> None:
    content = original.read_bytes()
    path = cut_bag(tmp_path / 'bag', content[: len(content) // 3])
    readable = values(path, IMU)

    report = repair(path)

    assert report.message_counts == {IMU: len(readable), TWIST: len(readable)}
    assert report.repaired_files == ['bag_0.mcap']
    assert 0 < report.lost_bytes < len(content) // 10
    assert values(path, IMU) == readable
    information = yaml.safe_load((path / 'metadata.yaml').read_text())[
        'rosbag2_bagfile_information'
    ]
    assert information['message_count'] == 2 * len(readable)
    assert information['topics_with_message_count'][0]['topic_metadata']['type_description_hash']
    with (path / 'bag_0.mcap').open('rb') as stream:
        reader = make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count == 2 * len(readable)
        assert sum(1 for _ in reader.iter_messages(topics=[TWIST])) == len(readable)


def test_repairing_twice_changes_nothing_the_second_time(tmp_path: Path, original: Path) -> None:
    content = original.read_bytes()
    path = cut_bag(tmp_path / 'bag', content[: len(content) // 3])
    repair(path)
    contents = {file: file.read_bytes() for file in path.iterdir()}
    assert repair(path).repaired_files == []
    assert {file: file.read_bytes() for file in path.iterdir()} == contents


def test_a_power_cut_that_left_zeros_at_the_end_is_repaired(
    tmp_path: Path, original: Path
) -> None:
    content = original.read_bytes()
    half = len(content) // 3
    path = cut_bag(tmp_path / 'bag', content[:half] + bytes(4096))
    readable = values(path, IMU)
    assert len(readable) >= 30
    assert repair(path).message_counts[IMU] == len(readable)


@given(position=st.floats(0.05, 0.95), flip=st.integers(1, 255))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_flipped_byte_never_yields_a_wrong_message(
    tmp_path: Path, original: Path, position: float, flip: int
) -> None:
    """Chunks and the ending have checksums; a flip elsewhere may cost messages, not change one."""
    content = original.read_bytes()
    damaged = bytearray(content)
    damaged[int(position * len(damaged))] ^= flip
    path = cut_bag(tmp_path / 'bag', bytes(damaged))
    try:
        repair(path)
        found = values(path, IMU)
    except BagError:
        return
    assert found == sorted(set(found))
    assert set(found) <= set(range(100))
    assert len(found) % PER_CHUNK == 0


def test_a_damaged_chunk_costs_only_itself(tmp_path: Path, original: Path) -> None:
    content = original.read_bytes()
    damaged = bytearray(content)
    summary = make_reader(io.BytesIO(content)).get_summary()
    assert summary is not None
    chunk = summary.chunk_indexes[5]
    damaged[chunk.chunk_start_offset + chunk.chunk_length // 2] ^= 0xFF
    path = cut_bag(tmp_path / 'bag', bytes(damaged))
    with pytest.raises(BagError, match='is damaged'):
        values(path, IMU)
    assert repair(path).message_counts[IMU] == 100 - PER_CHUNK
    assert len(values(path, IMU)) == 100 - PER_CHUNK


def test_a_split_bag_killed_in_its_last_file_is_repaired(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', split_bytes=1500, flush_every=5)
    (path / 'metadata.yaml').unlink()
    last = sorted(path.glob('*.mcap'), key=lambda f: int(f.stem.split('_')[1]))[-1]
    last.write_bytes(last.read_bytes()[:40])
    age(path)
    expected = values_without(path, last)
    report = repair(path)
    assert report.empty_files == [last.name]
    assert report.message_counts[IMU] == expected
    assert len(values(path, IMU)) == expected


def values_without(path: Path, last: Path) -> int:
    return sum(len(values(file, IMU)) for file in path.glob('*.mcap') if file != last)


def test_a_bag_with_nothing_to_save_is_refused_and_left_alone(
    tmp_path: Path, original: Path
) -> None:
    content = original.read_bytes()
    path = cut_bag(tmp_path / 'bag', content[:60])
    with pytest.raises(BagError, match='no file of it holds a whole message'):
        repair(path)
    assert (path / 'bag_0.mcap').read_bytes() == content[:60]
    with pytest.raises(BagError, match=r'no \.mcap files'):
        repair(tmp_path)


def test_the_command_repairs_and_says_what_was_lost(tmp_path: Path, original: Path) -> None:
    content = original.read_bytes()
    path = cut_bag(tmp_path / 'bag', content[: len(content) // 3])
    result = CliRunner().invoke(app, ['bag', 'repair', str(path)])
    assert result.exit_code == 0
    readable = len(values(path, IMU))
    assert f'repaired bag_0.mcap; {2 * readable} messages on 2 topics read back' in result.output
    assert 'whole; ' in CliRunner().invoke(app, ['bag', 'repair', str(path)]).output
    assert CliRunner().invoke(app, ['bag', 'repair', str(tmp_path)]).exit_code == 1
