# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fixed rate under load: our node, what a user would write otherwise, and a bare loop, in one run.

For every camera, load and rate the contestants take turns, with the same camera and IMU always
publishing: the bare loop (the floor; once more with the short time slices that our node asks for),
a process that only receives the camera, our policy node with its commands and states listened to,
and the peer: an rclpy timer that steps an ncps model in the node that also subscribes. Rows are
kept in out/bench/rate.json, so that the matrix can be measured piece by piece; a row measured
again replaces the old one.

    python benchmarks/rate.py --quick
    python benchmarks/rate.py --cameras 640x480 --loads idle --rates 20 50 100 200
    python benchmarks/rate.py --swaps
    python benchmarks/rate.py --attention --turns 5
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

import rate_tables
from rate_observer import Observer, drive
from rich.console import Console
from script import run_script

from liquid_control.common.assets import CONTRACT_FILE, find_bundle
from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.closed_loop.domains import claim_domain
from liquid_control.nodes.common.dds import use_default_profile

PARTS = Path(__file__).with_name('rate_parts.py')
RATES, CAMERAS, LOADS = (20.0, 50.0, 100.0, 200.0), ('640x480', '1280x720'), ('idle', 'busy')


def main() -> None:
    """Measure, print and write out/bench/rate.json (rate_swapped.json, rate_watched.json)."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rates', type=float, nargs='+', default=RATES)
    parser.add_argument('--cameras', nargs='+', default=CAMERAS)
    parser.add_argument('--loads', nargs='+', choices=LOADS, default=LOADS)
    parser.add_argument('--seconds', type=float, default=6.0, help='of each turn')
    parser.add_argument('--turns', type=int, default=1, help='of every contestant')
    parser.add_argument('--policy', default='track_cfc')
    parser.add_argument('--quick', action='store_true', help='100 Hz and 640x480 only, idle')
    parser.add_argument('--swaps', action='store_true', help='--quick, while policies are swapped')
    parser.add_argument('--attention', action='store_true', help='--quick, while it is looked at')
    options = parser.parse_args()
    beside = 'swapped' if options.swaps else 'watched' if options.attention else ''
    if options.quick or beside:
        options.rates, options.cameras, options.loads = [100.0], ['640x480'], ['idle']
    os.environ['ROS_DOMAIN_ID'] = str(claim_domain())
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    use_default_profile()
    out = Path('out/bench', f'rate_{beside}.json' if beside else 'rate.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as folder:
        for camera, load in itertools.product(options.cameras, options.loads):
            width, height = map(int, camera.split('x'))
            bundle = bundle_for(options.policy, width, height, Path(folder))
            sent = Path(folder, 'sent')
            size = ['--width', str(width), '--height', str(height), '--log', str(sent)]
            with running('source', *size), busy(load), Observer(sent) as observer:
                time.sleep(1.0)
                for rate in options.rates:
                    console.print(f'{camera} {load} {rate:g} Hz ...')
                    turns = [
                        turn(observer, rate, options.seconds, bundle, beside)
                        for _ in range(options.turns)
                    ]
                    row = rate_tables.summarise(turns)
                    rows.append({'camera': camera, 'load': load, 'rate_hz': rate, **row})
                    # Every row at once: what is cut short has measured something.
                    out.write_text(json.dumps(merged(out, rows), indent=2))
    for table in rate_tables.beside(rows, beside) if beside else rate_tables.tables(rows):
        console.print(table)


def bundle_for(policy: str, width: int, height: int, folder: Path) -> Path:
    """The policy with a contract that takes the lower two thirds of this camera's image."""
    path = find_bundle(policy)
    contract = load_bundle(path).contract
    ((name, image),) = contract.images.items()
    crop = (0, height // 3, width, height - height // 3)
    image = dataclasses.replace(
        image, source_width=width, source_height=height, crop=crop, max_age=2.0
    )
    inputs = {**contract.inputs, name: image}
    copy = folder / f'{width}x{height}'
    if not copy.exists():
        shutil.copytree(path, copy)
        dataclasses.replace(contract, inputs=inputs).dump(copy / CONTRACT_FILE)
    return copy


def turn(
    observer: Observer, rate: float, seconds: float, bundle: Path, beside: str
) -> dict[str, Any]:
    """Every contestant once; `beside`: what else our node does, for a second turn of it."""
    timing = ['--rate', str(rate), '--seconds', str(seconds)]
    contestants = {
        'bare': measure(observer, 'bare', *timing),
        # What our node asks the system for, a bare loop could ask for too.
        'bare, short slices': measure(observer, 'bare', *timing, '--short-slices'),
    }
    contestants['ours'] = drive(observer, rate, seconds, bundle)
    if beside:
        more = {'swaps': beside == 'swapped', 'attention': beside == 'watched'}
        contestants[beside] = drive(observer, rate, seconds, bundle, **more)
    else:
        contestants['receiver'] = measure(observer, 'receiver', *timing)
        contestants['peer'] = measure(observer, 'peer', *timing)
    return contestants


def measure(observer: Observer, role: str, *arguments: str) -> dict[str, Any]:
    """Run a role to its end; what it measured, and what was observed of it."""
    observer.reset()
    process = subprocess.Popen(
        [sys.executable, str(PARTS), role, *arguments], stdout=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        observer.watch(0.1)
    assert process.stdout is not None
    if process.returncode:
        raise SystemExit(f'{role} ended with exit status {process.returncode}')
    measured = dict(json.loads(process.stdout.read().splitlines()[-1]))
    if 'window' in measured:
        measured['frames_sent'] = observer.sent(*measured['window'])
    if 'acted' in measured:
        measured['sense_to_act'] = observer.sense_to_act(measured.pop('acted'))
    return measured


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
def busy(load: str) -> Iterator[None]:
    """Under load, two processes that want a core each."""
    with contextlib.ExitStack() as stack:
        for _ in range(2 if load == 'busy' else 0):
            stack.enter_context(running('busy'))
        yield


def merged(file: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the file with the new ones in their places."""
    before = json.loads(file.read_text()) if file.exists() else []
    return list({(r['camera'], r['load'], r['rate_hz']): r for r in (*before, *rows)}.values())


if __name__ == '__main__':
    run_script(main)
