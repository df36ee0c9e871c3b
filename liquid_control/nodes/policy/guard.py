# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The guard: a thread that can stop the robot, and waits for nothing that could hang.

It takes a person's overrides, answers `~/engage`, looks for rivals and lost listeners, repeats the
mode once a second, and steers while the control thread is overdue. It runs no policy, loads
nothing, writes no log and needs no executor: neither a step that never returns, nor a clock that
stands still, nor a bundle that is being loaded keeps it from its work. It shares one lock with the
control thread, under which a few microseconds of arithmetic and the sending happen (helm.py).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.impl.implementation_singleton import rclpy_implementation as rclpy_c
from rclpy.node import Node
from std_srvs.srv import SetBool

from liquid_control.nodes.common.inbox import OwnThread
from liquid_control.nodes.common.patient_log import PatientLog
from liquid_control.nodes.policy.commands import CommandPort
from liquid_control.nodes.policy.helm import GUARD_PERIOD, Helm
from liquid_control.runtime.loop import realtime

# How often the command topic is looked at for rivals and lost listeners, s.
_TOPIC_CHECK_PERIOD = 0.5
_HEARTBEAT_PERIOD = 1.0  # s, of ~/mode
# How long the guard waits after a defect of its own, s: it must not keep a core busy with it.
_PAUSE = 0.02
_HIGHEST_PRIORITY = 99
# A guard that was so much longer away than it wanted was stopped with its process, s; overrides
# of that time come in for a moment after it, s, and are old.
_LATE, _CATCHING_UP = 0.4, 0.2
# How long the end of a drive may wait for the guard to let go of it, s.
_PATIENCE = 1.0


@dataclass(frozen=True)
class GuardedDrive:
    """What there is to guard between activation and deactivation."""

    helm: Helm
    commands: CommandPort
    sense: Callable[[], None]
    """Puts the newest sensor messages into the slots."""
    recover: Callable[[], None]
    """Gives up threads that are stuck in a policy which is no longer in charge."""
    exclusive: bool
    """Nobody else may publish on the command topic."""
    priority: int
    """SCHED_FIFO priority of the control thread, 0 for none: the guard's is above it."""


