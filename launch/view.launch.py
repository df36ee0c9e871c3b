# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""View: a page in the browser that shows the robot, and from which a person drives and stops it.

ros2 launch liquid_control view.launch.py                        # http://localhost:8080
ros2 launch liquid_control view.launch.py host:=0.0.0.0          # for the network, with a token

Beside drive.launch.py, sim.launch.py or replay.launch.py, with the same image_topic and namespace.
"""

from launch import LaunchDescription, LaunchDescriptionEntity

from liquid_control.nodes.common.launching import SHARED, Arguments, Given, describe

ARGUMENTS: Arguments = {
    'host': ('', 'address to serve on; beyond loopback a token is asked for'),
    'port': ('', 'port to serve on'),
    'read_only': ('', 'true: nobody can act'),
    'token_file': ('', 'keeps the tokens; without, there are new ones at every start'),
    'image_topic': ('camera/image_raw', 'camera; its /compressed beside it'),
    'use_sim_time': ('', 'follow /clock: simulator or replayed bag'),
    **SHARED,
}


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return describe(__file__, ARGUMENTS, _nodes)


def _nodes(given: Given) -> list[LaunchDescriptionEntity]:
    return given.node(
        'view_node',
        given.parameters(host=str, port=int, read_only=bool, token_file=str, use_sim_time=bool),
        remappings=[
            ('image_raw', given['image_topic']),
            ('image_raw/compressed', f'{given["image_topic"]}/compressed'),
        ],
    )
