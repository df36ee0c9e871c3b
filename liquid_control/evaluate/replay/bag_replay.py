# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Replay of a whole bag with its result: errors against the recording, speed, share of stages."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.bags import samples
from liquid_control.bags.reader import BagReader
from liquid_control.contract.contract import Contract
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.replay.compare import CommandError, Comparison, command_errors
from liquid_control.evaluate.replay.replayer import Faults, ReplayedTick, Stages, replay
from liquid_control.evaluate.replay.topics import ReplayTopics, choose_topics
from liquid_control.evaluate.replay.trace import Trace
from liquid_control.runtime.inference.policy import Policy

# Of the simulated car, m.
WHEELBASE = 0.325


@dataclass(frozen=True)
class Options:
    """What of a bag is replayed, and how it is read."""

    start_frame: int = 0
    """Index of the first frame."""
    end_frame: int | None = None
    """Index of the first frame left out."""
    topics: Mapping[str, str] = field(default_factory=dict)
    """That the user named: of inputs, and 'command'."""
    wheelbase: float | None = None
    """Of the recorded robot, m; joins yaw rate and steering angle. None: that of the robot that
    the policy learnt from, or of the simulated car."""
    need_command: bool = True
    """Whether a bag without recorded commands is refused."""

    def __post_init__(self) -> None:
        if self.start_frame < 0:
            raise ReplayError(f'--start-frame must be >= 0, found {self.start_frame}')
        if self.end_frame is not None and self.end_frame <= self.start_frame:
            raise ReplayError(
                f'--end-frame must be above --start-frame {self.start_frame}, '
                f'found {self.end_frame}'
            )
        if self.wheelbase is not None and not 0 < self.wheelbase < math.inf:
            raise ReplayError(f'--wheelbase must be > 0 m, found {self.wheelbase}')


@dataclass(frozen=True)
class BagReplay:
    """A finished replay."""

    bag: Path
    contract: Contract
    digest: str
    trace: Trace
    errors: dict[str, CommandError | None]
    stages: Stages
    wall: float
    """s"""
    wheelbase: float
    """With which the recorded commands were read, m."""
    problem: str
    """The first reason why a tick was left out, '' when none was."""
    silent: dict[str, float]
    """Seconds left out by the input that was missing or too old."""
    faults: Faults

    @property
    def frames(self) -> int:
        """Frames the policy could have seen."""
        return int(self.trace.frame[-1] - self.trace.frame[0]) + 1

    @property
    def duration(self) -> float:
        """Length of what was replayed, s."""
        return len(self.trace.stamp_ns) * self.contract.period_ns / 1e9

    @property
    def real_time_factor(self) -> float:
        return self.duration / self.wall

    @property
    def left_out(self) -> int:
        """Ticks at which the policy could not be asked."""
        return int((~self.trace.answered).sum())

    def report(self, comparison: Comparison | None = None) -> dict[str, Any]:
        """For JSON."""
        return {
            'bag': str(self.bag),
            'policy': self.contract.name,
            'policy_hash': self.digest,
            'frames': self.frames,
            'ticks': len(self.trace.stamp_ns),
            'ticks_left_out': self.left_out,
            'left_out_because': self.problem,
            'left_out_seconds': self.silent,
            'messages_left_out': self.faults.refusals.report(),
            'jumps': [str(jump) for jump in self.faults.jumps],
            'duration': self.duration,
            'wheelbase': self.wheelbase,
            'real_time_factor': self.real_time_factor,
            'stages': asdict(self.stages),
            'commands': {
                name: asdict(error) if error else None for name, error in self.errors.items()
            },
            'comparison': comparison.report() if comparison else None,
        }


def frame_count(reader: BagReader, contract: Contract, options: Options) -> int:
    """Frames that a replay of this bag would go through, for a progress bar. Raises TopicError."""
    count = reader.message_counts[_topics(reader, contract, options).frames]
    return min(options.end_frame or count, count) - options.start_frame


def replay_bag(
    reader: BagReader,
    policy: Policy,
    options: Options,
    *,
    on_frame: Callable[[int], None] = lambda frame: None,
) -> BagReplay:
    """Replay a bag and compare with the commands recorded in it.

    Args:
        on_frame: told of the number of frames done, about every tick.

    Raises:
        TopicError: the bag has not the topics needed.
        ReplayError: the bag has not the frames asked for, or the policy could never be asked.
    """
    topics = _topics(reader, policy.contract, options)
    total = frame_count(reader, policy.contract, options)
    if total <= 0:
        raise ReplayError(
            f'{reader.path} has {total + options.start_frame} frames, '
            f'--start-frame {options.start_frame} is beyond them'
        )
    if topics.command is not None:
        names = policy.contract.command_names
        samples.check_command(topics.command, reader.topics[topics.command], names)
    wheelbase = options.wheelbase or policy.contract.wheelbase or WHEELBASE
    stages, faults, problem = Stages(), Faults(), ''
    silent: dict[str, float] = {}
    begun: list[int] = []

    def watched(ticks: Iterator[ReplayedTick]) -> Iterator[ReplayedTick]:
        nonlocal problem
        command = None
        for number, tick in enumerate(ticks):
            if tick.recorded is not command:
                command = tick.recorded
                begun.append(number)
            if tick.problem:
                problem = problem or tick.problem
                name = tick.problem.partition(':')[0]
                silent[name] = silent.get(name, 0.0) + policy.contract.period_ns / 1e9
            on_frame(tick.frame + 1 - options.start_frame)
            yield tick

    started = time.perf_counter()
    ticks = replay(
        reader,
        policy,
        topics,
        wheelbase=wheelbase,
        start_frame=options.start_frame,
        end_frame=options.end_frame,
        stages=stages,
        faults=faults,
    )
    trace = Trace.collect(policy.contract.command_names, watched(ticks))
    _leave_out_spikes(trace, begun, topics.command or '', faults)
    wall = time.perf_counter() - started
    if not trace.answered.any():
        raise ReplayError(
            f'{reader.path}: policy {policy.contract.name} could not be asked at any of '
            f'{len(trace.stamp_ns)} ticks: {problem}'
        )
    errors = command_errors(trace)
    if options.need_command and not any(errors.values()):
        raise ReplayError(
            f'{reader.path}: {topics.command} has no command in the time of the frames to compare '
            'with; were its stamps written by another clock? '
            + '; '.join(faults.refusals.lines(topics.command))
        )
    return BagReplay(
        bag=reader.path,
        contract=policy.contract,
        digest=policy.bundle.digest,
        trace=trace,
        errors=errors,
        stages=stages,
        wall=wall,
        wheelbase=wheelbase,
        problem=problem,
        silent=silent,
        faults=faults,
    )


def _leave_out_spikes(trace: Trace, begun: list[int], topic: str, faults: Faults) -> None:
    """Recorded commands that nobody meant are unknown; as in training they are named.

    Args:
        begun: ticks at which another command came into force.
    """
    first = np.array(begun, np.int64)
    ends = np.r_[first[1:], len(trace.stamp_ns)]
    for column in range(len(trace.names)):
        recorded = trace.recorded[:, column]
        for number in np.flatnonzero(samples.spikes(recorded[first])):
            index = first[number]
            why = f'command is far beyond all others: {recorded[index]:g}'
            faults.refusals.add(topic, 'spike', why, int(trace.stamp_ns[index]), int(number))
            recorded[index : ends[number]] = np.nan


def _topics(reader: BagReader, contract: Contract, options: Options) -> ReplayTopics:
    return choose_topics(reader, contract, options.topics, need_command=options.need_command)
