# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Roles of policies change between two ticks, never within one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.runners import Drive, make_runner

from liquid_control.nodes.policy.parameters import PolicyParameters
from liquid_control.nodes.policy.policies import SLOTS, Policies
from liquid_control.runtime.inference.trial import Trials


@pytest.mark.parametrize('slot', ['shadow_policy', 'fallback_policy'])
def test_a_role_is_emptied_only_between_two_ticks(tmp_path: Path, slot: str) -> None:
    drive, lock = Drive(tmp_path), threading.Lock()
    runner = make_runner(tmp_path / 'second')
    setattr(drive.controller, SLOTS[slot], runner)
    parameters = PolicyParameters(policy=drive.runner.name, **{slot: runner.name})
    policies = Policies(
        drive.controller,
        parameters,
        trials=Trials(),
        lock=lock,
        now_ns=lambda: drive.now,
        warn=lambda text: None,
    )
    setting = threading.Thread(target=policies.assign, args=({slot: ''},))
    with lock:  # as the control thread has it while it ticks
        setting.start()
        setting.join(0.2)
        assert getattr(drive.controller, SLOTS[slot]) is runner
    setting.join()
    assert getattr(drive.controller, SLOTS[slot]) is None