class Guard:
    """Works from `start` to `close`; it has something to guard between `watch` and `leave`."""

    def __init__(self, node: Node, log: PatientLog) -> None:
        """Offer `~/engage`."""
        self._node = node
        self._log = log
        self._drive: GuardedDrive | None = None
        self._at_work = threading.Lock()
        self._stopping = threading.Event()
        self._had_listener = False
        self._unused: set[str] = set()
        self._check_at = self._heartbeat_at = self._hears_from = 0.0
        group = OwnThread()
        self._engage = node.create_service(
            SetBool, '~/engage', lambda request, response: response, callback_group=group
        )
        self._wake = node.create_guard_condition(lambda: None, callback_group=group)
        self._wait_set = rclpy_c.WaitSet(1, 1, 0, 0, 1, 0, node.context.handle)
        self._thread = threading.Thread(target=self._run, name='guard', daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread; the node goes."""
        self._stopping.set()
        self.wake()
        self._thread.join(_PATIENCE)
        self._node.destroy_service(self._engage)
        self._node.destroy_guard_condition(self._wake)

    def wake(self) -> None:
        """Let it look at once."""
        self._wake.trigger()

    def watch(self, drive: GuardedDrive) -> None:
        """A drive begins."""
        self._had_listener = False
        self._check_at = self._heartbeat_at = time.monotonic() + _TOPIC_CHECK_PERIOD
        self._drive = drive
        self.wake()

    def leave(self) -> None:
        """The drive has ended; returns when nothing of it is in use any more."""
        self._drive = None
        self.wake()
        if self._at_work.acquire(timeout=_PATIENCE):
            self._at_work.release()

    def _run(self) -> None:
        prepared: GuardedDrive | None = None
        while not self._stopping.is_set():
            try:
                self._wait()
                with self._at_work:
                    drive = self._drive
                    if drive is not None and drive is not prepared and drive.priority:
                        realtime.set_priority(min(drive.priority + 1, _HIGHEST_PRIORITY))
                    prepared = drive
                    self._work(drive)
            except Exception as error:  # a guard that ends guards nobody
                self._log.warning_at_times('guard', f'guard: {type(error).__name__}: {error}')
                time.sleep(_PAUSE)

    def _wait(self) -> None:
        """Until there is something to do."""
        drive, wait_set = self._drive, self._wait_set
        overrides = drive.commands.overrides.handle if drive is not None else None
        with contextlib.ExitStack() as kept:
            for handle in (self._engage.handle, self._wake.handle, overrides):
                if handle is not None:
                    kept.enter_context(handle)
            wait_set.clear_entities()
            wait_set.add_service(self._engage.handle)
            wait_set.add_guard_condition(self._wake.handle)
            if overrides is not None:
                wait_set.add_subscription(overrides)
            patience = max(self._patience(drive), 0.001)
            late_at = time.monotonic() + patience + _LATE
            wait_set.wait(round(patience * 1e9))
        now = time.monotonic()
        if now > late_at:
            self._hears_from = now + _CATCHING_UP

    def _patience(self, drive: GuardedDrive | None) -> float:
        if drive is None:
            return _HEARTBEAT_PERIOD
        check_in = self._check_at - time.monotonic()
        if drive.helm.overdue:
            return GUARD_PERIOD if drive.helm.moving else min(check_in, _TOPIC_CHECK_PERIOD)
        return min(check_in, drive.helm.due_in)

    def _work(self, drive: GuardedDrive | None) -> None:
        if drive is None:
            self._answer(drive)
            return
        self._take_override(drive)
        self._answer(drive)
        if drive.helm.overdue:
            drive.helm.take_over(drive.sense)
            drive.recover()
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + _TOPIC_CHECK_PERIOD
            self._check_topic(drive)
            drive.recover()
        if now >= self._heartbeat_at:
            self._heartbeat_at += _HEARTBEAT_PERIOD
            drive.helm.announce()

    def _take_override(self, drive: GuardedDrive) -> None:
        try:
            override = drive.commands.take_override()
            if override is not None and time.monotonic() >= self._hears_from:
                drive.helm.override(override)
                if new := [name for name in override.unused if name not in self._unused]:
                    self._unused.update(new)
                    self._log.warning(
                        f'an override asks for {", ".join(new)}, which the policy does not '
                        'command: that is ignored'
                    )
        except ValueError as error:
            self._log.warning_at_times('override', str(error))

    def _answer(self, drive: GuardedDrive | None) -> None:
        with self._engage.handle:
            request, header = self._engage.handle.service_take_request(SetBool.Request)
        if header is None:
            return
        problem = ''
        if not request.data:
            if drive is not None:
                drive.helm.disengage()
        elif drive is None:
            problem = 'the node is not active: configure and activate it first'
        else:
            # Whoever listens now is missed from now on, not from the next look at the topic on.
            self._had_listener = drive.commands.listeners > 0
            problem = _rivalry(drive) or drive.helm.engage(drive.sense)
        done = 'engaged' if request.data else 'disengaged'
        response = SetBool.Response(success=not problem, message=problem or done)
        self._engage.send_response(response, header)

    def _check_topic(self, drive: GuardedDrive) -> None:
        """One master on the command topic, and somebody who acts on it."""
        listening = drive.commands.listeners > 0
        problem = _rivalry(drive)
        if self._had_listener and not listening:
            problem = problem or 'nobody listens to the command any more'
        self._had_listener = listening
        if problem:
            drive.helm.stop(problem)


def _rivalry(drive: GuardedDrive) -> str:
    if drive.exclusive and drive.commands.rivals > 0:
        return f'another node publishes on {drive.commands.topic}'
    return ''
