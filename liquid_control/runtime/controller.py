"""Who drives, and what the robot is told: modes, one control tick, every reason to stop.

No ROS and no threads of its own: the policy node calls `tick` at the control rate and forwards
messages; tests do the same on a virtual clock.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquid_control.runtime.errors import ConfigError, LiquidControlError
from liquid_control.runtime.pilot import Action, Frame, Pilot
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
    pilot: Pilot
    action: Action
    """Of the pilot in charge."""
    command: tuple[float, ...] | None
    """What to send, None for nothing."""
    limited_by: str
    shadow: Action | None
    """Of the shadow pilot, which never actuates."""


class Controller:
    """Modes and ticks of one robot; not thread-safe, one thread at a time calls it.

    DISENGAGED sends nothing. AUTONOMOUS sends the policy's limited command. MANUAL passes a
    person's commands on and returns to what was before when they end. SAFE_STOP brakes within the
    limits, keeps sending the stop, and is left only by engaging again. The first reason wins.
    """

    def __init__(
        self,
        pilot: Pilot,
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
        self.pilot = pilot
        self.shadow: Pilot | None = None
        self.fallback: Pilot | None = None
        """Takes over when the pilot in charge fails."""
        self.frame: Frame | None = None
        """The newest camera frame, for a pilot that takes over between two."""
        self.mode = Mode.DISENGAGED
        self.reason = 'not engaged yet'
        self._envelope = Envelope(pilot.policy.contract.commands, robot)
        self._on_mode = on_mode
        self._override_timeout = override_timeout
        self._after_override = Mode.DISENGAGED
        self._override: tuple[tuple[float, ...], int] | None = None
        self._last_ns: int | None = None
        self._disengage_at_rest = False

    # Who drives

    def check(self, pilot: Pilot) -> None:
        """Whether a pilot may take part: same commands, same robot.

        Raises:
            ConfigError: its commands are not the ones this robot is driven with.
        """
        mine, its = (one.policy.contract.command_names for one in (self.pilot, pilot))
        if mine != its:
            raise ConfigError(
                f'policy {pilot.name} commands {its}, the running one {mine}; restart the node to '
                'change what is commanded'
            )
        Envelope(pilot.policy.contract.commands, self.robot)

    def use(self, pilot: Pilot) -> None:
        """Drive with another pilot from the next tick on, from the last command on.

        Raises:
            ConfigError: see `check`.
        """
        self.check(pilot)
        envelope = Envelope(pilot.policy.contract.commands, self.robot)
        envelope.start_from(self._envelope.values)
        self.pilot, self._envelope = pilot, envelope

    def promote(self) -> str:
        """The shadow takes over, the pilot in charge becomes the shadow; returns why not."""
        if self.shadow is None:
            return 'there is no shadow policy: set the parameter shadow_policy'
        before = self.pilot
        self.use(self.shadow)
        self.shadow = before
        return ''

    # Modes

    def engage(self, now_ns: int) -> str:
        """Let the policy drive; returns why not, '' when it does."""
        problem = self.pilot.sensors.observe(now_ns).problem
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

    def halt(self) -> tuple[float, ...] | None:
        """The last words on the wire when the node goes: a stop; None if nothing was sent."""
        if self.mode is Mode.DISENGAGED:
            return None
        self._envelope.reset()
        self._enter(Mode.DISENGAGED, 'shut down')
        return self._envelope.values

    # The tick

    def tick(self, now_ns: int, *, stalled: bool = False) -> Tick:
        """One control cycle.

        Args:
            now_ns: time of the tick, in the time of the sensors' stamps.
            stalled: the clock stands still, the robot must stop.
        """
        elapsed = self._elapsed(now_ns)
        if stalled:
            self.stop('clock stopped')
        self._end_override(now_ns)
        # The network runs in every mode, so that its state is warm when it takes over.
        action = self.pilot.act(now_ns, elapsed)
        shadow = self.shadow.act(now_ns, elapsed) if self.shadow is not None else None
        if action.fault and self.fallback is not None:
            action = self._fall_back(action.fault, now_ns, elapsed)
        if action.observation.problem and self.mode is Mode.AUTONOMOUS:
            self.stop(action.observation.problem)
        if action.fault:
            self.stop(action.fault)
        limited = self._act(action.raw, min(elapsed, self.pilot.policy.contract.elapsed_range[1]))
        return Tick(
            now_ns=now_ns,
            mode=self.mode,
            reason=self.reason,
            pilot=self.pilot,
            action=action,
            command=limited.values if limited else None,
            limited_by=limited.limited_by if limited else '',
            shadow=shadow,
        )

    def _elapsed(self, now_ns: int) -> float:
        """Time since the last tick, s; a clock that went back stops the robot."""
        period = 1 / self.pilot.policy.contract.control_rate
        elapsed = period if self._last_ns is None else (now_ns - self._last_ns) / 1e9
        self._last_ns = now_ns
        if elapsed < 0:
            self.stop(f'clock went back {-elapsed:.3f} s')
            self._override = None
            for pilot in (self.pilot, self.shadow):
                if pilot is not None:
                    pilot.sensors.clear()
                    pilot.forget()
        return elapsed if elapsed > 0 else period

    def _fall_back(self, fault: str, now_ns: int, elapsed: float) -> Action:
        """Hand over to the fallback within the tick; it sees the newest frame first."""
        pilot, self.fallback = self.fallback, None
        assert pilot is not None
        pilot.sensors.share(self.pilot.sensors)
        if self.frame is not None:
            try:
                pilot.see(self.frame)
            except LiquidControlError as error:
                self.stop(f'{fault}; and the fallback policy failed: {error}')
        self.use(pilot)
        self._on_mode(self.mode, f'{fault}: fallback policy {pilot.name} took over')
        return pilot.act(now_ns, elapsed)

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
        """Give back what a person took once the override is old."""
        if self.mode is not Mode.MANUAL or self._override is None:
            return
        if now_ns - self._override[1] <= self._override_timeout * 1e9:
            return
        self._override = None
        problem = self.pilot.sensors.observe(now_ns).problem
        if self._after_override is Mode.AUTONOMOUS and not problem:
            self._enter(Mode.AUTONOMOUS, 'override ended')
        else:
            self._disengage_at_rest = self._after_override is Mode.DISENGAGED
            was_driving = self._after_override is Mode.AUTONOMOUS
            self._enter(Mode.SAFE_STOP, problem if was_driving else 'override ended')

    def _enter(self, mode: Mode, reason: str) -> None:
        self.mode, self.reason = mode, reason
        self._on_mode(mode, reason)
