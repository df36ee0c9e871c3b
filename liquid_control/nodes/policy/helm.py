# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The controller behind its lock: the one place from which commands and modes are published.

Whoever has the helm sends: the control thread with every tick, or the guard while the control
thread is overdue. A policy's code never runs under the lock, so nobody waits for it; and a tick
that comes back after the guard took over finds that its turn is over and is never sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from liquid_control.contract.modes import Mode
from liquid_control.nodes.policy.commands import CommandPort, Override
from liquid_control.nodes.policy.reporting import to_stamp
from liquid_control.runtime.control.controller import Controller, Thought, Tick
from liquid_control.runtime.control.runner import PolicyRunner

# Without a tick for so long, of wall time, the robot is stopped, s. Below a rate of 4 Hz it is two
# periods: with 0.1 s for the braking to show on the wire, docs/safety.md promises 0.6 s.
OVERDUE = 0.5
# How often the guard sends while it has the helm, s.
GUARD_PERIOD = 0.05


class Helm:
    """Safe to use from any thread; no method waits for longer than a tick's arithmetic."""

    def __init__(
        self,
        controller: Controller,
        commands: CommandPort,
        *,
        lock: threading.Lock,
        period: float,
        now_ns: Callable[[], int],
        why_silent: Callable[[], str],
    ) -> None:
        """Nothing is sent before `start`.

        Args:
            lock: guards the controller; for whoever exchanges its policies.
            period: control period, s.
            now_ns: time of the sensors' stamps.
            why_silent: why no tick comes although no policy is at work.
        """
        self._controller = controller
        self._commands = commands
        self._lock = lock
        self._limit_ns = round(max(OVERDUE, 2 * period) * 1e9)
        self._now_ns = now_ns
        self._why_silent = why_silent
        self._active = False
        self._turn = 0
        self._ticked_ns = 0
        self._guarded_ns = 0
        self._thinking: PolicyRunner | None = None
        self._failure = ''

    def start(self) -> None:
        """A drive begins."""
        with self._lock:
            self._controller.stand_by()
            self._turn += 1
            self._ticked_ns = time.monotonic_ns()
            self._thinking, self._failure, self._active = None, '', True
            self._controller.announce(self._controller.reason)

    # The control thread

    def begin(self, now_ns: int, sense: Callable[[], None]) -> tuple[int, float]:
        """Begin a tick with the newest sensors: this turn, and the time since the last, s."""
        with self._lock:
            self._stop_if_overdue()
            sense()
            self._thinking = self._controller.runner
            return self._turn, self._controller.begin(now_ns)

    def end(self, turn: int, thought: Thought) -> Tick | None:
        """Decide and send; None where the guard had to take over meanwhile."""
        with self._lock:
            if turn != self._turn:
                return None
            self._stop_if_overdue()
            self._thinking = None
            tick = self._controller.decide(thought)
            self._send(tick.command, thought.now_ns)
            self._ticked_ns = time.monotonic_ns()
            return tick

    def fail(self, reason: str) -> None:
        """No tick will come any more: the guard sees to the end of the drive."""
        self._failure = reason
        self.leave(reason)

    # The guard

    @property
    def due_in(self) -> float:
        """When the next tick will be overdue, s; 0 or less when it is."""
        if self._failure:
            return 0.0
        return (self._ticked_ns + self._limit_ns - time.monotonic_ns()) / 1e9

    @property
    def overdue(self) -> bool:
        """Whether the guard must steer; never while no drive is on."""
        return self._active and self.due_in <= 0

    @property
    def moving(self) -> bool:
        """Whether anything is being sent to the robot."""
        return self._controller.mode is not Mode.DISENGAGED

    @property
    def stuck(self) -> PolicyRunner | None:
        """The policy that the control thread has waited for too long, if any."""
        return self._thinking if self.overdue else None

    def take_over(self, sense: Callable[[], None]) -> None:
        """Send instead of the control thread, if it is overdue: brake, or what a person wants."""
        with self._lock:
            if not self.overdue:
                return
            sense()
            self._turn += 1
            now = time.monotonic_ns()
            dt = min((now - self._guarded_ns) / 1e9, GUARD_PERIOD)
            self._guarded_ns = now
            reason, controller = self._why(), self._controller
            controller.stop(reason)
            if self._thinking is controller.runner:
                controller.replace(reason)
            now_ns = self._now_ns()
            self._send(controller.do_without(now_ns, dt, reason), now_ns)

    def give_up_thread(self) -> None:
        """The thread that thinks is given up: a new one begins with the runner in charge."""
        with self._lock:
            self._turn += 1
            self._thinking = None
            self._ticked_ns = time.monotonic_ns()

    def announce(self, reason: str = '') -> None:
        """Publish the mode again; `reason`: what is new, which no stop's reason gives way to."""
        with self._lock:
            self._controller.announce(reason or self._controller.reason)

    # People, and what ends a drive

    def override(self, override: Override) -> None:
        """A person's command. Raises ValueError where it is refused."""
        with self._lock:
            if self._active:
                now_ns = self._now_ns()
                given_ns = now_ns - override.waited_ns
                if override.stamp_ns is not None:
                    given_ns = min(given_ns, override.stamp_ns)
                self._controller.override(override.values, now_ns, given_ns)

    def engage(self, sense: Callable[[], None]) -> str:
        """Let the policy drive; returns why not, '' when it does."""
        with self._lock:
            if not self._active:
                return 'the node is not active'
            if self.overdue:
                return self._why()
            sense()
            return self._controller.engage(self._now_ns())

    def disengage(self) -> None:
        """Brake to rest, then send nothing more."""
        with self._lock:
            self._controller.disengage()

    def stop(self, reason: str) -> None:
        """Safe stop, unless a person drives."""
        with self._lock:
            self._controller.stop(reason)

    def leave(self, reason: str) -> None:
        """The node goes: brake to rest, whoever drives."""
        with self._lock:
            self._controller.leave(reason)

    def end_drive(self) -> None:
        """Send a last stop where the robot is not at rest yet, and nothing after it."""
        with self._lock:
            self._turn += 1
            self._active = False
            self._send(self._controller.halt(), self._now_ns())

    def _stop_if_overdue(self) -> None:
        """The guard may have been away too, as in a process that was stopped and goes on."""
        if self.overdue:
            self._controller.stop(self._why())

    def _send(self, command: tuple[float, ...] | None, now_ns: int) -> None:
        if command is not None:
            controller = self._controller
            self._commands.publish(
                command, to_stamp(now_ns), controller.yaw, offboard=controller.offboard.entered
            )

    def _why(self) -> str:
        if self._failure:
            return self._failure
        if self._thinking is None:
            return self._why_silent()
        return f'policy {self._thinking.name} has not answered for {self._limit_ns / 1e9:g} s'
