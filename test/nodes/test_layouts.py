# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Layouts for other people's tools show topics and fields that are there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import support.ros  # noqa: F401  the ROS packages, on a domain of their own
from support.layouts import LAYOUTS, fields, message_class, panels, rviz_types, text

# Of the nodes and the simulated car, by topic; what only other robots have stands last.
TYPES = {
    '/policy_node/state': 'liquid_control/msg/PolicyState',
    '/policy_node/mode': 'liquid_control/msg/ControlMode',
    '/recorder_node/status': 'liquid_control/msg/RecorderStatus',
    '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray',
    '/camera/image_raw': 'sensor_msgs/msg/Image',
    '/odom': 'nav_msgs/msg/Odometry',
    '/scan': 'sensor_msgs/msg/LaserScan',
    '/goal_pose': 'geometry_msgs/msg/PoseStamped',
}


@pytest.mark.parametrize('name', LAYOUTS)
def test_layout_shows_fields_that_our_messages_have(name: str) -> None:
    shown = fields(name)
    assert shown
    for topic, field in shown:
        assert topic in TYPES, f'{name}: nobody publishes {topic}'
        assert has_field(message_class(TYPES[topic]), field), f'{name}: {topic} has no {field}'


def test_rviz_takes_topics_as_what_they_are() -> None:
    assert rviz_types().items() <= TYPES.items()


def test_foxglove_arranges_the_panels_that_it_has() -> None:
    layout = json.loads(text('foxglove.json'))
    assert panels(layout) == layout['configById'].keys()


def test_a_field_that_is_not_there_is_found() -> None:
    state = message_class(TYPES['/policy_node/state'])
    assert not has_field(state, 'comand[0]')
    assert not has_field(state, 'tick[0]')
    assert not has_field(message_class(TYPES['/odom']), 'twist.linear.x')


def has_field(message: Any, path: str) -> bool:
    """Whether a message class has a field, given as `twist.twist.linear.x` or `command[0]`."""
    kinds = message.get_fields_and_field_types()
    name, _, rest = path.partition('.')
    if not name:
        return True
    plain, element, _ = name.partition('[')
    kind = kinds.get(plain, '')
    is_list = re.search(r'sequence<|\[', kind) is not None
    if not kind or bool(element) != is_list:
        return False
    return has_field(message_class(kind), rest) if rest else True
