"""What a recording tells of a robot's wheels: how it steers, how far apart its axles are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.reader import BagReader
from liquid_control.common.errors import SensorError
from liquid_control.contract.bounds import BOUNDS

# Slower, a base that turns does so on the spot, m/s ...
STANDING = 0.05
# ... if it turns by this much, rad/s, in this share of the commands that move it.
TURNING = 0.1
ON_THE_SPOT = 0.02
# A wheelbase is estimated from at least this many samples with this much speed (m/s), steering
# (rad) and yaw rate (rad/s), half of which lie within this share of their median.
SAMPLES, SPEED, ANGLE, YAW_RATE = 20, 0.2, 0.03, 0.02
AGREEMENT = 0.5
# An angle is in force for this long, ns.
_IN_FORCE_NS = 500_000_000

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Commanded:
    """What was commanded over time; of one command unknown values are NaN.

    stamps: ns, [N]
    speed: m/s, [N]
    yaw_rate: rad/s, [N]; of an Ackermann command NaN
    steering_angle: rad, [N]; of a Twist NaN
    moved: stamps (ns), speed (m/s) and yaw rate (rad/s) by odometry, [M, 3]
    """

    stamps: NDArray[np.int64]
    speed: Values
    yaw_rate: Values
    steering_angle: Values
    moved: Values

    @property
    def steers(self) -> bool:
        """Whether the commands are steering angles, and not yaw rates."""
        return bool(np.isfinite(self.steering_angle).any())

    def turns_on_the_spot(self) -> bool:
        """Whether it does what no car can do."""
        moves = (np.abs(self.speed) > STANDING) | (np.abs(self.yaw_rate) > TURNING)
        turns = (np.abs(self.speed) <= STANDING) & (np.abs(self.yaw_rate) > TURNING)
        return bool(turns.sum() > ON_THE_SPOT * max(moves.sum(), 1))

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


def commanded(reader: BagReader, command: str, odom: str | None) -> Commanded:
    """Read what was commanded and how the robot moved, but for what is not finite or absurd."""
    names = 'speed', 'yaw_rate', 'steering_angle'
    told: list[tuple[int, float, float, float]] = []
    moved: list[tuple[int, float, float]] = []
    for message in reader.messages({topic for topic in (command, odom) if topic}):
        if message.topic == odom:
            moved.append((message.stamp_ns, *samples.motion(message)))
        if message.topic == command:
            try:
                values = samples.command(message, names, wheelbase=1.0)
            except SensorError:
                continue
            if 'Ackermann' in message.msgtype:
                told.append((message.stamp_ns, values[0], np.nan, values[2]))
            else:
                told.append((message.stamp_ns, values[0], values[1], np.nan))
    stamps = np.array([entry[0] for entry in told], np.int64)
    values = np.array([entry[1:] for entry in told], np.float64).reshape(-1, 3)
    motion = np.array(moved, np.float64).reshape(-1, 3)
    good = np.isfinite(values[:, 0]) & np.isfinite(values[:, 1:]).any(axis=1)
    order = np.argsort(stamps[good], kind='stable')
    values = values[good][order]
    return Commanded(
        stamps=stamps[good][order],
        speed=values[:, 0],
        yaw_rate=values[:, 1],
        steering_angle=values[:, 2],
        moved=motion[np.isfinite(motion).all(axis=1)],
    )
