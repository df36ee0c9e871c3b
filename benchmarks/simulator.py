# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The simulator's cost: processor time for a simulated second, by what is simulated.

An expert drives; the variants take turns, a second each, and the median counts. Below each robot
stands its floor: MuJoCo alone, which steps the same model or renders the same scene as often. The
real-time factor is that of one processor; waiting and other programs do not enter. Then laps of a
policy as `liquid-control evaluate drive` drives them, in an easy and a hard world in turns.

    python benchmarks/simulator.py
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from script import run_script

from liquid_control.bags.writer import BagWriter
from liquid_control.evaluate.evidence.drives.lap import drive_lap
from liquid_control.rollout import messages
from liquid_control.rollout.tasks import task_kind
from liquid_control.sim import gl
from liquid_control.sim.protocols import PREFIX
from liquid_control.sim.road.difficulties import PRESETS
from liquid_control.sim.robots import CAMERA_RATE, CarSimulator, simulate
from liquid_control.sim.simulator import Simulator

SEED, ROUNDS, PERIOD_NS = 12, 7, 20_000_000
POLICY, WORLDS = Path('models/track_cfc'), range(5000, 5005)

OUT = Path('out/bench/simulator.json')


def seconds_of_driving(
    simulator: Simulator[Any, Any], writer: BagWriter | None = None, *, looks: bool = True
) -> Iterator[None]:
    """Drive for ever, a simulated second at a time.

    Args:
        looks: whether anybody looks at the images.
    """
    task = task_kind(simulator.robot.name).make(simulator)
    if writer is not None:
        for topic, msgtype in messages.types_of(simulator).items():
            writer.add_topic(topic, msgtype)
    while True:
        for _ in range(10**9 // PERIOD_NS):
            for seen in simulator.step(task.expert(), PERIOD_NS):
                if looks:
                    _ = seen.value
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


def seconds_of_rendering(simulator: CarSimulator, width: int, height: int) -> Iterator[None]:
    """MuJoCo's own images of a simulated second, of the whole scene, through the same lens."""
    model, whole = simulator.model, mujoco.mjtCatBit.mjCAT_ALL
    gl.thread_context().make_current()
    context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    scene, option, view = mujoco.MjvScene(model, 500), mujoco.MjvOption(), mujoco.MjvCamera()
    scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = bool(model.mat_reflectance.any())
    scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
    view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera(f'{PREFIX}front').id
    image, place = np.empty((height, width, 3), np.uint8), mujoco.MjrRect(0, 0, width, height)
    station = 0.0
    while True:
        station += 1.5
        simulator.reset(simulator.world.pose_at(station=station))
        for _ in range(round(CAMERA_RATE)):
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
            mujoco.mjv_updateScene(model, simulator.data, option, None, view, whole, scene)
            mujoco.mjr_render(place, scene, context)
            mujoco.mjr_readPixels(image, None, place, context)
        yield


def laps(worlds: Sequence[int]) -> dict[str, list[tuple[float, float]]]:
    """Laps in easy and in hard worlds in turns: processor time and simulated time, s."""
    found: dict[str, list[tuple[float, float]]] = {'easy': [], 'hard=1': []}
    drive_lap(POLICY, worlds[0], way=1.0)  # loads libraries, compiles shaders
    for world in worlds:
        for name, difficulty in (('easy', {}), ('hard=1', PRESETS['hard'])):
            started = time.process_time()
            lap = drive_lap(POLICY, world, difficulty=difficulty)
            found[name].append((time.process_time() - started, lap.duration))
    return found


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

        hard: dict[str, Any] = {'difficulty': PRESETS['hard']}
        drives = {
            'car: physics, IMU, odometry, expert': seconds_of_driving(opened('car', camera=False)),
            '  MuJoCo alone, steps': seconds_of_stepping(opened('car', camera=False)),
            'car and a camera 80x60': seconds_of_driving(
                opened('car', image_width=80, image_height=60)
            ),
            'car and a camera 160x120': seconds_of_driving(opened('car')),
            '  images that nobody looks at': seconds_of_driving(opened('car'), looks=False),
            '  MuJoCo alone, images 160x120': seconds_of_rendering(opened('car'), 160, 120),
            'car and a camera 160x120, hard=1': seconds_of_driving(opened('car', **hard)),
            '  MuJoCo alone, images of hard=1': seconds_of_rendering(
                opened('car', **hard), 160, 120
            ),
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
    build_hard = world_cost(lambda: simulate('car', SEED, **hard))
    driven = laps(WORLDS)

    table = Table(title=f'simulator on {gl.backend()}, one processor', box=SIMPLE)
    for column in ('', 'ms a simulated second', 'real-time factor'):
        table.add_column(column, justify='right' if column else 'left')
    rows: list[dict[str, object]] = []
    for name, values in costs.items():
        median = statistics.median(values[1:])  # the first second compiles shaders
        rows.append({'variant': name, 'cpu_s': median, 'real_time_factor': 1 / median})
        table.add_row(name, f'{1e3 * median:.0f}', f'{1 / median:.1f}')
    rows.append({'variant': 'making a world', 'cpu_s': build, 'hard=1': build_hard})
    table.caption = (
        f'making a world with its renderer: {1e3 * build:.0f} ms, {1e3 * build_hard:.0f} of hard=1'
    )
    Console().print(table)
    for name, found in driven.items():
        each = statistics.median(cpu for cpu, _ in found)
        second = statistics.median(cpu / simulated for cpu, simulated in found)
        rows.append({'variant': f'lap, {name}', 'cpu_s': each, 'of a simulated second': second})
        print(f'a lap of {POLICY.name}, {name}: {each:.2f} s, {1e3 * second:.0f} ms a second')
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    run_script(main)
