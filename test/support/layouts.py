# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the layouts in config/layouts show: topics, and fields of their messages."""

from __future__ import annotations

import importlib
import json
import re
import xml.etree.ElementTree as Xml
from typing import Any

import yaml

from liquid_control.common.assets import config_file

LAYOUTS = ('foxglove.json', 'plotjuggler.xml', 'rviz.rviz')
_RVIZ_TYPES = {
    'Odometry': 'nav_msgs/msg/Odometry',
    'Image': 'sensor_msgs/msg/Image',
    'LaserScan': 'sensor_msgs/msg/LaserScan',
    'Pose': 'geometry_msgs/msg/PoseStamped',
    'SetGoal': 'geometry_msgs/msg/PoseStamped',
}


def text(name: str) -> str:
    """A layout's text."""
    return config_file(f'layouts/{name}').read_text()


def fields(name: str) -> set[tuple[str, str]]:
    """Topics and fields (`twist.twist.linear.x`, `command[0]`); '' for the whole message."""
    if name.endswith('.json'):
        return {_split(path) for path in _foxglove(json.loads(text(name)))}
    if name.endswith('.xml'):
        root = Xml.fromstring(text(name))
        curves = {_plotjuggler(curve.attrib['name']) for curve in root.iter('curve')}
        return curves | {(topic.attrib['name'], '') for topic in root.iter('topic')}
    return {(topic, '') for topic in rviz_types()}


def rviz_types() -> dict[str, str]:
    """Types of messages that the displays of RViz take, by topic."""
    manager = yaml.safe_load(text('rviz.rviz'))['Visualization Manager']
    shown = [each for each in (*manager['Displays'], *manager['Tools']) if 'Topic' in each]
    return {each['Topic']['Value']: _RVIZ_TYPES[each['Class'].split('/')[1]] for each in shown}


def _foxglove(layout: dict[str, Any]) -> set[str]:
    paths = set()
    for panel in layout['configById'].values():
        paths |= {path['value'] for path in panel.get('paths', ())}
        paths |= {panel[key] for key in ('topicPath', 'topicToRender') if key in panel}
        if 'imageMode' in panel:
            paths.add(panel['imageMode']['imageTopic'])
    return paths


def _split(path: str) -> tuple[str, str]:
    topic, _, field = path.partition('.')
    return topic, field


def _plotjuggler(curve: str) -> tuple[str, str]:
    """The topic is the longest part that is one; fields are parted by slashes too."""
    found = re.match(r'(/policy_node/(?:state|mode)|/odom)/(.*)', curve)
    assert found, curve
    return found[1], found[2].replace('/', '.')


def message_class(name: str) -> Any:
    """Of `nav_msgs/msg/Odometry`, or `nav_msgs/Odometry` as fields call it."""
    parts = name.split('/')
    return getattr(importlib.import_module(f'{parts[0]}.msg'), parts[-1])


def panels(layout: dict[str, Any]) -> set[str]:
    """Panels that the arrangement of a Foxglove layout names."""

    def walk(part: Any) -> set[str]:
        return {part} if isinstance(part, str) else walk(part['first']) | walk(part['second'])

    return walk(layout['layout'])
