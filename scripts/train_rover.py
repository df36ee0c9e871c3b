# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The training of models/rover_cfc: DAgger in memory, all drives at once, nothing recorded.

Some processes drive in ever new worlds, with the newest weights or with an expert that is pushed
aside; of every pose the expert says what it would do (see liquid_control.rollout.dagger, whose
rule for taking over holds here too). One process learns from windows of all drives so far, on a
GPU where there is one, while they go on. `liquid-control improve` does the same in rounds, with
recordings: far fewer drives in that time.

    python scripts/train_rover.py models/my_rover                 six minutes on 16 cores and a GPU
    python scripts/train_rover.py models/my_rover --seconds 3600 --device cpu --batch 64
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.multiprocessing as mp
from torch import Tensor

from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.export.exporter import export_bundle
from liquid_control.learn.train.recipe_file import load_recipe
from liquid_control.nn.policy import PolicyNetwork
from liquid_control.rollout.tasks import Task, open_task

RECIPE = Path(__file__).parents[1] / 'config' / 'training' / 'rover_cfc.yaml'
FIRST_SEED = 20_000
"""Of the worlds that are driven in: beyond all that anything is chosen or judged by."""
PERIOD_NS = 100_000_000
BEGIN_NS = 1_000_000_000
"""The goal is said once a second: before, no policy drives."""
LONGEST_NS = 60_000_000_000
LANES = 10
"""Worlds of a process, in step, so that one call of the network serves all."""
EXPERT_SHARE = 0.1
"""Of the drives, after the first weights."""
NEAR, NEARNESS = 0.25, 2.0
"""Closer than this to anything, m, a step counts so much."""
TOLERANCE = 0.1
"""Where the loss turns from squared to absolute, in half ranges of a command: of two answers to
what looks alike the policy takes the more frequent one, not the mean."""
OLD_SCANS, MISSED = 0.3, 0.02
"""Shares of windows that see each scan a step late, and of steps that are missed."""
PADDING = 30
"""Steps after the end of a drive that do not count, so that windows may end there."""
WEIGHTS, NEWER = 'weights.pt', 8.0
"""s between two versions of them."""


class Lane:
    """One drive under way: what was seen, and what the expert would have done."""

    def __init__(self, task: Task, far: float, sectors: int, rng: Any, *, expert_drives: bool):
        self._task, self._far, self._sectors = task, far, sectors
        self._expert_drives, self._takes_over = expert_drives, False
        self.rows: list[Any] = []
        task.begin(rng)
        self._step(dict.fromkeys(('velocity_x', 'yaw_rate'), 0.0), BEGIN_NS)

    def look(self) -> Any:
        """What the policy is shown: scan, goal, velocity."""
        motion, goal = self._task.simulator.motion, self._task.simulator.world.goal
        bearing = math.atan2(goal[1] - motion.y, goal[0] - motion.x) - motion.yaw
        distance = math.dist(goal[:2], (motion.x, motion.y))
        seen = (distance, math.cos(bearing), math.sin(bearing))
        velocity = (motion.speed, motion.velocity_y, 0.0, 0.0, 0.0, motion.yaw_rate)
        self._seen = np.array([*self._scan, *seen, *velocity], np.float32)
        return self._seen

    def go(self, given: Any) -> bool:
        """One control step under the policy's command; whether the drive is over."""
        task = self._task
        answer = task.expert()
        self._takes_over = task.needs_expert(self._takes_over)
        told = np.array([*answer.values(), task.room()], np.float32)
        self.rows.append(np.concatenate([self._seen, told]))
        if self._expert_drives:
            self._step(task.disturbed(answer), PERIOD_NS)
        else:
            policy = dict(zip(answer, map(float, given), strict=True))
            self._step(answer if self._takes_over else policy, PERIOD_NS)
        simulator = task.simulator
        return task.over or simulator.time_ns > LONGEST_NS or simulator.status.touches > 3

    def _step(self, command: Mapping[str, float], duration_ns: int) -> None:
        for sample in self._task.simulator.step(command, duration_ns):
            if sample.sensor == 'scan':
                ranges = np.minimum(sample.value, self._far)
                self._scan = ranges.reshape(self._sectors, -1).min(axis=1)


