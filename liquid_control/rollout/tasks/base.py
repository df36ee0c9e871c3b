# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is asked of a simulated robot, as far as recordings of an expert depend on it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from liquid_control.sim.protocols import Command
from liquid_control.sim.simulator import Simulator


class Task(Protocol):
    """One robot's task in one open simulation: its expert, and how that one is disturbed."""

    @property
    def simulator(self) -> Simulator[Any, Any]:
        """Robot, world and sensors."""

    def begin(self, rng: np.random.Generator) -> None:
        """Start again somewhere from where recoveries are to be shown, and be pushed from now on.

        Args:
            rng: draws the place and all pushes to come.
        """

    def expert(self) -> Command:
        """What the expert, who knows everything, does here and now."""

    def disturbed(self, command: Command) -> Command:
        """What the robot does instead, as it is pushed; `begin` comes before.

        Pushes are added to what the robot does, never to the command that is recorded: that is
        the expert's answer to wherever a push led (Laskey et al., "DART: Noise Injection for
        Robust Imitation Learning", CoRL 2017).
        """

    def needs_expert(self, driving: bool) -> bool:
        """Whether the expert must drive on from here, where a policy learns with its help.

        Args:
            driving: whether it drives already; it goes on until all is well again.
        """

    @property
    def over(self) -> bool:
        """Whether there is nothing more to be shown."""
