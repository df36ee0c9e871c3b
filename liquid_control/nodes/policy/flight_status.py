# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the flight controller says of itself: whether it is armed, and in offboard mode."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.serialization import deserialize_message

from liquid_control.contract.flight_status import (
    FlightStatus,
    status_of_mavros,
    status_of_px4,
)
from liquid_control.nodes.common.inbox import Inbox
from liquid_control.nodes.policy.commands import import_type
from liquid_control.nodes.policy.px4 import PX4_QOS


class FlightStatusInput:
    """The newest `vehicle_status` of PX4, or `state` of MAVROS, for one thread at a time."""

    def __init__(self, owner: Node, tell: Callable[[FlightStatus], None], *, px4: bool) -> None:
        """Subscribe.

        Args:
            tell: who is told what it says.
            px4: it is a px4_msgs/VehicleStatus; otherwise a mavros_msgs/State.

        Raises:
            ConfigError: the package of its messages is missing.
        """
        self._tell = tell
        self._read = status_of_px4 if px4 else status_of_mavros
        self._type = import_type('px4_msgs/msg/VehicleStatus' if px4 else 'mavros_msgs/msg/State')
        self._inbox = Inbox(owner, self._type, 'vehicle_status' if px4 else 'state', PX4_QOS)

    def update(self) -> None:
        """Tell what the newest message says, where one has come."""
        message = self._inbox.receive()
        if message is not None:
            self._tell(self._read(deserialize_message(bytes(message), self._type)))

    def close(self) -> None:
        """Nobody may use this any more."""
        self._inbox.close()
