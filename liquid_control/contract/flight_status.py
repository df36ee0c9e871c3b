# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether a flight controller follows our setpoints, as PX4 and MAVROS tell it."""

from __future__ import annotations

from typing import Any, NamedTuple

# px4_msgs/VehicleStatus, the same in every version: ARMING_STATE_ARMED, NAVIGATION_STATE_OFFBOARD.
_ARMED, _OFFBOARD = 2, 14


class FlightStatus(NamedTuple):
    """The two things that both must be so."""

    armed: bool
    """Its motors turn, or may."""
    offboard: bool
    """It is in the mode in which it does what another computer wants."""


def status_of_px4(message: Any) -> FlightStatus:
    """What a px4_msgs/VehicleStatus says."""
    return FlightStatus(message.arming_state == _ARMED, message.nav_state == _OFFBOARD)


def status_of_mavros(message: Any) -> FlightStatus:
    """What a mavros_msgs/State says."""
    return FlightStatus(message.connected and message.armed, message.mode == 'OFFBOARD')
