# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy that drives or shadows: its view of the sensors, its state, its faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import BundleError, LiquidControlError, SensorError
from liquid_control.common.image import Pixels
from liquid_control.contract.inputs import Reading
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.sensing.ingest import Ingest
from liquid_control.runtime.sensing.observation import Observation

Array = NDArray[np.float32]

# A policy this many ticks in a row over its time budget has failed.
SLOW_TICKS = 5
DRY_RUN_STEPS = 3
_LONGEST_REASON = 300  # characters
# A contract's range is written in decimal, the network computes in float32.
RANGE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Frame:
    """A decoded camera frame, RGB."""

    rgb: Pixels
    stamp_ns: int
    received_ns: int


@dataclass(frozen=True)
class Action:
    """What a policy made of one tick."""

    observation: Observation
    elapsed: float
    """As given to the network, s."""
    raw: Array | None
    """The command, None where there is none."""
    fault: str
    """Why the policy failed; '' also where only a sensor is missing."""
    core_ns: int


class PolicyRunner:
    """`encode` runs in a camera's thread, `step` in the control thread, or in that of a shadow.

    Where one changes hands, the threads that had it and that have it take turns.
    """

    def __init__(
        self, policy: Policy, *, name: str = '', time_budget: float | None = None
    ) -> None:
        """Take a policy that is loaded and warm.

        Args:
            name: how it was asked for; its contract's name where empty.
            time_budget: longest time a step may take, s; half the control period where None.
        """
        self.policy = policy
        self.name = name or policy.contract.name
        self.ingest = Ingest(policy.contract.inputs)
        self.sensors = self.ingest.sensors
        self.faults: dict[str, str] = {}
        """Why an encoder could not make use of its camera's newest frame, by input."""
        self._budget_ns = 1e9 * time_budget if time_budget else policy.contract.period_ns / 2
        self._slow = 0
        self._encoding = {name: threading.Lock() for name in policy.preprocess}
        self._stepping = threading.Lock()
        self._must_reset = False

    @property
    def fault(self) -> str:
        """Why it cannot make use of what it sees; '' when it can."""
        return next(iter(self.faults.values()), '') if self.faults else ''

    def encode(self, name: str, frame: Frame) -> None:
        """Encode a frame of the camera `name`, which it may not know.

        Raises:
            ImageError: the image does not fit the policy's camera geometry.
            SensorError: its stamp does not advance, or the encoder fails.
        """
        if name not in self._encoding:
            return
        with self._encoding[name]:
            try:
                features = self.policy.encode(name, frame.rgb)
            except LiquidControlError:
                raise
            except Exception as error:  # whatever it is, another policy must take over
                self.faults[name] = fault = (
                    f'policy {self.name}: {_encoder(name)} failed: {_in_short(error)}'
                )
                raise SensorError(fault) from error
            self.faults.pop(name, None)
            self.sensors.put(name, Reading(frame.stamp_ns, features), frame.received_ns)

    def does_not_answer(self, name: str) -> None:
        """The encoder of a camera has been at work for too long."""
        self.faults[name] = f'policy {self.name}: {_encoder(name)} does not answer'

    def step(self, now_ns: int, elapsed: float) -> Action:
        """One step of the network on what is known at `now_ns`; never raises.

        Args:
            elapsed: time since the last tick, s; the network sees it within its validated range.
        """
        return self.step_on(self.sensors.observe(now_ns), elapsed)

    def step_on(self, observation: Observation, elapsed: float) -> Action:
        """As `step`, on what was known earlier."""
        shortest, longest = self.policy.contract.elapsed_range
        clamped = min(max(elapsed, shortest), longest)
        with self._stepping:
            if self._must_reset:
                self._reset()
            if fault := self.fault:
                self._reset()
                return Action(observation, clamped, None, fault, 0)
            if observation.problem:
                return Action(observation, clamped, None, '', 0)
            return self._timed_step(observation, clamped)

    def reset(self) -> None:
        """Start from the zero state, at the latest with the next step."""
        if not self._stepping.acquire(blocking=False):
            self._must_reset = True
            return
        try:
            self._reset()
        finally:
            self._stepping.release()

    def dry_run(self, now_ns: int) -> None:
        """Try the policy on the live observation before it may drive; leaves the zero state.

        Raises:
            BundleError: its first commands are not finite, outside its own contract or too slow.
        """
        contract = self.policy.contract
        times = []
        for _ in range(DRY_RUN_STEPS):
            action = self.step(now_ns, 1 / contract.control_rate)
            times.append(action.core_ns)
            if action.fault:
                raise BundleError(f'policy {self.name} refused: {action.fault}')
            if action.raw is not None:
                self._check_range(action.raw)
        self.reset()
        # The quickest: another process may have had the processor meanwhile.
        if min(times) > self._budget_ns:
            raise BundleError(
                f'policy {self.name} refused: {min(times) / 1e6:.1f} ms a step on the live '
                f'observation, budget {self._budget_ns / 1e6:.1f} ms'
            )

    def _reset(self) -> None:
        self.policy.reset()
        self._slow = 0
        self._must_reset = False

    def _timed_step(self, observation: Observation, clamped: float) -> Action:
        started = time.perf_counter_ns()
        raw, fault = self._compute(observation, clamped)
        core_ns = time.perf_counter_ns() - started
        self._slow = self._slow + 1 if core_ns > self._budget_ns else 0
        if not fault and self._slow >= SLOW_TICKS:
            raw, fault = None, f'{self._too_slow(core_ns)}, {SLOW_TICKS} ticks in a row'
        if fault:
            self._reset()
        return Action(observation, clamped, raw, fault, core_ns)

    def _too_slow(self, core_ns: float) -> str:
        return (
            f'policy {self.name} is too slow: {core_ns / 1e6:.1f} ms a step, budget '
            f'{self._budget_ns / 1e6:.1f} ms'
        )

    def _check_range(self, raw: Iterable[float]) -> None:
        for spec, value in zip(self.policy.contract.commands, raw, strict=True):
            slack = RANGE_TOLERANCE * (spec.max - spec.min)
            if not spec.min - slack <= value <= spec.max + slack:
                raise BundleError(
                    f'policy {self.name} refused: {spec.name} = {value:.4g} {spec.unit} on the '
                    f'live observation, its contract says {spec.min:g}..{spec.max:g}'
                )

    def _compute(self, observation: Observation, elapsed: float) -> tuple[Array | None, str]:
        try:
            raw = self.policy.step(observation.values, elapsed)
        except Exception as error:  # whatever it is, another one must take over
            return None, f'policy {self.name} failed: {_in_short(error)}'
        if not (np.isfinite(raw).all() and np.isfinite(self.policy.state).all()):
            values = ', '.join(f'{value:g}' for value in raw)
            return None, f'policy {self.name}: output is not finite: {values}'
        return raw, ''


def _encoder(name: str) -> str:
    return 'encoder' if name == 'image' else f'encoder of {name}'


def _in_short(error: Exception) -> str:
    """What an error says in its first line: it travels in a message at every tick."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:_LONGEST_REASON]
