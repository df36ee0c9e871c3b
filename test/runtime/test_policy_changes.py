# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Policies that are swapped, shadowed, replaced when they fail, and tried before."""

from pathlib import Path

import numpy as np
import pytest
from support.runners import IMAGE, Drive, make_runner, moving

from liquid_control.common.errors import BundleError, ConfigError
from liquid_control.contract.modes import Mode
from liquid_control.runtime.control.runner import Frame, PolicyRunner


def test_swapped_policy_goes_on_from_the_last_command(drive: Drive, tmp_path: Path) -> None:
    moving(drive)
    before = drive.tick().command
    other = make_runner(tmp_path / 'other', seed=7, speed=True)
    other.encode('image', Frame(IMAGE, drive.now, drive.now))
    other.ingest.share(drive.runner.ingest)
    drive.controller.use(other)
    tick = drive.tick()
    assert tick.mode is Mode.AUTONOMOUS
    assert tick.runner is other
    assert abs(tick.command[0] - before[0]) <= 2.0 * 0.05 + 1e-9
    assert abs(tick.command[1] - before[1]) <= 4.0 * 0.05 + 1e-9


def test_swap_to_other_commands_is_refused(drive: Drive, tmp_path: Path) -> None:
    other = make_runner(tmp_path / 'o', commands=('steering_angle',))
    with pytest.raises(ConfigError, match='restart the node'):
        drive.controller.use(other)
    assert drive.controller.runner is drive.runner


def test_promoted_shadow_drives_and_can_be_put_back(drive: Drive, tmp_path: Path) -> None:
    assert 'no shadow policy' in drive.controller.promote()
    shadow = drive.controller.shadow = make_runner(tmp_path / 'shadow', seed=7, speed=True)
    moving(drive)
    assert drive.controller.promote() == ''
    tick = drive.tick()
    assert tick.runner is shadow
    assert tick.mode is Mode.AUTONOMOUS
    assert drive.controller.promote() == ''
    assert drive.tick().runner is drive.runner


def break_policy(drive: Drive, how: str) -> None:
    """Make the policy in charge fail from the next step on."""
    runner, step = drive.runner, drive.policy.step

    def fail(*inputs: object) -> np.ndarray:
        if how != 'nan':
            raise RuntimeError('device lost')
        return np.full_like(step(*inputs), np.nan)

    if how == 'slow':
        runner._budget_ns = 1.0
    elif how == 'encoder':
        drive.policy.encode = fail
    else:
        drive.policy.step = fail


@pytest.mark.parametrize(
    ('how', 'reason'),
    [
        ('raise', 'device lost'),
        ('nan', 'not finite'),
        ('slow', 'too slow'),
        ('encoder', 'encoder failed: device lost'),
    ],
)
def test_policy_that_fails_stops_without_a_fallback(drive: Drive, how: str, reason: str) -> None:
    moving(drive)
    break_policy(drive, how)
    tick = drive.tick(5)
    assert tick.mode is Mode.SAFE_STOP
    assert reason in tick.reason


@pytest.mark.parametrize('how', ['raise', 'nan', 'slow', 'encoder'])
def test_policy_that_fails_is_replaced_within_the_tick(
    drive: Drive, tmp_path: Path, how: str
) -> None:
    fallback = drive.controller.fallback = make_runner(tmp_path / 'fallback', seed=7, speed=True)
    before = moving(drive).tick().command
    break_policy(drive, how)
    while (tick := drive.tick()).runner is drive.runner:
        assert tick.command is not None
        before = tick.command
    assert tick.runner is fallback
    assert tick.mode is Mode.AUTONOMOUS
    assert tick.action.raw is not None
    assert abs(tick.command[1] - before[1]) <= 4.0 * 0.05 + 1e-9
    assert drive.tick(20).mode is Mode.AUTONOMOUS


def test_fallback_that_fails_too_is_a_safe_stop(drive: Drive, tmp_path: Path) -> None:
    drive.controller.fallback = make_runner(tmp_path / 'fallback', break_='nan')
    moving(drive)
    break_policy(drive, 'raise')
    assert drive.tick(2).mode is Mode.SAFE_STOP


def test_dry_run_refuses_what_leaves_its_contract(tmp_path: Path) -> None:
    for name, bundle in (('wild', {'gain': 50.0}), ('nan', {'break_': 'nan'})):
        drive = Drive(tmp_path / name, **bundle)
        drive.tick()
        with pytest.raises(BundleError, match='refused'):
            drive.runner.dry_run(drive.now)


def test_policy_that_is_slow_on_the_live_observation_is_refused(tmp_path: Path) -> None:
    """Faster than nothing is none: every step is over a budget of a picosecond."""
    drive = Drive(tmp_path)
    drive.sense()
    hasty = PolicyRunner(drive.policy, time_budget=1e-12)
    hasty.sensors = drive.runner.sensors
    with pytest.raises(BundleError, match='a step on the live observation, budget'):
        hasty.dry_run(drive.now)
    drive.runner.dry_run(drive.now)
