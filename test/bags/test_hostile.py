# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings made to do harm: they are refused in one line, before they take time or memory."""

from __future__ import annotations

import bz2
import os
import sqlite3
import struct
import tracemalloc
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from rosbags.rosbag2 import CompressionMode
from support.bag_makers import IMU, START_NS, write_bag
from support.messy_bags import deadline, mcap_file, ros1_bag, rosbag2, with_chunk, zeros

from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.repair import repair
from liquid_control.bags.unpacking import LIMIT_VARIABLE
from liquid_control.learn.data.ingest import bag_digest

LIMIT = 1 << 20
BOMB = 64 << 20


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, str(LIMIT))


def read(path: Path) -> int:
    """Count the messages; neither time nor memory may be what the recording asks for."""
    tracemalloc.start()
    try:
        with deadline(10), BagReader(path) as reader:
            return sum(message.value is not None for message in reader.messages())
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < BOMB / 4


@pytest.mark.parametrize(
    ('compression', 'data'),
    [
        (b'zstd', zeros(BOMB)),
        (b'zstd', zeros(BOMB, says_size=False)),
        (b'lz4', lz4.frame.compress(bytes(BOMB))),
        (b'', bytes(2 * LIMIT)),
    ],
)
def test_a_chunk_that_unpacks_to_more_than_is_allowed_is_refused(
    tmp_path: Path, compression: bytes, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_chunk(tmp_path / 'bag', compression, BOMB if compression else len(data), data)
    with pytest.raises(BagError, match=f'more than the 1 MB allowed: set {LIMIT_VARIABLE}'):
        read(path)
    with pytest.raises(BagError, match='MB allowed'), deadline(10):
        repair(path)
    monkeypatch.setenv(LIMIT_VARIABLE, str(2 * BOMB))
    with deadline(10), BagReader(path) as reader:
        assert reader.message_counts[IMU] == 100, 'zeros are no records'


@pytest.mark.parametrize(
    ('compression', 'declared', 'data'),
    [
        (b'zstd', 100, zeros(BOMB)),
        (b'zstd', 100, zeros(BOMB, says_size=False)),
        (b'zstd', 1 << 63, b'x' * 10),
        (b'zstd', 1 << 62, b'\x28\xb5\x2f\xfd\xe0' + struct.pack('<Q', 1 << 62) + b'x' * 9),
        (b'lz4', 1 << 50, lz4.frame.compress(b'a' * 300)),
        (b'lz4', 100, lz4.frame.compress(bytes(BOMB))),
        (b'', 1 << 40, b'x' * 100),
    ],
)
def test_a_chunk_that_lies_about_its_size_is_left_out(
    tmp_path: Path, compression: bytes, declared: int, data: bytes
) -> None:
    assert read(with_chunk(tmp_path / 'bag', compression, declared, data)) == 200


def test_a_chunk_of_more_messages_than_its_size_can_explain_is_refused(tmp_path: Path) -> None:
    record = struct.pack('<BQHIQQ', 5, 22, 1, 0, START_NS, START_NS) * 30_000
    packed = zstandard.ZstdCompressor().compress(record)
    assert len(packed) < 200
    path = with_chunk(tmp_path / 'bag', b'zstd', len(record), packed)
    with pytest.raises(BagError, match='messages, which its size does not explain: set LIQUID'):
        read(path)


def test_chunks_that_all_overlap_in_time_are_not_all_held_in_memory(tmp_path: Path) -> None:
    with mcap_file(tmp_path / 'x.mcap', chunk_size=100_000) as mcap:
        schema = mcap.register_schema('std_msgs/msg/String', 'ros2msg', b'string data')
        channel = mcap.register_channel('/text', 'cdr', schema)
        text = b'\0\1\0\0' + struct.pack('<I', 100_000) + bytes(100_000)
        for i in range(500):
            for log_ns in (START_NS, START_NS + 1000 - i):
                mcap.add_message(channel, log_ns, text, log_ns)
    with pytest.raises(BagError, match='what overlaps in time takes'):
        read(tmp_path / 'x.mcap')


def test_a_compression_that_nobody_knows_is_named(tmp_path: Path) -> None:
    path = with_chunk(tmp_path / 'bag', b'brotli', 10, b'x' * 10)
    with pytest.raises(BagError, match="compressed with 'brotli': expected zstd, lz4"):
        read(path)


def test_a_compressed_file_without_end_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    monkeypatch.setattr('tempfile.tempdir', None)
    path = rosbag2(tmp_path / 'bag', mode=CompressionMode.FILE)
    (path / 'bag.db3.zstd').write_bytes(zeros(BOMB))
    with pytest.raises(BagError, match=r'bag\.db3\.zstd unpacked takes'):
        read(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ['bag']


def test_a_compressed_message_without_end_is_refused(tmp_path: Path) -> None:
    path = rosbag2(tmp_path / 'bag')
    for says_size in (True, False):
        with sqlite3.connect(path / 'bag.db3') as database:
            data = zeros(BOMB, says_size=says_size)
            database.execute('UPDATE messages SET data = ? WHERE id = 5', (data,))
        with pytest.raises(BagError, match=r'more than the 1 MB allowed'):
            read(path)


def test_metadata_nested_deeper_than_a_parser_survives_is_refused(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag')
    too_deep = r'nested more than 50 deep|maximum nesting depth'
    for text in ('[' * 200_000, '- ' * 1000, 'x: ' + '{y: ' * 1000):
        (path / 'metadata.yaml').write_text(text)
        with pytest.raises(BagError, match=too_deep), deadline(10):
            read(path)


@pytest.mark.parametrize('compression', ['bz2', 'lz4'])
def test_a_ros1_chunk_that_lies_about_its_size_is_refused(
    tmp_path: Path, compression: str
) -> None:
    path = ros1_bag(tmp_path / 'x.bag', compression, messages=10)
    content = path.read_bytes()
    start = 13
    while True:  # to the first chunk
        (header,) = struct.unpack_from('<I', content, start)
        data_at = start + 4 + header
        (size,) = struct.unpack_from('<I', content, data_at)
        if b'op=\x05' in content[start:data_at]:
            break
        start = data_at + 4 + size
    bomb = (bz2.compress if compression == 'bz2' else lz4.frame.compress)(bytes(BOMB))
    rest = content[data_at + 4 + size :]
    path.write_bytes(content[:data_at] + struct.pack('<I', len(bomb)) + bomb + rest)
    with pytest.raises(BagError, match=r'damaged|no whole message'):
        read(path)


@pytest.mark.parametrize(
    'name', ['metadata.yaml', 'bag_0.mcap', 'x.db3', 'x.bag', 'x.mcap.zstd', 'bag_0.mcap-wal']
)
@pytest.mark.parametrize('kind', ['pipe', 'device'])
def test_a_pipe_or_device_in_place_of_a_file_is_refused_at_once(
    tmp_path: Path, name: str, kind: str
) -> None:
    path = write_bag(tmp_path / 'bag')
    (path / 'metadata.yaml').unlink()
    (path / name).unlink(missing_ok=True)
    if kind == 'pipe':
        os.mkfifo(path / name)
    else:
        (path / name).symlink_to('/dev/zero')
    if name.endswith('-wal'):
        assert read(path) == 200
        return
    for act in (read, bag_digest) if name != 'metadata.yaml' else (read,):
        with pytest.raises(BagError, match=f'must be a regular file, found a {kind}'), deadline(5):
            act(path)
    if name == 'bag_0.mcap':
        with pytest.raises(BagError, match=r'regular file|is a link'), deadline(5):
            repair(path)


def test_metadata_larger_than_any_recorder_writes_it_is_refused(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag')
    for text in (
        'x: [a, ' + 'b, ' * 5_000_000 + ']\n',
        '[' * 200_000,
        'x: &a [*a]',
        '- ' * 50_000,
    ):
        (path / 'metadata.yaml').write_text(text)
        with pytest.raises(BagError, match=r'(?s)metadata\.yaml.*delete it to read'), deadline(10):
            read(path)


@pytest.mark.parametrize(
    'change',
    [
        'ALTER TABLE messages RENAME TO m; CREATE VIEW messages AS '
        'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) '
        'SELECT x AS id, x AS topic_id, x AS timestamp, zeroblob(100) AS data FROM c',
        'DROP TABLE messages; CREATE TABLE messages (id INTEGER, topic_id INTEGER DEFAULT 1, '
        'timestamp INTEGER, data BLOB AS(zeroblob(900000000))); '
        'INSERT INTO messages (id, topic_id, timestamp) VALUES (1, 1, 1)',
    ],
)
def test_a_database_that_computes_its_messages_is_refused(tmp_path: Path, change: str) -> None:
    path = rosbag2(tmp_path / 'bag')
    with sqlite3.connect(path / 'bag.db3') as database:
        database.executescript(change)
    with pytest.raises(BagError, match=r'no bag: it has no messages|not one that rosbag2 writes'):
        read(path)


@pytest.mark.parametrize('definition', [b'std_msgs/Empty[] x', b'std_msgs/Empty[900000000] x'])
def test_elements_that_need_no_bytes_are_not_any_number_of_them(
    tmp_path: Path, definition: bytes
) -> None:
    line = b'\n' + b'=' * 80 + b'\nMSG: std_msgs/Empty\n'
    with mcap_file(tmp_path / 'x.mcap', profile='ros1') as mcap:
        schema = mcap.register_schema('my_msgs/Many', 'ros1msg', definition + line)
        channel = mcap.register_channel('/many', 'ros1', schema)
        mcap.add_message(channel, START_NS, b'\xff\xff\xff\x7f', START_NS)
    with pytest.raises(BagError, match='my_msgs/msg/Many'):
        read(tmp_path / 'x.mcap')
