# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether the robot follows us at all: a flight controller only does in its offboard mode.

It must hear from us before a pilot can choose that mode, so a policy is engaged first and waits;
and when the pilot takes the robot back, it is given up until somebody engages again.
"""

from __future__ import annotations

from liquid_control.contract.flight_status import FlightStatus

# PX4 tells its status at 2 Hz and when it changes, MAVROS with every heartbeat, at 1 Hz.
MAX_AGE = 2.5  # s


class Offboard:
    """The newest status, for one thread at a time; without a flight controller nothing is asked.

    Ages are of steady time: a status counts from its arrival, whatever becomes of the clock.
    """

    def __init__(self, *, needed: bool) -> None:
        """Begin without knowing; `needed`: there is a flight controller, which must be asked."""
        self.needed = needed
        self._status: FlightStatus | None = None
        self._told_ns = 0

    def tell(self, status: FlightStatus, now_ns: int) -> None:
        """A status has come; now_ns: steady time."""
        self._status, self._told_ns = status, now_ns

    @property
    def entered(self) -> bool:
        """Whether setpoints are for nobody else, as last known."""
        return not self.needed or (self._status is not None and self._status.offboard)

    @property
    def waits(self) -> str:
        """Why nothing that we send moves the robot, as last known; '' where it does."""
        if not self.needed:
            return ''
        if self._status is None or not self._status.offboard:
            return 'not in offboard'
        return '' if self._status.armed else 'not armed'

    def problem(self, now_ns: int) -> str:
        """Why that is not known; '' where it is. now_ns: steady time."""
        if not self.needed:
            return ''
        if self._status is None:
            return 'vehicle status: nothing received'
        age = (now_ns - self._told_ns) / 1e9
        return f'vehicle status: {age:.3f} s old, limit {MAX_AGE:g} s' if age > MAX_AGE else ''