def drive(index: int, args: argparse.Namespace, folder: Path, drives: Any) -> None:
    """A process that drives for ever."""
    torch.set_num_threads(1)
    os.nice(2)
    network, rng = new_network(), np.random.default_rng([args.seed, index])
    spec = network.config.inputs['scan']
    learnt, looked, count = False, 0.0, 0
    lanes: list[tuple[Lane, ExitStack]] = []
    states: list[Tensor] = []
    while True:
        if time.monotonic() > looked + NEWER / 2:
            looked = time.monotonic()
            if learnt := (folder / WEIGHTS).exists():
                network.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
        while len(lanes) < LANES:
            count, block = count + 1, ExitStack()
            task = block.enter_context(open_task('rover', FIRST_SEED + index * 100_000 + count))
            by_expert = not learnt or rng.random() < EXPERT_SHARE
            lanes.append((Lane(task, spec.far, spec.sectors, rng, expert_drives=by_expert), block))
            states.append(torch.zeros(network.state_size))
        seen = torch.from_numpy(np.stack([lane.look() for lane, _ in lanes]))
        elapsed = torch.full((LANES, 1), PERIOD_NS / 1e9)
        with torch.no_grad():
            given, after = network.core(split(seen, spec.sectors), elapsed, torch.stack(states))
        states = list(after)
        over = [lane.go(command) for (lane, _), command in zip(lanes, given, strict=True)]
        for place in reversed(np.flatnonzero(over).tolist()):
            lane, block = lanes.pop(place)
            states.pop(place)
            drives.put(np.array(lane.rows))
            block.close()


def new_network() -> PolicyNetwork:
    """As the recipe describes it."""
    return PolicyNetwork(load_recipe(RECIPE).network_config())


def split(rows: Tensor, sectors: int) -> dict[str, Tensor]:
    """Inputs by name."""
    scan, goal, velocity, _ = rows.split([sectors, 3, 6, rows.shape[-1] - sectors - 9], dim=-1)
    return {'scan': scan, 'goal': goal, 'velocity': velocity}


class Drives:
    """Steps of all drives, one after the other, on the device."""

    def __init__(self, width: int, capacity: int, sectors: int, device: str):
        self.rows = torch.zeros((capacity, width), device=device)
        self._left = torch.zeros(capacity, dtype=torch.long, device=device)
        """Steps to the end of the padding of a drive."""
        self._counts = torch.zeros(capacity, device=device)
        self._sectors, self._device = sectors, device
        self.count = 0
        mirror = torch.ones(width, device=device)
        mirror[[sectors + place for place in (2, 4, 6, 8, 10)]] = -1
        self._mirror = mirror

    def add(self, rows: Any) -> None:
        """One more drive, while there is room."""
        begin, end = self.count, self.count + len(rows)
        if end + PADDING > len(self.rows):
            return
        self.rows[begin:end] = torch.from_numpy(rows).to(self._device)
        self.rows[end : end + PADDING] = self.rows[end - 1]
        self.count = end + PADDING
        self._left[begin : self.count] = torch.arange(self.count - begin - 1, -1, -1)
        self._counts[begin:end] = 1.0

    def windows(self, size: int, length: int, settle: int) -> tuple[Tensor, Tensor, Tensor]:
        """Rows [B, T, W], elapsed times [B, T] and how much each step counts."""
        device, sectors = self._device, self._sectors
        start = torch.randint(self.count, (size,), device=device)
        start = (start - (length - self._left[start]).clamp(min=0)).clamp(min=0)
        gaps = 1 + (torch.rand((size, length), device=device) < MISSED).long()
        gaps[:, 0] = 0
        offsets = torch.minimum(gaps.cumsum(1), self._left[start][:, None])
        at = start[:, None] + offsets
        rows, counts = self.rows[at], self._counts[at]
        old = (torch.rand((size, 1), device=device) < OLD_SCANS) & (offsets > 0)
        before = self.rows[(at - 1).clamp(min=0)]
        scan = torch.where(old[..., None], before, rows)[..., :sectors]
        rows = torch.cat([scan, rows[..., sectors:]], dim=-1)
        flipped = torch.rand(size, device=device) < 0.5
        mirrored = rows[flipped] * self._mirror
        mirrored[..., :sectors] = mirrored[..., :sectors].flip(-1)
        rows[flipped] = mirrored
        noise = 0.1 * (2 * torch.rand(gaps.shape, device=device) - 1)
        elapsed = (gaps.clamp(min=1) + noise) * PERIOD_NS / 1e9
        counts = counts * (torch.arange(length, device=device) >= settle)
        return rows, elapsed, counts * (1 + (NEARNESS - 1) * (rows[..., -1] < NEAR))


