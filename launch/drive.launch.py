"""Drive: policy node and recorder, brought to active, waiting to be engaged.

ros2 launch liquid_control drive.launch.py policy:=track_cfc
ros2 service call /policy_node/engage std_srvs/srv/SetBool "{data: true}"
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(get_package_share_directory('liquid_control')) / 'config'

ARGUMENTS = {
    'policy': ('track_cfc', 'policy bundle: a directory, or the name of a shipped one'),
    'robot': ('simulated_car', 'robot file with wheelbase and limits: a path, or a shipped name'),
    'params_file': (str(CONFIG / 'policy.yaml'), 'parameters of the policy node'),
    'image_topic': ('/camera/image_raw', 'camera; its /compressed beside it'),
    'imu_topic': ('/imu/data', 'IMU, REP-145'),
    'odom_topic': ('/odom', 'odometry, for policies that want the speed'),
    'cmd_vel_topic': ('/cmd_vel', 'commands to the robot'),
    'record': ('true', 'record every drive for retraining'),
    'output_directory': ('bags/{stamp}', 'where recordings go; {stamp}: the time of now'),
    'use_sim_time': ('false', 'follow /clock: simulator or replayed bag'),
}


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    value = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    use_sim_time = ParameterValue(value['use_sim_time'], value_type=bool)
    policy_node = Node(
        package='liquid_control',
        executable='policy_node',
        name='policy_node',
        output='screen',
        parameters=[
            value['params_file'],
            {
                'autostart': True,
                'policy': ParameterValue(value['policy'], value_type=str),
                'robot': ParameterValue(value['robot'], value_type=str),
                'use_sim_time': use_sim_time,
            },
        ],
        remappings=[
            ('image_raw', value['image_topic']),
            ('image_raw/compressed', [value['image_topic'], '/compressed']),
            ('imu/data', value['imu_topic']),
            ('odom', value['odom_topic']),
            ('cmd_vel', value['cmd_vel_topic']),
        ],
    )
    recorder_node = Node(
        package='liquid_control',
        executable='recorder_node',
        name='recorder_node',
        output='screen',
        condition=IfCondition(value['record']),
        parameters=[
            str(CONFIG / 'recorder.yaml'),
            {
                'autostart': True,
                'output_directory': ParameterValue(value['output_directory'], value_type=str),
                'use_sim_time': use_sim_time,
            },
        ],
    )
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, policy_node, recorder_node])
