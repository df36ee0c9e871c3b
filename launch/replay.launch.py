# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Replay: a recorded bag played to a policy, under the bag's own time.

    ros2 launch liquid_control replay.launch.py bag:=bags/SESSION/episode_0000 policy:=track_cfc

The policy drives nobody: its commands go to `replayed_cmd_vel`, once it is engaged: by hand, or
with `engage:=true` at the beginning and after every jump of the time.
"""

import json
import os
import subprocess
from pathlib import Path

from ament_index_python.packages import get_package_prefix
from launch import LaunchDescription, LaunchDescriptionEntity

from liquid_control.nodes.common.launching import (
    SHARED,
    Arguments,
    Given,
    LaunchError,
    describe,
    robot_for,
)

ARGUMENTS: Arguments = {
    'bag': (None, 'bag to play'),
    'policy': ('', 'policy bundle: a directory, or the name of a shipped one'),
    'robot': ('', 'robot file: a path, or a name in config/robots; by what the policy commands'),
    'image_topic': ('', 'camera in the bag, raw or compressed; needed where it has several'),
    'imu_topic': ('', 'IMU in the bag; needed where it has several'),
    'odom_topic': ('', 'odometry in the bag; needed where it has several'),
    'topics': ('', 'of other inputs in the bag: scan=/front/scan, several divided by commas'),
    'rate': ('', 'times the speed of the recording'),
    'start': ('', 's to leave out'),
    'end': ('', 's to stop at, 0 for the end of the bag'),
    'loop': ('', 'begin again at the end'),
    'engage': ('false', 'engage the policy as soon as its sensors are alive, whenever it is not'),
    **SHARED,
}  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return describe(__file__, ARGUMENTS, _nodes)


def _nodes(given: Given) -> list[LaunchDescriptionEntity]:
    """The player and the policy node, on the bag's topics."""
    topics = _topics(given)
    images = [found for found in topics.values() if found['encoder'] == 'image']
    compressed = any(found['type'] == 'sensor_msgs/msg/CompressedImage' for found in images)
    player = {
        'bag': os.path.expanduser(given['bag']),
        **given.parameters(rate=float, start=float, end=float, loop=bool),
    }
    if not given.configured('player_node', 'wait_for'):
        # A policy takes seconds to load; without waiting it would miss the first.
        player['wait_for'] = [found['topic'] for found in images[:1] or topics.values()]
    remappings = [
        *((listened, found['topic']) for listened, found in topics.items()),
        ('cmd_vel', 'replayed_cmd_vel'),
    ]
    named = given.configured('policy_node', 'robot', shipped=False)
    robot = '' if named else robot_for(_policy(given))  # the bag need not tell
    policy = {
        'autostart': True,
        **({'robot': f'simulated_{robot}'} if robot else {}),
        **given.parameters(policy=str, robot=str),
        'image_transport': 'compressed' if compressed else 'raw',
        'use_sim_time': True,
    }
    nodes = [
        *given.node('player_node', player),
        *given.node('policy_node', policy, remappings=remappings),
    ]
    if given.flag('engage'):
        nodes += given.node('engager_node', {'use_sim_time': True}, needed=False)
    return nodes


def _topics(given: Given) -> dict[str, dict[str, str]]:
    """What the policy listens to -> the topic in the bag, its type and what encodes it.

    Asked of the command, since this file may run in a Python that cannot read bags.
    """
    command = Path(get_package_prefix('liquid_control'), 'lib/liquid_control/liquid-control')
    named = [f'--{part}-topic={given[f"{part}_topic"]}' for part in ('image', 'imu', 'odom')
             if given[f'{part}_topic']]  # fmt: skip
    named += [f'--topic={pair}' for pair in given['topics'].split(',') if pair]
    bag = os.path.expanduser(given['bag'])
    done = subprocess.run(
        [command, 'bag', 'topics', bag, '--policy', _policy(given), *named],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LaunchError(done.stderr.strip().removeprefix('liquid-control: '))
    return json.loads(done.stdout)


def _policy(given: Given) -> str:
    return given['policy'] or str(given.configured('policy_node', 'policy'))
