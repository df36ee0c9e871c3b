# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where a robot is, as far as that is known and anybody must know it."""

from __future__ import annotations

from liquid_control.contract.robot import Robot
from liquid_control.runtime.control.fence import RobotPose, outside
from liquid_control.runtime.sensing.observation import Slot

# Of a robot without a fence that must know where it is, s.
_MAX_AGE = 0.5


class Whereabouts:
    """For the robot's fence, and for commands in the world's frame."""

    def __init__(self, robot: Robot, *, needed: bool) -> None:
        """Begin without knowing; `needed`: a robot without a fence must know it too."""
        self._fence = fence = robot.fence
        self.slot: Slot | None = None
        """Of poses (`RobotPose`); None where nobody needs them."""
        if fence is not None or needed:
            self.slot = Slot('pose', fence.max_age if fence is not None else _MAX_AGE)

    @property
    def yaw(self) -> float:
        """Of the robot, rad, as last known."""
        return self.slot.value.yaw if self.slot is not None and self.slot.value else 0.0

    def clear(self) -> None:
        """Forget it, as after a jump of the clock."""
        if self.slot is not None:
            self.slot.clear()

    def pose(self, now_ns: int) -> tuple[RobotPose | None, str]:
        """Where the robot is, None with the reason where that is not known now."""
        if self.slot is None:
            return None, ''
        sample, _, problem = self.slot.newest(now_ns)
        return (None, problem) if problem or sample is None else (sample.value, '')

    def problem(self, now_ns: int) -> str:
        """Why the robot's place lets no policy drive it; '' where it does."""
        pose, problem = self.pose(now_ns)
        if pose is None or self._fence is None:
            return problem
        return outside(self._fence, pose)
