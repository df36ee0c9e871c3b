# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recording through a queue: bounded memory, counted losses, slow and failing disks."""

from __future__ import annotations

import errno
import io
import threading
import time
from pathlib import Path
from typing import BinaryIO

from support.bag_makers import IMU, START_NS

from liquid_control.bags.background import BackgroundWriter, ReceivedMessage
from liquid_control.bags.definitions import definition
from liquid_control.bags.errors import BagError
from liquid_control.bags.messages import serialize
from liquid_control.bags.reader import BagReader
from liquid_control.bags.ring import RingBuffer
from liquid_control.bags.writer import FLUSH_SECONDS, BagWriter


def message(i: int, topic: str = IMU) -> ReceivedMessage:
    data = serialize('sensor_msgs/msg/Imu', {'linear_acceleration': {'x': float(i)}}, START_NS + i)
    return ReceivedMessage(topic, data, START_NS + i, START_NS + i)


SIZE = len(message(0).data)
MANY = [message(i) for i in range(8000)]  # 2.6 MB


def background(bag: BagWriter, max_bytes: int = 10**9) -> BackgroundWriter:
    writer = BackgroundWriter(bag, max_bytes=max_bytes)
    writer.add_topic(
        IMU, 'sensor_msgs/msg/Imu', definition=definition('sensor_msgs/msg/Imu'), qos=()
    )
    return writer


def recorded(path: Path) -> list[float]:
    with BagReader(path) as reader:
        return [m.value.linear_acceleration.x for m in reader.messages()]


class StuckDisk(io.FileIO):
    """A file whose writes wait until they are let through."""

    def __init__(self, path: Path, release: threading.Event, stuck: threading.Event) -> None:
        super().__init__(path, 'xb')
        self._release = release
        self._stuck = stuck

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.tell() > 0:  # the file's first bytes are written where the bag is opened
            self._stuck.set()
            assert self._release.wait(30)
        return super().write(data)


class StuckDiskWriter(BagWriter):
    def __init__(self, path: Path) -> None:
        self.release = threading.Event()
        self.stuck = threading.Event()
        super().__init__(path)

    def _open_stream(self, path: Path) -> BinaryIO:
        return io.BufferedWriter(StuckDisk(path, self.release, self.stuck))


class SlowDisk(io.FileIO):
    """A file on a disk that takes 2 MB/s."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        time.sleep(len(data) / 2e6)
        return super().write(data)


class SlowDiskWriter(BagWriter):
    def _open_stream(self, path: Path) -> BinaryIO:
        return io.BufferedWriter(SlowDisk(path, 'xb'))


class BrokenDisk(io.FileIO):
    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.tell() > 3000:
            raise OSError(errno.EIO, 'Input/output error')
        return super().write(data)


class BrokenDiskWriter(BagWriter):
    def _open_stream(self, path: Path) -> BinaryIO:
        return io.BufferedWriter(BrokenDisk(path, 'xb'))


def test_a_full_queue_drops_and_counts_and_never_blocks(tmp_path: Path) -> None:
    bag = StuckDiskWriter(tmp_path / 'bag')
    writer = background(bag, max_bytes=100 * SIZE)
    writer.put([message(0)])
    assert bag.stuck.wait(10)  # the idle flush after the first message hangs in the disk
    writer.put(message(i) for i in range(1, 301))
    assert writer.queued == 100
    assert writer.received[IMU] == 301
    assert writer.dropped[IMU] == 200

    bag.release.set()
    writer.close()
    assert writer.error is None
    assert recorded(tmp_path / 'bag') == list(range(101))


def test_one_message_larger_than_the_queue_is_recorded(tmp_path: Path) -> None:
    writer = background(BagWriter(tmp_path / 'bag'), max_bytes=10)
    writer.put([message(0)])
    writer.close()
    assert recorded(tmp_path / 'bag') == [0.0]


def test_what_a_slow_disk_took_is_recorded_in_order_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    writer = background(SlowDiskWriter(tmp_path / 'bag', compression='none'), max_bytes=500_000)
    writer.put(MANY)  # at once, against a queue of 0.5 MB
    writer.close()
    values = recorded(tmp_path / 'bag')
    assert writer.dropped[IMU] > 0
    assert len(values) + writer.dropped[IMU] == 8000
    assert values == sorted(set(values))


def test_a_failing_disk_is_reported_and_every_loss_counted(tmp_path: Path) -> None:
    writer = background(BrokenDiskWriter(tmp_path / 'bag', compression='none'))
    writer.put(MANY)
    writer.close()
    assert isinstance(writer.error, BagError)
    assert 'Input/output error' in str(writer.error)
    assert writer.received[IMU] == 8000
    saved = writer.received[IMU] - writer.dropped[IMU]
    if saved:
        assert recorded(tmp_path / 'bag') == list(range(saved))
    writer.put([message(1)])
    assert writer.dropped[IMU] == 8001 - saved


def test_the_last_second_before_a_pause_is_readable_while_the_bag_is_still_open(
    tmp_path: Path,
) -> None:
    writer = background(BagWriter(tmp_path / 'bag'))
    writer.put(message(i) for i in range(5))
    deadline = time.monotonic() + 10 * FLUSH_SECONDS
    while time.monotonic() < deadline:
        try:
            values = recorded(tmp_path / 'bag')
            break
        except BagError:
            time.sleep(0.05)
    writer.close()
    assert values == list(range(5))


def test_discarding_leaves_nothing(tmp_path: Path) -> None:
    writer = background(BagWriter(tmp_path / 'bag'))
    writer.put(message(i) for i in range(100))
    writer.discard()
    assert not (tmp_path / 'bag').exists()


def test_a_batch_in_memory_is_written_whatever_the_queue_allows(tmp_path: Path) -> None:
    writer = background(BagWriter(tmp_path / 'bag'), max_bytes=SIZE)
    writer.put((message(i) for i in range(50)), bounded=False)
    writer.close(wait=False)
    writer.close()
    assert recorded(tmp_path / 'bag') == list(range(50))
    assert not writer.is_alive


def test_a_ring_keeps_the_last_seconds() -> None:
    ring = RingBuffer(max_ns=10, max_bytes=10**9)
    for i in range(100):
        ring.put(message(i))
    assert [m.log_ns - START_NS for m in ring.messages()] == list(range(89, 100))


def test_a_ring_keeps_no_more_than_its_bytes() -> None:
    ring = RingBuffer(max_ns=10**12, max_bytes=5 * SIZE)
    for i in range(100):
        ring.put(message(i))
    assert [m.log_ns - START_NS for m in ring.messages()] == list(range(95, 100))
    small = RingBuffer(max_ns=10**12, max_bytes=SIZE - 1)
    small.put(message(0))
    assert small.messages() == []


def test_topics_added_later_are_recorded_too(tmp_path: Path) -> None:
    writer = background(BagWriter(tmp_path / 'bag'))
    topic = '/imu/second'
    writer.put([message(0)])
    writer.add_topic(
        topic, 'sensor_msgs/msg/Imu', definition=definition('sensor_msgs/msg/Imu'), qos=()
    )
    writer.put([message(1, topic)])
    writer.close()
    with BagReader(tmp_path / 'bag') as reader:
        assert reader.message_counts == {IMU: 1, topic: 1}
