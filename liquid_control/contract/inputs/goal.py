# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where to go: a goal as distance and bearing, seen from where odometry says the robot is.

Goal and odometry must be given in one frame, so that no tree of transforms is needed. The goal
itself does not grow old; what the policy sees of it is as old as the odometry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from numpy.typing import NDArray

from liquid_control.common.cdr import Cursor, Serialized, Writer
from liquid_control.common.errors import SensorError
from liquid_control.contract.inputs import odometry
from liquid_control.contract.inputs.base import (
    Element,
    InputSpec,
    Reader,
    Reading,
    Source,
    check_topic,
    to_float32,
)

GOAL, ODOM = 'goal', 'odom'
POSE, POINT = 'geometry_msgs/msg/PoseStamped', 'geometry_msgs/msg/PointStamped'

MAX_DISTANCE = 10_000.0  # m
MAX_HEIGHT = 1_000.0  # m
DISTANCE_SCALE, HEIGHT_SCALE = 5.0, 2.0  # m


@dataclass(frozen=True, kw_only=True)
class GoalSpec(InputSpec):
    """Distance (m) to the goal over ground, cosine and sine of its bearing (left is positive)."""

    kind: ClassVar[str] = 'goal'
    suggested: ClassVar[str] = 'present'

    goal_topic: str = ''
    """Relative; `topic` is that of the odometry."""
    height: bool = False
    """Whether the policy also sees how far the goal lies above the robot, m."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_topic(self.kind, self.goal_topic)

    def elements(self) -> tuple[Element, ...]:
        over_ground = (
            Element('distance', 'm', 0.0, MAX_DISTANCE, DISTANCE_SCALE),
            Element('bearing_cos', '1', -1.01, 1.01, 1.0),
            Element('bearing_sin', '1', -1.01, 1.01, 1.0, mirror=-1),
        )
        above = Element('height', 'm', -MAX_HEIGHT, MAX_HEIGHT, HEIGHT_SCALE)
        return (*over_ground, above) if self.height else over_ground

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        return (
            Source(
                'goal_pose',
                (POSE, POINT),
                role=GOAL,
                leading=False,
                latched=True,
                suffixes=('', '/point'),
            ),
            Source(odometry.TOPIC, (odometry.TYPE,), role=ODOM),
        )

    def sources(self, name: str) -> tuple[Source, ...]:
        goal, odom = self.usual_sources(name)
        return (
            replace(goal, topic=self.goal_topic or goal.topic),
            replace(odom, topic=self.topic or odom.topic),
        )

    def reader(self) -> Reader:
        return _GoalReader(self.height)

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        """A robot at the origin of the frame, which looks along x."""
        distance, cos, sin, *height = (float(number) for number in value)
        frame_id = frame_id or odometry.FRAME
        goal = Writer()
        goal.header(stamp_ns, frame_id)
        goal.put('d', distance * cos, distance * sin, *(height or (0.0,)))
        goal.put('d', 0.0, 0.0, 0.0, 1.0)
        here = odometry.OdometryMessage(
            stamp_ns, frame_id, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0,) * 6
        )
        return {
            GOAL: (POSE, goal.done()),
            ODOM: (odometry.TYPE, odometry.write_odometry(here)),
        }


class _GoalReader:
    def __init__(self, height: bool) -> None:
        self._height = height
        self._goal: tuple[str, float, float, float] | None = None
        """Frame and x, y, z, m."""

    def take(self, role: str, message: Serialized, msgtype: str) -> Reading | None:
        if role == GOAL:
            # A goal that cannot be used replaces the one before all the same: the robot must not
            # go on to where nobody wants it any more.
            self._goal = None
            self._goal = _read_goal(message, msgtype)
            return None
        return self._seen_from(odometry.read_odometry(message))

    def _seen_from(self, here: odometry.OdometryMessage) -> Reading | None:
        if self._goal is None:
            return None
        frame, x, y, z = self._goal
        if frame.strip('/') != here.frame_id.strip('/'):
            raise SensorError(
                f'the goal is given in the frame {frame[:80]!r}, odometry in '
                f'{here.frame_id[:80]!r}: send the goal in the frame of the odometry'
            )
        forward, left = _turned(x - here.position[0], y - here.position[1], here.orientation)
        distance = math.hypot(forward, left)
        cos, sin = (forward / distance, left / distance) if distance > 0 else (1.0, 0.0)
        seen = (distance, cos, sin, z - here.position[2]) if self._height else (distance, cos, sin)
        return Reading(here.stamp_ns, to_float32(*seen))


def _read_goal(message: Serialized, msgtype: str) -> tuple[str, float, float, float]:
    """A pose's position or a point; both begin alike."""
    cursor = Cursor(message, msgtype)
    cursor.time()
    frame = cursor.string()
    x, y, z = cursor.take('3d', 8)
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        raise SensorError(f'the goal is not finite: {x:g} {y:g} {z:g}')
    return frame, x, y, z


def _turned(
    x: float, y: float, orientation: tuple[float, float, float, float]
) -> tuple[float, float]:
    """A distance over ground, seen by a robot of this orientation: forward and left."""
    yaw = odometry.yaw_of(orientation)
    cos, sin = math.cos(yaw), math.sin(yaw)
    return cos * x + sin * y, cos * y - sin * x
