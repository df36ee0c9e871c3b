# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the live view costs the policy node, and what a link gets: in one run, in turns.

The policy node drives at 50 Hz on a 640x480 camera, alone, beside a view that nobody looks at, and
beside one with one and with two viewers; lateness and CPU time are its own, as benchmarks/rate.py
measures them. The viewers acknowledge as a browser does: one at once, the other as over a link
that takes 0.4 s for a frame. The bare loop is the floor of this machine, whose load is printed.

    python benchmarks/view.py --seconds 10 --turns 3
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rate import bundle_for, measure, running
from rate_observer import Observer, drive
from rich.console import Console
from rich.table import Table
from script import run_script
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from liquid_control.evaluate.closed_loop.domains import claim_domain
from liquid_control.nodes.common.dds import use_default_profile

RATE, SIZE = 50.0, (640, 480)
SLOW_LINK = 0.4  # s from a frame to its acknowledgement
PORT = 18086
OUT = Path('out/bench/view.json')
CONTESTANTS = ('bare loop', 'no view', 'no viewer', 'one viewer', 'two viewers')


def main() -> None:
    """Measure, print and write out/bench/view.json."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--seconds', type=float, default=10.0, help='of each turn')
    parser.add_argument('--turns', type=int, default=3, help='of every contestant')
    options = parser.parse_args()
    os.environ['ROS_DOMAIN_ID'] = str(claim_domain())
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    use_default_profile()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        bundle = bundle_for('track_cfc', *SIZE, Path(folder))
        sent = Path(folder, 'sent')
        size = ['--width', str(SIZE[0]), '--height', str(SIZE[1]), '--log', str(sent)]
        timing = ['--rate', str(RATE), '--seconds', str(options.seconds)]
        with running('source', *size), Observer(sent) as observer:
            time.sleep(1.0)
            for number in range(options.turns):
                load = ' '.join(f'{each:.1f}' for each in os.getloadavg())
                console.print(f'turn {number + 1} of {options.turns}, load {load} ...')
                turn = contestants(observer, options.seconds, bundle, timing)
                for name, measured in turn.items():
                    found[name].append({**measured, 'load': os.getloadavg()[0]})
    rows = {name: summary(turns, options.seconds) for name, turns in found.items()}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=2))
    show(rows, console)


def contestants(
    observer: Observer, seconds: float, bundle: Path, timing: list[str]
) -> dict[str, dict[str, Any]]:
    """Every contestant once."""
    turn = {'bare loop': measure(observer, 'bare', *timing)}
    turn['no view'] = drive(observer, RATE, seconds, bundle)
    with viewing() as view:
        turn['no viewer'] = driven(observer, seconds, bundle, view)
        with Page(0.0) as near:
            turn['one viewer'] = driven(observer, seconds, bundle, view)
            near.begin()
            with Page(SLOW_LINK) as far:
                measured = driven(observer, seconds, bundle, view)
                turn['two viewers'] = {**measured, 'near': near.seen(), 'far': far.seen()}
    return turn


def driven(
    observer: Observer, seconds: float, bundle: Path, view: psutil.Process
) -> dict[str, Any]:
    """A drive of the policy node, and the CPU time that the view took meanwhile."""
    before, began = sum(view.cpu_times()[:2]), time.monotonic()
    turn = drive(observer, RATE, seconds, bundle)
    spent = sum(view.cpu_times()[:2]) - before
    return {**turn, 'view_share': spent / (time.monotonic() - began)}


@contextlib.contextmanager
def viewing() -> Iterator[psutil.Process]:
    """A view that serves."""
    command = [sys.executable, '-m', 'liquid_control.nodes.view.node', '--ros-args']
    process = subprocess.Popen(
        [*command, '-p', f'port:={PORT}', '-p', 'image_rate:=15.0'], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        process.stderr.readline()
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


class Page:
    """A viewer that acknowledges what comes, frames after a delay."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self.begin()

    def __enter__(self) -> Page:
        address, origin = f'ws://127.0.0.1:{PORT}/live', f'http://127.0.0.1:{PORT}'
        self._socket = connect(address, origin=origin, ping_interval=None).__enter__()
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def begin(self) -> None:
        """Count from now on."""
        self._frames: list[int] = []
        self._began = time.monotonic()

    def seen(self) -> dict[str, float]:
        """Frames a second, and kB a frame of the last ones."""
        span = time.monotonic() - self._began
        last = self._frames[-10:] or [0]
        return {'rate': len(self._frames) / span, 'kilobytes': sum(last) / len(last) / 1e3}

    def _read(self) -> None:
        with contextlib.suppress(WebSocketException):
            for message in self._socket:
                if isinstance(message, bytes):
                    self._frames.append(len(message))
                    number = int.from_bytes(message[:4], 'little')
                    threading.Timer(self._delay, self._send, kwargs={'f': number}).start()
                elif 'n' in (values := json.loads(message)):
                    self._send(n=values['n'])

    def _send(self, **values: Any) -> None:
        with contextlib.suppress(WebSocketException):
            self._socket.send(json.dumps(values))


def summary(turns: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Medians over the turns, so that a turn in which the machine was busy does not decide."""
    late = [1e3 * np.percentile(turn['lateness'], (50, 99)) for turn in turns]
    p50, p99 = np.median(late, axis=0)
    row = {
        'p50': float(p50),
        'p99': float(p99),
        'max': float(1e3 * max(max(turn['lateness']) for turn in turns)),
        'cpu': float(np.median([turn['cpu'] / seconds for turn in turns])),
        'missed': sum(turn['missed'] for turn in turns),
        'load': float(np.median([turn['load'] for turn in turns])),
    }
    for name in ('view_share', 'near', 'far'):
        if name in turns[0]:
            row[name] = turns[-1][name]
    return row


def show(rows: dict[str, dict[str, Any]], console: Console) -> None:
    """A table, and what the two links got."""
    table = Table(title=f'policy node at {RATE:g} Hz, camera {SIZE[0]}x{SIZE[1]}')
    for column in (
        '',
        'lateness p50',
        'p99',
        'max, ms',
        'missed',
        'CPU',
        'CPU of the view',
        'load',
    ):
        table.add_column(column, justify='right')
    for name, row in rows.items():
        view = f'{row["view_share"]:.1%}' if 'view_share' in row else '–'
        late = (f'{row[key]:.2f}' for key in ('p50', 'p99', 'max'))
        table.add_row(
            name, *late, str(row['missed']), f'{row["cpu"]:.1%}', view, f'{row["load"]:.1f}'
        )
    console.print(table)
    for name in ('near', 'far'):
        link = rows['two viewers'][name]
        console.print(f'{name}: {link["rate"]:.1f} frames/s, {link["kilobytes"]:.1f} kB each')


if __name__ == '__main__':
    run_script(main)
