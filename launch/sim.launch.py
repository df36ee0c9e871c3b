"""The simulated car with a policy at the wheel, under simulated time.

ros2 launch liquid_control sim.launch.py policy:=track_ltc seed:=102
"""

from pathlib import Path

from launch import LaunchDescription, LaunchDescriptionEntity
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from liquid_control.nodes.common.launching import SHARED, Arguments, Given, describe

# Passed on to drive.launch.py.
DRIVE: Arguments = {
    'policy': ('', 'policy bundle: a directory, or the name of a shipped one'),
    'robot': ('', 'robot file with wheelbase and limits: a path, or a shipped name'),
    'record': ('true', 'record the drive'),
    'output_directory': ('', 'where recordings go; {stamp}: the time of now'),
    **SHARED,
}
ARGUMENTS: Arguments = {'seed': ('', 'of the track and its looks'), **DRIVE}


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return describe(__file__, ARGUMENTS, _nodes)


def _nodes(given: Given) -> list[LaunchDescriptionEntity]:
    drive = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name('drive.launch.py'))),
        launch_arguments={
            **{name: given[name] for name in DRIVE},
            'use_sim_time': 'true',
        }.items(),
    )
    return [*given.node('simulator_node', given.parameters(seed=int)), drive]
