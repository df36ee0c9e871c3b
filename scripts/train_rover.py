# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The training of models/rover_cfc: DAgger in memory, all drives at once, nothing recorded.

Some processes drive in ever new worlds, with the newest weights or with an expert that is pushed
aside; of every pose the expert says what it would do (see liquid_control.rollout.dagger, whose
rule for taking over holds here too). On most drives people set out so that they meet the rover.
One process learns from windows of all drives so far, on a GPU where there is one, while they go
on: what the expert does, and, in a head that the bundle has not, where the nearest person is and
how that one moves. `liquid-control improve` does the same in rounds, with recordings: far fewer
drives in that time.

    python scripts/train_rover.py models/my_rover --rate 3e-3 --batch 512 --seconds 350
    python scripts/train_rover.py models/my_rover --onto models/before --seconds 1300

The first needs 16 cores and a GPU, the second two cores. With --onto a policy that does not see
what moves learns to, and nothing else of it is changed: where nothing moves it drives as before.
What is known is written to OUT.part every five minutes; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import torch
import torch.multiprocessing as mp
from torch import Tensor
from torch.nn.functional import smooth_l1_loss as smooth_l1

from liquid_control.contract.inputs import scan
from liquid_control.contract.inputs.moving import FreeSpace, Place
from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.export.exporter import export_bundle
from liquid_control.learn.train.recipe_file import load_recipe
from liquid_control.learn.train.weights import WEIGHTS_FILE
from liquid_control.nn.policy import PolicyNetwork
from liquid_control.rollout.planner import CELL, WayMap
from liquid_control.rollout.tasks import Task, open_task
from liquid_control.sim.rooms import MOVER_RADIUS, Mover, Rooms, draw_rooms
from liquid_control.sim.rover import RADIUS

RECIPE = Path(__file__).parents[1] / 'config' / 'training' / 'rover_cfc.yaml'
FIRST_SEED = 20_000
"""Of the worlds that are driven in: beyond all that anything is chosen or judged by."""
PERIOD_NS = 100_000_000
BEGIN_NS = 1_000_000_000
"""The goal is said once a second: before, no policy drives."""
LONGEST_NS = 60_000_000_000
LANES = 10
"""Worlds of a process, in step, so that one call of the network serves all."""
EXPERT_SHARE = 0.05
"""Of the drives, after the first weights."""
MEETINGS, MET = 0.6, 0.3
"""Share of the drives on which people meet the rover, and how near they then come, m."""
PACE, TRIES = 0.33, 12
"""Speed at which the rover is thought to go there, m/s, and phases of a walk that are tried."""
NEAR, NEARNESS = 0.25, 2.0
"""Closer than this to anything, m, a step counts so much."""
COMPANY, IN_COMPANY, MEET = 1.0, 2.0, 0.5
"""Closer than this to somebody, m, it counts so much; and the share of windows that are there."""
SEEN, PEOPLE, WALK = 2.5, 0.2, 0.3
"""Within this distance, m, the head learns where people are; its share of the loss; and the speed
that counts there as much as a metre, m/s."""
UNTOLD = 0.3
"""Share of windows that are not told how fast the rover turns: what it does is no answer to what
it should do."""
TOLERANCE = 0.1
"""Where the loss turns from squared to absolute, in half ranges of a command: of two answers to
what looks alike the policy takes the more frequent one, not the mean."""
OLD_SCANS, MISSED = 0.3, 0.02
"""Shares of windows that see each scan a step late, and of steps that are missed."""
CHUNK = 12
"""Steps of a window after each of which the head is asked."""
PADDING = 30
"""Steps after the end of a drive that do not count, so that windows may end there."""
WEIGHTS, NEWER = 'weights.pt', 8.0
"""s between two versions of them."""
STATE, KEPT = 'state.pt', 300.0
"""What training goes on from, and s between two versions of it."""


