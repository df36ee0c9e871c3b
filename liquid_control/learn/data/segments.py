# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who drove when, and how much a policy learns from each segment of a drive.

A policy that learnt from its own commands would imitate its mistakes. What a person does who takes
over from it is worth most: a correction is short, and it shows what to do where the policy goes
wrong (Mandlekar et al., "Human-in-the-Loop Imitation Learning using Remote Teleoperation", 2020,
weigh interventions up for the same reason).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import ConfigError
from liquid_control.contract.modes import Mode
from liquid_control.learn.data.spans import Spans, union

HUMAN, RECOVERY, CORRECTED = 'human', 'recovery', 'corrected'
AUTONOMOUS, STOPPED = 'autonomous', 'stopped'

# A push: the robot turns by this much more or less than it was told, as a steering angle, rad ...
PUSH_ANGLE = 0.1
# ... for at least this long, s; less is a servo on its way.
PUSH_DURATION = 0.15
# After a push the driver needs this long to be back on his line, s.
RECOVERY_TIME = 0.5
# Below this speed a yaw rate tells nothing of the wheels, m/s.
PUSH_SPEED = 0.2

Stamps = NDArray[np.int64]
Values = NDArray[np.float32]


class Segment(NamedTuple):
    """A part of an episode, until just before `end_ns`.

    kind: 'human': a person or an expert drove and no policy was engaged; 'recovery': the same,
        answering a push that led the robot astray; 'corrected': a person had taken over from a
        policy; 'autonomous': a policy drove; 'stopped': the robot was in a safe stop.
    """

    kind: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Weights:
    """How much each kind of segment counts in the loss; 0: nothing is learnt from it.

    Attributes:
        human: a person or an expert drove.
        recoveries: the same, answering a push (found where odometry and a steering angle are).
        interventions: a person had taken over from the policy.
        autonomous: the policy drove; above 0 only where the recorded commands are not its own, as
            in guided drives, where an expert says what it would have done.
    """

    human: float = 1.0
    recoveries: float = 1.0
    interventions: float = 4.0
    autonomous: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if not 0 <= weight < math.inf:
                raise ConfigError(f'{name} must be >= 0, found {weight:g}')

    def of(self, kind: str) -> float:
        """Weight of a kind of segment."""
        return {
            HUMAN: self.human,
            RECOVERY: self.recoveries,
            CORRECTED: self.interventions,
            AUTONOMOUS: self.autonomous,
            STOPPED: 0.0,
        }[kind]

    def at(self, segments: Sequence[Segment], ticks: Stamps) -> NDArray[np.float32]:
        """Weight at each tick (ns), [T]."""
        starts = [segment.start_ns for segment in segments]
        weights = np.array([self.of(segment.kind) for segment in segments], np.float32)
        return weights[np.maximum(np.searchsorted(starts, ticks, side='right') - 1, 0)]


DEFAULT_WEIGHTS = Weights()


def who_drove(
    stamps: Sequence[int], modes: Sequence[int], start_ns: int, end_ns: int
) -> tuple[Segment, ...]:
    """Segments from start to end without a gap.

    Args:
        stamps: of the mode messages, ns, sorted; none: a person drove from start to end.
        modes: of `runtime.controller.Mode`; the first holds before its message too.
    """
    if not len(stamps):
        return (Segment(HUMAN, start_ns, end_ns),)
    kinds, policy_engaged = [], False
    for mode in modes:
        if mode == Mode.MANUAL:
            kinds.append(CORRECTED if policy_engaged else HUMAN)
        elif mode == Mode.SAFE_STOP:
            kinds.append(STOPPED)
        else:
            policy_engaged = mode == Mode.AUTONOMOUS
            kinds.append(AUTONOMOUS if policy_engaged else HUMAN)
    starts = [start_ns, *(int(stamp) for stamp in stamps[1:])]
    return clipped(map(Segment, kinds, starts, [*starts[1:], end_ns]), start_ns, end_ns)


def pushes(
    told_ns: Stamps, told: Values, moved_ns: Stamps, motion: Values, wheelbase: float
) -> list[tuple[int, int]]:
    """When the robot did not turn as it was told, from and until, ns.

    Args:
        told_ns, told: steering angle commanded, rad, [L].
        moved_ns, motion: speed (m/s) and yaw rate (rad/s) measured, [K, 2].
        wheelbase: m.
    """
    if not len(told_ns) or not len(moved_ns):
        return []
    in_force = told[np.maximum(np.searchsorted(told_ns, moved_ns, side='right') - 1, 0)]
    speed, yaw_rate = motion[:, 0], motion[:, 1]
    turned = np.arctan2(wheelbase * yaw_rate, np.maximum(speed, PUSH_SPEED))
    # Not a number where the command is unknown: no push.
    pushed = (np.abs(turned - in_force) > PUSH_ANGLE) & (speed > PUSH_SPEED)
    edges = np.flatnonzero(np.diff(np.r_[False, pushed, False].astype(np.int8)))
    spans = [(int(moved_ns[a]), int(moved_ns[b - 1])) for a, b in edges.reshape(-1, 2)]
    return [(a, b) for a, b in spans if b - a >= PUSH_DURATION * 1e9]


def with_recoveries(
    segments: Sequence[Segment], pushed: Sequence[tuple[int, int]]
) -> tuple[Segment, ...]:
    """The segments, those a person drove divided where a push was answered."""
    after_ns = round(RECOVERY_TIME * 1e9)
    parts = []
    for segment in segments:
        at = segment.start_ns
        for first, last in pushed if segment.kind == HUMAN else ():
            begin, end = max(first, at), min(last + after_ns, segment.end_ns)
            if begin < end:
                parts += [Segment(HUMAN, at, begin), Segment(RECOVERY, begin, end)]
                at = end
        parts.append(Segment(segment.kind, at, segment.end_ns))
    return clipped(parts, segments[0].start_ns, segments[-1].end_ns)


def counting(segments: Sequence[Segment], weights: Weights) -> Spans:
    """When there is something that counts in the loss, by who drove."""
    kept = [segment[1:] for segment in segments if weights.of(segment.kind) > 0]
    return union([np.array(kept, np.int64).reshape(-1, 2)])


def learnable(taught: Spans, fresh: Spans, window_ns: int) -> list[tuple[int, int]]:
    """Spans (ns) to draw windows from, so that each has something to learn in it.

    Before what is to be learnt lies room in which the network's state settles, three quarters of a
    window: the last quarter always lies within. No window goes beyond what could be seen.

    Args:
        taught: what counts in the loss; within `fresh`.
        fresh: when no input was too old.
    """
    spans: list[tuple[int, int]] = []
    places = np.searchsorted(fresh[:, 0], taught[:, 0], side='right') - 1
    for (start_ns, end_ns), (first_ns, last_ns) in zip(
        taught.tolist(), fresh[places].tolist(), strict=True
    ):
        first = max(start_ns - window_ns * 3 // 4, first_ns)
        last = min(max(end_ns, first + window_ns + 1), last_ns)
        if spans and first <= spans[-1][1]:
            first, last = spans[-1][0], max(last, spans.pop()[1])
        spans.append((first, last))
    return spans


def clipped(segments: Iterable[Segment], start_ns: int, end_ns: int) -> tuple[Segment, ...]:
    """The segments within a span; neighbours of the same kind joined, none empty."""
    result: list[Segment] = []
    for kind, first, last in segments:
        first, last = max(first, start_ns), min(last, end_ns)
        if first >= last:
            continue
        if result and result[-1].kind == kind:
            first = result.pop().start_ns
        result.append(Segment(kind, first, last))
    return tuple(result)
