"""A policy at the controls, or beside them: its view of the sensors, its state, its faults."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.runtime.errors import BundleError, LiquidControlError
from liquid_control.runtime.image import Pixels
from liquid_control.runtime.observation import Observation, Sensors
from liquid_control.runtime.policy import Policy

Array = NDArray[np.float32]

# A policy this many ticks in a row over its time budget has failed.
SLOW_TICKS = 5
REHEARSED_STEPS = 3
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


class Pilot:
    """`see` runs in the vision thread, `act` in the control thread."""

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
        self.sensors = Sensors(policy.contract)
        self._budget_ns = 1e9 * time_budget if time_budget else policy.contract.period_ns / 2
        self._slow = 0

    def see(self, frame: Frame) -> None:
        """Encode a camera frame.

        Raises:
            ImageError: the picture does not fit the policy's camera geometry.
            SensorError: its stamp does not advance, or the encoder's output is not finite.
        """
        if self.policy.preprocess is not None:
            features = self.policy.encode(frame.rgb)
            self.sensors.put_features(frame.stamp_ns, features, frame.received_ns)

    def act(self, now_ns: int, elapsed: float) -> Action:
        """One step of the network on what is known at `now_ns`; never raises.

        Args:
            elapsed: time since the last tick, s; the network sees it within its validated range.
        """
        observation = self.sensors.observe(now_ns)
        shortest, longest = self.policy.contract.elapsed_range
        felt = min(max(elapsed, shortest), longest)
        if observation.problem:
            return Action(observation, felt, None, '', 0)
        started = time.perf_counter_ns()
        raw, fault = self._step(observation, felt)
        core_ns = time.perf_counter_ns() - started
        self._slow = self._slow + 1 if core_ns > self._budget_ns else 0
        if not fault and self._slow >= SLOW_TICKS:
            raw, fault = (
                None,
                (
                    f'policy {self.name} is too slow: {core_ns / 1e6:.1f} ms a step, budget '
                    f'{self._budget_ns / 1e6:.1f} ms, {SLOW_TICKS} ticks in a row'
                ),
            )
        if fault:
            self.forget()
        return Action(observation, felt, raw, fault, core_ns)

    def forget(self) -> None:
        """Start from the zero state."""
        self.policy.reset()
        self._slow = 0

    def rehearse(self, now_ns: int) -> None:
        """Try the policy on the live observation before it may drive; leaves the zero state.

        Raises:
            BundleError: its first commands are not finite, outside its own contract or too slow.
        """
        contract = self.policy.contract
        times = []
        for _ in range(REHEARSED_STEPS):
            action = self.act(now_ns, 1 / contract.control_rate)
            times.append(action.core_ns)
            if action.fault:
                raise BundleError(f'policy {self.name} refused: {action.fault}')
            if action.raw is not None:
                self._check_range(action.raw)
        self.forget()
        # The quickest: another process may have had the processor meanwhile.
        if min(times) > self._budget_ns:
            raise BundleError(
                f'policy {self.name} refused: {min(times) / 1e6:.1f} ms a step on the live '
                f'observation, budget {self._budget_ns / 1e6:.1f} ms'
            )

    def _check_range(self, raw: Iterable[float]) -> None:
        for spec, value in zip(self.policy.contract.commands, raw, strict=True):
            slack = RANGE_TOLERANCE * (spec.max - spec.min)
            if not spec.min - slack <= value <= spec.max + slack:
                raise BundleError(
                    f'policy {self.name} refused: {spec.name} = {value:.4g} {spec.unit} on the '
                    f'live observation, its contract says {spec.min:g}..{spec.max:g}'
                )

    def _step(self, observation: Observation, elapsed: float) -> tuple[Array | None, str]:
        try:
            raw = self.policy.step(
                elapsed=elapsed,
                features=observation.features,
                imu=observation.imu,
                speed=observation.speed,
            )
        except Exception as error:  # whatever it is, another one must take over
            return None, f'policy {self.name} failed: {error}'
        if not (np.isfinite(raw).all() and np.isfinite(self.policy.state).all()):
            values = ', '.join(f'{value:g}' for value in raw)
            return None, f'policy {self.name}: output is not finite: {values}'
        return raw, ''


def see_all(pilots: Iterable[Pilot | None], frame: Frame) -> None:
    """Show a frame to several pilots; all see it, then the first one's error is raised."""
    problem: Exception | None = None
    for pilot in pilots:
        if pilot is not None:
            try:
                pilot.see(frame)
            except LiquidControlError as error:
                problem = problem or error
    if problem is not None:
        raise problem