class Columns:
    """Where what stands in a row of a drive: what the policy sees, and what it is told."""

    def __init__(self, sectors: int):
        first = 2 * sectors
        self.scan, self.moving = slice(0, sectors), slice(sectors, first)
        self.goal, self.velocity = slice(first, first + 3), slice(first + 3, first + 9)
        self.yaw_rate = first + 8
        self.wanted, self.room = slice(first + 9, first + 11), first + 11
        self.person = slice(first + 12, first + 16)
        """Of the nearest one: place x, y and velocity x, y in the frame of the rover."""
        self.seen = first + 16
        """Whether that one can be seen."""
        self.width = first + 17
        bearing, left = first + 2, (first + 4, first + 6)
        self.mirrored = [bearing, *left, self.yaw_rate, first + 10, first + 13, first + 15]
        """What changes its sign where left and right are exchanged."""

    def inputs(self, rows: Tensor) -> dict[str, Tensor]:
        """What the policy sees, by name."""
        names = ('scan', 'moving', 'goal', 'velocity')
        return {name: rows[..., getattr(self, name)] for name in names}


class Lane:
    """One drive under way: what was seen, and what the expert would have done."""

    def __init__(self, task: Task, inputs: Mapping[str, Any], rng: Any, *, expert_drives: bool):
        self._task, self._spec = task, inputs['scan']
        self._sectors, self._free_space = scan.Sectors(self._spec), FreeSpace(inputs['moving'])
        self._expert_drives, self._takes_over = expert_drives, False
        self.rows: list[Any] = []
        task.begin(rng)
        self._step(dict.fromkeys(('velocity_x', 'yaw_rate'), 0.0), BEGIN_NS)

    def look(self) -> Any:
        """What the policy is shown: scan, what moves, goal, velocity."""
        motion, goal = self._task.simulator.motion, self._task.simulator.world.goal
        bearing = math.atan2(goal[1] - motion.y, goal[0] - motion.x) - motion.yaw
        distance = math.dist(goal[:2], (motion.x, motion.y))
        seen = (distance, math.cos(bearing), math.sin(bearing))
        velocity = (motion.speed, motion.velocity_y, 0.0, 0.0, 0.0, motion.yaw_rate)
        self._seen = np.array([*self._scan, *self._moving, *seen, *velocity], np.float32)
        return self._seen

    def go(self, given: Any) -> bool:
        """One control step under the policy's command; whether the drive is over."""
        task = self._task
        answer = task.expert()
        self._takes_over = task.needs_expert(self._takes_over)
        told = np.array([*answer.values(), task.room(), *self._person()], np.float32)
        self.rows.append(np.concatenate([self._seen, told]))
        if self._expert_drives:
            self._step(task.disturbed(answer), PERIOD_NS)
        else:
            policy = dict(zip(answer, map(float, given), strict=True))
            self._step(answer if self._takes_over else policy, PERIOD_NS)
        simulator = task.simulator
        return task.over or simulator.time_ns > LONGEST_NS or simulator.status.touches > 3

    def _person(self) -> tuple[float, ...]:
        """Place and velocity of the nearest one in the frame of the rover; whether it is seen."""
        simulator = self._task.simulator
        motion, seconds = simulator.motion, simulator.time_ns / 1e9
        nearest = (math.inf, (0.0,) * 5)
        for mover in simulator.world.rooms.movers:
            x, y = mover.place(seconds)
            later_x, later_y = mover.place(seconds + 0.1)
            ahead, left = turned(x - motion.x, y - motion.y, motion.yaw)
            velocity = turned((later_x - x) / 0.1, (later_y - y) / 0.1, motion.yaw)
            distance = math.hypot(ahead, left)
            sectors = len(self._scan)
            sector = int((math.atan2(left, ahead) / math.tau + 0.5) * sectors)
            looked = float(self._scan[min(sector, sectors - 1)])
            seen = distance < SEEN and abs(looked - (distance - MOVER_RADIUS)) < 0.25
            nearest = min(nearest, (distance, (ahead, left, *velocity, float(seen))))
        return nearest[1]

    def _step(self, command: Mapping[str, float], duration_ns: int) -> None:
        simulator = self._task.simulator
        for sample in simulator.step(command, duration_ns):
            if sample.sensor != 'scan':
                continue
            step = math.tau / len(sample.value)
            turn = scan.Turn(sample.stamp_ns, -math.pi, step, sample.value)
            nearest = self._sectors.gather(turn, turn.ranges, np.fmin)
            self._scan = np.clip(nearest, self._spec.near, self._spec.far)
            motion = simulator.motion
            came = self._free_space.came(turn, Place(motion.x, motion.y, motion.yaw))
            self._moving = np.zeros(len(nearest)) if came is None else came


