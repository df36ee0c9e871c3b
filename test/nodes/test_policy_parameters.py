# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What may be set on the policy node while it drives, over DDS: all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from liquid_control.msg import ControlMode
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from support.bundles import make_bundle
from support.hostile_bundles import endless, huge, slow, with_load
from support.robots import Robot
from support.ros import Peer, running


@pytest.fixture(scope='module')
def driving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    folder = tmp_path_factory.mktemp('driving')
    bundle = make_bundle(folder / 'bundle')
    peer = Peer()
    parameters = {'policy': bundle, 'polcy': 'x', 'trusted_keys': '[]', 'load_timeout': 10.0}
    with running('policy_node', folder / 'log', autostart=True, **parameters) as process:
        robot = Robot(peer, process)
        try:
            robot.receives()
            yield robot
        finally:
            robot.sensors.stop()
            process.end()
            peer.close()


@pytest.fixture
def robot(driving: Robot) -> Robot:
    driving.wait(lambda: driving.modes, 'the mode')
    if driving.modes[-1].mode != ControlMode.AUTONOMOUS:
        driving.engaged()
    return driving


def set_together(robot: Robot, **values: Any) -> SetParametersResult:
    parameters = [
        Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
    ]
    return robot.peer.call(
        SetParametersAtomically,
        'policy_node/set_parameters_atomically',
        SetParametersAtomically.Request(parameters=parameters),
    ).result


def dump(robot: Robot) -> dict[str, Any]:
    """As `ros2 param dump` reads them."""
    client = AsyncParameterClient(robot.peer.node, 'policy_node')
    robot.wait(client.services_are_ready, 'the parameter services')
    names = client.list_parameters()
    robot.wait(names.done, 'names')
    chosen = sorted(names.result().result.names)
    values = client.get_parameters(chosen)
    robot.wait(values.done, 'values')
    return dict(zip(chosen, map(parameter_value_to_python, values.result().values), strict=True))


@pytest.mark.parametrize(
    ('also', 'reason'),
    [
        ({'control_rate': 50.0}, 'control_rate is read when the node is configured'),
        ({'shadow_policy': 'nonsense'}, "no policy bundle 'nonsense'"),
        ({'use_sim_time': True}, 'use_sim_time is read when the node is configured'),
        ({'polcy': 'x'}, 'there is no parameter polcy, policy may be meant'),
        ({'autostart': False}, 'read-only'),
    ],
)
def test_a_refused_set_changes_nothing(
    robot: Robot, tmp_path: Path, also: dict[str, Any], reason: str
) -> None:
    other = str(make_bundle(tmp_path / 'other', seed=5))
    before = dump(robot)
    for values in ({'policy': other, **also}, {**also, 'policy': other}):
        result = set_together(robot, **values)
        assert not result.successful
        assert reason in result.reason
    assert dump(robot) == before
    assert robot.modes[-1].policy == 'bundle'
    robot.states.clear()
    robot.wait(lambda: len(robot.states) > 3, 'ticks')
    assert {state.policy for state in robot.states} == {'bundle'}


def test_policies_change_together(robot: Robot, tmp_path: Path) -> None:
    names = {
        slot: str(make_bundle(tmp_path / slot, seed=seed))
        for seed, slot in enumerate(['policy', 'shadow_policy', 'fallback_policy'])
    }
    before = dump(robot)
    assert set_together(robot, **names).successful
    robot.wait(lambda: robot.states[-1].policy == 'policy', 'the swap')
    after = dump(robot)
    assert {slot: after[slot] for slot in names} == names
    back = {slot: before[slot] for slot in names}
    assert set_together(robot, **back).successful


def test_a_swap_keeps_the_reason_of_a_stop(robot: Robot, tmp_path: Path) -> None:
    before = dump(robot)['policy']
    robot.sensors.camera_works = False
    reason = robot.reaches(ControlMode.SAFE_STOP).reason
    assert ' old' in reason
    robot.sensors.camera_works = True
    assert robot.set_policy(make_bundle(tmp_path / 'next', seed=7)).successful
    swapped = robot.wait(lambda: robot.modes[-1].policy == 'next' and robot.modes[-1], 'the swap')
    assert (swapped.mode, swapped.reason) == (ControlMode.SAFE_STOP, reason)
    assert robot.set_policy(before).successful


@pytest.mark.parametrize(
    ('load', 'reason'),
    [(endless, 'within 10 s'), (huge, 'more than 1024 MB'), (slow, 'budget 25.0 ms')],
)
def test_the_robot_drives_on_while_a_hostile_policy_is_refused(
    robot: Robot, tmp_path: Path, load: Any, reason: str
) -> None:
    hostile = with_load(tmp_path / 'hostile', load)
    robot.states.clear()
    result = robot.set_policy(hostile)
    assert not result.successful
    assert reason in result.reason
    ticks = [state.tick for state in robot.states]
    assert len(ticks) > 5
    assert {state.policy for state in robot.states} == {'bundle'}


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('name: hostile', 'name: 0x' + 'f' * 5000),
        ('format_version: 2', 'format_version: 2\n"\\uD800": 1'),
        ('control_rate: 20.0', 'control_rate: 1.0e-300'),
        ('max_age: 0.3', 'max_age: 1.0e+300'),
    ],
    ids=['number', 'half a character', 'rate', 'age'],
)
def test_the_robot_drives_on_while_a_hostile_contract_is_refused(
    robot: Robot, tmp_path: Path, old: str, new: str
) -> None:
    contract = make_bundle(tmp_path / 'hostile') / 'policy.yaml'
    text = contract.read_text()
    assert old in text
    contract.write_text(text.replace(old, new))
    result = robot.set_policy(contract.parent)
    assert not result.successful
    assert str(contract.parent) in result.reason
    robot.states.clear()
    robot.wait(lambda: len(robot.states) > 3, 'ticks')


def test_a_dump_is_loaded_again_without_a_failure(driving: Robot, tmp_path: Path) -> None:
    """The very calls of `ros2 param load`, which guesses types from the text."""
    before = dump(driving)
    assert before['trusted_keys'] == before['realtime.cpu_affinity'] == []
    file = tmp_path / 'dump.yaml'
    file.write_text(yaml.safe_dump({'/policy_node': {'ros__parameters': before}}))
    client = AsyncParameterClient(driving.peer.node, 'policy_node')
    driving.wait(client.services_are_ready, 'the parameter services')
    loaded = client.load_parameter_file(str(file))
    driving.wait(loaded.done, 'answers')
    assert [each.reason for each in loaded.result().results if not each.successful] == []
    assert dump(driving) == before


def test_a_name_that_no_parameter_has_is_reported_with_the_one_meant(driving: Robot) -> None:
    assert 'there is no parameter polcy, policy may be meant' in driving.process.output
