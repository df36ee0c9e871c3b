# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a recording tells of a robot's wheels: how it steers, how far apart its axles are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.reader import BagReader
from liquid_control.common.errors import SensorError
from liquid_control.contract.bounds import BOUNDS
from liquid_control.contract.wire import derive

# Slower, a base that turns does so on the spot, m/s ...
STANDING = 0.05
# ... if it turns by this much, rad/s, in this share of the commands that move it.
TURNING = 0.1
ON_THE_SPOT = 0.02
# A wheelbase is estimated from at least this many samples with this much speed (m/s), steering
# (rad) and yaw rate (rad/s), half of which lie within this share of their median.
SAMPLES, SPEED, ANGLE, YAW_RATE = 20, 0.2, 0.03, 0.02
AGREEMENT = 0.5
# A robot that follows its commands moves this close to them, as a share.
FOLLOWED = 0.3
# An angle is in force for this long, ns.
_IN_FORCE_NS = 500_000_000

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Commanded:
    """What was commanded over time, by axis as the messages say it.

    stamps: ns, [N]
    msgtype: of the messages
    axes: [N] each, in the axis' unit; none where messages do not name what they command
    moved: stamps (ns), speed (m/s) and yaw rate (rad/s) by odometry, [M, 3]
    """

    stamps: NDArray[np.int64]
    msgtype: str
    axes: dict[str, Values]
    moved: Values

    def values(self, name: str, wheelbase: float) -> Values:
        """A command that the messages say or that follows from them, [N], NaN where unknown.

        Args:
            wheelbase: m.
        """
        if name in self.axes:
            return self.axes[name]
        rows = zip(*self.axes.values(), strict=True)
        told = (dict(zip(self.axes, row, strict=True)) for row in rows)
        return np.array([derive(each, name, wheelbase) for each in told], np.float64)

    @property
    def speed(self) -> Values:
        """m/s, [N]."""
        return self._axis('speed', 'velocity_x')

    @property
    def yaw_rate(self) -> Values:
        """rad/s, [N]; of an Ackermann command NaN."""
        return self._axis('yaw_rate')

    @property
    def steering_angle(self) -> Values:
        """rad, [N]; of a Twist NaN."""
        return self._axis('steering_angle')

    def _axis(self, *names: str) -> Values:
        found = (self.axes[name] for name in names if name in self.axes)
        return next(found, np.full(len(self.stamps), np.nan))

    @property
    def steers(self) -> bool:
        """Whether the commands are steering angles, and not yaw rates."""
        return bool(np.isfinite(self.steering_angle).any())

    def turns_on_the_spot(self) -> bool:
        """Whether it does what no car can do."""
        moves = (np.abs(self.speed) > STANDING) | (np.abs(self.yaw_rate) > TURNING)
        turns = (np.abs(self.speed) <= STANDING) & (np.abs(self.yaw_rate) > TURNING)
        return bool(turns.sum() > ON_THE_SPOT * max(moves.sum(), 1))

    def is_followed(self) -> bool:
        """Whether odometry shows the speeds that were commanded, so that they are in m/s."""
        if not len(self.moved) or not len(self.stamps):
            return False
        moved_ns, speed = self.moved[:, 0].astype(np.int64), self.moved[:, 1]
        newest = np.maximum(np.searchsorted(self.stamps, moved_ns, side='right') - 1, 0)
        told = self.speed[newest]
        drives = (moved_ns - self.stamps[newest] >= 0) & (np.abs(told) > STANDING)
        if drives.sum() < SAMPLES:
            return False
        share = np.median(speed[drives] / told[drives])
        return bool(abs(share - 1) < FOLLOWED)

    def wheelbase(self) -> float | None:
        """By the bicycle model from steering angles and odometry, m; None: it cannot be told."""
        if not self.steers or not len(self.moved):
            return None
        known = np.isfinite(self.steering_angle)
        stamps, angles = self.stamps[known], self.steering_angle[known]
        moved_ns, (speed, yaw_rate) = self.moved[:, 0].astype(np.int64), self.moved[:, 1:].T
        newest = np.maximum(np.searchsorted(stamps, moved_ns, side='right') - 1, 0)
        age, angle = moved_ns - stamps[newest], angles[newest]
        tells = (age >= 0) & (age <= _IN_FORCE_NS) & (np.abs(speed) > SPEED)
        tells &= (np.abs(angle) > ANGLE) & (np.abs(yaw_rate) > YAW_RATE)
        if tells.sum() < SAMPLES:
            return None
        found = speed[tells] * np.tan(angle[tells]) / yaw_rate[tells]
        low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
        least, most = BOUNDS['wheelbase']
        if not (least <= middle <= most and high - low <= AGREEMENT * middle):
            return None
        return float(f'{middle:.3g}')


def commanded(
    reader: BagReader, command: str, odom: str | None, names: Sequence[str] = ()
) -> Commanded:
    """Read what was commanded and how the robot moved, but for what is not finite or absurd.

    Args:
        names: of the commands, for messages that do not name them.
    """
    told: list[tuple[int, dict[str, float]]] = []
    moved: list[tuple[int, float, float]] = []
    for message in reader.messages({topic for topic in (command, odom) if topic}):
        if message.topic == odom:
            moved.append((message.stamp_ns, *samples.motion(message)))
        if message.topic == command:
            try:
                told.append((message.stamp_ns, samples.told_by(message, names)))
            except SensorError:
                continue
    told.sort(key=lambda entry: entry[0])
    axes = told[0][1].keys() if told else ()
    motion = np.array(moved, np.float64).reshape(-1, 3)
    return Commanded(
        stamps=np.array([stamp for stamp, _ in told], np.int64),
        msgtype=reader.topics[command],
        axes={axis: np.array([says[axis] for _, says in told], np.float64) for axis in axes},
        moved=motion[np.isfinite(motion).all(axis=1)],
    )