def drive(index: int, args: argparse.Namespace, folder: Path, drives: Any) -> None:
    """A process that drives for ever."""
    torch.set_num_threads(1)
    os.nice(1)
    network, rng = new_network(args), np.random.default_rng([args.seed, index])
    inputs, worlds = network.config.inputs, worlds_of(index, rng)
    columns = Columns(inputs['scan'].width)
    learnt, looked = False, 0.0
    lanes: list[tuple[Lane, ExitStack]] = []
    states: list[Tensor] = []
    while True:
        if time.monotonic() > looked + NEWER / 2:
            looked = time.monotonic()
            if learnt := (folder / WEIGHTS).exists():
                network.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
        while len(lanes) < LANES:
            block, (seed, rooms) = ExitStack(), next(worlds)
            task = block.enter_context(open_task('rover', seed, rooms=rooms))
            by_expert = not learnt or rng.random() < EXPERT_SHARE
            lanes.append((Lane(task, inputs, rng, expert_drives=by_expert), block))
            states.append(torch.zeros(network.state_size))
        seen = torch.from_numpy(np.stack([lane.look() for lane, _ in lanes]))
        elapsed = torch.full((LANES, 1), PERIOD_NS / 1e9)
        with torch.no_grad():
            given, after = network.core(columns.inputs(seen), elapsed, torch.stack(states))
        states = list(after)
        over = [lane.go(command) for (lane, _), command in zip(lanes, given, strict=True)]
        for place in reversed(np.flatnonzero(over).tolist()):
            lane, block = lanes.pop(place)
            states.pop(place)
            drives.put(np.array(lane.rows))
            block.close()


def worlds_of(index: int, rng: Any) -> Iterator[tuple[int, Rooms]]:
    """Ever new worlds of a process, and their seeds."""
    for seed in itertools.count(FIRST_SEED + index * 100_000):
        rooms = draw_rooms(seed)
        if rng.random() >= MEETINGS:
            yield seed, rooms
        elif rooms.movers:
            yield seed, let_meet(rooms, rng)


def let_meet(rooms: Rooms, rng: Any) -> Rooms:
    """The same people on the same paths, at such times that they come near the rover."""
    start = rooms.start
    way = WayMap(rooms, RADIUS).follow(start.x, start.y, 12.0)
    way = way[np.hypot(*(way - rooms.goal).T) > 0.3]
    times = BEGIN_NS / 1e9 + 1.0 + np.arange(len(way)) * CELL / PACE

    def met(mover: Mover) -> Mover:
        for phase in rng.uniform(0.0, math.tau, TRIES):
            other = replace(mover, phase=float(phase))
            apart = np.hypot(*(other.places(times) - way).T)
            if apart.min(initial=math.inf) < RADIUS + MOVER_RADIUS + MET:
                return other
        return mover

    return replace(rooms, movers=tuple(met(mover) for mover in rooms.movers))


