# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shadow's own thread: it sees what the driving policy sees and costs it nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.runners import Drive, make_runner

from liquid_control.contract.modes import Mode
from liquid_control.nodes.policy.shadow import ShadowThread
from liquid_control.runtime.control.controller import Tick
from liquid_control.runtime.control.runner import Action, PolicyRunner

WAIT = 10.0  # s, generous: it only ends tests that fail


class Reports:
    """Takes the place of the topic."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tick, Action]] = []
        self._came = threading.Event()

    def publish(self, tick: Tick, action: Action, name: str) -> None:
        self.seen.append((tick, action))
        self._came.set()

    def of(self, tick: Tick) -> Action:
        """Wait until a tick was compared."""
        while not self.seen or self.seen[-1][0] is not tick:
            assert self._came.wait(WAIT), 'no comparison came'
            self._came.clear()
        return self.seen[-1][1]


class Shadowed(Drive):
    """A drive whose ticks a shadow looks at."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reports = Reports()
        self.thread = ShadowThread(self.controller, self.reports)
        self.thread.start()

    def shadow(self, runner: PolicyRunner) -> PolicyRunner:
        runner.sensors.share(self.runner.sensors)
        self.controller.shadow = runner
        return runner

    def tick(self, count: int = 1) -> Tick:
        for _ in range(count):
            tick = super().tick()
            self.thread.offer(tick)
        return tick


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Shadowed]:
    drive = Shadowed(tmp_path)
    yield drive
    drive.thread.stop(WAIT)


def test_shadow_sees_the_same_and_never_actuates(drive: Shadowed, tmp_path: Path) -> None:
    alone = Drive(tmp_path / 'alone')
    drive.shadow(make_runner(tmp_path / 'shadow', seed=7))
    for each in (alone, drive):
        each.engage()
    for _ in range(20):
        expected, tick = alone.tick(), drive.tick()
        assert tick.command == expected.command
        action = drive.reports.of(tick)
        seen, by_shadow = tick.action.observation, action.observation
        assert by_shadow.stamps == seen.stamps
        np.testing.assert_array_equal(by_shadow.values['imu'], seen.values['imu'])
        assert not np.array_equal(action.raw, tick.action.raw)


def test_shadow_that_fails_is_nobodys_business(drive: Shadowed, tmp_path: Path) -> None:
    drive.shadow(make_runner(tmp_path / 'shadow', break_='nan'))
    drive.engage()
    tick = drive.tick(20)
    assert tick.mode is Mode.AUTONOMOUS
    assert 'not finite' in drive.reports.of(tick).fault


def test_shadow_that_never_returns_is_named_and_given_up_for_another(
    drive: Shadowed, tmp_path: Path
) -> None:
    hanging = drive.shadow(make_runner(tmp_path / 'hanging', seed=7))
    entered, never = threading.Event(), threading.Event()

    def hang(*inputs: object) -> np.ndarray:
        entered.set()
        never.wait()
        raise RuntimeError('too late')

    hanging.policy.step = hang
    drive.engage()
    assert entered.wait(WAIT)
    assert drive.tick(20).mode is Mode.AUTONOMOUS
    while drive.thread.stuck is None:
        threading.Event().wait(0.01)
    assert drive.thread.stuck is hanging
    drive.thread.recover()
    assert drive.thread.stuck is hanging, 'as long as it is the shadow'
    drive.shadow(make_runner(tmp_path / 'other', seed=8))
    drive.thread.recover()
    assert drive.reports.of(drive.tick()).raw is not None
    assert drive.thread.stuck is None
    never.set()
