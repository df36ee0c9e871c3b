"""The simulated car with a policy at the wheel, under simulated time.

ros2 launch liquid_control sim.launch.py policy:=track_ltc seed:=102
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory('liquid_control'))

ARGUMENTS = {
    'policy': ('track_cfc', 'policy bundle: a directory, or the name of a shipped one'),
    'seed': ('101', 'of the track and its looks'),
    'record': ('true', 'record the drive'),
}


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    simulator = Node(
        package='liquid_control',
        executable='simulator_node',
        name='simulator_node',
        output='screen',
        parameters=[
            str(SHARE / 'config' / 'simulator.yaml'),
            {'seed': ParameterValue(LaunchConfiguration('seed'), value_type=int)},
        ],
    )
    drive = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'drive.launch.py')),
        launch_arguments={
            'policy': LaunchConfiguration('policy'),
            'record': LaunchConfiguration('record'),
            'use_sim_time': 'true',
        }.items(),
    )
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, (default, text) in ARGUMENTS.items()
            ),
            simulator,
            drive,
        ]
    )