def turned(x: float, y: float, yaw: float) -> tuple[float, float]:
    """A vector over ground in the frame of a robot of this yaw."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    return cos * x + sin * y, cos * y - sin * x


class SilentAtRest(torch.nn.Module):
    """An encoder whose features are zero where nothing moves, [..., W] -> [..., F]."""

    def __init__(self, encoder: torch.nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, moving: Tensor) -> Tensor:
        """The features beyond those of rest."""
        features: Tensor = self.encoder(moving) - self.at_rest(moving)
        return features

    def at_rest(self, like: Tensor) -> Tensor:
        """The features where nothing moves, [F]."""
        features: Tensor = self.encoder(like.new_zeros(like.shape[-1]))
        return features


def new_network(args: argparse.Namespace) -> PolicyNetwork:
    """As the recipe describes it; with --onto, ready to begin from a policy without `moving`."""
    network = PolicyNetwork(load_recipe(RECIPE).network_config())
    if args.onto is not None:
        network.encoders['moving'] = SilentAtRest(network.encoders['moving'])
    return network


def columns_of_moving(network: PolicyNetwork) -> tuple[torch.nn.Parameter, slice]:
    """The first weights of the core, and the columns of them that hear what moves."""
    inputs = network.config.inputs
    begin = inputs['scan'].core_width
    return (
        network.cell.rnn_cell.backbone[0].weight,
        slice(begin, begin + inputs['moving'].core_width),
    )


def begin_onto(network: PolicyNetwork, bundle: Path) -> None:
    """Take a policy's weights; the core does not hear what moves yet, and learns nothing else."""
    weight, new = columns_of_moving(network)
    own = network.state_dict()
    with np.load(bundle / WEIGHTS_FILE) as arrays:
        for name, array in arrays.items():
            value = torch.from_numpy(array)
            if own[name].shape == weight.shape:
                silent = torch.zeros(len(value), new.stop - new.start)
                value = torch.cat([value[:, : new.start], silent, value[:, new.start :]], dim=1)
            own[name] = value
    network.load_state_dict(own)
    network.requires_grad_(requires_grad=False)
    network.encoders['moving'].requires_grad_()
    weight.requires_grad_()
    learnt = torch.zeros_like(weight)
    learnt[:, new] = 1.0
    weight.register_hook(lambda gradient: gradient * learnt.to(gradient))


@torch.no_grad()
def plain(network: PolicyNetwork) -> PolicyNetwork:
    """The same network with a plain encoder: what is taken off moves into a bias."""
    encoder = network.encoders['moving']
    if isinstance(encoder, SilentAtRest):
        weight, new = columns_of_moving(network)
        at_rest = encoder.at_rest(torch.zeros(network.config.inputs['moving'].width))
        network.cell.rnn_cell.backbone[0].bias -= weight[:, new] @ at_rest
        network.encoders['moving'] = encoder.encoder
    return network


class Drives:
    """Steps of all drives, one after the other, on the device."""

    def __init__(self, columns: Columns, capacity: int, device: str):
        self.rows = torch.zeros((capacity, columns.width), device=device)
        self._left = torch.zeros(capacity, dtype=torch.long, device=device)
        """Steps to the end of the padding of a drive."""
        self._counts = torch.zeros(capacity, device=device)
        self._begin = torch.zeros(capacity, dtype=torch.long, device=device)
        self._met = torch.zeros(capacity, dtype=torch.bool, device=device)
        self._columns, self._device = columns, device
        self.count = 0
        mirror = torch.ones(columns.width, device=device)
        mirror[columns.mirrored] = -1
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
        self._begin[begin : self.count] = begin
        columns, told = self._columns, self.rows[begin:end]
        place = told[:, columns.person][:, :2]
        near = place.norm(dim=-1) < COMPANY + RADIUS + MOVER_RADIUS
        self._met[begin:end] = (told[:, columns.seen] > 0) & near
        self._counts[begin:end] = 1 + (IN_COMPANY - 1) * self._met[begin:end]

    def windows(self, size: int, length: int, settle: int) -> tuple[Tensor, Tensor, Tensor]:
        """Rows [B, T, W], elapsed times [B, T] and how much each step counts."""
        device, columns = self._device, self._columns
        start = torch.randint(self.count, (size,), device=device)
        met = self._met[: self.count].nonzero()[:, 0]
        if len(met):
            there = met[torch.randint(len(met), (size,), device=device)]
            before = there - torch.randint(length, (size,), device=device)
            meeting = torch.rand(size, device=device) < MEET
            start = torch.where(meeting, torch.maximum(before, self._begin[there]), start)
        start = (start - (length - self._left[start]).clamp(min=0)).clamp(min=0)
        gaps = 1 + (torch.rand((size, length), device=device) < MISSED).long()
        gaps[:, 0] = 0
        offsets = torch.minimum(gaps.cumsum(1), self._left[start][:, None])
        at = start[:, None] + offsets
        rows, counts = self.rows[at], self._counts[at]
        old = (torch.rand((size, 1), device=device) < OLD_SCANS) & (offsets > 0)
        before = self.rows[(at - 1).clamp(min=0)]
        for turn in (columns.scan, columns.moving):
            rows[..., turn] = torch.where(old[..., None], before[..., turn], rows[..., turn])
        flipped = torch.rand(size, device=device) < 0.5
        mirrored = rows[flipped] * self._mirror
        for turn in (columns.scan, columns.moving):
            mirrored[..., turn] = mirrored[..., turn].flip(-1)
        rows[flipped] = mirrored
        noise = 0.1 * (2 * torch.rand(gaps.shape, device=device) - 1)
        elapsed = (gaps.clamp(min=1) + noise) * PERIOD_NS / 1e9
        counts = counts * (torch.arange(length, device=device) >= settle)
        counts = counts * (1 + (NEARNESS - 1) * (rows[..., columns.room] < NEAR))
        untold = torch.rand(size, device=device) < UNTOLD
        rows[untold, :, columns.yaw_rate] = 0.0
        return rows, elapsed, counts


