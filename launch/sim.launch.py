# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot that a policy drives, under simulated time.

ros2 launch liquid_control sim.launch.py policy:=track_ltc seed:=102
ros2 launch liquid_control sim.launch.py robot:=quadrotor scene:=winter
ros2 launch liquid_control sim.launch.py robot:=rover difficulty:='movers=0.0 lidar=0.5'
"""

from pathlib import Path

from launch import LaunchDescription, LaunchDescriptionEntity
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from liquid_control.common.assets import policy_of
from liquid_control.nodes.common.launching import SHARED, Arguments, Given, describe

# Passed on to drive.launch.py.
DRIVE: Arguments = {
    'policy': ('', 'policy bundle: a directory, or the name of a shipped one'),
    'record': ('true', 'record the drive'),
    'output_directory': ('', 'where recordings go; {stamp}: the time of now'),
    **SHARED,
}
ARGUMENTS: Arguments = {
    'robot': ('', 'car, quadrotor or rover; a car without it'),
    'seed': ('', 'of the world and its looks'),
    'scene': ('', 'where the quadrotor flies: summer, autumn, winter, desert or town'),
    'difficulty': ('', "strengths of single difficulties, 0 to 1, as in 'movers=0.0 lidar=0.5'"),
    **DRIVE,
}


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return describe(__file__, ARGUMENTS, _nodes)


def _nodes(given: Given) -> list[LaunchDescriptionEntity]:
    robot = given['robot']
    its_own = {'robot': f'simulated_{robot}'} if robot else {}
    if robot and not given['policy']:
        its_own['policy'] = policy_of(robot)
    drive = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name('drive.launch.py'))),
        launch_arguments={
            **its_own,
            **{name: given[name] for name in DRIVE if given[name] or name not in its_own},
            'use_sim_time': 'true',
        }.items(),
    )
    world = {
        **given.parameters(robot=str, seed=int, scene=str),
        **given.strengths('difficulty'),
    }
    return [*given.node('simulator_node', world), drive]
