# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The courses of the simulated robots."""

from __future__ import annotations

from collections.abc import Mapping

from liquid_control.common.errors import ConfigError
from liquid_control.evaluate.closed_loop.courses.base import Course
from liquid_control.evaluate.closed_loop.courses.target import WORDS, TargetCourse
from liquid_control.evaluate.closed_loop.courses.track import TrackCourse
from liquid_control.rollout.tasks import robot_of


def open_course(
    robot: str,
    seed: int,
    laps: int = 1,
    *,
    patient: bool = False,
    difficulty: Mapping[str, float] | None = None,
) -> Course:
    """A robot's course in the world of a seed. Raises ConfigError for a robot without one.

    Args:
        laps: of the car.
        difficulty: of the world.
        patient: it may take as long as it likes for them; a person may be driving.
    """
    if robot == 'car':
        return TrackCourse(seed, laps, patient, difficulty)
    if robot in WORDS:
        return TargetCourse(robot, seed, difficulty)
    raise ConfigError(f'the robot must be one of car, {", ".join(WORDS)}, found {robot!r}')


__all__ = ['Course', 'open_course', 'robot_of']
