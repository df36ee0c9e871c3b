"""The simulator's cost: processor time for a simulated second, by what is simulated.

An expert drives one track; the variants take turns, a second each, and the median counts. The
real-time factor is that of one processor; waiting and other programs do not enter.

    python benchmarks/simulator.py
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from liquid_control.bags.writer import BagWriter
from liquid_control.rollout import messages
from liquid_control.rollout.expert import Expert
from liquid_control.sim import gl
from liquid_control.sim.robots import CarSimulator, simulate_car

SEED, ROUNDS, PERIOD_NS = 12, 7, 20_000_000
OUT = Path('out/bench/simulator.json')


def seconds_of_driving(simulator: CarSimulator, writer: BagWriter | None) -> Iterator[None]:
    """Drive for ever, a simulated second at a time."""
    expert = Expert(simulator.world.track)
    while True:
        for _ in range(10**9 // PERIOD_NS):
            for seen in simulator.step(expert.command(simulator.motion), PERIOD_NS):
                if writer is not None:
                    message = messages.encode(seen)
                    writer.write(message.topic, message.data, seen.stamp_ns)
        yield


def cost(second: Iterator[None]) -> float:
    started = time.process_time()
    next(second)
    return time.process_time() - started


def world_cost(make: Callable[[], CarSimulator]) -> float:
    started = time.process_time()
    make().close()
    return time.process_time() - started


def main() -> None:
    """Measure, print, write."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        writer = stack.enter_context(BagWriter(folder / 'bag'))
        variants = {
            'physics, IMU, odometry, expert': (simulate_car(SEED, camera=False), None),
            'and a camera 80x60': (simulate_car(SEED, image_width=80, image_height=60), None),
            'and a camera 160x120': (simulate_car(SEED), None),
            'and a camera 320x240': (simulate_car(SEED, image_width=320, image_height=240), None),
            'and a camera 160x120, recorded': (simulate_car(SEED), writer),
        }
        recorded = variants['and a camera 160x120, recorded'][0]
        for topic, msgtype in messages.types_of(recorded).items():
            writer.add_topic(topic, msgtype)
        drives = {name: seconds_of_driving(*parts) for name, parts in variants.items()}
        costs: dict[str, list[float]] = {name: [] for name in drives}
        for _ in range(1 + ROUNDS):
            for name, drive in drives.items():
                costs[name].append(cost(drive))
        for simulator, _ in variants.values():
            simulator.close()
    build = world_cost(lambda: simulate_car(SEED))

    table = Table(title=f'simulator on {gl.backend()}, one processor', box=SIMPLE)
    for column in ('', 'ms a simulated second', 'real-time factor'):
        table.add_column(column, justify='right' if column else 'left')
    rows: list[dict[str, object]] = []
    for name, values in costs.items():
        median = statistics.median(values[1:])  # the first second compiles shaders
        rows.append({'variant': name, 'cpu_s': median, 'real_time_factor': 1 / median})
        table.add_row(name, f'{1e3 * median:.0f}', f'{1 / median:.1f}')
    rows.append({'variant': 'making a world', 'cpu_s': build})
    table.caption = f'making a world with its renderer: {1e3 * build:.0f} ms'
    Console().print(table)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    main()
