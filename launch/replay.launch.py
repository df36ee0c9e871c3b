"""Replay: a recorded bag played to a policy, under the bag's own time.

    ros2 launch liquid_control replay.launch.py bag:=bags/SESSION/episode_0000 policy:=track_cfc

The policy drives nobody: its commands go to `replayed_cmd_vel`.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from liquid_control.bags.reader import BagReader
from liquid_control.bags.topics import TopicRoles
from liquid_control.evaluate.topics import choose_topics
from liquid_control.runtime.assets import find_bundle
from liquid_control.runtime.bundle import load_bundle

CONFIG = Path(get_package_share_directory('liquid_control')) / 'config'

ARGUMENTS = {
    'bag': (None, 'bag to play'),
    'policy': ('track_cfc', 'policy bundle: a directory, or the name of a shipped one'),
    'robot': ('simulated_car', 'robot file: a path, or a name in config/robots'),
    'image_topic': ('', 'camera in the bag, raw or compressed; needed where it has several'),
    'imu_topic': ('', 'IMU in the bag; needed where it has several'),
    'odom_topic': ('', 'odometry in the bag; needed where it has several'),
    'rate': ('1.0', 'times the speed of the recording'),
    'start': ('0.0', 's to leave out'),
    'end': ('0.0', 's to stop at, 0 for the end of the bag'),
    'loop': ('false', 'begin again at the end'),
}  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    arguments = [
        DeclareLaunchArgument(name, description=text)
        if default is None
        else DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The player and the policy node, on the bag's topics."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    with BagReader(Path(value['bag'])) as bag:
        types = bag.topics
    topics = _topics(value, types)
    compressed = types.get(topics.image or '') == 'sensor_msgs/msg/CompressedImage'
    parts = {
        'image_raw/compressed' if compressed else 'image_raw': topics.image,
        'imu/data': topics.imu,
        'odom': topics.odom,
    }
    player: dict[str, object] = {
        'bag': value['bag'],
        'rate': float(value['rate']),
        'start': float(value['start']),
        'end': float(value['end']),
        'loop': value['loop'].lower() == 'true',
    }
    if topics.image:  # a policy takes seconds to load; without waiting it would miss the first
        player['wait_for'] = [topics.image]
    player_node = Node(
        package='liquid_control',
        executable='player_node',
        name='player_node',
        output='screen',
        parameters=[str(CONFIG / 'player.yaml'), player],
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
                'policy': value['policy'],
                'robot': value['robot'],
                'image_transport': 'compressed' if compressed else 'raw',
                'use_sim_time': True,
            },
        ],
        remappings=[
            *((name, topic) for name, topic in parts.items() if topic),
            ('cmd_vel', 'replayed_cmd_vel'),
        ],
    )
    end_with_the_bag = RegisterEventHandler(
        OnProcessExit(target_action=player_node, on_exit=[EmitEvent(event=Shutdown())])
    )
    return [player_node, policy_node, end_with_the_bag]


def _topics(value: dict[str, str], types: dict[str, str]) -> TopicRoles:
    """The topics that the policy's inputs come from, by their types where nobody named them."""
    bundle = load_bundle(find_bundle(value['policy']))
    named = {part: value[f'{part}_topic'] or None for part in ('image', 'imu', 'odom')}
    return choose_topics(types, bundle.contract, **named, need_command=False)
