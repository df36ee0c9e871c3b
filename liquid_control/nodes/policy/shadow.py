# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shadow's own thread: a second policy sees what the first one saw, and costs it nothing.

Where it is slower than the ticks it leaves some out; where it never returns, it is given up.
"""

from __future__ import annotations

import contextlib
import threading
import time

from liquid_control.common.errors import LiquidControlError
from liquid_control.nodes.policy.reporting import ShadowReport
from liquid_control.runtime.control.controller import Controller, Tick
from liquid_control.runtime.control.runner import Frame, PolicyRunner

# A shadow that has worked on one tick for so long is said not to answer, s.
_PATIENCE = 0.5


class ShadowThread:
    """Lets the controller's shadow, if there is one, act on the newest tick, and reports it."""

    def __init__(self, controller: Controller, report: ShadowReport) -> None:
        self._controller = controller
        self._report = report
        self._stopping = threading.Event()
        self._offered = threading.Event()
        self._newest: Tick | None = None
        self._at_work: tuple[PolicyRunner, float] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work; a thread that is stuck is given up and ends when it can."""
        self._stopping.set()
        self._stopping, self._offered = threading.Event(), threading.Event()
        self._newest = self._at_work = None
        self._thread = threading.Thread(
            target=self._work, args=(self._stopping, self._offered), name='shadow', daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End the thread; returns whether it is gone, after `timeout` s at most."""
        self._stopping.set()
        self._offered.set()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def offer(self, tick: Tick) -> None:
        """Let the shadow look at a tick, unless it is still busy with the last one."""
        if self._controller.shadow is not None:
            self._newest = tick
            self._offered.set()

    @property
    def stuck(self) -> PolicyRunner | None:
        """The shadow that does not answer, if it does not."""
        at_work = self._at_work
        if at_work is None or time.monotonic() - at_work[1] < _PATIENCE:
            return None
        return at_work[0]

    def recover(self) -> bool:
        """Begin anew where the stuck one is the shadow no longer; returns whether it did."""
        stuck = self.stuck
        if stuck is None or stuck is self._controller.shadow:
            return False
        self.start()
        return True

    def _work(self, stopping: threading.Event, offered: threading.Event) -> None:
        last: tuple[PolicyRunner, int] | None = None
        frames: dict[str, Frame] = {}
        while offered.wait() and not stopping.is_set():
            offered.clear()
            tick, shadow = self._newest, self._controller.shadow
            if tick is None or shadow is None:
                continue
            self._at_work = shadow, time.monotonic()
            if last is None or last[0] is not shadow:
                last, frames = None, {}
            for name, frame in tuple(self._controller.frames.items()):
                if frames.get(name) is not frame:
                    frames[name] = frame
                    with contextlib.suppress(LiquidControlError):  # its age tells
                        shadow.encode(name, frame)
            elapsed = (tick.now_ns - last[1]) / 1e9 if last is not None else tick.action.elapsed
            action = shadow.step(tick.now_ns, elapsed)
            if stopping.is_set():
                return
            last = shadow, tick.now_ns
            self._report.publish(tick, action, shadow.policy.contract.name)
            self._at_work = None
