# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The helm on a virtual clock: what the wire sees when ticks are late, lost or done without."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.runners import ROBOT, Drive

from liquid_control.contract.flight_status import FlightStatus
from liquid_control.contract.modes import Mode
from liquid_control.nodes.policy import helm as helm_module
from liquid_control.nodes.policy.helm import Helm
from liquid_control.runtime.control.controller import Controller

FALL = ROBOT.limits['speed'].max_fall_rate
RISE = ROBOT.limits['speed'].max_rate


class Wire:
    """Helm, controller and sensors on one clock; keeps what was sent and when, s and m/s."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.drive = drive = Drive(path)
        self.now_ns = drive.now
        clock = SimpleNamespace(monotonic_ns=lambda: self.now_ns)
        monkeypatch.setattr(helm_module, 'time', clock)
        self.sent: list[tuple[float, float]] = []
        drive.controller = self.controller = Controller(
            drive.runner, ROBOT, steady_ns=clock.monotonic_ns, **options
        )
        self.helm = Helm(
            self.controller,
            self,  # type: ignore[arg-type]
            lock=threading.Lock(),
            period=0.05,
            now_ns=lambda: self.now_ns,
            why_silent=lambda: 'the control loop stands still',
        )
        self.helm.start()

    def publish(self, command: tuple[float, ...], stamp: Any, yaw: float, **state: Any) -> None:
        self.sent.append((self.now_ns / 1e9, command[1]))

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def tick(self, *, thinking: float = 0.0, ahead: float = 0.0) -> None:
        """One tick; `ahead`: how far the clock of the stamps was set."""
        self.drive.now = now_ns = self.now_ns + round(ahead * 1e9)
        turn, elapsed = self.helm.begin(now_ns, self.drive.sense)
        thought = self.controller.think(now_ns, elapsed)
        self.sleep(thinking)
        self.helm.end(turn, thought)

    def drives(self) -> None:
        for _ in range(30):
            self.sleep(0.05)
            self.tick()
            self.controller.engage(self.now_ns)
        assert self.sent[-1][1] > 0.3
        self.sent = self.sent[-1:]

    def keeps_to_the_limits(self) -> None:
        for (before, old), (after, new) in itertools.pairwise(self.sent):
            assert -FALL * (after - before) - 1e-3 <= new - old <= RISE * (after - before) + 1e-3


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire(tmp_path, monkeypatch)
    wire.drives()
    return wire


def test_a_command_that_was_sent_late_does_not_let_the_next_brake_harder(wire: Wire) -> None:
    wire.tick(thinking=0.2)
    wire.sleep(0.01)
    wire.controller.stop('test')
    wire.tick()
    wire.keeps_to_the_limits()


def test_ticks_after_the_guard_steered_brake_no_harder(wire: Wire) -> None:
    wire.sleep(0.55)
    wire.helm.take_over(wire.drive.sense)
    wire.sleep(0.02)
    wire.tick()
    assert wire.controller.mode is Mode.SAFE_STOP
    wire.sleep(0.48)
    wire.keeps_to_the_limits()


def test_a_clock_that_is_set_loosens_no_limit(wire: Wire) -> None:
    wire.controller.stop('test')
    for ahead in (0.0, 0.2, 0.2):
        wire.sleep(0.05)
        wire.tick(ahead=ahead)
    wire.keeps_to_the_limits()


def test_a_robot_does_not_drive_on_after_a_silence_that_the_guard_missed_too(wire: Wire) -> None:
    wire.sleep(3.0)
    wire.tick()
    assert wire.controller.mode is Mode.SAFE_STOP
    assert wire.controller.reason == 'the control loop stands still'


def test_a_pilot_is_heard_while_the_policy_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(tmp_path, monkeypatch, needs_offboard=True)
    offboard, sense = wire.controller.offboard, wire.drive.sense

    def tell(*status: bool) -> None:
        wire.drive.sense = lambda: (sense(), offboard.tell(FlightStatus(*status), wire.now_ns))

    tell(True, True)
    wire.drives()
    tell(True, False)
    wire.sleep(0.55)
    wire.helm.take_over(wire.drive.sense)
    assert (wire.controller.mode, wire.controller.reason) == (Mode.DISENGAGED, 'not in offboard')
    assert len(wire.sent) == 1, 'nothing after it'


def test_simulated_time_may_run_faster_than_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(tmp_path, monkeypatch, simulated=True)
    for _ in range(40):
        wire.sleep(0.01)
        wire.drive.now += 50_000_000
        turn, elapsed = wire.helm.begin(wire.drive.now, wire.drive.sense)
        wire.helm.end(turn, wire.controller.think(wire.drive.now, elapsed))
        wire.controller.engage(wire.drive.now)
    speeds = [speed for _, speed in wire.sent]
    assert max(b - a for a, b in itertools.pairwise(speeds)) > 2 * RISE * 0.01
