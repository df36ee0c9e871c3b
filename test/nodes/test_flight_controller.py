# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where a robot is and who has it, as a flight controller's messages tell it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.contract.flight_status import FlightStatus
from liquid_control.nodes.policy import flight_status, pose
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


@pytest.mark.parametrize(
    ('px4', 'topic', 'message', 'told'),
    [
        (True, 'vehicle_status', {'arming_state': 2, 'nav_state': 14}, (True, True)),
        (True, 'vehicle_status', {'arming_state': 1, 'nav_state': 14}, (False, True)),
        (True, 'vehicle_status', {'arming_state': 2, 'nav_state': 2}, (True, False)),
        (False, 'state', {'connected': True, 'armed': True, 'mode': 'OFFBOARD'}, (True, True)),
        (False, 'state', {'connected': True, 'armed': True, 'mode': 'POSCTL'}, (True, False)),
        (False, 'state', {'connected': False, 'armed': False, 'mode': ''}, (False, False)),
    ],
)
def test_a_flight_controller_tells_whether_it_is_armed_and_in_offboard(
    monkeypatch: pytest.MonkeyPatch,
    px4: bool,
    topic: str,
    message: dict[str, object],
    told: tuple[bool, bool],
) -> None:
    """With stand-ins for px4_msgs and mavros_msgs, as messages of PX4 1.16 and MAVROS 2."""
    waiting = [b'', None]
    inbox = SimpleNamespace(receive=lambda: waiting.pop(0), close=lambda: None)
    heard: list[FlightStatus] = []
    listened: list[str] = []
    monkeypatch.setattr(flight_status, 'import_type', lambda _: object)
    monkeypatch.setattr(flight_status, 'Inbox', lambda *a: listened.append(a[2]) or inbox)
    monkeypatch.setattr(
        flight_status, 'deserialize_message', lambda *_: SimpleNamespace(**message)
    )
    source = flight_status.FlightStatusInput(None, heard.append, px4=px4)
    source.update()
    source.update()
    assert (listened, heard) == ([topic], [FlightStatus(*told)])


def test_without_the_messages_of_mavros_it_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r'needs the package mavros_msgs: apt-get install'):
        flight_status.FlightStatusInput(None, print, px4=False)
