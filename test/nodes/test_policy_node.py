# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The policy node's own process, driven over DDS by a camera and an IMU that can be broken."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from geometry_msgs.msg import Twist, TwistStamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from liquid_control.msg import ControlMode, PolicyComparison
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter as RclpyParameter
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, Imu
from std_srvs.srv import Trigger
from support.bundles import make_bundle
from support.robots import Robot, stamps_and_speeds
from support.ros import Peer, running

from liquid_control.nodes.policy.parameters import PolicyParameters


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[Robot]:
    bundle = make_bundle(tmp_path / 'bundle')
    peer = Peer()
    with running('policy_node', tmp_path / 'log', autostart=True, policy=bundle) as process:
        robot = Robot(peer, process)
        try:
            yield robot
        finally:
            robot.sensors.stop()
            process.end()
            peer.close()


def test_drives_only_when_engaged_at_its_rate_with_little_memory(robot: Robot) -> None:
    robot.wait(lambda: len(robot.states) > 5, 'ticks')
    assert not robot.commands, 'nothing moves before it is engaged'
    robot.engaged()
    robot.states.clear()
    robot.wait(lambda: len(robot.states) >= 60, 'three seconds of driving')
    ticks = [state.tick for state in robot.states]
    stamps = [state.header.stamp.sec + state.header.stamp.nanosec / 1e9 for state in robot.states]
    rate = (ticks[-1] - ticks[0]) / (stamps[-1] - stamps[0])
    assert rate == pytest.approx(20.0, rel=0.04)
    state = robot.states[-1]
    assert list(state.command_names) == ['steering_angle', 'speed']
    assert len(state.neurons) == 8
    assert state.input_values[2] == pytest.approx(9.81)
    twist = robot.commands[-1].twist
    assert abs(twist.angular.z) <= twist.linear.x * np.tan(0.5) / 0.325 + 1e-6
    process = psutil.Process(robot.process.popen.pid)
    assert process.memory_info().rss < 250e6
    assert not any('libtorch' in file.path for file in process.memory_maps())


def test_camera_that_stops_for_a_second_stops_the_car_until_engaged_again(robot: Robot) -> None:
    robot.engaged()
    robot.sensors.camera_works = False
    stop = robot.reaches(ControlMode.SAFE_STOP)
    assert 'image' in stop.reason
    robot.wait(lambda: robot.commands[-1].twist.linear.x == 0.0, 'standstill')
    refusal = robot.engage()
    assert not refusal.success
    assert 'image' in refusal.message
    robot.sensors.camera_works = True
    robot.wait(lambda: len(robot.states[-1].command_raw), 'the camera is back')
    assert robot.modes[-1].mode == ControlMode.SAFE_STOP
    assert robot.commands[-1].twist.linear.x == 0.0
    robot.engaged()


def test_nan_in_the_imu_stops_the_car(robot: Robot) -> None:
    robot.engaged()
    robot.sensors.imu.angular_velocity.z = float('nan')
    assert 'not finite' in robot.reaches(ControlMode.SAFE_STOP).reason
    robot.wait(lambda: robot.commands[-1].twist.linear.x == 0.0, 'standstill')
    assert all(np.isfinite(command.twist.linear.x) for command in robot.commands)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'encoding': 'rgb16'}, 'rgb16'),
        ({'height': 60, 'width': 80, 'step': 240}, 'smaller than the crop'),
        ({'step': 100}, 'step'),
    ],
    ids=['encoding', 'small', 'step'],
)
def test_useless_images_are_refused_with_the_reason(
    robot: Robot, change: dict[str, Any], message: str
) -> None:
    for field, value in change.items():
        setattr(robot.sensors.image, field, value)
    robot.wait(lambda: message in robot.process.output, 'the reason')
    assert not robot.engage().success