class Learner:
    """The network, a head that says where people are, and the mean of the newest weights."""

    def __init__(self, args: argparse.Namespace, folder: Path):
        self._args, self._folder = args, folder
        self.recipe, self.network = load_recipe(RECIPE), new_network(args)
        if args.onto is not None:
            begin_onto(self.network, args.onto)
        self.network.to(args.device)
        self.people = torch.nn.Linear(self.network.state_size, 4).to(args.device)
        learnt = [p for p in self.network.parameters() if p.requires_grad]
        self.parameters = [*learnt, *self.people.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, args.rate, weight_decay=0.0)
        self.mean = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
        )
        self.columns = Columns(self.network.config.inputs['scan'].width)
        self.step, self.seconds = 0, 0.0
        if (folder / STATE).exists():
            state = torch.load(folder / STATE, weights_only=True)
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.step, self.seconds = state['step'], state['seconds']

    def _parts(self) -> dict[str, Any]:
        return {
            'network': self.network,
            'people': self.people,
            'optimizer': self.optimizer,
            'mean': self.mean,
        }

    def keep(self) -> None:
        """Write what training goes on from, and the mean weights under the time they are of."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        write({**state, 'step': self.step, 'seconds': self.seconds}, self._folder / STATE)
        write(self.mean.module.state_dict(), self._folder / f'{self.seconds:06.0f}.pt')

    def update(self, drives: Drives) -> tuple[float, float]:
        """One step of the optimizer; the loss of the commands and of the people."""
        args, network, columns = self._args, self.network, self.columns
        done = self.seconds / args.seconds
        rise, fall = min(1.0, (self.step + 1) / 200), (1 + math.cos(math.pi * done)) / 2
        self.optimizer.param_groups[0]['lr'] = args.rate * rise * max(fall, 0.01)
        rows, elapsed, counts = drives.windows(args.batch, self.recipe.timing.steps, 4)
        given, people = self._given(rows, elapsed)
        half = (network.high - network.low) / 2
        wanted = rows[..., columns.wanted].clamp(network.low, network.high)
        error = smooth_l1(given / half, wanted / half, beta=TOLERANCE, reduction='none')
        loss = (error * counts[..., None]).sum() / counts.sum().clamp(min=1)
        asked = rows[:, CHUNK - 1 :: CHUNK]
        told, seen = asked[..., columns.person], asked[..., columns.seen, None]
        unit = told.new_tensor([1.0, 1.0, WALK, WALK])
        missed = smooth_l1(people, told / unit, beta=TOLERANCE, reduction='none') * seen
        missed = missed.sum() / seen.sum().clamp(min=1)
        self.optimizer.zero_grad()
        (loss + PEOPLE * missed).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.mean.update_parameters(network)
        self.step += 1
        return loss.item(), missed.item()

    def _given(self, rows: Tensor, elapsed: Tensor) -> tuple[Tensor, Tensor]:
        """Commands at every step, and people at the end of each chunk, [B, chunks, 4]."""
        state, given, people = None, [], []
        for part, seconds in zip(rows.split(CHUNK, 1), elapsed.split(CHUNK, 1), strict=True):
            commands, state = self.network(self.columns.inputs(part), seconds, state)
            given.append(commands)
            people.append(self.people(state))
        return torch.cat(given, 1), torch.stack(people, 1)


def learn(args: argparse.Namespace, folder: Path, queue: Any) -> None:
    """Train until the time is over, then write the bundle."""
    torch.manual_seed(args.seed)
    learner = Learner(args, folder)
    recipe, columns = learner.recipe, learner.columns
    drives = Drives(columns, args.capacity, args.device)
    if args.onto is not None or learner.step:
        save(learner.mean.module, folder / WEIGHTS)
    told = written = kept = before = time.monotonic()
    losses = np.zeros(2)
    while learner.seconds < args.seconds:
        receive(queue, drives, wait=drives.count < args.first)
        if drives.count >= args.first:
            losses += 0.02 * (np.array(learner.update(drives)) - losses)
        now = time.monotonic()
        learner.seconds, before = learner.seconds + now - before, now
        if now > written + NEWER and learner.step > 150:
            written = now
            save(learner.mean.module, folder / WEIGHTS)
        if now > kept + KEPT:
            kept = now
            learner.keep()
        if now > told + 15:
            told = now
            hours = drives.count * PERIOD_NS / 3.6e12
            print(
                f'{learner.seconds:5.0f} s: {hours:.1f} h driven, {learner.step} steps, loss '
                f'{losses[0]:.4f}, people {losses[1]:.4f}',
                flush=True,
            )
    learner.keep()
    network = plain(learner.mean.module.cpu())
    rows = drives.rows[: min(drives.count, 1000)].cpu()
    export_bundle(
        network,
        name=args.out.name,
        path=args.out,
        control_rate=recipe.control_rate,
        elapsed_range=recipe.elapsed_range,
        steps=Steps(
            columns.inputs(rows),
            torch.full((len(rows),), PERIOD_NS / 1e9),
            rows[:, columns.wanted],
            torch.ones(len(rows)),
        ),
        provenance={
            'description': recipe.description,
            'command': f'python scripts/train_rover.py {args.out}'
            + (f' --onto {args.onto}' if args.onto else ''),
            'driven': f'{drives.count * PERIOD_NS / 3.6e12:.1f} h',
            'steps': learner.step,
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
    write({name: value.cpu() for name, value in network.state_dict().items()}, file)


def write(what: Mapping[str, Any], file: Path) -> None:
    """Write a file, all of it or nothing."""
    partial = file.with_suffix('.partial')
    torch.save(what, partial)
    partial.replace(file)


def main() -> None:
    """Start the processes, learn, end them."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('out', type=Path, help='bundle to write')
    parser.add_argument('--onto', type=Path, help='bundle that does not see what moves')
    parser.add_argument('--seconds', type=float, default=3500.0)
    parser.add_argument('--processes', type=int, default=max((os.cpu_count() or 2) - 2, 1))
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--batch', type=int, default=64, help='windows')
    parser.add_argument('--rate', type=float, default=1e-3, help='of AdamW, at its highest')
    parser.add_argument('--first', type=int, default=12_000, help='steps driven before it learns')
    parser.add_argument('--capacity', type=int, default=3_000_000, help='steps')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    mp.set_start_method('spawn')
    queue = mp.Queue()
    folder = args.out.with_suffix('.part')
    folder.mkdir(parents=True, exist_ok=True)
    drivers = [
        mp.Process(target=drive, args=(index, args, folder, queue), daemon=True)
        for index in range(args.processes)
    ]
    for process in drivers:
        process.start()
    try:
        learn(args, folder, queue)
    except KeyboardInterrupt:
        print(f'stopped: the same command goes on from {folder}')
    finally:
        for process in drivers:
            process.terminate()


if __name__ == '__main__':
    main()
