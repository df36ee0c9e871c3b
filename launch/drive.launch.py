# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Drive: policy node and recorder, brought to active, waiting to be engaged.

ros2 launch liquid_control drive.launch.py policy:=track_cfc
ros2 service call /policy_node/engage std_srvs/srv/SetBool "{data: true}"

Topic names are relative: in a namespace (`namespace:=car1`, or PushRosNamespace around this file)
they are that car's.
"""

from launch import LaunchDescription, LaunchDescriptionEntity

from liquid_control.nodes.common.launching import SHARED, Arguments, Given, describe

ARGUMENTS: Arguments = {
    'policy': ('', 'policy bundle: a directory, or the name of a shipped one'),
    'robot': ('', 'robot file with wheelbase and limits: a path, or a shipped name'),
    'image_topic': ('camera/image_raw', 'camera; its /compressed beside it'),
    'imu_topic': ('imu/data', 'IMU, REP-145'),
    'odom_topic': ('odom', 'odometry, for policies that want speed, velocity or a goal'),
    'remap': ('', "further topics, as in 'scan:=front/scan goal_pose:=/goal_pose'"),
    'cmd_vel_topic': ('cmd_vel', 'commands to the robot'),
    'record': ('true', 'record every drive for retraining'),
    'output_directory': ('', 'where recordings go; {stamp}: the time of now'),
    'use_sim_time': ('', 'follow /clock: simulator or replayed bag'),
    **SHARED,
}


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return describe(__file__, ARGUMENTS, _nodes)


def _nodes(given: Given) -> list[LaunchDescriptionEntity]:
    nodes = given.node(
        'policy_node',
        {'autostart': True, **given.parameters(policy=str, robot=str, use_sim_time=bool)},
        remappings=[
            ('image_raw', given['image_topic']),
            ('image_raw/compressed', f'{given["image_topic"]}/compressed'),
            ('imu/data', given['imu_topic']),
            ('odom', given['odom_topic']),
            ('cmd_vel', given['cmd_vel_topic']),
            *given.remappings('remap'),
        ],
    )
    if given.flag('record'):
        nodes += given.node(
            'recorder_node',
            {'autostart': True, **given.parameters(output_directory=str, use_sim_time=bool)},
            needed=False,  # a car that drives does not stop because nobody takes notes
        )
    return nodes
