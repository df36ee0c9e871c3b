# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Offline replay: how much faster than real time, where the time goes, how much memory it takes.

The recording is made here: a 160x120 JPEG camera at 30 Hz, a 200 Hz IMU, odometry and commands.
Its images take 4 kB each, as those of a real car's camera do. The policies take turns within
one run, everything on one core.

    python benchmarks/replay.py
    python benchmarks/replay.py --policies track_cfc models/my_robot --seconds 120
    python benchmarks/replay.py --policies donkeycar_cfc --bag a_real_recording
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from script import run_script

from liquid_control.bags.reader import BagReader
from liquid_control.bags.writer import BagWriter
from liquid_control.common.assets import find_bundle
from liquid_control.evaluate.replay.bag_replay import Options, replay_bag
from liquid_control.runtime.inference.policy import Policy

TOPICS = {
    '/camera/image_raw/compressed': ('sensor_msgs/msg/CompressedImage', 30),
    '/imu/data': ('sensor_msgs/msg/Imu', 200),
    '/odom': ('nav_msgs/msg/Odometry', 50),
    '/cmd_vel': ('geometry_msgs/msg/TwistStamped', 20),
}


def main() -> None:
    """Measure, print and write out/bench/replay.json."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        '--policies', nargs='+', default=['track_cfc', 'track_ltc', 'donkeycar_cfc']
    )
    parser.add_argument('--seconds', type=float, default=60.0, help='length of the recording')
    parser.add_argument('--turns', type=int, default=5)
    parser.add_argument('--bag', type=Path, help='recording to replay instead')
    options = parser.parse_args()
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    policies = {name: Policy.load(find_bundle(name)) for name in options.policies}
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in policies}
    with tempfile.TemporaryDirectory() as folder:
        bag = options.bag or record(Path(folder) / 'bag', options.seconds)
        for _ in range(options.turns + 1):
            for name, policy in policies.items():
                turns[name].append(replay_once(bag, policy))
        if options.bag is None:
            tell_memory(Path(folder), 10 * options.seconds, next(iter(policies.values())))
    rows = []
    for name, (_, *measured) in turns.items():  # the first turn warms caches
        row = {key: statistics.median(turn[key] for turn in measured) for key in measured[0]}
        best = max(turn['real_time_factor'] for turn in measured)
        rows.append({'policy': name, **row, 'best': best})
    show(rows)
    out = Path('out/bench')
    out.mkdir(parents=True, exist_ok=True)
    name = f'replay_{options.bag.name}' if options.bag else 'replay'
    (out / f'{name}.json').write_text(json.dumps(rows, indent=2) + '\n')


def replay_once(bag: Path, policy: Policy) -> dict[str, float]:
    """Real-time factors by the clock and by CPU time; shares of the stages."""
    with BagReader(bag) as reader:
        started = time.process_time()
        result = replay_bag(reader, policy, Options())
        cpu = time.process_time() - started
    stages = result.stages
    known = stages.decoding + stages.encoder + stages.core
    return {
        'real_time_factor': result.real_time_factor,
        'real_time_factor_cpu': result.duration / cpu,
        'decoding': stages.decoding / result.wall,
        'encoder': stages.encoder / result.wall,
        'core': stages.core / result.wall,
        'reading': 1 - known / result.wall,
    }


def tell_memory(folder: Path, seconds: float, policy: Policy) -> None:
    """How much more memory a long recording takes than all before it."""
    bag = record(folder / 'long', seconds)
    before = peak_memory()
    replay_once(bag, policy)
    print(
        f'memory at most {before:.0f} MB; after {seconds:.0f} s in one go {peak_memory():.0f} MB'
    )


def peak_memory() -> float:
    """Of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def record(path: Path, seconds: float) -> Path:
    """Write the recording."""
    rng = np.random.default_rng(0)
    jpegs = []
    for _ in range(30):
        coarse = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        smooth = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
        noisy = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
        jpegs.append(cv2.imencode('.jpg', noisy, (cv2.IMWRITE_JPEG_QUALITY, 75))[1].tobytes())
    messages = sorted(
        (round(index * 1e9 / rate), topic, index)
        for topic, (_, rate) in TOPICS.items()
        for index in range(1, round(seconds * rate))
    )
    with BagWriter(path) as bag:
        for topic, (msgtype, _) in TOPICS.items():
            bag.add_topic(topic, msgtype)
        for stamp_ns, topic, index in messages:
            phase = float(np.sin(stamp_ns / 1e9))
            bag.write_message(topic, values(topic, phase, jpegs[index % len(jpegs)]), stamp_ns)
    return path


def values(topic: str, phase: float, jpeg: bytes) -> dict[str, object]:
    """A message of each kind."""
    if topic == '/imu/data':
        return {'linear_acceleration': {'x': phase, 'z': 9.81}, 'angular_velocity': {'z': phase}}
    if topic == '/odom':
        return {'twist': {'twist': {'linear': {'x': 1.5}}}}
    if topic == '/cmd_vel':
        return {'twist': {'linear': {'x': 1.5}, 'angular': {'z': phase}}}
    return {'format': 'jpeg', 'data': jpeg}


def show(rows: list[dict[str, object]]) -> None:
    """Print the table."""
    table = Table(title='Offline replay on one core, medians')
    table.add_column('policy')
    for heading in (
        'times real time',
        'best turn',
        'by CPU time',
        'decoding',
        'encoder',
        'core',
        'reading',
    ):
        table.add_column(heading, justify='right')
    for row in rows:
        shares = (f'{row[key]:.0%}' for key in ('decoding', 'encoder', 'core', 'reading'))
        factors = (
            f'{row[key]:.0f}' for key in ('real_time_factor', 'best', 'real_time_factor_cpu')
        )
        table.add_row(str(row['policy']), *factors, *shares)
    Console(width=100).print(table)


if __name__ == '__main__':
    run_script(main)