def test_a_person_takes_over_and_gives_back(robot: Robot) -> None:
    robot.engaged()
    publisher = robot.peer.node.create_publisher(TwistStamped, 'cmd_vel_override', 1)
    override = TwistStamped()
    override.twist.linear.x, override.twist.angular.z = 0.5, -0.4
    override.twist.linear.y = 0.3
    robot.wait(lambda: publisher.get_subscription_count(), 'the override topic')

    def taken_over() -> bool:
        publisher.publish(override)
        return robot.modes[-1].mode == ControlMode.MANUAL

    robot.wait(taken_over, 'manual mode')
    robot.wait(lambda: robot.commands[-1].twist.linear.x == 0.5, 'the hand drives')
    assert robot.commands[-1].twist.angular.z == pytest.approx(-0.4)
    assert robot.reaches(ControlMode.AUTONOMOUS).reason == 'override ended'
    said = robot.process.output.count('asks for velocity_y, which the policy does not command')
    assert said == 1, 'once'


def test_policy_is_swapped_while_driving_and_bad_ones_are_refused(
    robot: Robot, tmp_path: Path
) -> None:
    robot.engaged()
    for damage in ('hash', 'not onnx', 'version', 'signature'):
        broken = make_bundle(tmp_path / damage.replace(' ', '_'), break_=damage)
        result = robot.set_policy(broken)
        assert not result.successful
        assert str(broken) in result.reason
    assert not robot.set_policy('trakc_cfc').successful
    result = robot.set_policy(make_bundle(tmp_path / 'unseen', speed=True))
    assert 'speed: nothing received' in result.reason, 'it would stop the robot'
    assert robot.modes[-1].mode == ControlMode.AUTONOMOUS
    other = make_bundle(tmp_path / 'other', seed=5)
    robot.states.clear()
    assert robot.set_policy(other).successful
    robot.wait(lambda: robot.states and robot.states[-1].policy == 'other', 'the swap')
    assert robot.modes[-1].mode == ControlMode.AUTONOMOUS
    robot.wait(lambda: robot.commands[-1].twist.linear.x > 0.1, 'it drives on')


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_last_message_of_a_node_that_is_ended_is_a_stop(robot: Robot, signum: int) -> None:
    robot.engaged()
    robot.process.popen.send_signal(signum)
    end = time.monotonic() + 20
    while robot.process.popen.poll() is None and time.monotonic() < end:
        robot.peer.spin()
    for _ in range(20):
        robot.peer.spin(0.02)
    assert robot.process.popen.returncode == 0, robot.process.output
    assert robot.commands[-1].twist.linear.x == 0.0
    speeds = [command.twist.linear.x for command in robot.commands]
    braking = speeds[speeds.index(max(speeds)) :]
    assert len(braking) > 1, 'it brakes, it does not just go'
    assert braking == sorted(braking, reverse=True)


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'policy': '/nowhere'}, 'no policy bundle'),
        ({'robot': 'simulated_cat'}, 'simulated_car'),
        ({'command_type': 'twist_stampd'}, 'twist_stamped'),
        ({'control_rate': -5.0}, 'control_rate'),
        ({'control_rate': 0.1}, 'control_rate must be 0 or within'),
        ({'providers': "['gpu']"}, 'providers'),
        ({'policy': 17}, 'policy'),
        ({'autostart': 'maybe'}, 'autostart'),
        ({'use_sim_time': 'maybe'}, 'use_sim_time'),
    ],
)
def test_wrong_parameter_is_refused_with_its_reason(
    tmp_path: Path, parameters: dict[str, Any], message: str
) -> None:
    parameters = {'autostart': True, 'policy': make_bundle(tmp_path / 'bundle'), **parameters}
    with running('policy_node', tmp_path / 'log', **parameters) as process:
        assert process.popen.wait(30) != 0
        assert message in process.output
        assert 'Traceback' not in process.output


