# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The safety envelope: the last thing between a policy and the robot.

After every step, in this order: finite check, clamp, fence, rate limit, acceleration limit. It
says which one acted. A stop ends every motion within its own deceleration limit (turning on the
spot, strafing and climbing too: a robot that flies hovers) and holds every place, of a steered
wheel or of a joint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import ConfigError
from liquid_control.contract.commands import FORWARD, axis_of
from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.robot import CommandLimits, Robot
from liquid_control.runtime.control.fence import RobotPose, held_back

MIN_STEP = 1e-4  # s; two commands closer than this count as this far apart


@dataclass(frozen=True)
class Limited:
    """A command the robot may receive."""

    values: tuple[float, ...]
    limited_by: str
    """'clamp', 'fence', 'rate' or 'acceleration' and the command's name; '' when none acted."""


class Envelope:
    """Limits of policy and robot, and the last command sent. Units are the contract's."""

    def __init__(self, commands: Sequence[CommandSpec], robot: Robot) -> None:
        """Join the contract's range with the robot's limits.

        Raises:
            ConfigError: the robot's file does not limit one of the commands, or the two ranges
                do not meet.
        """
        missing = [spec.name for spec in commands if spec.name not in robot.limits]
        if missing:
            raise ConfigError(
                f'robot {robot.name} has no limits for {", ".join(missing)}; it limits '
                f'{", ".join(robot.limits)}: use the robot file that fits the policy'
            )
        self._names = tuple(spec.name for spec in commands)
        self._limits = tuple(robot.limits[name] for name in self._names)
        self._ranges = tuple(
            _meet(spec, limits) for spec, limits in zip(commands, self._limits, strict=True)
        )
        self._robots = tuple((limits.min, limits.max) for limits in self._limits)
        self._level = [i for i, name in enumerate(self._names) if name in (*FORWARD, 'velocity_y')]
        self._moving = tuple(axis_of(name).moves for name in self._names)
        self._fence, self._robot_limits = robot.fence, robot.limits
        self.reset()

    def reset(self) -> None:
        """The robot stands still with the wheels straight; where joints are is not known."""
        self.start_from((0.0,) * len(self._names))

    def halt(self) -> tuple[float, ...]:
        """Every motion ends at once: the last words to a robot."""
        self.start_from(self._at_rest())
        return self._values

    def place(self, positions: Mapping[str, float]) -> None:
        """What holds a place starts where it is, by name."""
        self.start_from(
            [positions.get(n, v) for n, v in zip(self._names, self._values, strict=True)]
        )

    def start_from(self, values: Sequence[float]) -> None:
        """Take over from commands that somebody else sent, within the robot's range."""
        self._values = tuple(
            _clamp(value, *bounds) for value, bounds in zip(values, self._robots, strict=True)
        )
        self._rates = (0.0,) * len(self._names)

    @property
    def values(self) -> tuple[float, ...]:
        """The last command."""
        return self._values

    @property
    def at_rest(self) -> bool:
        """Whether the last command lets the robot stand."""
        return not any(
            moving and value != 0.0
            for moving, value in zip(self._moving, self._values, strict=True)
        )

    def clamp(self, values: Sequence[float], pose: RobotPose | None = None) -> Limited:
        """The robot's range only: for a person's commands, who must be able to react at once.

        Args:
            pose: where the robot is, for its fence; None: nobody knows, and the person must.

        Raises:
            ValueError: a value is not finite.
        """
        _require_finite(values)
        before = tuple(float(value) for value in values)
        self.start_from(before)
        clamped = self._values
        self.start_from(self._fenced(clamped, pose))
        acted = self._acted(before, clamped, 'clamp')
        return Limited(self._values, acted or self._acted(clamped, self._values, 'fence'))

    def limit(
        self,
        values: Sequence[float] | NDArray[np.float32],
        dt: float,
        pose: RobotPose | None = None,
    ) -> Limited:
        """All limits, for a policy's command.

        Args:
            dt: time since the last command, s.
            pose: where the robot is, for its fence.

        Raises:
            ValueError: a value is not finite; the last command stays as it was.
        """
        _require_finite(values)
        raw = tuple(float(value) for value in values)
        clamped = tuple(
            _clamp(value, *bounds) for value, bounds in zip(raw, self._ranges, strict=True)
        )
        fenced = self._fenced(clamped, pose)
        limited = self._advance(fenced, dt, gently=True)
        acted = self._acted(raw, clamped, 'clamp') or self._acted(clamped, fenced, 'fence')
        return Limited(limited.values, acted) if acted else limited

    def brake(self, dt: float, hand: Sequence[float] | None = None) -> Limited:
        """Towards rest as fast as the robot may; what holds a place is held.

        Args:
            dt: s since the last command.
            hand: what a person wants meanwhile, who may steer and brake harder.
        """
        limited = self._advance(self._at_rest(), dt, gently=False)
        if hand is None:
            return limited
        values = [
            _nearer_zero(value, wanted) if moving else float(wanted)
            for moving, value, wanted in zip(self._moving, limited.values, hand, strict=True)
        ]
        self.start_from(values)
        return Limited(self._values, limited.limited_by)

    def sink(self, dt: float, speed: float) -> Limited:
        """Downwards at a speed (m/s), all else at rest: a robot that flies lands."""
        target = [
            -speed if name == 'velocity_z' else value
            for name, value in zip(self._names, self._at_rest(), strict=True)
        ]
        return self._advance(tuple(target), dt, gently=True, ranges=self._robots)

    def _at_rest(self) -> tuple[float, ...]:
        """The last command without its motions."""
        return tuple(
            0.0 if moving else value
            for moving, value in zip(self._moving, self._values, strict=True)
        )

    def _fenced(self, values: tuple[float, ...], pose: RobotPose | None) -> tuple[float, ...]:
        if self._fence is None or pose is None:
            return values
        command = dict(zip(self._names, values, strict=True))
        return tuple(held_back(self._fence, pose, command, self._robot_limits).values())

    def _advance(
        self,
        target: tuple[float, ...],
        dt: float,
        *,
        gently: bool,
        ranges: tuple[tuple[float, float], ...] = (),
    ) -> Limited:
        """One time step towards a target within the ranges; `gently`: limit the acceleration."""
        ranges = ranges or self._ranges
        dt = max(dt, MIN_STEP)
        speed = math.hypot(*(self._values[index] for index in self._level))
        values, rates, limited_by = [], [], ''
        for index, limits in enumerate(self._limits):
            value, goal = self._values[index], target[index]
            largest = limits.largest_rate(value, goal, speed)
            wanted = (goal - value) / dt
            rate = _clamp(wanted, -largest, largest)
            acted = 'rate' if rate != wanted else ''
            if gently and math.isfinite(limits.max_acceleration):
                smooth = _smooth(rate, self._rates[index], goal - value, limits, dt)
                smooth = _clamp(smooth, -largest, largest)
                rate, acted = smooth, 'acceleration' if smooth != rate else acted
            low, high = ranges[index]
            # A person may have left the policy's range, and a stop may lie outside of it.
            bounds = min(low, value, goal), max(high, value, goal)
            values.append(_clamp(value + rate * dt, *bounds) if acted else goal)
            rates.append(rate)
            if acted and not limited_by:
                limited_by = f'{acted} {self._names[index]}'
        self._values, self._rates = tuple(values), tuple(rates)
        return Limited(self._values, limited_by)

    def _acted(self, before: Sequence[float], after: Sequence[float], limit: str) -> str:
        for name, old, new in zip(self._names, before, after, strict=True):
            if old != new:
                return f'{limit} {name}'
        return ''


def _smooth(
    rate: float, last_rate: float, distance: float, limits: CommandLimits, dt: float
) -> float:
    """A rate that changes no faster than allowed and slows down in time to arrive."""
    arriving = math.sqrt(2 * limits.max_acceleration * abs(distance))
    change = limits.max_acceleration * dt
    return _clamp(_clamp(rate, -arriving, arriving), last_rate - change, last_rate + change)


def _meet(spec: CommandSpec, limits: CommandLimits) -> tuple[float, float]:
    low, high = max(spec.min, limits.min), min(spec.max, limits.max)
    if low > high:
        raise ConfigError(
            f'{spec.name}: the policy commands {spec.min}..{spec.max} {spec.unit}, the robot '
            f'allows {limits.min}..{limits.max}: nothing is left'
        )
    return low, high


def _nearer_zero(value: float, wanted: float) -> float:
    """`wanted` where it is nearer to zero on the same side, zero where it is on the other."""
    return math.copysign(min(abs(value), abs(wanted)), value) if value * wanted > 0 else 0.0


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _require_finite(values: Sequence[float] | NDArray[np.float32]) -> None:
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f'command is not finite: {[float(value) for value in values]}')
