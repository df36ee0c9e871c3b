"""Fixed rate under load: our node, what a user would write otherwise, and a bare loop, in one run.

For every rate, camera and load the three take turns, with the same camera and IMU publishing all
the while: lateness of the ticks, missed cycles, CPU time, camera stamp to command. Each is given
as a ratio to the floor (the bare loop) and to the peer (an rclpy timer that steps an ncps model in
the node that also subscribes).

    python benchmarks/rate.py --quick
    python benchmarks/rate.py --rates 20 50 100 200 --cameras 640x480 1280x720
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from rate_parts import percentiles
from rich.console import Console
from rich.table import Table

from liquid_control.nodes.dds import use_default_profile
from liquid_control.runtime.bundle import CONTRACT_FILE, find_bundle, load_bundle, shipped_models

PARTS = Path(__file__).with_name('rate_parts.py')


def main() -> None:
    """Measure, print and write out/bench/rate.json."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rates', type=float, nargs='+', default=[20, 50, 100, 200])
    parser.add_argument('--cameras', nargs='+', default=['640x480', '1280x720'])
    parser.add_argument('--seconds', type=float, default=8.0, help='of each turn')
    parser.add_argument('--policy', default='track_cfc')
    parser.add_argument('--quick', action='store_true', help='100 Hz and 640x480 only, idle')
    options = parser.parse_args()
    loads = (False, True)
    if options.quick:
        options.rates, options.cameras, loads = [100.0], ['640x480'], (False,)
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    use_default_profile()
    rows = []
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        for camera in options.cameras:
            width, height = map(int, camera.split('x'))
            bundle = bundle_for(options.policy, width, height, Path(folder))
            size = ['--width', str(width), '--height', str(height)]
            for load in loads:
                with running('source', *size), busy(load):
                    time.sleep(1.0)
                    for rate in options.rates:
                        console.print(f'{camera} {"loaded" if load else "idle"} {rate:g} Hz ...')
                        row = turn(rate, options.seconds, bundle)
                        rows.append({'camera': camera, 'loaded': load, 'rate_hz': rate, **row})
    report(rows, console)
    out = Path('out/bench/rate.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2))


def bundle_for(policy: str, width: int, height: int, folder: Path) -> Path:
    """The policy with a contract that takes the whole picture of this camera."""
    path = find_bundle(policy, shipped_models())
    contract = load_bundle(path).contract
    assert contract.image is not None
    crop = (0, height // 3, width, height - height // 3)
    image = dataclasses.replace(
        contract.image, source_width=width, source_height=height, crop=crop, max_age=2.0
    )
    copy = folder / f'{width}x{height}'
    shutil.copytree(path, copy)
    dataclasses.replace(contract, image=image).dump(copy / CONTRACT_FILE)
    return copy


def turn(rate: float, seconds: float, bundle: Path) -> dict[str, Any]:
    """Every contestant once."""
    timing = ['--rate', str(rate), '--seconds', str(seconds)]
    return {
        'bare': measure('bare', *timing),
        'receiver': measure('receiver', *timing),
        'ours': ours(rate, seconds, bundle),
        'peer': measure('peer', *timing),
    }


def measure(role: str, *arguments: str) -> dict[str, Any]:
    """Run a role to its end and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(PARTS), role, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def ours(rate: float, seconds: float, bundle: Path) -> dict[str, Any]:
    """The policy node, engaged, observed from outside."""
    import rclpy
    from geometry_msgs.msg import TwistStamped
    from liquid_control.msg import PolicyState
    from std_srvs.srv import SetBool

    command = [
        sys.executable, '-m', 'liquid_control.nodes.policy_node', '--ros-args',
        '-p', 'autostart:=true', '-p', f'policy:={bundle}', '-p', f'control_rate:={rate}',
    ]  # fmt: skip
    rclpy.init()
    node = rclpy.create_node('observer')
    states: list[Any] = []
    node.create_subscription(PolicyState, 'policy_node/state', states.append, 100)
    node.create_subscription(TwistStamped, 'cmd_vel', lambda message: None, 1)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        engage = node.create_client(SetBool, 'policy_node/engage')
        deadline = time.monotonic() + 30
        while not (states and len(states[-1].command_raw) and engage.service_is_ready()):
            rclpy.spin_once(node, timeout_sec=0.1)
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit('the policy node did not come up')
        rclpy.spin_until_future_complete(node, engage.call_async(SetBool.Request(data=True)))
        settle = time.monotonic() + 2
        while time.monotonic() < settle:
            rclpy.spin_once(node, timeout_sec=0.1)
        states.clear()
        child = psutil.Process(process.pid)
        before, end = sum(child.cpu_times()[:2]), time.monotonic() + seconds
        while time.monotonic() < end:
            rclpy.spin_once(node, timeout_sec=0.1)
        cpu = sum(child.cpu_times()[:2]) - before
    finally:
        process.terminate()
        process.wait(20)
        node.destroy_node()
        rclpy.shutdown()
    return {
        'lateness': percentiles([state.lateness for state in states]),
        'missed': states[-1].missed - states[0].missed,
        'ticks': states[-1].tick - states[0].tick,
        'cpu': cpu,
        'sense_to_act': percentiles([s.sense_to_act for s in first_of_each_frame(states)]),
        'encoder': percentiles([state.encoder_time for state in states]),
        'core': percentiles([state.core_time for state in states]),
        'frames': len({(s.image_stamp.sec, s.image_stamp.nanosec) for s in states}),
    }


def first_of_each_frame(states: list[Any]) -> list[Any]:
    """The ticks whose frame is new: the first commands that a frame has caused."""
    pairs = itertools.pairwise(states)
    return [after for before, after in pairs if after.image_stamp != before.image_stamp]


@contextlib.contextmanager
def running(role: str, *arguments: str) -> Iterator[None]:
    """A role in the background."""
    process = subprocess.Popen([sys.executable, str(PARTS), role, *arguments])
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def busy(load: bool) -> Iterator[None]:
    """Two processes that want a core each."""
    with contextlib.ExitStack() as stack:
        for _ in range(2 if load else 0):
            stack.enter_context(running('busy'))
        yield


def report(rows: list[dict[str, Any]], console: Console) -> None:
    """The table."""
    table = Table(title='lateness and CPU: ours, with ratios to the bare loop and to the peer')
    for column in (
        'camera', 'load', 'Hz', 'late p50 ms', 'p99 ms', 'max ms', 'p99 / bare', 'p99 / peer',
        'missed', 'bare', 'peer', 'CPU ms/tick', '/ peer', 'sense-act p50 ms', '/ peer',
        '/ unavoidable', '/ (that + half a period)',
    ):  # fmt: skip
        table.add_column(column, justify='right')
    for row in rows:
        mine, floor, peer = row['ours'], row['bare'], row['peer']
        cpu = 1e3 * mine['cpu'] / max(mine['ticks'], 1)
        cpu_peer = 1e3 * peer['cpu'] / max(peer['ticks'], 1)
        unavoidable = (
            row['receiver']['delivery']['p50'] + mine['encoder']['p50'] + mine['core']['p50']
        )
        # Features wait for the next tick: half a period in the middle, whoever keeps a rate.
        waiting = 1e3 * 0.5 / row['rate_hz']
        table.add_row(
            row['camera'],
            'two busy' if row['loaded'] else 'idle',
            f'{row["rate_hz"]:g}',
            *(f'{mine["lateness"][key]:.2f}' for key in ('p50', 'p99', 'max')),
            f'{mine["lateness"]["p99"] / floor["lateness"]["p99"]:.2f}',
            f'{mine["lateness"]["p99"] / peer["lateness"]["p99"]:.2f}',
            str(mine['missed']),
            str(floor['missed']),
            str(peer['missed']),
            f'{cpu:.2f}',
            f'{cpu / cpu_peer:.2f}',
            f'{mine["sense_to_act"]["p50"]:.1f}',
            f'{mine["sense_to_act"]["p50"] / peer["sense_to_act"]["p50"]:.2f}',
            f'{mine["sense_to_act"]["p50"] / unavoidable:.2f}',
            f'{mine["sense_to_act"]["p50"] / (unavoidable + waiting):.2f}',
        )
    console.print(table)


if __name__ == '__main__':
    main()