def test_a_thousand_swaps_leak_nothing_and_the_command_stays_continuous(
    robot: Robot, tmp_path: Path
) -> None:
    bundles = [make_bundle(tmp_path / name, seed=seed) for seed, name in enumerate('ab')]
    robot.engaged()
    process = psutil.Process(robot.process.popen.pid)
    settled = threads = 0
    for count in range(1000):
        assert robot.set_policy(bundles[count % 2]).successful, robot.process.output[-1000:]
        if count == 200:  # ONNX Runtime's pools and the allocator have their size
            settled, threads = process.memory_info().rss, process.num_threads()
    growth = process.memory_info().rss - settled
    assert growth < 5e6, f'{growth / 1e6:.1f} MB'
    assert process.num_threads() == threads
    # A starved machine may let a sensor grow old; a swap must never be why it stops.
    stops = [mode.reason for mode in robot.modes if mode.mode == ControlMode.SAFE_STOP]
    assert all(' old' in reason for reason in stops if not reason.startswith('policy:')), stops
    assert {state.policy for state in robot.states} == {'bundle', 'a', 'b'}
    # However late ticks are and whatever is lost on the way: the stamps tell the time between.
    stamps, speeds = stamps_and_speeds(robot.commands)
    changes, times = np.diff(speeds), np.diff(stamps)
    assert (changes <= 3.0 * times + 1e-3).all()
    assert (changes >= -5.0 * times - 1e-3).all()


def test_shadow_compares_and_is_promoted(robot: Robot, tmp_path: Path) -> None:
    shadow = make_bundle(tmp_path / 'shadow', seed=3)
    comparisons = robot.peer.listen(PolicyComparison, 'policy_node/shadow')
    refused = robot.peer.call(Trigger, 'policy_node/promote', Trigger.Request())
    assert not refused.success
    robot.engaged()
    unseen = make_bundle(tmp_path / 'unseen', speed=True)
    assert robot.set_policy(unseen, role='shadow_policy').successful
    refused = robot.peer.call(Trigger, 'policy_node/promote', Trigger.Request())
    assert 'speed: nothing received' in refused.message, 'it would stop the robot'
    assert robot.set_policy(shadow, role='shadow_policy').successful
    robot.wait(lambda: comparisons and comparisons[-1].ticks > 10, 'comparisons')
    seen = comparisons[-1]
    assert (seen.active, seen.shadow) == ('bundle', 'shadow')
    differences = np.abs(np.subtract(seen.active_command, seen.shadow_command))
    assert (differences <= np.array(seen.max_abs_difference) + 1e-6).all()
    assert max(seen.mean_abs_difference) > 0
    assert robot.peer.call(Trigger, 'policy_node/promote', Trigger.Request()).success
    robot.wait(lambda: robot.states[-1].policy == 'shadow', 'the promoted policy drives')
    assert robot.modes[-1].mode == ControlMode.AUTONOMOUS
    robot.wait(lambda: comparisons[-1].shadow == 'bundle', 'the other one watches')


def test_two_nodes_on_one_command_topic_stop(robot: Robot) -> None:
    robot.engaged()
    rival = robot.peer.node.create_publisher(TwistStamped, 'cmd_vel', 1)
    assert 'another node publishes' in robot.reaches(ControlMode.SAFE_STOP).reason
    robot.wait(lambda: robot.commands[-1].twist.linear.x == 0.0, 'standstill')
    assert not robot.engage().success
    robot.peer.node.destroy_publisher(rival)
    robot.wait(lambda: robot.engage().success, 'it is alone again')


def test_losing_the_listener_stops(robot: Robot) -> None:
    # A recorder acts on nothing, and who listens for another type gets nothing.
    recorder, deaf = Peer('a_recorder'), Peer('deaf')
    recorder.listen(TwistStamped, 'cmd_vel')
    deaf.listen(Twist, 'cmd_vel')
    robot.engaged()
    robot.wait(lambda: len(robot.commands) > 15, 'the listener was noticed')
    robot.wait(lambda: robot.peer.node.count_subscribers('cmd_vel') == 3, 'all are there')
    robot.peer.node.destroy_subscription(
        next(each for each in robot.peer.node.subscriptions if each.topic_name == '/cmd_vel')
    )
    assert 'nobody listens' in robot.reaches(ControlMode.SAFE_STOP).reason
    recorder.close()
    deaf.close()


def test_deactivated_while_moving_it_brakes_to_a_stop(robot: Robot) -> None:
    robot.engaged()
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
    assert robot.peer.call(ChangeState, 'policy_node/change_state', request).success
    for _ in range(10):
        robot.peer.spin(0.02)
    assert robot.commands[-1].twist.linear.x == 0.0
    assert robot.modes[-1].mode == ControlMode.DISENGAGED
    count = len(robot.commands)
    for _ in range(20):
        robot.peer.spin(0.02)
    assert len(robot.commands) == count, 'then it is silent'


