# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in an evaluation, in words a user can act on."""

from liquid_control.common.errors import LiquidControlError


class ReplayError(LiquidControlError):
    """A recording and a policy do not go together, or two replays differ where they must not."""


class DriveError(LiquidControlError):
    """A drive did not finish its laps on the road."""