def learn(args: argparse.Namespace, folder: Path, queue: Any) -> None:
    """Train until the time is over, then write the bundle."""
    torch.manual_seed(args.seed)
    recipe, network = load_recipe(RECIPE), new_network().to(args.device)
    sectors = network.config.inputs['scan'].sectors
    drives = Drives(sectors + 12, args.capacity, sectors, args.device)
    half = (network.high - network.low) / 2
    optimizer = torch.optim.AdamW(network.parameters(), args.rate, weight_decay=1e-4)
    mean = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
    )
    began = told = written = time.monotonic()
    step = 0
    while (done := (time.monotonic() - began) / args.seconds) < 1:
        receive(queue, drives, wait=drives.count < args.first)
        if drives.count < args.first:
            continue
        rise, fall = min(1.0, (step + 1) / 200), (1 + math.cos(math.pi * done)) / 2
        optimizer.param_groups[0]['lr'] = args.rate * rise * max(fall, 0.01)
        rows, elapsed, counts = drives.windows(args.batch, recipe.timing.steps, 4)
        given, _ = network(split(rows, sectors), elapsed)
        wanted = rows[..., sectors + 9 : sectors + 11].clamp(network.low, network.high)
        error = torch.nn.functional.smooth_l1_loss(
            given / half, wanted / half, beta=TOLERANCE, reduction='none'
        )
        loss = (error * counts[..., None]).sum() / counts.sum().clamp(min=1)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        mean.update_parameters(network)
        step += 1
        if time.monotonic() > written + NEWER and step > 150:
            written = time.monotonic()
            save(mean.module, folder / WEIGHTS)
        if time.monotonic() > told + 15:
            told = time.monotonic()
            hours = drives.count * PERIOD_NS / 3.6e12
            print(f'{told - began:5.0f} s: {hours:.1f} h driven, {step} steps, loss {loss:.4f}')
    rows = drives.rows[: min(drives.count, 1000)].cpu()
    export_bundle(
        mean.module.cpu(),
        name=args.out.name,
        path=args.out,
        control_rate=recipe.control_rate,
        elapsed_range=recipe.elapsed_range,
        steps=Steps(
            split(rows, sectors),
            torch.full((len(rows),), PERIOD_NS / 1e9),
            rows[:, sectors + 9 : sectors + 11],
            torch.ones(len(rows)),
        ),
        provenance={
            'description': recipe.description,
            'command': f'python scripts/train_rover.py {args.out}',
            'driven': f'{drives.count * PERIOD_NS / 3.6e12:.1f} h',
            'seed': args.seed,
        },
    )
    print(f'{args.out}: written')


def receive(queue: Any, drives: Drives, *, wait: bool) -> None:
    """Take what has been driven."""
    try:
        while True:
            drives.add(queue.get(timeout=0.5) if wait else queue.get_nowait())
    except Empty:
        return


def save(network: PolicyNetwork, file: Path) -> None:
    """Write the weights; who reads sees the old ones or the new ones."""
    partial = file.with_suffix('.partial')
    torch.save({name: value.cpu() for name, value in network.state_dict().items()}, partial)
    partial.replace(file)


def main() -> None:
    """Start the processes, learn, end them."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('out', type=Path, help='bundle to write')
    parser.add_argument('--seconds', type=float, default=350.0)
    parser.add_argument('--processes', type=int, default=max((os.cpu_count() or 2) - 2, 1))
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--batch', type=int, default=512, help='windows')
    parser.add_argument('--rate', type=float, default=3e-3, help='of AdamW, at its highest')
    parser.add_argument('--first', type=int, default=12_000, help='steps driven before it learns')
    parser.add_argument('--capacity', type=int, default=3_000_000, help='steps')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    mp.set_start_method('spawn')
    queue = mp.Queue()
    with TemporaryDirectory() as folder:
        drivers = [
            mp.Process(target=drive, args=(index, args, Path(folder), queue), daemon=True)
            for index in range(args.processes)
        ]
        for process in drivers:
            process.start()
        try:
            learn(args, Path(folder), queue)
        finally:
            for process in drivers:
                process.terminate()


if __name__ == '__main__':
    main()