def test_network_noise_neither_crashes_nor_moves_it(robot: Robot) -> None:
    rng = np.random.default_rng(0)
    image = robot.peer.node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
    imu = robot.peer.node.create_publisher(Imu, 'imu/data', qos_profile_sensor_data)
    robot.engaged()
    good = serialize_message(robot.sensors.imu)
    for _ in range(1000):
        noise = bytearray(good)
        for at in rng.integers(4, len(noise), 8):
            noise[at] = rng.integers(0, 256)
        imu.publish(bytes(noise))
        image.publish(b'\0\1\0\0' + rng.bytes(int(rng.integers(20, 400))))
        robot.peer.spin(0.0)
    assert robot.process.popen.poll() is None
    for command in robot.commands:
        assert 0.0 <= command.twist.linear.x <= 2.5
        assert abs(command.twist.angular.z) <= command.twist.linear.x * np.tan(0.5) / 0.325 + 1e-6


def test_random_parameters_while_driving_neither_stop_nor_loosen_it(
    robot: Robot, tmp_path: Path
) -> None:
    fields = {
        field.metadata['name'] or field.name: field
        for field in dataclasses.fields(PolicyParameters)
    }
    rng = np.random.default_rng(0)
    wild: list[Any] = [
        math.nan,
        math.inf,
        -1.0,
        1e300,
        0.0,
        2**62,
        -1,
        True,
        '',
        '/nowhere',
        'raw',
    ]
    robot.engaged()
    client = robot.peer.node.create_client(SetParameters, 'policy_node/set_parameters')
    robot.wait(client.service_is_ready, 'the parameter service')
    accepted = 0
    for _ in range(300):
        names = rng.choice(sorted(fields), rng.integers(1, 4), replace=False)
        parameters = [
            RclpyParameter(str(name), value=wild[rng.integers(len(wild))]) for name in names
        ]
        request = SetParameters.Request(
            parameters=[each.to_parameter_msg() for each in parameters]
        )
        future = client.call_async(request)
        robot.wait(future.done, 'an answer')
        for parameter, result in zip(parameters, future.result().results, strict=True):
            assert result.successful or result.reason, parameter.name
            accepted += result.successful
            if fields[parameter.name].metadata['fixed'] and result.successful:
                default = fields[parameter.name].default
                assert parameter.value == default, f'{parameter.name} changed while driving'
    assert accepted, 'what a parameter is already may be set again'
    state = robot.peer.call(GetState, 'policy_node/get_state', GetState.Request())
    assert state.current_state.id == State.PRIMARY_STATE_ACTIVE
    for command in robot.commands:
        assert 0.0 <= command.twist.linear.x <= 2.5
        assert abs(command.twist.angular.z) <= command.twist.linear.x * np.tan(0.5) / 0.325 + 1e-6
    assert 'Traceback' not in robot.process.output
    assert robot.set_policy(make_bundle(tmp_path / 'next', seed=2)).successful


def test_a_defect_in_the_control_loop_sends_a_stop_and_ends_the_node(tmp_path: Path) -> None:
    defective = tmp_path / 'defective_node.py'
    defective.write_text(
        """
from liquid_control.nodes.policy import node as policy_node
from liquid_control.runtime.control.controller import Controller

class Defective(Controller):
    count = 0

    def decide(self, thought):
        tick = super().decide(thought)
        self.count += tick.command is not None and tick.command[1] > 0.2
        return tick if self.count < 10 else tick.there_is_no_such_thing

policy_node.Controller = Defective
policy_node.main()
"""
    )
    peer = Peer()
    bundle = make_bundle(tmp_path / 'bundle')
    with running(defective, tmp_path / 'log', autostart=True, policy=bundle) as process:
        robot = Robot(peer, process)
        try:
            robot.receives()
            assert robot.engage().success
            process.popen.wait(30)
            assert 'there_is_no_such_thing' in process.output
            while len(robot.commands) < 10 or robot.commands[-1].twist.linear.x > 0.0:
                peer.spin(1.0)
        finally:
            robot.sensors.stop()
            peer.close()
    assert robot.commands[-1].twist.linear.x == 0.0
