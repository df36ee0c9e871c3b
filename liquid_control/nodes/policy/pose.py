# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the robot is: for its fence, and for commands that are of the world's frame."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from liquid_control.common.errors import SensorError
from liquid_control.contract.inputs.odometry import read_odometry
from liquid_control.contract.px4 import pose_of
from liquid_control.nodes.common.inbox import Inbox
from liquid_control.nodes.policy.px4 import PX4_QOS
from liquid_control.nodes.policy.sensing import NEWEST_QOS
from liquid_control.runtime.control.fence import RobotPose
from liquid_control.runtime.sensing.observation import Slot


class PoseInput:
    """The newest odometry (`odom`; of PX4 `vehicle_odometry`), for one thread at a time."""

    def __init__(
        self,
        owner: Node,
        slot: Slot,
        *,
        arrival_ns: Callable[[], int],
        now_ns: Callable[[], int],
        px4: bool = False,
    ) -> None:
        """Subscribe.

        Args:
            slot: where poses go.
            arrival_ns: when a message that comes now has arrived, in the time of the stamps.
            now_ns: the same without what is granted to a clock that lags behind: the stamp of a
                message that has none.
            px4: it is a px4_msgs/VehicleOdometry.
        """
        self._slot = slot
        self._arrival_ns = arrival_ns
        self._now_ns = now_ns
        self._px4 = importlib.import_module('px4_msgs.msg').VehicleOdometry if px4 else None
        self._inbox = (
            Inbox(owner, self._px4, 'vehicle_odometry', PX4_QOS)
            if self._px4 is not None
            else Inbox(owner, Odometry, 'odom', NEWEST_QOS)
        )

    def update(self) -> None:
        """Put the newest message into the slot. Raises SensorError where it is refused."""
        message = self._inbox.receive()
        if message is None:
            return
        try:
            stamp_ns, pose = self._read(message)
        except (SensorError, ValueError) as error:
            self._slot.refuse(str(error))
        else:
            self._slot.put(pose, stamp_ns, self._arrival_ns())

    def close(self) -> None:
        """Nobody may use this any more."""
        self._inbox.close()

    def _read(self, message: memoryview) -> tuple[int, RobotPose]:
        if self._px4 is None:
            odometry = read_odometry(message)
            return odometry.stamp_ns, RobotPose.of(odometry.position, odometry.orientation)
        # PX4 counts from when it was switched on: what tells is when the message arrived.
        return self._now_ns(), RobotPose.of(
            *pose_of(deserialize_message(bytes(message), self._px4))
        )
