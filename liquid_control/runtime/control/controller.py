# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who drives, and what the robot is told: modes, one control tick, every reason to stop.

No ROS and no threads of its own: the policy node calls it at the control rate and forwards
messages; tests do the same on a virtual clock. A tick has three parts, because a network may take
for ever and somebody must be able to stop the robot meanwhile: `begin` and `decide` are a few
microseconds of arithmetic under the node's lock, `think` between them runs without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import ConfigError, LiquidControlError
from liquid_control.contract.modes import Mode
from liquid_control.contract.robot import Robot
from liquid_control.runtime.control.fit import check_fits, joint_positions
from liquid_control.runtime.control.offboard import Offboard
from liquid_control.runtime.control.runner import Action, Frame, PolicyRunner
from liquid_control.runtime.control.safety import Envelope, Limited
from liquid_control.runtime.control.whereabouts import Whereabouts

Array = NDArray[np.float32]

# A clock that goes on by this much more than time does between two ticks was set, s.
LONGEST_GAP = 1.0


class Thought(NamedTuple):
    """What the policies made of one instant, before it is decided what the robot is told."""

    now_ns: int
    elapsed: float
    """Time since the last tick, s."""
    runner: PolicyRunner
    """Who was in charge."""
    fault: str
    """Why it failed; '' when it did not."""
    actor: PolicyRunner
    """Whose action this is: the runner in charge, or its fallback where it failed."""
    action: Action


@dataclass(frozen=True)
class Tick:
    """Everything one control tick saw and did; see msg/PolicyState."""

    now_ns: int
    mode: Mode
    reason: str
    runner: PolicyRunner
    action: Action
    """Of the runner in charge."""
    command: tuple[float, ...] | None
    """What to send, None for nothing."""
    limited_by: str


