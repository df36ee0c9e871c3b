# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Drives of a policy, whole or with a lesion: what it saw, and how it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.study import Measured
from liquid_control.nn.onnx_export.core import core_model
from liquid_control.nn.policy import PolicyNetwork
from liquid_control.rollout.driver import PolicyDriver, step
from liquid_control.rollout.tasks import robot_of
from liquid_control.runtime.inference.policy import Policy
from liquid_control.sim.robots import simulate

PATIENCE, QUICK_PATIENCE = 60.0, 4.0
"""After so many seconds a lap has failed: it takes 14. Or is over, where it must be quick."""
MOST = 600.0
"""Longer than any flight or drive to a goal, which have limits of their own, s."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class ObservedDrive:
    """What a policy was given and did, tick by tick.

    Attributes:
        inputs: by name, [ticks, width]; of an image its features.
        elapsed: s, [ticks].
        states: after each tick, [ticks, state].
    """

    inputs: dict[str, Array]
    elapsed: Array
    states: Array


class Noted:
    """A policy that remembers what it was asked."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.steps: list[tuple[dict[str, Array], float, Array]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def step(self, inputs: Mapping[str, Array], elapsed: float) -> Array:
        """One step, noted."""
        command = self._policy.step(inputs, elapsed)
        values = {name: np.array(inputs[name]).ravel() for name in self._policy.contract.inputs}
        self.steps.append((values, elapsed, self._policy.state.copy().ravel()))
        return command


def observe(bundle: Path, world: int, seconds: float) -> ObservedDrive:
    """Let a policy drive in a world, as long as nothing goes wrong."""
    noted: Any = Noted(Policy.load(bundle))
    _drive(noted, world, seconds)
    inputs, elapsed, states = zip(*noted.steps, strict=True)
    return ObservedDrive(
        {name: np.stack([each[name] for each in inputs]) for name in inputs[0]},
        np.array(elapsed, np.float32),
        np.stack(states),
    )


def attempt(bundle: Path, network: PolicyNetwork, world: int, *, quick: bool = False) -> Measured:
    """Drive in a world with another core; whether that failed, and how far it was off, m.

    Of a car the mean offset from the centre line, of others how far they were from the target
    or goal at the end.

    Args:
        quick: only the beginning, without a problem.
    """
    loaded = load_bundle(bundle)
    core = core_model(network).SerializeToString()
    policy = Policy(replace(loaded, core=core))
    car = robot_of(policy.contract.command_names) == 'car'
    found = _drive(policy, world, QUICK_PATIENCE if quick else PATIENCE if car else MOST)
    return {**found, 'failed': bool(found['problem'] or not (quick or found['done']))}


def _drive(policy: Policy, world: int, seconds: float) -> Measured:
    robot = robot_of(policy.contract.command_names)
    driver, period_ns = PolicyDriver(policy, robot), policy.contract.period_ns
    offsets, away = list[float](), None
    with simulate(robot, world) as simulator:
        for tick in range(1, round(seconds * policy.contract.control_rate) + 1):
            step(simulator, driver, tick * period_ns)
            status = simulator.status
            if robot == 'car':
                offsets.append(abs(status.place.offset))
            if status.problem or getattr(status, 'reached', False):
                break
            if getattr(status, 'lap_times', ()):
                break
        done = getattr(status, 'reached', False) or bool(getattr(status, 'lap_times', ()))
        away = None if robot == 'car' else float(status.distance)
    offset = float(np.mean(offsets)) if offsets else None
    return {'problem': status.problem, 'done': done, 'offset': offset, 'away': away}
