# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Chaos: random faults of all kinds against the driving policy node, and an independent judge.

One round is: the node drives, something goes wrong, the robot must stop in time (or go on), and
all is well again. Drawn by a seed. The judge holds every command on the wire against the robot's
limits and every tick against the age of its inputs; times are from the fault to the message that
tells of the stop, and to the first command that is slower. Needs a source tree: the policies that
fail come from test/. With `--calm` nothing fails, policies are swapped once a second while a
recorder records, and memory is what is looked at. Ctrl-C ends it with the report so far, which is
also in out/bench/.

    python benchmarks/chaos.py --minutes 30
    python benchmarks/chaos.py --minutes 60 --calm
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from chaos_world import MAX_AGE, PERIOD, World, own_domain
from liquid_control.msg import ControlMode
from rich.console import Console
from rich.table import Table
from script import run_script

from liquid_control.nodes.common.dds import use_default_profile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test'))
from support.bundles import make_bundle
from support.failing_bundles import make_failing

# s, promised in docs/safety.md
CAMERA, IMU = MAX_AGE['image'] + PERIOD, MAX_AGE['imu'] + PERIOD
STALLED, TOPIC = 0.6, 0.5 + PERIOD


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong while the robot drives."""

    name: str
    begin: Callable[[World], Any]
    bound: float
    """Within so many seconds it must stop; 0: it must drive on."""
    policy: str = ''
    """Only with this kind of policy; '' with any."""
    simulated: bool | None = None
    """Only with simulated time, or without; None for both."""
    fatal: bool = False
    """The node must be ended afterwards."""


def sensor(**broken: Any) -> Callable[[World], None]:
    """Set attributes of the sensors."""
    return lambda world: [setattr(world.sensors, *item) for item in broken.items()]


def freeze_stamps(world: World) -> None:
    world.sensors.frozen_ns = world.sensors.now_ns()


def jump(seconds: float) -> Callable[[World], None]:
    """/clock jumps."""

    def begin(world: World) -> None:
        assert world.sensors.simulated_ns is not None
        world.sensors.simulated_ns += round(seconds * 1e9)

    return begin


FAULTS = [
    Fault('camera stops', sensor(camera=False), CAMERA),
    Fault('IMU stops', sensor(imu=False), IMU),
    Fault('IMU not a number', sensor(acceleration=math.nan), IMU),
    Fault('IMU absurd', sensor(acceleration=1e6), IMU),
    Fault('stamps repeat', freeze_stamps, IMU),
    Fault('stamps of the future', sensor(offset_ns=5 * 10**9), IMU),
    Fault('stamps of the past', sensor(offset_ns=-(10**9)), IMU),
    Fault('base gone', World.deafen, TOPIC),
    Fault('policy not a number', sensor(acceleration=9.0), 2 * PERIOD, 'nan'),
    Fault('step never returns', sensor(acceleration=9.0), STALLED, 'hang', fatal=True),
    Fault('/clock stands still', sensor(pace=0.0), STALLED, simulated=True),
    Fault('/clock creeps', sensor(pace=0.0001), STALLED, simulated=True),
    Fault('/clock jumps ahead', jump(10.0), 2 * PERIOD, simulated=True),
    Fault('/clock goes back', jump(-10.0), 2 * PERIOD, simulated=True),
]
KINDS = ['good', 'nan', 'hang', 'encoder raises', 'encoder hangs']


class Chaos:
    """Rounds, and what came of them."""

    def __init__(
        self, world: World, folder: Path, seed: int, slack: float, kinds: Sequence[str]
    ) -> None:
        """Make the policies.

        Args:
            slack: what this machine may add to a promised time, s.
            kinds: of policies to drive with.
        """
        self._kinds = list(kinds)
        self._world, self._folder, self._slack = world, folder, slack
        self._rng = np.random.default_rng(seed)
        self._policies = {
            kind: make_bundle(folder / 'good')
            if kind == 'good'
            else make_failing(folder / kind.replace(' ', '_'), kind)
            for kind in KINDS
        }
        self._others = [make_bundle(folder / f'other{seed}', seed=seed) for seed in (3, 6)]
        self._kind, self._simulated = 'good', False
        self.times: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.bounds: dict[str, float] = {}
        self.failures: list[str] = []
        self.memory: list[tuple[float, float, float]] = []  # when, policy node, recorder
        self.rounds = self.swaps = 0

    # Rounds

    def round(self) -> None:
        """Drive, break something, look, mend it."""
        if not self._drive():
            return
        self.rounds += 1
        choices = [self._fault, self._fault, self._fault, self._person, self._rival, self._swap]
        choices += [self._leave, self._noise, self._encoder, self._shadow]
        choices[self._rng.integers(len(choices))]()

    def calm(self) -> None:
        """Drive, be recorded, and swap policies."""
        if self._world.recorder is None:
            self._world.start_recorder()
        if self._drive():
            self.rounds += 1
            self._swap()
            time.sleep(0.5)
            self.memory.append((time.monotonic(), *self._world.memory()))

    def _drive(self) -> bool:
        """Whether the robot moves; a node is started where there is none."""
        world = self._world
        world.sensors.heal()
        if world.process is None or world.process.poll() is not None:
            self._kind = str(self._rng.choice(self._kinds))
            self._simulated = bool(self._rng.integers(2))
            world.start_node(self._policies[self._kind], simulated=self._simulated)
        answer = ''

        def engaged() -> bool:
            nonlocal answer
            response = world.engage()
            answer = response.message if response is not None else 'no answer'
            return response is not None and response.success

        moving = world.wait(engaged, 60) and world.wait(
            lambda: world.judge.commands and world.judge.commands[-1][1] > 0.2, 10
        )
        if not moving:
            seen = [list(each)[-1:] for each in (world.judge.modes, world.judge.commands)]
            self._fail(f'does not drive: {answer}; {self._kind}, {self._simulated}, {seen}')
            world.end_node(signal.SIGKILL)
        return bool(moving)

    def _fault(self) -> None:
        fitting = [
            fault
            for fault in FAULTS
            if fault.policy in ('', self._kind) and fault.simulated in (None, self._simulated)
        ]
        own = [fault for fault in fitting if fault.policy]
        if own and self._rng.random() < 0.5:
            fitting = own
        fault = fitting[self._rng.integers(len(fitting))]
        began = time.monotonic()
        fault.begin(self._world)
        self._stops(fault.name, began, fault.bound)
        if fault.begin is World.deafen:
            self._world.listen()
        if fault.fatal or self._rng.random() < 0.3:
            self._person(f'while {fault.name}')
        if fault.fatal:
            self._end(signal.SIGTERM, f'SIGTERM while {fault.name}')

    def _person(self, when: str = '') -> None:
        """A person takes over, and lets go."""
        world, name = self._world, f'person is heard {when}'.strip()
        began, speed = time.monotonic(), float(self._rng.uniform(0.5, 2.0))
        world.person(speed, 1.0)
        heard = next(
            (at for at, seen in world.judge.commands if at >= began and abs(seen - speed) < 1e-6),
            math.inf,
        )
        self._note(name, heard - began, heard - began, 2 * PERIOD)
        world.wait(lambda: world.judge.mode != ControlMode.MANUAL, 3)

    def _rival(self) -> None:
        began = time.monotonic()
        with self._world.rival():
            self._stops('rival', began, TOPIC)
        # Discovery has to notice that it is gone.
        time.sleep(0.5)

    def _swap(self) -> None:
        """Policies are swapped, damaged ones refused, and the robot drives on."""
        world, began = self._world, time.monotonic()
        policy = self._others[self._rng.integers(len(self._others))]
        taken = world.set_parameter('policy', str(policy))
        refused = world.set_parameter('policy', '/nowhere')
        self.swaps += 1
        self._kind = 'good'
        if taken is None or refused is not False:
            self._fail(f'swap: {taken}, of nothing: {refused}')
        self._goes_on('swap', began)

    def _leave(self) -> None:
        """The node is ended while it drives."""
        signum = [signal.SIGTERM, signal.SIGINT, signal.SIGKILL][self._rng.integers(3)]
        self._end(signum, signum.name)

    def _noise(self) -> None:
        """Hostile messages beside the good ones."""
        began, world = time.monotonic(), self._world
        for publisher in (world.sensors._imu, world.sensors._camera):
            for _ in range(200):
                publisher.publish(b'\0\1\0\0' + self._rng.bytes(int(self._rng.integers(20, 400))))
                time.sleep(0.003)  # good ones come between: only the newest counts
        # Only the newest message counts: where that is noise, a sensor may grow old.
        self._goes_on('noise', began, excused=' old')

    def _encoder(self) -> None:
        if self._kind.startswith('encoder'):
            began, kind = time.monotonic(), self._kind
            self._world.sensors.pixels = self._world.sensors.bright
            self._stops(kind, began, CAMERA)
            self._person(f'while {kind}')
            if kind == 'encoder hangs':
                self._end(signal.SIGTERM, f'SIGTERM while {kind}')

    def _shadow(self) -> None:
        """A shadow that never returns."""
        if self._kind == 'good' and not self._simulated:
            world = self._world
            world.set_parameter('shadow_policy', str(self._policies['hang']))
            began = time.monotonic()
            world.sensors.acceleration = 9.0
            self._goes_on('shadow never returns', began)
            self._end(signal.SIGTERM, 'SIGTERM while a shadow never returns')

    # What is expected

    def _stops(self, name: str, began: float, bound: float) -> None:
        world, judge = self._world, self._world.judge
        stopped = world.wait(lambda: judge.stopped_at(began), bound + 5) or math.inf
        world.wait(lambda: judge.commands[-1][1] == 0.0, 5)
        if judge.commands[-1][1] != 0.0:
            self._fail(f'{name}: still {judge.commands[-1][1]:.2f} m/s')
        slowed = judge.slowed_at(began) or math.inf
        self._note(name, stopped - began, slowed - began, bound)

    def _goes_on(self, name: str, began: float, *, excused: str = '') -> None:
        time.sleep(1.0)
        stopped = self._world.judge.stopped_at(began)
        self._note(name, 0.0, 0.0, 0.0)
        if stopped is not None:
            reasons = [reason for at, _, reason in self._world.judge.modes if at >= began]
            if not (excused and any(excused in reason for reason in reasons)):
                self._fail(f'{name}: stopped, {reasons[:1]}')

    def _end(self, signum: signal.Signals, name: str) -> None:
        took = self._world.end_node(signum)
        time.sleep(0.3)
        last = self._world.judge.commands[-1][1] if self._world.judge.commands else 0.0
        if signum is not signal.SIGKILL:
            self._note(name, took, 0.0, 6.0)
            if last != 0.0:
                self._fail(f'{name}: the last command is {last:.2f} m/s')
        # DDS misses a process that was killed after its lease.
        self._world.wait(lambda: self._world.node.count_publishers('cmd_vel') == 0, 10)

    def _note(self, name: str, told: float, slowed: float, bound: float) -> None:
        self.times[name].append((told, slowed))
        self.bounds[name] = bound
        if bound and told > bound + self._slack:
            self._fail(f'{name}: after {told:.2f} s instead of {bound:.2f}')

    def _fail(self, what: str) -> None:
        self.failures.append(f'{time.strftime("%T")} {what}')


def main() -> None:
    """Run for a while, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--slack', type=float, default=0.25, help='s, for a busy machine')
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=KINDS, help='of policies')
    parser.add_argument('--calm', action='store_true', help='only swaps, and memory')
    options = parser.parse_args()
    kinds = ['good'] if options.calm else options.kinds
    own_domain()
    use_default_profile()
    console = Console(width=130)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        chaos = Chaos(world, Path(folder), options.seed, options.slack, kinds)
        end, told = time.monotonic() + 60 * options.minutes, time.monotonic()
        try:
            while time.monotonic() < end:
                (chaos.calm if options.calm else chaos.round)()
                if time.monotonic() > told + 10:
                    told = time.monotonic()
                    progress(console, chaos, world, end - told)
        except KeyboardInterrupt:
            console.print('ended by hand')
        finally:
            world.close()
    report(console, chaos, world, options)


