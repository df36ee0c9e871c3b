# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Guided drives: a policy drives, the expert says at every moment what it would do instead.

DAgger (Ross et al., "A Reduction of Imitation Learning and Structured Prediction to No-Regret
Online Learning", AISTATS 2011) with a safety rule for who is at the wheel (Zhang and Cho,
"Query-Efficient Imitation Learning for End-to-End Autonomous Driving", 2016): the expert takes
over when the car is about to leave the road, or the rover to touch something, and hands back when
all is well again, so that every drive is as long as it was meant to be.

The recordings are those of `liquid_control.rollout.collect`: the command topic holds the expert's
answer to every pose, so that `liquid-control train` learns from them as from any other. Who drove
and what the policy said is beside it, on the topics of the policy node.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from liquid_control.bags.reader import BagReader
from liquid_control.bags.writer import BagWriter
from liquid_control.common.jobs import CancelledError, IsCancelled
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.modes import Mode
from liquid_control.rollout import messages
from liquid_control.rollout.collect import check_seed
from liquid_control.rollout.driver import PolicyDriver, kept_policy
from liquid_control.rollout.recording import record_missing, recording
from liquid_control.rollout.tasks import Task, open_task, robot_of, task_kind
from liquid_control.runtime.control.state_message import Measured, state_bytes
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.loop.timing import LoopTiming

MODE_TOPIC = '/policy_node/mode'
STATE_TOPIC = '/policy_node/state'

# Simulated time does not pass while anything is computed.
_UNTIMED = Measured(frames=0, lateness=0.0, encoder=0.0, sense_to_act=0.0)


@dataclass(frozen=True)
class Guided:
    """One guided drive.

    seconds: simulated duration
    policy: bundle that drives
    """

    seed: int
    seconds: float
    policy: Path

    def __post_init__(self) -> None:
        check_seed(self.seed)

    @property
    def name(self) -> str:
        """Name of the bag's directory."""
        return f'seed_{self.seed:04d}'

    @property
    def custom_data(self) -> dict[str, str]:
        """What metadata.yaml says of the drive; the policy by digest, wherever its bundle lies."""
        return {
            'seed': str(self.seed),
            'seconds': str(self.seconds),
            'policy': load_bundle(self.policy).digest,
        }


@dataclass(frozen=True)
class GuidedSummary:
    """Who drove in a guided drive.

    takeovers: how often the expert took over
    expert_share: share of the control ticks that the expert drove
    """

    takeovers: int
    expert_share: float


def guide(
    drives: Sequence[Guided],
    out_dir: Path,
    *,
    workers: int = 2,
    console: Console | None = None,
) -> list[Path]:
    """Record the drives that `out_dir` has not yet; return all bags in the order of drives.

    Raises:
        ConfigError: a bag in `out_dir` was recorded with other settings.
        RenderingError: this machine cannot render.
    """
    return record_missing(
        _record, drives, out_dir, title='guided drives', workers=workers, console=console
    )


def summarise(bag: Path) -> GuidedSummary:
    """Read who drove from the recording of a guided drive."""
    with BagReader(bag) as reader:
        manual = np.array(
            [m.value.mode == Mode.MANUAL for m in reader.messages([STATE_TOPIC])], bool
        )
    begins = manual & ~np.concatenate([[False], manual[:-1]])
    return GuidedSummary(int(begins.sum()), float(manual.mean()))


def _record(out_dir: Path, drive: Guided, is_cancelled: IsCancelled) -> Path:
    path = out_dir / drive.name
    policy = kept_policy(drive.policy)
    robot = robot_of(policy.contract.command_names)
    with (
        open_task(robot, drive.seed) as task,
        recording(path, drive.custom_data) as writer,
    ):
        types = messages.types_of(task.simulator) | {
            MODE_TOPIC: 'liquid_control/msg/ControlMode',
            STATE_TOPIC: 'liquid_control/msg/PolicyState',
        }
        for topic, msgtype in types.items():
            writer.add_topic(topic, msgtype)
        for _ in _drive(drive, policy, robot, task, writer):
            if is_cancelled():
                raise CancelledError
    return path


def _drive(
    drive: Guided, policy: Policy, robot: str, task: Task, writer: BagWriter
) -> Iterator[None]:
    """Record the drive, one control tick at a time."""
    simulator = task.simulator

    def on_mode(mode: Mode, reason: str) -> None:
        values = {
            'mode': int(mode),
            'reason': reason,
            'policy': policy.contract.name,
            'policy_hash': policy.bundle.digest,
        }
        writer.write_message(MODE_TOPIC, values, simulator.time_ns)

    driver = PolicyDriver(policy, robot, on_mode=on_mode)
    task.begin(np.random.default_rng([drive.seed, 8]))
    period_ns = policy.contract.period_ns
    answers = math.ceil(task_kind(robot).command_rate * period_ns / 1e9)
    expert_drives, count = False, 0
    timing = LoopTiming(policy.contract.control_rate)
    while count * period_ns < drive.seconds * 1e9 and not task.over:
        now_ns = simulator.time_ns
        expert_drives = task.needs_expert(expert_drives)
        if expert_drives:
            driver.take_over(task.expert(), now_ns)
        tick = driver.tick(now_ns)
        timing.ticks = count
        writer.write(STATE_TOPIC, state_bytes(tick, timing, _UNTIMED), now_ns)
        for part in range(1, answers + 1):
            answer = messages.encode_command(task.expert(), simulator.time_ns)
            writer.write(messages.COMMAND_TOPIC, answer, simulator.time_ns)
            until_ns = count * period_ns + part * period_ns // answers
            duration_ns = until_ns - simulator.time_ns
            for sample in simulator.step(driver.command(tick), duration_ns):
                message = messages.encode(sample)
                writer.write(message.topic, message.data, sample.stamp_ns)
                driver.sense(sample)
        count += 1
        yield