class Controller:
    """Modes and ticks of one robot; not thread-safe, one thread at a time calls it.

    DISENGAGED sends nothing. AUTONOMOUS sends the policy's limited command. MANUAL passes a
    person's commands on and returns to what was before when they end; no fault ends it. SAFE_STOP
    brakes within the limits, keeps sending the stop, and is left only by engaging again. The first
    reason wins. Where a flight controller must be in offboard mode, every mode sends rest until it
    is, and all ends with it.
    """

    def __init__(
        self,
        runner: PolicyRunner,
        robot: Robot,
        *,
        on_mode: Callable[[Mode, str], None] = lambda mode, reason: None,
        override_timeout: float = 0.5,
        steady_ns: Callable[[], int] | None = None,
        simulated: bool = False,
        needs_pose: bool = False,
        needs_offboard: bool = False,
    ) -> None:
        """Stand by, disengaged.

        Args:
            on_mode: told of every change of mode, with its reason.
            override_timeout: an older override is no longer a hand on the wheel, s.
            steady_ns: time in which an override gets old, and which passes between two commands
                whatever becomes of the clock; the time of the ticks where None.
            simulated: the time of the ticks is another's, who may be faster or slower.
            needs_pose: nothing can be sent without knowing where the robot is.
            needs_offboard: the robot follows commands only in its offboard mode.

        Raises:
            ConfigError: the robot's limits do not cover the policy's commands.
        """
        check_fits(runner.policy.contract, robot)
        self.robot = robot
        self.runner = runner
        self.shadow: PolicyRunner | None = None
        self.fallback: PolicyRunner | None = None
        """Takes over when the runner in charge fails."""
        self.frames: dict[str, Frame] = {}
        """Of each camera the newest frame that the runner in charge was shown."""
        self._whereabouts = Whereabouts(robot, needed=needs_pose)
        self.pose = self._whereabouts.slot
        """Where the robot is (`RobotPose`): for its fence and commands in the world's frame."""
        self._needs_pose = needs_pose
        self.offboard = Offboard(needed=needs_offboard)
        self._followed = not needs_offboard
        """Whether the robot did what it was told at the last tick."""
        self.mode = Mode.DISENGAGED
        self.reason = 'not engaged yet'
        self._envelope = Envelope(runner.policy.contract.commands, robot)
        self._on_mode = on_mode
        self._override_timeout = override_timeout
        self._steady_ns = steady_ns
        self._simulated = simulated
        self._commanded_ns: int | None = None  # when it was decided last, in steady time
        self._began_ns: int | None = None  # the last tick, in steady time
        self._did_without = False
        self._hovered = 0.0
        """How long it has been at rest in a safe stop, s."""
        self._after_override = Mode.DISENGAGED
        self._reason_after = ''
        self._override: tuple[tuple[float, ...], int] | None = None
        """A person's command, and until when it counts, ns."""
        self._last_ns: int | None = None
        self._disengage_at_rest = False
        self._leaving = False

    def stand_by(self) -> None:
        """Forget a drive that has ended, before the next."""
        self._leaving = False
        self._envelope.reset()
        self._override = self._last_ns = None
        self.runner.reset()

    @property
    def yaw(self) -> float:
        """Of the robot, rad, as last known."""
        return self._whereabouts.yaw

    # Who drives

    def check(self, runner: PolicyRunner) -> None:
        """Whether a runner may take part: same commands, same robot.

        Raises:
            ConfigError: its commands are not the ones this robot is driven with.
        """
        mine, its = (one.policy.contract.command_names for one in (self.runner, runner))
        if mine != its:
            raise ConfigError(
                f'policy {runner.name} commands {its}, the running one {mine}; restart the node '
                'to change what is commanded'
            )
        check_fits(runner.policy.contract, self.robot)
        Envelope(runner.policy.contract.commands, self.robot)

    def use(self, runner: PolicyRunner) -> None:
        """Drive with another runner from the next tick on, from the last command on.

        Raises:
            ConfigError: see `check`.
        """
        self.check(runner)
        envelope = Envelope(runner.policy.contract.commands, self.robot)
        envelope.start_from(self._envelope.values)
        self.runner, self._envelope = runner, envelope

    def promote(self) -> str:
        """The shadow takes over, the runner in charge becomes the shadow; returns why not."""
        if self.shadow is None:
            return 'there is no shadow policy: set the parameter shadow_policy'
        before = self.runner
        self.use(self.shadow)
        self.shadow = before
        return ''

    # Modes

    def engage(self, now_ns: int) -> str:
        """Let the policy drive; returns why not, '' when it does."""
        problem = 'the node is about to end' if self._leaving else self._problem(now_ns)
        if problem:
            return problem
        if self.mode is Mode.DISENGAGED:
            observation = self.runner.sensors.observe(now_ns)
            self._envelope.place(joint_positions(self.runner.policy.contract, observation))
        if self.mode in (Mode.DISENGAGED, Mode.SAFE_STOP):
            self._disengage_at_rest = False
            waits = self.offboard.waits
            self._enter(Mode.AUTONOMOUS, f'engaged, but {waits} yet' if waits else 'engaged')
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
        """Safe stop; the first reason stays. A person goes on driving, with the stop to follow."""
        if self.mode is Mode.AUTONOMOUS:
            self._enter(Mode.SAFE_STOP, reason)
        elif self.mode is Mode.MANUAL and self._after_override is Mode.AUTONOMOUS:
            self._after_override, self._reason_after = Mode.SAFE_STOP, reason

    def leave(self, reason: str) -> None:
        """The node goes: brake at once, whoever drives, then send nothing more.

        A person may still steer and brake harder meanwhile.
        """
        self._leaving = True
        if self.mode is Mode.DISENGAGED:
            return
        self._disengage_at_rest = True
        if self.mode is not Mode.SAFE_STOP:
            self._enter(Mode.SAFE_STOP, reason)

    def override(self, values: Sequence[float], now_ns: int, stamp_ns: int | None = None) -> None:
        """A person's command; takes over at once from any mode.

        Args:
            stamp_ns: when it was given; its age counts from then, and from now on.

        Raises:
            ValueError: a value is not finite, or the command is older than the timeout.
        """
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f'override is not finite: {list(values)}')
        age_ns = max(0, now_ns - stamp_ns) if stamp_ns is not None else 0
        left_ns = round(self._override_timeout * 1e9) - age_ns
        if left_ns < 0:
            raise ValueError(
                f'override is {age_ns / 1e9:.3f} s old by its stamp, at most '
                f'{self._override_timeout:g} s count (override_timeout): are the clocks set?'
            )
        if self._leaving and self.mode is Mode.DISENGAGED:
            return
        self._override = (tuple(values), self._steady(now_ns) + left_ns)
        if self.mode is not Mode.MANUAL and not self._leaving:
            self._after_override = Mode.DISENGAGED if self._disengage_at_rest else self.mode
            self._reason_after = self.reason
            self._enter(Mode.MANUAL, 'override')

    def announce(self, reason: str) -> None:
        """Tell of something that changes no mode; a robot that does not drive keeps the reason."""
        if self.mode is Mode.AUTONOMOUS:
            self.reason = reason
        self._on_mode(self.mode, self.reason)

    def halt(self) -> tuple[float, ...] | None:
        """The last words on the wire when the node goes: a stop; None if nothing was sent."""
        if self.mode is Mode.DISENGAGED:
            return None
        self._enter(Mode.DISENGAGED, 'shut down')
        return self._envelope.halt()

    # The tick

    def tick(self, now_ns: int) -> Tick:
        """One control cycle, for whoever has but one thread.

        Args:
            now_ns: time of the tick, in the time of the sensors' stamps.
        """
        return self.decide(self.think(now_ns, self.begin(now_ns)))

    def begin(self, now_ns: int) -> float:
        """Begin a tick; returns the time since the last one, s. A clock that was set stops."""
        period = 1 / self.runner.policy.contract.control_rate
        elapsed = period if self._last_ns is None else (now_ns - self._last_ns) / 1e9
        self._last_ns = now_ns
        waited = self._waited()
        if elapsed < 0:
            self.stop(f'clock went back {-elapsed:.3f} s')
            if self._override is not None:
                values, until_ns = self._override
                latest_ns = self._steady(now_ns) + round(self._override_timeout * 1e9)
                self._override = (values, min(until_ns, latest_ns))
            for runner in (self.runner, self.shadow):
                if runner is not None:
                    runner.ingest.clear()
                    runner.reset()
            self._whereabouts.clear()
        elif elapsed - waited > LONGEST_GAP:
            # Whether fresh sensor messages came before this tick or not is chance.
            self.stop(f'clock jumped ahead {elapsed:.3f} s')
            return period  # nothing went on for as long as it says: braking takes its time
        return elapsed if elapsed > 0 else period

    def _waited(self) -> float:
        """Since the tick before began, in steady time, s; 0 where nobody tells it."""
        if self._steady_ns is None:
            return 0.0
        before_ns, self._began_ns = self._began_ns, self._steady_ns()
        return (self._began_ns - before_ns) / 1e9 if before_ns is not None else 0.0

    def think(self, now_ns: int, elapsed: float) -> Thought:
        """Run the network, and the fallback's where it fails; changes nothing of the controller.

        It runs in every mode, so that its state is warm when it takes over.
        """
        runner, fallback = self.runner, self.fallback
        action = runner.step(now_ns, elapsed)
        fault, actor = action.fault, runner
        if fault and fallback is not None:
            actor, action = fallback, self._stand_in(fallback, runner, now_ns, elapsed)
        return Thought(now_ns, elapsed, runner, fault, actor, action)

    def decide(self, thought: Thought) -> Tick:
        """End a tick: who drives from here on, and what the robot is told."""
        now_ns, action = thought.now_ns, thought.action
        self._heed_pilot()
        self._end_override(now_ns)
        if thought.runner is self.runner:  # else a new one has come meanwhile, for the next tick
            if thought.actor is not self.runner:
                self._hand_over(thought.actor, thought.fault)
            if action.observation.problem and self.mode is Mode.AUTONOMOUS:
                self.stop(action.observation.problem)
            if action.fault:
                self.stop(action.fault)
        if problem := self._robot_problem(now_ns):
            self.stop(problem)
        longest = self.runner.policy.contract.elapsed_range[1]
        dt, since = min(thought.elapsed, longest), self._since_command()
        if not self._simulated or self._did_without:
            # A command may have been decided late, or without a tick, and a clock may be set.
            dt = min(dt, since)
        self._did_without = False
        limited = self._act(action.raw, dt, now_ns)
        return Tick(
            now_ns=now_ns,
            mode=self.mode,
            reason=self.reason,
            runner=thought.actor,
            action=action,
            command=limited.values if limited else None,
            limited_by=limited.limited_by if limited else '',
        )

    def do_without(self, now_ns: int, dt: float, reason: str) -> tuple[float, ...] | None:
        """A tick without the policy, because it does not answer or its clock stands still.

        The robot is stopped for that reason, a person's commands pass.

        Args:
            dt: longest time to count since the last command, s.
        """
        self.stop(reason)
        self._heed_pilot()
        self._end_override(now_ns)
        limited = self._act(None, min(dt, self._since_command()), now_ns)
        self._did_without = True
        return limited.values if limited else None

    def replace(self, reason: str) -> None:
        """The runner in charge does not answer: its fallback gets its place, if there is one."""
        if self.fallback is not None:
            self.fallback.ingest.share(self.runner.ingest)
            self._hand_over(self.fallback, reason)

    def _stand_in(
        self, fallback: PolicyRunner, failed: PolicyRunner, now_ns: int, elapsed: float
    ) -> Action:
        """The fallback's action within the tick; it sees the newest frame first."""
        fallback.ingest.share(failed.ingest)
        try:
            for name, frame in tuple(self.frames.items()):
                fallback.encode(name, frame)
        except LiquidControlError as error:
            failure = f'{failed.name} and the fallback policy failed: {error}'
            return Action(fallback.sensors.observe(now_ns), elapsed, None, failure, 0)
        return fallback.step(now_ns, elapsed)

    def _hand_over(self, fallback: PolicyRunner, fault: str) -> None:
        self.fallback = None
        self.use(fallback)
        self.announce(f'{fault}: fallback policy {fallback.name} took over')

    def _since_command(self) -> float:
        """Time since the last command was decided, s; infinite where nobody tells."""
        if self._steady_ns is None:
            return math.inf
        now_ns, before_ns = self._steady_ns(), self._commanded_ns
        self._commanded_ns = now_ns
        return (now_ns - before_ns) / 1e9 if before_ns is not None else math.inf

    def _heed_pilot(self) -> None:
        """Begin when the robot begins to follow; give it up when it does so no more."""
        waits, before = self.offboard.waits, self._followed
        self._followed = not waits
        if self._followed and not before and self.mode is Mode.AUTONOMOUS:
            self._enter(Mode.AUTONOMOUS, 'engaged')
        elif before and waits and self.mode is not Mode.DISENGAGED:
            self._envelope.reset()
            self._enter(Mode.DISENGAGED, waits)

    def _act(self, raw: Array | None, dt: float, now_ns: int) -> Limited | None:
        if not self._followed and self.mode in (Mode.AUTONOMOUS, Mode.MANUAL):
            return Limited(self._envelope.brake(dt).values, self.offboard.waits)
        pose, _ = self._whereabouts.pose(now_ns)
        if self.mode is Mode.AUTONOMOUS and raw is not None:
            return self._envelope.limit(raw, dt, pose)
        if self.mode is Mode.MANUAL and self._override is not None:
            if pose is None and self._needs_pose:
                return self._envelope.brake(dt)
            return self._envelope.clamp(self._override[0], pose)
        if self.mode is Mode.SAFE_STOP:
            return self._come_to_rest(dt, now_ns)
        return None

    def _come_to_rest(self, dt: float, now_ns: int) -> Limited:
        """Brake; a robot that flies lands where nobody takes it."""
        land = self.robot.land
        ends = self._leaving or self._disengage_at_rest
        if land is not None and not ends and self._hovered >= land.after:
            return self._envelope.sink(dt, land.speed)
        limited = self._envelope.brake(dt, self._hand(now_ns) if self._leaving else None)
        if self._envelope.at_rest:
            self._hovered += dt if self._followed else 0.0
            if self._disengage_at_rest:
                self._disengage_at_rest = False
                self._enter(Mode.DISENGAGED, self.reason)
        return limited

    def _hand(self, now_ns: int) -> tuple[float, ...] | None:
        """What a person wants, None for nothing."""
        if self._override is None or self._steady(now_ns) > self._override[1]:
            return None
        return self._override[0]

    def _end_override(self, now_ns: int) -> None:
        """Give back what a person took once the override is old."""
        if self.mode is not Mode.MANUAL or self._hand(now_ns) is not None:
            return
        self._override = None
        problem = self._problem(now_ns)
        if self._after_override is Mode.AUTONOMOUS and not problem:
            self._enter(Mode.AUTONOMOUS, 'override ended')
            return
        reasons = {
            Mode.AUTONOMOUS: problem,
            Mode.SAFE_STOP: self._reason_after,
            Mode.DISENGAGED: 'override ended',
        }
        self._disengage_at_rest = self._after_override is Mode.DISENGAGED
        self._enter(Mode.SAFE_STOP, reasons[self._after_override])

    def _problem(self, now_ns: int) -> str:
        """What keeps the policy from driving now; '' for nothing."""
        return (
            self.runner.fault
            or self.runner.sensors.observe(now_ns).problem
            or self._robot_problem(now_ns)
        )

    def _robot_problem(self, now_ns: int) -> str:
        """What the robot itself has against it."""
        return self._whereabouts.problem(now_ns) or self.offboard.problem(self._steady(now_ns))

    def _steady(self, now_ns: int) -> int:
        return now_ns if self._steady_ns is None else self._steady_ns()

    def _enter(self, mode: Mode, reason: str) -> None:
        self.mode, self.reason, self._hovered = mode, reason, 0.0
        self._on_mode(mode, reason)
