# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy on this machine's GPU against the same policy on its CPU: the same, and how fast?

Nothing here runs in the tests: it is for a machine that has a GPU. For each provider it checks

- that the whole policy runs on it, node by node (the backend refuses otherwise);
- that commands over a drive with the state carried along are the CPU's;
- TensorRT: that an engine once built is used again, and not built again;
- how long loading takes, and the longest time that another thread had to wait meanwhile: a robot
  that swaps its policy while driving must go on ticking;

and then times a camera frame and a control step of all of them in turns, in one process.

    python benchmarks/gpu.py [--policy track_cfc] [--device-id 0]

Exit status: 0 all checks passed, 1 one failed, 2 there is no GPU here and nothing was measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from script import run_script

from liquid_control.common.assets import find_bundle
from liquid_control.common.errors import LiquidControlError
from liquid_control.contract.bundle import Bundle, load_bundle
from liquid_control.runtime.inference.backend import AGREEMENT
from liquid_control.runtime.inference.cuda import find_device, tensorrt_version
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.inference.providers import PROVIDERS, ProviderOptions
from liquid_control.runtime.inference.tensorrt import build_engines

# What a user would write in the YAML.
WAYS = {
    'cpu': (('cpu',), False),
    'cuda': (('cuda', 'cpu'), False),
    'tensorrt': (('tensorrt', 'cuda', 'cpu'), False),
    'tensorrt fp16': (('tensorrt', 'cuda', 'cpu'), True),
}
DRIVE = 300  # frames of the parity check
ROUNDS, CALLS = 60, 10

Frame = np.ndarray


@dataclass
class Way:
    """One way to run the policy, and what was found."""

    name: str
    policy: Policy | None = None
    loading: float = 0.0  # s
    waited: float = 0.0  # s, longest of another thread
    building: float | None = None  # s
    difference: float | None = None  # share of the command's range
    failure: str = ''
    us: dict[str, list[float]] = field(default_factory=lambda: {'frame': [], 'step': []})

    def row(self) -> dict[str, Any]:
        timing = {
            what: {'median': statistics.median(times), 'p99': float(np.percentile(times, 99))}
            for what, times in self.us.items()
            if times
        }
        return {
            'way': self.name,
            'failure': self.failure,
            'loading_s': self.loading,
            'waited_s': self.waited,
            'building_s': self.building,
            'difference': self.difference,
            'us': timing,
            'nodes': self.policy.backend.placement if self.policy is not None else {},
        }


class Heartbeat:
    """The longest time a thread that wants to run every millisecond had to wait."""

    def __enter__(self) -> Heartbeat:
        self.longest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        last = time.perf_counter()
        while not self._stop.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last), now


def load(bundle: Bundle, name: str, options: ProviderOptions, on_status: Any) -> Way:
    """Load the policy one way, with what can be checked of that alone."""
    providers, _ = WAYS[name]
    way = Way(name)
    try:
        if providers[0] == 'tensorrt':
            start = time.perf_counter()
            built = build_engines(bundle, options, on_status)
            way.building = time.perf_counter() - start
            before = {file: file.stat().st_mtime_ns for file in engines(built)}
        with Heartbeat() as heartbeat:
            start = time.perf_counter()
            way.policy = Policy(
                bundle,
                providers=providers,
                provider_required=True,
                provider_options=options,
                on_status=on_status,
            )
            way.loading = time.perf_counter() - start
        way.waited = heartbeat.longest
        if providers[0] == 'tensorrt':
            after = {file: file.stat().st_mtime_ns for file in engines(built)}
            if before != after:
                way.failure = 'the engine was built again on loading: the cache does not work'
    except LiquidControlError as error:
        way.failure = str(error)
    return way


def engines(directories: list[Path]) -> list[Path]:
    return [file for directory in directories for file in directory.glob('*.engine')]


@dataclass
class Moment:
    """What a policy sees at one step: images as its cameras take them, the other inputs."""

    frames: dict[str, Frame]
    inputs: dict[str, Any]
    elapsed: float


def made_up(bundle: Bundle, count: int) -> list[Moment]:
    """A drive: images of the cameras' size that move, and gentle motion."""
    contract, rng = bundle.contract, np.random.default_rng(0)
    wide = {
        name: rng.integers(
            0, 256, (spec.source_height, spec.source_width + count, 3), dtype=np.uint8
        )
        for name, spec in contract.images.items()
    }
    return [
        Moment(
            {
                name: np.ascontiguousarray(wide[name][:, at : at + spec.source_width])
                for name, spec in contract.images.items()
            },
            {n: s.made_up(rng) for n, s in contract.inputs.items() if n not in contract.images},
            float(rng.uniform(0.5, 1.5) / contract.control_rate),
        )
        for at in range(count)
    ]


