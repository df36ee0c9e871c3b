"""Who drives, and what the robot is told: modes, one control tick, every reason to stop.

No ROS and no threads of its own: the policy node calls `tick` at the control rate and forwards
messages; tests do the same on a virtual clock.
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.runtime.errors import ConfigError
from liquid_control.runtime.observation import Observation, Sensors
from liquid_control.runtime.policy import Policy
from liquid_control.runtime.robot import Robot
from liquid_control.runtime.safety import Envelope, Limited

Array = NDArray[np.float32]


class Mode(enum.IntEnum):
    """Who controls the robot; numbers as in msg/ControlMode."""

    DISENGAGED = 0
    AUTONOMOUS = 1
    MANUAL = 2
    SAFE_STOP = 3


@dataclass(frozen=True)
class Tick:
    """Everything one control tick saw and did; see msg/PolicyState."""

    now_ns: int
    mode: Mode
    reason: str
    observation: Observation
    elapsed: float
    """As given to the network, s."""
    raw: Array | None
    """The network's command, None when it was not run."""
    command: tuple[float, ...] | None
    """What to send, None for nothing."""
    limited_by: str
    core_ns: int
    """Duration of the core network."""


class Controller:
    """Modes and ticks of one robot; not thread-safe, one thread calls everything.

    DISENGAGED sends nothing. AUTONOMOUS sends the policy's limited command. MANUAL passes a
    person's commands on and returns to what was before when they end. SAFE_STOP brakes within the
    limits, keeps sending the stop, and is left only by engaging again. The first reason wins.
    """

    def __init__(
        self,
        policy: Policy,
        robot: Robot,
        *,
        on_mode: Callable[[Mode, str], None] = lambda mode, reason: None,
        override_timeout: float = 0.5,
    ) -> None:
        """Stand by, disengaged.

        Args:
            on_mode: told of every change of mode, with its reason.
            override_timeout: an older override is no longer a hand on the wheel, s.

        Raises:
            ConfigError: the robot's limits do not cover the policy's commands.
        """
        self.robot = robot
        self.policy = policy
        self.sensors = Sensors(policy.contract)
        self._envelope = Envelope(policy.contract.commands, robot)
        self.mode = Mode.DISENGAGED
        self.reason = 'not engaged yet'
        self._on_mode = on_mode
        self._override_timeout = override_timeout
        self._after_override = Mode.DISENGAGED
        self._override: tuple[tuple[float, ...], int] | None = None
        self._last_ns: int | None = None
        self._disengage_at_rest = False

    def use(self, policy: Policy, sensors: Sensors) -> None:
        """Drive with another policy from the next tick on.

        Raises:
            ConfigError: its commands are not the ones this robot is driven with.
        """
        if policy.contract.command_names != self.policy.contract.command_names:
            raise ConfigError(
                f'policy {policy.contract.name} commands {policy.contract.command_names}, the '
                f'running one {self.policy.contract.command_names}; restart the node to change '
                'what is commanded'
            )
        envelope = Envelope(policy.contract.commands, self.robot)
        envelope.start_from(self._envelope.values)
        self.policy, self.sensors, self._envelope = policy, sensors, envelope
        self.policy.reset()

    def engage(self, now_ns: int) -> str:
        """Let the policy drive; returns why not, '' when it does."""
        problem = self.sensors.observe(now_ns).problem
        if problem:
            return problem
        if self.mode in (Mode.DISENGAGED, Mode.SAFE_STOP):
            self._disengage_at_rest = False
            self._enter(Mode.AUTONOMOUS, 'engaged')
        elif self.mode is Mode.MANUAL:
            self._after_override = Mode.AUTONOMOUS
        return ''

    def disengage(self, reason: str = 'disengaged') -> None:
        """Brake to rest, then send nothing more."""
        if self.mode is Mode.MANUAL:
            self._after_override = Mode.DISENGAGED
        elif self.mode is not Mode.DISENGAGED:
            self._disengage_at_rest = True
            self.stop(reason)

    def stop(self, reason: str) -> None:
        """Safe stop; the first reason stays."""
        if self.mode in (Mode.AUTONOMOUS, Mode.MANUAL):
            self._enter(Mode.SAFE_STOP, reason)

    def override(self, values: Sequence[float], now_ns: int) -> None:
        """A person's command; takes over at once from any mode.

        Raises:
            ValueError: a value is not finite.
        """
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f'override is not finite: {list(values)}')
        self._override = (tuple(values), now_ns)
        if self.mode is not Mode.MANUAL:
            self._after_override = self.mode
            self._enter(Mode.MANUAL, 'override')

    def tick(self, now_ns: int, *, stalled: bool = False) -> Tick:
        """One control cycle.

        Args:
            now_ns: time of the tick, in the time of the sensors' stamps.
            stalled: the clock stands still, the robot must stop.
        """
        period = 1 / self.policy.contract.control_rate
        elapsed = period if self._last_ns is None else (now_ns - self._last_ns) / 1e9
        if elapsed < 0:
            self.stop(f'clock went back {-elapsed:.3f} s')
            self.sensors.clear()
            self.policy.reset()
            self._override = None
        if stalled:
            self.stop('clock stopped')
        if elapsed <= 0:
            elapsed = period
        self._last_ns = now_ns
        observation = self.sensors.observe(now_ns)
        if observation.problem and self.mode is Mode.AUTONOMOUS:
            self.stop(observation.problem)
        self._end_override(now_ns)
        shortest, longest = self.policy.contract.elapsed_range
        felt = min(max(elapsed, shortest), longest)
        started = time.perf_counter_ns()
        raw = None if observation.problem or stalled else self._step(observation, felt)
        core_ns = time.perf_counter_ns() - started
        limited = self._act(raw, min(elapsed, longest))
        return Tick(
            now_ns=now_ns,
            mode=self.mode,
            reason=self.reason,
            observation=observation,
            elapsed=felt,
            raw=raw,
            command=limited.values if limited else None,
            limited_by=limited.limited_by if limited else '',
            core_ns=core_ns,
        )

    def halt(self) -> tuple[float, ...] | None:
        """The last words on the wire when the node goes: a stop; None if nothing was sent."""
        if self.mode is Mode.DISENGAGED:
            return None
        self._envelope.reset()
        self._enter(Mode.DISENGAGED, 'shut down')
        return self._envelope.values

    def _step(self, observation: Observation, elapsed: float) -> Array | None:
        """Run the network, in every mode, so that its state is warm when it takes over."""
        try:
            raw = self.policy.step(
                elapsed=elapsed,
                features=observation.features,
                imu=observation.imu,
                speed=observation.speed,
            )
        except Exception as error:  # whatever it is, the robot must stop
            self.stop(f'policy failed: {error}')
            self.policy.reset()
            return None
        if not (np.isfinite(raw).all() and np.isfinite(self.policy.state).all()):
            self.stop(f'policy output is not finite: {[float(value) for value in raw]}')
            self.policy.reset()
            return None
        return raw

    def _act(self, raw: Array | None, dt: float) -> Limited | None:
        if self.mode is Mode.AUTONOMOUS and raw is not None:
            return self._envelope.limit(raw, dt)
        if self.mode is Mode.MANUAL and self._override is not None:
            return self._envelope.clamp(self._override[0])
        if self.mode is Mode.SAFE_STOP:
            limited = self._envelope.brake(dt)
            if self._disengage_at_rest and self._envelope.at_rest:
                self._disengage_at_rest = False
                self._enter(Mode.DISENGAGED, self.reason)
            return limited
        return None

    def _end_override(self, now_ns: int) -> None:
        if self.mode is not Mode.MANUAL or self._override is None:
            return
        if now_ns - self._override[1] <= self._override_timeout * 1e9:
            return
        self._override = None
        if self._after_override is Mode.AUTONOMOUS:
            problem = self.sensors.observe(now_ns).problem
            if problem:
                self._enter(Mode.SAFE_STOP, problem)
            else:
                self._enter(Mode.AUTONOMOUS, 'override ended')
        else:
            self._disengage_at_rest = self._after_override is Mode.DISENGAGED
            self._enter(Mode.SAFE_STOP, 'override ended')

    def _enter(self, mode: Mode, reason: str) -> None:
        self.mode, self.reason = mode, reason
        self._on_mode(mode, reason)
