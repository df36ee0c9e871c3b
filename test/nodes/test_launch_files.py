# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Launch files: what was given counts, what was not is as the parameter file says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import (
    launches,
    ros,  # noqa: F401  a ROS domain of its own
)
from support import recordings as rec
from support.bundles import make_bundle
from support.launches import launch

from liquid_control.common.errors import ConfigError, LiquidControlError
from liquid_control.nodes.common.launching import LaunchError

NODES = {
    'drive': {'policy_node', 'recorder_node'},
    'sim': {'simulator_node', 'policy_node', 'recorder_node'},
    'replay': {'player_node', 'policy_node'},
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory with a recording and a policy."""
    folder = tmp_path_factory.mktemp('home')
    rec.write_bag(folder / 'bag', rec.drive_entries(1.0))
    make_bundle(folder / 'mine')
    return folder


@pytest.fixture(autouse=True)
def _at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv('HOME', str(folder))


def params_file(**nodes: dict[str, object]) -> str:
    """A parameter file, relative to the current directory."""
    lines = []
    for node, values in nodes.items():
        lines += [f'{node}:', '  ros__parameters:']
        lines += [f'    {name}: {value}' for name, value in values.items()]
    Path('my.yaml').write_text('\n'.join(lines) + '\n')
    return 'my.yaml'


def arguments(name: str) -> dict[str, str]:
    """Those that a launch file must be given."""
    return {'bag': 'bag'} if name == 'replay' else {}


@pytest.mark.parametrize('name', NODES)
def test_without_arguments_every_node_is_as_shipped(name: str) -> None:
    nodes = launch(name, **arguments(name))
    assert nodes.keys() == NODES[name]
    policy = nodes['policy_node'].parameters
    assert (policy['policy'], policy['robot']) == ('track_cfc', 'simulated_car')
    assert policy['autostart'] is True
    assert policy.get('use_sim_time', False) is (name != 'drive')


def test_view_takes_its_arguments_and_shows_the_camera_of_the_drive() -> None:
    file = params_file(view_node={'port': 9000, 'image_rate': 5.0})
    view = launch('view', params_file=file, host='0.0.0.0', read_only='true')['view_node']
    expected = {'port': 9000, 'image_rate': 5.0, 'host': '0.0.0.0', 'read_only': True}
    assert expected.items() <= view.parameters.items()
    assert view.remappings['image_raw'] == launch('drive')['policy_node'].remappings['image_raw']


def test_a_simulated_robot_comes_with_its_policy_and_its_limits() -> None:
    nodes = launch('sim', robot='quadrotor')
    assert nodes['simulator_node'].parameters['robot'] == 'quadrotor'
    policy = nodes['policy_node'].parameters
    assert (policy['policy'], policy['robot']) == ('quadrotor_cfc', 'simulated_quadrotor')
    file = params_file(simulator_node={'robot': 'rover'})
    policy = launch('sim', params_file=file)['policy_node'].parameters
    assert (policy['policy'], policy['robot']) == ('rover_cfc', 'simulated_rover')


def test_a_policy_comes_with_its_simulated_robot(folder: Path) -> None:
    make_bundle(folder / 'my_rover', commands=('velocity_x', 'yaw_rate'))
    file = params_file(policy_node={'policy': 'my_rover'})
    for given in ({'policy': 'my_rover'}, {'params_file': file}):
        nodes = launch('sim', **given)
        assert nodes['simulator_node'].parameters['robot'] == 'rover'
        policy = nodes['policy_node'].parameters
        assert (policy['policy'], policy['robot']) == ('my_rover', 'simulated_rover')
    assert launch('sim', policy='mine')['simulator_node'].parameters['robot'] == 'car'
    make_bundle(folder / 'arm', commands=('elbow/position',))
    assert launch('sim', policy='arm', robot='car')['simulator_node'].parameters['robot'] == 'car'
    (folder / 'broken').mkdir()
    (folder / 'broken' / 'policy.yaml').write_text('commands: none')
    for given, wrong in (
        ({'policy': 'mine', 'robot': 'quadrotor'}, 'is the quadrotor, policy mine commands the c'),
        ({'params_file': file, 'robot': 'car'}, 'is the car, policy my_rover commands the rover'),
        ({'policy': 'arm'}, 'arm commands none of the simulated robots: name one of car, quadr'),
        (
            {'policy': 'mine', 'robot': 'bike'},
            'must be one of car, quadrotor, rover, found',
        ),
        ({'policy': 'broken'}, 'does not say what the policy commands'),
    ):
        with pytest.raises(LiquidControlError, match=wrong):
            launch('sim', **given)


def test_a_simulated_world_is_chosen_by_scene_and_strengths() -> None:
    file = params_file(simulator_node={'scene': 'desert', 'difficulty': '[wind=0.5]'})
    world = launch('sim', params_file=file, difficulty='wind=0.0  light=1')['simulator_node']
    assert (world.parameters['scene'], world.parameters['difficulty']) == (
        'desert',
        ['wind=0.0', 'light=1'],
    )
    assert launch('sim', scene='winter')['simulator_node'].parameters['scene'] == 'winter'
    for wrong in ('wind', '=1', 'wind=strong', 'wind=2', 'wind=nan'):
        with pytest.raises(ConfigError, match=f"strengths of 0 to 1 such as .* found '{wrong}'"):
            launch('sim', difficulty=f'light=1 {wrong}')


def test_launch_files_run_in_a_python_that_has_only_system_packages() -> None:
    """That of `ros2 launch`, where the nodes have a virtual environment."""
    missing = 'cv2 lz4 matplotlib mcap mujoco onnxruntime rich rosbags torch typer zstandard'
    program = (
        f'import sys; sys.path.insert(0, {str(Path(launches.__file__).parent)!r}); '
        f'sys.modules.update(dict.fromkeys({missing.split()})); '
        'from launches import launch; '
        'print(*sorted({*launch("sim"), *launch("replay", bag="bag")}))'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == sorted(NODES['sim'] | NODES['replay']), done.stderr


@pytest.mark.parametrize('name', NODES)
def test_parameter_file_reaches_every_node_and_is_not_overridden(name: str) -> None:
    file = params_file(
        policy_node={'policy': 'track_ltc', 'robot': 'donkeycar', 'control_rate': 25.0},
        recorder_node={'output_directory': 'elsewhere', 'split_size': 7},
        simulator_node={'seed': 103},
        player_node={'rate': 3.0, 'loop': 'true'},
    )
    nodes = launch(name, params_file=file, **arguments(name))
    expected = {
        'policy_node': {'policy': 'track_ltc', 'robot': 'donkeycar', 'control_rate': 25.0},
        'recorder_node': {'output_directory': 'elsewhere', 'split_size': 7},
        'simulator_node': {'seed': 103},
        'player_node': {'rate': 3.0, 'loop': True, 'clock_rate': 200.0},
    }
    for node in NODES[name]:
        assert expected[node].items() <= nodes[node].parameters.items()


def test_argument_that_was_given_counts_more_than_the_file() -> None:
    file = params_file(
        **{'/**': {'use_sim_time': 'true', 'policy': 'track_ltc'}},
        policy_node={'policy': 'track_ltc', 'robot': 'donkeycar', 'use_sim_time': 'true'},
    )
    nodes = launch('drive', params_file=file, policy='2024', use_sim_time='False')
    policy = nodes['policy_node'].parameters
    assert (policy['policy'], policy['robot']) == ('2024', 'donkeycar')
    assert policy['use_sim_time'] is False
    assert nodes['recorder_node'].parameters['use_sim_time'] is False


def test_simulation_and_replay_follow_their_clock_whatever_the_file_says() -> None:
    file = params_file(**{'/**': {'use_sim_time': 'false'}})
    for name in ('sim', 'replay'):
        nodes = launch(name, params_file=file, **arguments(name))
        assert nodes['policy_node'].parameters['use_sim_time'] is True


@pytest.mark.parametrize('name', NODES)
@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'params_file': 'nowhere.yaml'}, 'nowhere.yaml cannot be read: No such file'),
        ({'params_file': 'bag/metadata.yaml'}, 'expected the name of a node'),
        ({'params_file': 'other.yaml'}, 'sections for /policy, none of which is for any of'),
        ({'respawn': 'perhaps'}, "respawn must be true or false, found 'perhaps'"),
    ],
)
def test_mistake_ends_the_launch_with_its_reason(
    name: str, given: dict[str, str], message: str
) -> None:
    Path('other.yaml').write_text('policy:\n  ros__parameters:\n    policy: track_ltc\n')
    with pytest.raises(ConfigError, match=message):
        launch(name, **arguments(name), **given)


def test_further_topics_are_remapped_as_they_are_typed() -> None:
    nodes = launch('drive', remap='scan:=front/scan goal_pose:=/goal')
    found = nodes['policy_node'].remappings
    assert (found['scan'], found['goal_pose']) == ('front/scan', '/goal')
    with pytest.raises(ConfigError, match='remap: expected names such as'):
        launch('drive', remap='scan=')


def test_mistyped_argument_is_refused_where_this_file_was_launched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed = ('polcy:=track_ltc', 'cars:=2')
    launch('drive', argv=typed)  # included by another launch file, whose arguments these may be
    monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', 'liquid_control', 'drive.launch.py'])
    with pytest.raises(ConfigError, match="no launch argument 'polcy'"):
        launch('drive', argv=typed)


def test_tilde_is_the_home_directory() -> None:
    params_file(policy_node={'robot': 'donkeycar'})
    nodes = launch('replay', params_file='~/my.yaml', bag='~/bag', policy='~/mine')
    assert nodes['policy_node'].parameters['robot'] == 'donkeycar'
    assert nodes['player_node'].parameters['bag'] == str(Path('bag').absolute())


@pytest.mark.parametrize(
    ('around', 'given', 'expected'),
    [
        ('', '', ''),
        ('', 'car1', '/car1'),
        ('/car1', '', '/car1'),
        ('/fleet', 'car1', '/fleet/car1'),
        # An outer launch file with an argument of that name pushes it and passes it on.
        ('/car1', 'car1', '/car1'),
    ],
)
def test_cars_in_namespaces_share_nothing(around: str, given: str, expected: str) -> None:
    nodes = launch('sim', around=around, namespace=given)
    for executable, node in nodes.items():
        assert node.name == f'{expected}/{executable}'
        assert not [topic for topic in node.remappings.values() if topic.startswith('/')]


def test_section_for_a_node_in_a_namespace_is_its_own() -> None:
    file = params_file(**{'/car1/policy_node': {'policy': 'track_ltc'}})
    nodes = launch('drive', around='/car1', params_file=file)
    assert nodes['policy_node'].parameters['policy'] == 'track_ltc'
    with pytest.raises(ConfigError, match='none of which is for any of /car2/policy_node'):
        launch('drive', around='/car2', params_file=file)


def test_replay_takes_the_policy_of_the_file_and_the_topics_of_the_bag() -> None:
    file = params_file(policy_node={'policy': Path('mine').absolute()})
    nodes = launch('replay', params_file=file, bag='bag', engage='true')
    assert nodes.keys() == NODES['replay'] | {'engager_node'}
    image = nodes['policy_node'].remappings['image_raw']
    assert nodes['player_node'].parameters['wait_for'] == [image]
    assert nodes['policy_node'].remappings['cmd_vel'] == 'replayed_cmd_vel'


def test_replay_without_a_camera_has_the_robot_of_the_policy_and_waits_for_it() -> None:
    stamp = rec.START_NS
    entries = [rec.Entry(stamp, '/scan', {}), rec.Entry(stamp, '/goal_pose', {})]
    types = {'scan': 'sensor_msgs/msg/LaserScan', 'goal_pose': 'geometry_msgs/msg/PoseStamped'}
    rec.write_bag(Path('rooms'), [*entries, rec.odom_entry(stamp)], **types)
    nodes = launch('replay', bag='rooms', policy='rover_cfc')
    assert nodes['policy_node'].parameters['robot'] == 'simulated_rover'
    waited_for = nodes['player_node'].parameters['wait_for']
    assert sorted(waited_for) == ['/goal_pose', '/odom', '/scan']
    file = params_file(policy_node={'robot': 'turtlebot4'})
    nodes = launch('replay', bag='rooms', policy='rover_cfc', params_file=file)
    assert nodes['policy_node'].parameters['robot'] == 'turtlebot4'


@pytest.mark.parametrize(
    ('given', 'message'),
    [({'policy': 'track_ltd'}, "no policy bundle 'track_ltd'"), ({'bag': 'bga'}, 'bga')],
)
def test_replay_of_what_is_not_there_ends_with_the_reason(
    given: dict[str, str], message: str
) -> None:
    with pytest.raises(LaunchError, match=message):
        launch('replay', **{'bag': 'bag', **given})


@pytest.mark.parametrize(
    ('name', 'node'),
    [
        ('drive', 'policy_node'),
        ('sim', 'policy_node'),
        ('sim', 'simulator_node'),
        ('replay', 'policy_node'),
        ('replay', 'player_node'),
    ],
)
def test_launch_ends_with_a_node_that_it_needs(name: str, node: str) -> None:
    launched = launch(name, **arguments(name))[node]
    with pytest.raises(LaunchError, match=f'{node} ended with exit status 1'):
        launched.end(1)
    (shutdown,) = launched.end(0)
    assert node in shutdown.event.reason
    assert not launched.end(1, shutting_down=True)


def test_node_that_is_to_respawn_does_not_end_the_launch() -> None:
    for node in launch('sim', respawn='true').values():
        assert node.respawn
        assert not node.end(1)