def progress(console: Console, chaos: Chaos, world: World, left: float) -> None:
    console.print(
        f'{left / 60:5.1f} min left, {chaos.rounds} rounds, {world.judge.counts["commands"]} '
        f'commands, {len(chaos.failures)} failures, {len(world.judge.violations)} violations'
    )


def report(console: Console, chaos: Chaos, world: World, options: argparse.Namespace) -> None:
    """A table, what failed, and out/bench/chaos.json."""
    table = Table(title=f'{chaos.rounds} rounds, seed {options.seed}')
    for column in ('fault', 'times', 'promised, s', 'told: median, s', 'worst, s', 'slower, s'):
        table.add_column(column)
    for name, times in sorted(chaos.times.items()):
        told, slowed = (np.array(each) for each in zip(*times, strict=True))
        bound = chaos.bounds[name]
        shown = [f'{bound:.2f}', f'{np.median(told):.2f}', f'{told.max():.2f}']
        shown = [*shown, f'{slowed.max():.2f}'] if bound else ['drives on', '', '', '']
        table.add_row(name, str(len(times)), *shown)
    console.print(table)
    judge = world.judge
    console.print(f'{dict(judge.counts)}; {chaos.swaps} swaps')
    for title, lines in (('failures', chaos.failures), ('violations', judge.violations)):
        console.print(f'{len(lines)} {title}', *lines[:50], sep='\n  ')
    if chaos.memory:
        settled = chaos.memory[len(chaos.memory) // 5 :]
        first, last = settled[0], settled[-1]
        minutes = (last[0] - first[0]) / 60
        for column, node in enumerate(('policy node', 'recorder'), start=1):
            sizes = f'{first[column]:.1f} -> {last[column]:.1f} MB'
            console.print(f'memory of the {node} {sizes} in {minutes:.1f} minutes')
    out = Path('out/bench/chaos.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    written = {
        'seed': options.seed,
        'rounds': chaos.rounds,
        'swaps': chaos.swaps,
        'counts': dict(judge.counts),
        'bounds': chaos.bounds,
        'times': chaos.times,
        'failures': chaos.failures,
        'violations': judge.violations,
        'memory': chaos.memory,
    }
    out.write_text(json.dumps(written, indent=1))


if __name__ == '__main__':
    run_script(main)