def drive(policy: Policy, moments: list[Moment]) -> np.ndarray:
    """Commands [T, C], the state carried along."""
    policy.reset()
    return np.stack(
        [policy.step({**each.inputs, **see(policy, each)}, each.elapsed) for each in moments]
    )


def see(policy: Policy, moment: Moment) -> dict[str, Any]:
    return {name: policy.encode(name, frame) for name, frame in moment.frames.items()}


def measure(ways: list[Way], moments: list[Moment]) -> None:
    """Time a frame and a step of every way in turns."""
    moment = moments[0]
    for turn in range(ROUNDS + 2):
        for way in ways:
            assert way.policy is not None
            policy, features = way.policy, see(way.policy, moment)
            for _ in range(CALLS):
                begin = time.perf_counter_ns()
                see(policy, moment)
                middle = time.perf_counter_ns()
                policy.step({**moment.inputs, **features}, moment.elapsed)
                end = time.perf_counter_ns()
                if turn > 1:  # the first turns warm up
                    way.us['frame'].append((middle - begin) / 1e3)
                    way.us['step'].append((end - middle) / 1e3)


def show(ways: list[Way], console: Console) -> None:
    table = Table(box=SIMPLE)
    table.add_column('', no_wrap=True)
    for heading in (
        'frame us (p99)',
        'step us (p99)',
        'difference',
        'load s',
        'wait ms',
        'build s',
    ):
        table.add_column(heading, justify='right', no_wrap=True)
    for way in ways:
        if way.failure:
            table.add_row(way.name, 'failed', '', '', '', '', '')
            continue
        times = [
            f'{statistics.median(found):.0f} ({np.percentile(found, 99):.0f})'
            for found in way.us.values()
        ]
        table.add_row(
            way.name,
            *times,
            f'{way.difference:.1e}',
            f'{way.loading:.2f}',
            f'{1e3 * way.waited:.1f}',
            f'{way.building:.1f}' if way.building is not None else '',
        )
    console.print(table)
    for way in ways:
        if way.failure:
            console.print(f'[red]{way.name} failed:[/red] {way.failure}', soft_wrap=True)


def why_not(device_id: int) -> str:
    """Why there is nothing to measure, '' where there is."""
    available = ort.get_available_providers()
    if find_device(device_id) is None:
        return f'no CUDA driver with a device {device_id}'
    if not {PROVIDERS['cuda'], PROVIDERS['tensorrt']} & set(available):
        return f'this ONNX Runtime was built for {", ".join(available)} only: see docs/jetson.md'
    return ''


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--policy', default='track_cfc', help='a directory or a shipped name')
    parser.add_argument('--device-id', type=int, default=0)
    arguments = parser.parse_args()
    problem = why_not(arguments.device_id)
    if problem:
        print(f'nothing was measured: {problem}', file=sys.stderr)
        return 2
    console = Console()
    device = find_device(arguments.device_id)
    console.print(
        f'{device}, ONNX Runtime {ort.__version__}, TensorRT {tensorrt_version() or "-"}'
    )
    bundle = load_bundle(find_bundle(arguments.policy))
    inputs = made_up(bundle, DRIVE)
    span = np.array([spec.max - spec.min for spec in bundle.contract.commands])
    ways = []
    with tempfile.TemporaryDirectory() as cache:
        for name, (_, fp16) in WAYS.items():
            options = ProviderOptions(device_id=arguments.device_id, fp16=fp16, engine_cache=cache)
            ways.append(load(bundle, name, options, console.print))
        expected = drive(ways[0].policy, inputs)
        for way in ways:
            if way.policy is None or way.failure:
                continue
            difference = np.abs(drive(way.policy, inputs) - expected) / span
            way.difference = float(difference.max())
            limit = AGREEMENT['float16' if 'fp16' in way.name else 'float32']
            if not way.difference <= limit:
                way.failure = f'commands differ by {way.difference:.2g} of their range > {limit}'
        measure([way for way in ways if not way.failure], inputs)
    show(ways, console)
    out = Path('out/bench/gpu.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    report = {'device': str(device), 'onnxruntime': ort.__version__, 'policy': arguments.policy}
    out.write_text(json.dumps({**report, 'ways': [way.row() for way in ways]}, indent=2) + '\n')
    return int(any(way.failure for way in ways))


if __name__ == '__main__':
    run_script(main)
