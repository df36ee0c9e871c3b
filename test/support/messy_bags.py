# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of others, small: several formats, cut off, mixed, or made to do harm."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGALRM, alarm, signal

import zstandard
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Rosbag2Writer
from rosbags.typesys import Stores, get_typestore
from support.bag_makers import PERIOD_NS, START_NS, write_bag

from liquid_control.bags.messages import serialize

INT8 = 'std_msgs/msg/Int8'
IMU_TYPE = 'sensor_msgs/msg/Imu'


@contextmanager
def deadline(seconds: int) -> Iterator[None]:
    """Fail instead of hanging: pipes are waited for without end."""

    def late(*_: object) -> None:
        raise TimeoutError(f'still at it after {seconds} s')

    before = signal(SIGALRM, late)
    alarm(seconds)
    try:
        yield
    finally:
        alarm(0)
        signal(SIGALRM, before)


@contextmanager
def mcap_file(path: Path, profile: str = 'ros2', **options: object) -> Iterator[McapWriter]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('wb') as stream:
        writer = McapWriter(stream, **options)  # type: ignore[arg-type]
        writer.start(profile)
        yield writer
        writer.finish()


def add_int8s(
    writer: McapWriter, values: Sequence[int] = range(10), topic: str = '/count'
) -> None:
    schema = writer.register_schema(INT8, 'ros2msg', b'int8 data')
    channel = writer.register_channel(topic, 'cdr', schema)
    for i in values:
        writer.add_message(channel, START_NS + i, b'\0\1\0\0' + bytes([i]), START_NS + i)


def rosbag2(
    path: Path,
    plugin: StoragePlugin = StoragePlugin.SQLITE3,
    mode: CompressionMode = CompressionMode.NONE,
    messages: int = 20,
    padding: int = 0,
) -> Path:
    """Imu messages; the i-th carries i as its x."""
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = Rosbag2Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection('/imu', IMU_TYPE, typestore=store)
        for i in range(messages):
            values = {
                'linear_acceleration': {'x': float(i)},
                'header': {'frame_id': 'x' * padding},
            }
            data = serialize(IMU_TYPE, values, START_NS + i * PERIOD_NS)
            writer.write(connection, START_NS + i * PERIOD_NS, data)
    return path


def ros1_bag(path: Path, compression: str = '', messages: int = 2000) -> Path:
    store = get_typestore(Stores.ROS1_NOETIC)
    string = store.types['std_msgs/msg/String']
    writer = Rosbag1Writer(path)
    if compression:
        writer.set_compression(Rosbag1Writer.CompressionFormat[compression.upper()])
    with writer:
        connection = writer.add_connection('/text', 'std_msgs/msg/String', typestore=store)
        for i in range(messages):
            data = store.serialize_ros1(string(data=f'{i:04} {"x" * 995}'), string.__msgtype__)
            writer.write(connection, START_NS + i * PERIOD_NS, data)
    return path


def left_open(path: Path) -> None:
    """Make a ROS 1 bag what its recorder leaves behind: no index, the last chunk without size."""
    content = bytearray(path.read_bytes())
    at, last = 13, 0
    while at < len(content):
        header = struct.unpack_from('<I', content, at)[0]
        fields = bytes(content[at + 4 : at + 4 + header])
        data = struct.unpack_from('<I', content, at + 4 + header)[0]
        if b'index_pos=' in fields:
            where = at + 4 + fields.index(b'index_pos=') + len(b'index_pos=')
            content[where : where + 8] = bytes(8)
        if b'op=\x05' in fields:
            last, end = at + 4 + header, at + 8 + header + data
        at += 8 + header + data
    content[last : last + 4] = bytes(4)
    path.write_bytes(content[: end - 500])


def with_wal(path: Path) -> Path:
    """A sqlite3 bag whose last messages lie in the journal beside it, as a kill leaves it."""
    rosbag2(path.with_name('source'))
    source = path.with_name('source') / 'source.db3'
    database = sqlite3.connect(source)
    database.execute('PRAGMA journal_mode = WAL')
    database.execute('PRAGMA wal_autocheckpoint = 0')
    topic, data = database.execute('SELECT topic_id, data FROM messages LIMIT 1').fetchone()
    stamp = START_NS + 99 * PERIOD_NS
    database.execute(
        'INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)', (topic, stamp, data)
    )
    database.commit()
    path.mkdir()
    for suffix in ('', '-wal'):
        shutil.copy(f'{source}{suffix}', path / f'bag.db3{suffix}')
    database.close()
    return path


def zeros(size: int, *, says_size: bool = True) -> bytes:
    """Zeros as zstd: 30,000 times smaller."""
    return zstandard.ZstdCompressor(write_content_size=says_size).compress(bytes(size))


def with_chunk(path: Path, compression: bytes, declared: int, data: bytes) -> Path:
    """An unfinished bag, in which a chunk of our own follows a hundred good messages."""
    write_bag(path)
    (path / 'metadata.yaml').unlink()
    file = next(path.glob('*.mcap'))
    content = file.read_bytes()
    at = 8
    while content[at] != 0x0F:  # the end of the data
        at += 9 + struct.unpack_from('<Q', content, at + 1)[0]
    record = struct.pack('<QQQI', START_NS, START_NS, declared, 0)
    record += struct.pack('<I', len(compression)) + compression
    record += struct.pack('<Q', len(data)) + data
    file.write_bytes(content[:at] + struct.pack('<BQ', 6, len(record)) + record)
    os.utime(file, (0, 0))
    return path
