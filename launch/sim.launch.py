# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot that a policy drives, under simulated time.

ros2 launch liquid_control sim.launch.py policy:=track_ltc seed:=102
ros2 launch liquid_control sim.launch.py policy:=/path/to/my_rover
ros2 launch liquid_control sim.launch.py robot:=quadrotor scene:=winter
ros2 launch liquid_control sim.launch.py robot:=rover difficulty:='movers=0.0 lidar=0.5'
"""

from pathlib import Path

from launch import LaunchDescription, LaunchDescriptionEntity
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from liquid_control.common.assets import SIMULATED, policy_of
from liquid_control.common.errors import ConfigError
from liquid_control.nodes.common.launching import SHARED, Arguments, Given, describe, robot_for

# Passed on to drive.launch.py.
DRIVE: Arguments = {
    'policy': ('', 'policy bundle: a directory, or the name of a shipped one'),
    'record': ('true', 'record the drive'),
    'output_directory': ('', 'where recordings go; {stamp}: the time of now'),
    **SHARED,
}
ARGUMENTS: Arguments = {
    'robot': ('', 'car, quadrotor or rover; without it what the policy commands, or a car'),
    'seed': ('', 'of the world and its looks'),
    'scene': ('', 'where the quadrotor flies: summer, autumn, winter, desert or town'),
    'difficulty': ('', "strengths of single difficulties, 0 to 1, as in 'movers=0.0 lidar=0.5'"),
    **DRIVE,
}


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return describe(__file__, ARGUMENTS, _nodes)


def _nodes(given: Given) -> list[LaunchDescriptionEntity]:
    policy = given['policy'] or given.configured('policy_node', 'policy', shipped=False)
    robot = _robot(given, policy)
    its_own = {}
    if given['robot'] or not given.configured('policy_node', 'robot', shipped=False):
        its_own['robot'] = f'simulated_{robot}'
    if not policy:
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
        'robot': robot,
        **given.parameters(seed=int, scene=str),
        **given.strengths('difficulty'),
    }
    return [*given.node('simulator_node', world), drive]


def _robot(given: Given, policy: str | None) -> str:
    """The robot that is named, or else the one that the named policy commands.

    Raises:
        ConfigError: they do not go together, or no robot takes what the policy commands.
    """
    named = given['robot'] or given.configured('simulator_node', 'robot', shipped=False)
    if named:
        policy_of(named)  # there is such a robot
    if not policy:
        return named or str(given.configured('simulator_node', 'robot'))
    commanded = robot_for(policy)
    if named and commanded not in ('', named):
        raise ConfigError(
            f'the robot is the {named}, policy {policy} commands the {commanded}: leave robot '
            'out, or name a policy of that robot'
        )
    if not (named or commanded):
        raise ConfigError(
            f'policy {policy} commands none of the simulated robots: name one of '
            f'{", ".join(SIMULATED)} (robot:=...), or another policy'
        )
    return named or commanded
