# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where a robot is, as its messages tell it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from liquid_control.nodes.policy import pose
from liquid_control.runtime.sensing.observation import Slot

MS = 1_000_000


def test_a_pose_of_px4_grows_old_from_its_arrival_though_a_late_clock_is_granted_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = SimpleNamespace(pose_frame=1, position=[1.0, 2.0, -3.0], q=[1.0, 0.0, 0.0, 0.0])
    inbox = SimpleNamespace(receive=lambda: memoryview(b''), close=lambda: None)
    package = SimpleNamespace(VehicleOdometry=object)
    monkeypatch.setattr(pose.importlib, 'import_module', lambda name: package)
    monkeypatch.setattr(pose, 'Inbox', lambda *_: inbox)
    monkeypatch.setattr(pose, 'deserialize_message', lambda *_: told)
    slot, now = Slot('pose', max_age=0.5), 5000 * MS
    source = pose.PoseInput(
        None, slot, arrival_ns=lambda: now + 1000 * MS, now_ns=lambda: now, px4=True
    )
    source.update()
    assert slot.newest(now + 400 * MS)[2] == ''
    assert 'pose: 0.600 s old' in slot.newest(now + 600 * MS)[2]
