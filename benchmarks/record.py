# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recorder under load: nothing may be lost, and it should cost little more than writing the file.

One, two and four cameras of 640x480 RGB at 30 Hz and an IMU at 400 Hz, each in a process of its
own, are recorded over DDS. Afterwards the messages of the bag are written again from memory, in
turns, with our writer and with the `mcap` package alone: the floor of what recording them costs.
Ours also embeds definitions, flushes every second and syncs the finished file to the disk.
Last, what the recorder costs while it only waits for an episode, in wall and in simulated time.

    python benchmarks/record.py --seconds 10 --compression zstd
    python benchmarks/record.py --cameras --seconds 20    # the waiting alone
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import yaml
from mcap.writer import CompressionType, Writer
from rich.console import Console
from rich.table import Table
from script import run_script

from liquid_control.bags.messages import serialize
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.bags.writer import BagWriter
from liquid_control.evaluate.closed_loop.domains import claim_domain
from liquid_control.nodes.common.dds import use_default_profile

WIDTH, HEIGHT, CAMERA_RATE, IMU_RATE, CLOCK_RATE = 640, 480, 30, 400, 200
STAMP_OFFSET = 4  # bytes into a serialised message with a header
REPEATS = 5
IN_MEMORY = 300  # messages to write again; four cameras fill 65 MB
COMPRESSIONS = {
    'zstd': CompressionType.ZSTD,
    'lz4': CompressionType.LZ4,
    'none': CompressionType.NONE,
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One load. CPU times are of all threads of the process."""

    cameras: int
    compression: str
    sent: int
    lost: int
    dropped: int
    megabytes_per_second: float
    recorder_cpu_share: float
    """CPU seconds per second, of one core."""
    recorder_cpu_per_gigabyte: float
    writer_cpu_per_gigabyte: float
    mcap_cpu_per_gigabyte: float

    @property
    def writer_ratio(self) -> float:
        """Our writer against the `mcap` package."""
        return self.writer_cpu_per_gigabyte / self.mcap_cpu_per_gigabyte

    @property
    def recorder_ratio(self) -> float:
        """Receiving over DDS and writing, against writing alone with the `mcap` package."""
        return self.recorder_cpu_per_gigabyte / self.mcap_cpu_per_gigabyte


def main() -> None:
    """Measure, print and write out/bench/record.json."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--cameras', type=int, nargs='*', default=[1, 2, 4])
    parser.add_argument('--seconds', type=float, default=10.0, help='of each recording')
    parser.add_argument('--compression', nargs='+', choices=COMPRESSIONS, default=['zstd', 'none'])
    parser.add_argument('--publish', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(options.publish, options.seconds)
        return
    os.environ['ROS_DOMAIN_ID'] = str(claim_domain())
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    use_default_profile()
    rows = []
    for cameras in options.cameras:
        for compression in options.compression:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(cameras, compression, options.seconds, Path(folder)))
    console = Console(width=140)
    if rows:
        console.print(table(rows))
    waiting = {
        'simulated' if simulated else 'wall': measure_waiting(simulated, options.seconds)
        for simulated in (False, True)
    }
    for time_of, share in waiting.items():
        console.print(f'waiting for an episode, {time_of} time: {share:.1%} of one core')
    out = Path('out/bench/record.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    content = [
        dataclasses.asdict(row)
        | {'writer_ratio': row.writer_ratio, 'recorder_ratio': row.recorder_ratio}
        for row in rows
    ]
    out.write_text(json.dumps({'rows': content, 'waiting': waiting}, indent=2) + '\n')


def measure(cameras: int, compression: str, seconds: float, folder: Path) -> Row:
    """Record one load and write its messages again."""
    topics = ['/benchmark/imu', *(f'/benchmark/image_{i}' for i in range(cameras))]
    session = folder / 'session'
    parameters = {
        'autostart': 'true',
        'output_directory': session,
        'compression': compression,
        'all_topics': 'false',
        'topics': f'[{", ".join(topics)}]',
    }
    with started(topics, parameters, seconds) as (recorder, publishers):
        before = cpu_seconds(recorder.pid)
        began = time.monotonic()
        sent = {t: int(p.communicate()[0]) for t, p in zip(topics, publishers, strict=True)}
        elapsed = time.monotonic() - began
        used = cpu_seconds(recorder.pid) - before

    episode = session / 'episode_0000'
    with BagReader(episode) as bag:
        lost = sum(sent.values()) - sum(bag.message_counts.get(topic, 0) for topic in topics)
        all_sending = max(next(bag.messages([topic])).log_ns for topic in topics)
        kept = list(islice(bag.messages(topics, start_ns=all_sending), IN_MEMORY))
        size = sum(len(message.raw) for message in bag.messages(topics))
    dropped = dropped_of(session)
    ours, theirs = write_again(kept, compression, folder)
    return Row(
        cameras,
        compression,
        sum(sent.values()),
        lost,
        dropped,
        size / elapsed / 1e6,
        used / elapsed,
        used / size * 1e9,
        ours,
        theirs,
    )


def measure_waiting(simulated: bool, seconds: float) -> float:
    """CPU seconds per second of a recorder that hears a camera and an IMU, and records nothing."""
    topics = ['/benchmark/imu', '/benchmark/image_0', *(['/clock'] if simulated else [])]
    with tempfile.TemporaryDirectory() as folder:
        parameters = {
            'autostart': 'true',
            'output_directory': Path(folder) / 'session',
            'start_on': 'request',
            'use_sim_time': str(simulated).lower(),
        }
        with started(topics, parameters, seconds) as (recorder, publishers):
            before, began = cpu_seconds(recorder.pid), time.monotonic()
            for publisher in publishers:
                publisher.communicate()
            share = (cpu_seconds(recorder.pid) - before) / (time.monotonic() - began)
    return share


@contextlib.contextmanager
def started(
    topics: list[str], parameters: dict[str, object], seconds: float
) -> Iterator[tuple[subprocess.Popen[bytes], list[subprocess.Popen[bytes]]]]:
    """A recorder, and publishers that it has subscribed to; they end with the block."""
    arguments = [part for item in parameters.items() for part in ('-p', '{}:={}'.format(*item))]
    recorder = subprocess.Popen(
        [sys.executable, '-m', 'liquid_control.nodes.recorder.node', '--ros-args', *arguments],
        stderr=subprocess.DEVNULL,
    )
    publishers = [
        subprocess.Popen(
            [sys.executable, __file__, '--publish', topic, '--seconds', str(seconds)],
            stdout=subprocess.PIPE,
        )
        for topic in topics
    ]
    try:
        for publisher in publishers:
            assert publisher.stdout is not None
            publisher.stdout.readline()
        yield recorder, publishers
    finally:
        for process in (*publishers, recorder):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait()


def dropped_of(session: Path) -> int:
    """Messages that the recorder says it dropped."""
    content = yaml.safe_load((session / 'session.yaml').read_text())
    return sum(content['episodes'][0]['dropped'].values())


def write_again(messages: list[BagMessage], compression: str, folder: Path) -> tuple[float, float]:
    """CPU seconds per gigabyte of our writer and of `mcap` alone: the least of some turns."""
    size = sum(len(message.raw) for message in messages)
    ours, theirs = [], []
    for i in range(REPEATS):
        began = time.process_time()
        write_ours(messages, compression, folder / f'ours_{i}')
        ours.append(time.process_time() - began)
        shutil.rmtree(folder / f'ours_{i}')  # or the kernel's write-back is counted, too
        began = time.process_time()
        write_mcap(messages, compression, folder / f'theirs_{i}.mcap')
        theirs.append(time.process_time() - began)
        (folder / f'theirs_{i}.mcap').unlink()
    return min(ours) / size * 1e9, min(theirs) / size * 1e9


def write_ours(messages: list[BagMessage], compression: str, path: Path) -> None:
    """Write with `BagWriter`."""
    with BagWriter(path, compression=compression) as bag:  # type: ignore[arg-type]
        for message in messages:
            bag.add_topic(message.topic, message.msgtype)
            bag.write(message.topic, message.raw, message.log_ns)


def write_mcap(messages: list[BagMessage], compression: str, path: Path) -> None:
    """Write with the `mcap` package, as its documentation shows."""
    with path.open('wb') as stream:
        writer = Writer(stream, compression=COMPRESSIONS[compression])
        writer.start('ros2')
        channels: dict[str, int] = {}
        for message in messages:
            if message.topic not in channels:
                schema = writer.register_schema(message.msgtype, 'ros2msg', b'')
                channels[message.topic] = writer.register_channel(message.topic, 'cdr', schema)
            writer.add_message(
                channels[message.topic], message.log_ns, message.raw, message.log_ns
            )
        writer.finish()


def publish(topic: str, seconds: float) -> None:
    """Publish one sensor at its rate, in a process of its own, and say how many were sent."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.signals import SignalHandlerOptions
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import Image, Imu

    use_default_profile()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(topic.strip('/').replace('/', '_'))
    kind, rate, make = next(
        each[1:] for each in (
            ('image', Image, CAMERA_RATE, image),
            ('imu', Imu, IMU_RATE, lambda _: imu()),
            ('clock', Clock, CLOCK_RATE, lambda _: serialize('rosgraph_msgs/msg/Clock', {}, 1)),
        ) if each[0] in topic
    )  # fmt: skip
    publisher = node.create_publisher(kind, topic, qos_profile_sensor_data)
    frames = [bytearray(make(i)) for i in range(8)]
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    time.sleep(1.0)  # the other side has to learn of this publisher, too
    print(flush=True)
    began = time.monotonic()
    count = round(seconds * rate)
    for i in range(count):
        time.sleep(max(0.0, began + i / rate - time.monotonic()))
        frame = frames[i % len(frames)]
        stamp = time.time_ns()
        frame[STAMP_OFFSET : STAMP_OFFSET + 4] = (stamp // 10**9).to_bytes(4, 'little')
        frame[STAMP_OFFSET + 4 : STAMP_OFFSET + 8] = (stamp % 10**9).to_bytes(4, 'little')
        publisher.publish(bytes(frame))
    time.sleep(1.0)
    print(count)


def image(seed: int) -> bytes:
    """A serialised image that compresses like a camera's: smooth shading and sensor noise."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 4, WIDTH), np.linspace(0, 3, HEIGHT))
    shade = 128 + 60 * np.sin(x + seed) * np.cos(y)
    pixels = shade[:, :, None] * [1.0, 0.9, 0.8] + rng.normal(0, 2, (HEIGHT, WIDTH, 3))
    values = {
        'width': WIDTH,
        'height': HEIGHT,
        'step': 3 * WIDTH,
        'encoding': 'rgb8',
        'data': pixels.clip(0, 255).astype(np.uint8),
    }
    return serialize('sensor_msgs/msg/Image', values, 1)


def imu() -> bytes:
    """A serialised IMU message."""
    return serialize('sensor_msgs/msg/Imu', {'linear_acceleration': {'z': 9.81}}, 1)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    result = Table(title='recording 640x480 RGB at 30 Hz per camera and an IMU at 400 Hz')
    for name in (
        'cameras',
        'compression',
        'sent',
        'lost',
        'MB/s',
        'CPU of one core',
        'CPU s/GB recorder',
        'our writer',
        'mcap alone',
        'writer : mcap',
        'recorder : mcap',
    ):
        result.add_column(name, justify='right')
    for row in rows:
        result.add_row(
            str(row.cameras),
            row.compression,
            str(row.sent),
            str(row.lost),
            f'{row.megabytes_per_second:.1f}',
            f'{row.recorder_cpu_share:.0%}',
            f'{row.recorder_cpu_per_gigabyte:.2f}',
            f'{row.writer_cpu_per_gigabyte:.2f}',
            f'{row.mcap_cpu_per_gigabyte:.2f}',
            f'{row.writer_ratio:.2f}',
            f'{row.recorder_ratio:.2f}',
        )
    return result


if __name__ == '__main__':
    run_script(main)
