# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The simulator's cost: processor time for a simulated second, by what is simulated.

An expert drives; the variants take turns, a second each, and the median counts. Below each robot
stands its floor: MuJoCo alone, which steps the same model or renders the same scene as often. The
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
from typing import Any

import mujoco
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from script import run_script

from liquid_control.bags.writer import BagWriter
from liquid_control.rollout import messages
from liquid_control.rollout.tasks import task_kind
from liquid_control.sim import gl
from liquid_control.sim.protocols import PREFIX
from liquid_control.sim.renderer import Renderer
from liquid_control.sim.robots import CAMERA_RATE, simulate
from liquid_control.sim.simulator import Simulator

SEED, ROUNDS, PERIOD_NS = 12, 7, 20_000_000

OUT = Path('out/bench/simulator.json')


def seconds_of_driving(
    simulator: Simulator[Any, Any], writer: BagWriter | None = None
) -> Iterator[None]:
    """Drive for ever, a simulated second at a time."""
    task = task_kind(simulator.robot.name).make(simulator)
    if writer is not None:
        for topic, msgtype in messages.types_of(simulator).items():
            writer.add_topic(topic, msgtype)
    while True:
        for _ in range(10**9 // PERIOD_NS):
            for seen in simulator.step(task.expert(), PERIOD_NS):
                if writer is not None:
                    message = messages.encode(seen)
                    writer.write(message.topic, message.data, seen.stamp_ns)
        yield


def seconds_of_stepping(simulator: Simulator[Any, Any]) -> Iterator[None]:
    """MuJoCo's own steps, as many as in a simulated second, of a robot that drives on."""
    next(seconds_of_driving(simulator))
    while True:
        for _ in range(10**9 // simulator.step_ns):
            mujoco.mj_step(simulator.model, simulator.data)
        yield


def seconds_of_rendering(
    simulator: Simulator[Any, Any], width: int, height: int
) -> Iterator[None]:
    """MuJoCo's own images of a simulated second, seen through the same lens."""
    renderer = Renderer(simulator.model, width, height, f'{PREFIX}front')
    mujoco.mj_forward(simulator.model, simulator.data)
    while True:
        for _ in range(round(CAMERA_RATE)):
            renderer.render(simulator.data)
        yield


def cost(second: Iterator[None]) -> float:
    started = time.process_time()
    next(second)
    return time.process_time() - started


def world_cost(make: Callable[[], Simulator[Any, Any]]) -> float:
    started = time.process_time()
    make().close()
    return time.process_time() - started


def main() -> None:
    """Measure, print, write."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        writer = stack.enter_context(BagWriter(folder / 'bag'))

        def opened(robot: str, **options: Any) -> Simulator[Any, Any]:
            return stack.enter_context(simulate(robot, SEED, **options))

        drives = {
            'car: physics, IMU, odometry, expert': seconds_of_driving(opened('car', camera=False)),
            '  MuJoCo alone, steps': seconds_of_stepping(opened('car', camera=False)),
            'car and a camera 80x60': seconds_of_driving(
                opened('car', image_width=80, image_height=60)
            ),
            'car and a camera 160x120': seconds_of_driving(opened('car')),
            '  MuJoCo alone, images 160x120': seconds_of_rendering(opened('car'), 160, 120),
            'car and a camera 320x240': seconds_of_driving(
                opened('car', image_width=320, image_height=240)
            ),
            'car and a camera 160x120, recorded': seconds_of_driving(opened('car'), writer),
            'rover: physics, lidar, odometry, expert': seconds_of_driving(opened('rover')),
            '  MuJoCo alone, steps of the rover': seconds_of_stepping(opened('rover')),
            'quadrotor and a camera 64x48': seconds_of_driving(opened('quadrotor')),
            '  MuJoCo alone, steps of the quadrotor': seconds_of_stepping(
                opened('quadrotor', camera=False)
            ),
        }
        costs: dict[str, list[float]] = {name: [] for name in drives}
        for _ in range(1 + ROUNDS):
            for name, drive in drives.items():
                costs[name].append(cost(drive))
    build = world_cost(lambda: simulate('car', SEED))

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
    run_script(main)
