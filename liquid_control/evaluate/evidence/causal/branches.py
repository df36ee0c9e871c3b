# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Drives up to a pose, and the last half second of them again with one thing changed.

What a policy commands depends on what it has seen. So it drives to the pose by itself, and every
branch starts from the state that it had half a second before: it comes the same way, with the
same inertial measurements, and only its camera (or lidar, and odometry) sees the change.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.causal.interventions import (
    NOTHING,
    Change,
    ahead,
    moves,
    nuisances,
    possible,
)
from liquid_control.evaluate.evidence.study import EvidenceError, Measured, Piece
from liquid_control.rollout import messages
from liquid_control.rollout.driver import PolicyDriver
from liquid_control.rollout.tasks import robot_of, task_kind
from liquid_control.runtime.control.runner import Frame, PolicyRunner
from liquid_control.runtime.inference.policy import Policy
from liquid_control.sim.protocols import Sample
from liquid_control.sim.robots import simulate
from liquid_control.sim.simulator import Simulator, Snapshot

WINDOW = 0.5
"""How long a branch is, s."""
FIRST = 2.0
"""Where the first pose is, s from the start."""
SPACING = {'car': 1.5, 'quadrotor': 1.0, 'rover': 2.5}
"""From one pose to the next, s."""
SEES = ('image', 'scan', 'odom')
"""Sensors that look at the world, or know where they are; others measure what the body feels."""

Simulation = Simulator[Any, Any]


@dataclass(frozen=True, eq=False)
class Moment:
    """One tick of a drive.

    Attributes:
        state: of the policy before it.
        samples: the newest of each sensor that sees nothing of the change.
    """

    state: NDArray[np.float32]
    snapshot: Snapshot
    samples: dict[str, Sample]


@dataclass(frozen=True, eq=False)
class Window:
    """The half second before a pose, and before it what readers look back to."""

    before: Sequence[Moment]
    moments: Sequence[Moment]


def warm_up(policy: Policy, robot: str, simulator: Simulation, count: int) -> list[Window]:
    """Let the policy drive; the half second before each of so many poses, or fewer if it fails."""
    driver, period_ns = PolicyDriver(policy, robot), policy.contract.period_ns
    rate = policy.contract.control_rate
    looks_back = max(spec.looks_back for spec in policy.contract.inputs.values())
    length, before = round(WINDOW * rate), math.ceil(looks_back * rate)
    recent: deque[Moment] = deque(maxlen=length + before)
    due = {round((FIRST + index * SPACING[robot]) * rate) for index in range(count)}
    newest: dict[str, Sample] = {}
    found: list[Window] = []
    for tick in range(max(due) + 1):
        status = simulator.status
        if status.problem or getattr(status, 'reached', False):
            break
        recent.append(Moment(policy.state.copy(), simulator.snapshot(), dict(newest)))
        if tick in due:
            moments = tuple(recent)
            found.append(Window(moments[:-length], moments[-length:]))
        command = driver.act(simulator.time_ns)
        for sample in simulator.step(command, (tick + 1) * period_ns - simulator.time_ns):
            driver.sense(sample)
            if sample.sensor not in SEES:
                newest[sample.sensor] = sample
    return found


@dataclass(frozen=True)
class Response:
    """What a branch came to: commands in the contract's order.

    Attributes:
        first: of the policy at its first tick.
        last: of the policy at its last.
        expert: at the last pose.
    """

    first: list[float]
    last: list[float]
    expert: list[float]


def branch(
    policy: Policy, robot: str, simulator: Simulation, window: Window, change: Change
) -> Response | None:
    """Drive a window again; None where the robot cannot be moved like that.

    What is changed was so before the window too, as far as readers look back: it is in another
    world that the robot drives, nothing jumps there.

    Raises:
        EvidenceError: the policy gives no command.
    """
    runner = PolicyRunner(policy, time_budget=math.inf)
    for sensor in simulator.sensors:
        sensor.reset(simulator.world.seed if change.noise is None else change.noise)
    policy.state = window.moments[0].state
    told: dict[str, int] = {}
    for moment in window.before:
        simulator.show(moment.snapshot, change.move)
        _tell(runner, simulator, moment, told)
    commands = []
    for moment in window.moments:
        now = moment.snapshot.time_ns
        simulator.show(moment.snapshot, change.move)
        if change.move is not None and not possible(simulator, now):
            return None
        _tell(runner, simulator, moment, told)
        action = runner.step(now, 1 / policy.contract.control_rate)
        if action.raw is None:
            why = action.fault or action.observation.problem
            raise EvidenceError(f'{policy.contract.name} gives no command in a branch: {why}')
        commands.append([float(value) for value in action.raw])
    expert = task_kind(robot).make(simulator).expert()
    return Response(
        commands[0], commands[-1], [expert[name] for name in policy.contract.command_names]
    )


def _tell(
    runner: PolicyRunner, simulator: Simulation, moment: Moment, told: dict[str, int]
) -> None:
    """Give the policy what its sensors say at a moment, shown in this world."""
    now = moment.snapshot.time_ns
    samples = dict(moment.samples)
    for sensor in simulator.sensors:
        if sensor.name in SEES:
            samples[sensor.name] = Sample(sensor.name, now, partial(sensor.read, now))
    for name in sorted(samples):  # a goal before the odometry that it is seen from
        sample = samples[name]
        if told.get(name) == sample.stamp_ns:
            continue
        told[name] = sample.stamp_ns
        if name == 'image':
            runner.encode(name, Frame(sample.value, sample.stamp_ns, sample.stamp_ns))
            continue
        topic, msgtype, data = messages.encode(sample)
        for refusal in runner.ingest.deliver(topic[1:], msgtype, data, sample.stamp_ns, now):
            raise refusal


def measure(piece: Piece) -> Measured:
    """All interventions at all poses of one world; responses less that to nothing changed."""
    bundle, world = Path(piece['policy']), piece['world']
    robot = robot_of(load_bundle(bundle).contract.command_names)
    policy = Policy.load(bundle)
    found: list[dict[str, Any]] = []
    intact: list[Response | None] = []

    def note(simulator: Simulation, index: int, change: Change) -> None:
        response, before = branch(policy, robot, simulator, windows[index], change), intact[index]
        if response is None or before is None:
            return
        found.append(
            {
                'pose': index,
                'change': change.name,
                'cause': change.cause,
                'first': _less(response.first, before.first),
                'policy': _less(response.last, before.last),
                'expert': _less(response.expert, before.expert),
            }
        )

    with simulate(robot, world) as simulator:
        windows = warm_up(policy, robot, simulator, piece['poses'])
        poses = range(len(windows))
        intact += [branch(policy, robot, simulator, window, NOTHING) for window in windows]
        for change in moves(robot):
            for index in poses:
                note(simulator, index, change)
        motions = []
        for window in windows:
            simulator.show(window.moments[-1].snapshot)
            motions.append(simulator.motion)
        in_front = ahead(robot, simulator, motions)
    everywhere = [(change, list(poses)) for change in nuisances(robot, world)]
    for change, indices in (*everywhere, *in_front):
        with simulate(robot, world, **change.options) as elsewhere:
            for index in indices:
                note(elsewhere, index, change)
    return {'poses': len(windows), 'responses': found}


def _less(values: list[float], others: list[float]) -> list[float]:
    return [value - other for value, other in zip(values, others, strict=True)]
