"""Replay: a recorded bag played to a policy, under the bag's own time.

    ros2 launch liquid_control replay.launch.py bag:=bags/SESSION/episode_0000 policy:=track_cfc

The policy drives nobody: its commands go to `replayed_cmd_vel`.
"""

from pathlib import Path
from typing import List  # noqa: UP035

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(get_package_share_directory('liquid_control')) / 'config'

STRINGS = List[str]  # noqa: UP006 - launch_ros compares with this one, list[str] is another

ARGUMENTS = {
    'bag': (None, 'bag to play'),
    'policy': ('track_cfc', 'policy bundle: a directory, or the name of a shipped one'),
    'robot': ('simulated_car', 'robot file: a path, or a name in config/robots'),
    'image_topic': ('/camera/image_raw', 'camera in the bag, raw or compressed'),
    'image_transport': ('raw', 'what that camera is: raw or compressed'),
    'imu_topic': ('/imu/data', 'IMU in the bag'),
    'odom_topic': ('/odom', 'odometry in the bag'),
    'rate': ('1.0', 'times the speed of the recording'),
    'start': ('0.0', 's to leave out'),
    'end': ('0.0', 's to stop at, 0 for the end of the bag'),
    'loop': ('false', 'begin again at the end'),
}  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    value = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    player_node = Node(
        package='liquid_control',
        executable='player_node',
        name='player_node',
        output='screen',
        parameters=[
            str(CONFIG / 'player.yaml'),
            {
                'bag': ParameterValue(value['bag'], value_type=str),
                'rate': ParameterValue(value['rate'], value_type=float),
                'start': ParameterValue(value['start'], value_type=float),
                'end': ParameterValue(value['end'], value_type=float),
                'loop': ParameterValue(value['loop'], value_type=bool),
                # A policy takes seconds to load; without waiting it would miss the bag's first.
                'wait_for': ParameterValue(['[', value['image_topic'], ']'], value_type=STRINGS),
            },
        ],
    )
    policy_node = Node(
        package='liquid_control',
        executable='policy_node',
        name='policy_node',
        output='screen',
        parameters=[
            str(CONFIG / 'policy.yaml'),
            {
                'autostart': True,
                'policy': ParameterValue(value['policy'], value_type=str),
                'robot': ParameterValue(value['robot'], value_type=str),
                'image_transport': ParameterValue(value['image_transport'], value_type=str),
                'use_sim_time': True,
            },
        ],
        remappings=[
            ('image_raw', value['image_topic']),
            ('image_raw/compressed', value['image_topic']),
            ('imu/data', value['imu_topic']),
            ('odom', value['odom_topic']),
            ('cmd_vel', 'replayed_cmd_vel'),
        ],
    )
    end_with_the_bag = RegisterEventHandler(
        OnProcessExit(target_action=player_node, on_exit=[EmitEvent(event=Shutdown())])
    )
    arguments = [
        DeclareLaunchArgument(name, description=text)
        if default is None
        else DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, player_node, policy_node, end_with_the_bag])
