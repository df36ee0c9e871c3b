# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""People, clocks and listeners: who is heard, what counts as old, and what the node tells."""

from __future__ import annotations

import itertools
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from liquid_control.msg import ControlMode
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from support.bundles import make_bundle
from support.robots import Robot, Sensors, driven, hears_people, hold, override
from support.ros import Peer, running

# A node whose output goes into a pipe that is full.
UNREAD = """
import os

from liquid_control.nodes.policy.node import main

unread, full = os.pipe()
os.set_blocking(full, False)
try:
    while os.write(full, bytes(4096)):
        pass
except BlockingIOError:
    os.set_blocking(full, True)
os.dup2(full, 1)
os.dup2(full, 2)
main()
"""
START = 1_000_000_000_000  # ns, of simulated time


class SimulatedSensors(Sensors):
    """As the others, on a clock of their own that can be held."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer)
        self._clock = self
        self._out = peer.node.create_publisher(Clock, '/clock', 1)
        self.time_ns, self.pace, self.silent = START, 1.0, True

    def now(self) -> SimulatedSensors:
        """Called once per IMU message: time goes on and is told."""
        self.time_ns += round(self.pace * 10_000_000)
        if not self.silent:
            self._out.publish(Clock(clock=self.to_msg()))
        return self

    def to_msg(self) -> Time:
        return Time(sec=self.time_ns // 10**9, nanosec=self.time_ns % 10**9)


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Robot]:
    peer = Peer()
    policy = make_bundle(tmp_path / 'good')
    options = {'autostart': True, 'use_sim_time': True, 'policy': policy}
    with running('policy_node', tmp_path / 'log', **options) as process:
        robot = Robot(peer, process, SimulatedSensors)
        try:
            yield robot
        finally:
            robot.sensors.stop()
            process.end()
            peer.close()


def test_a_clock_that_stands_still_or_creeps_stops_the_robot_and_people_are_heard(
    simulated: Robot,
) -> None:
    robot, sensors = simulated, simulated.sensors
    robot.wait(lambda: robot.modes, 'the node is active')
    robot.wait(lambda: '/clock' in robot.engage().message, 'no time, no drive')
    sensors.silent = False
    robot.wait(lambda: robot.engage().success, 'time has come')
    assert 'future' not in robot.process.output, 'no stamp is judged without a time'
    for pace in (0.0, 0.0001):
        robot.wait(lambda: robot.engage().success, 'it is engaged')
        robot.wait(lambda: robot.commands and robot.commands[-1].twist.linear.x > 0.2, 'it moves')
        sensors.pace = pace
        stopped = robot.reaches(ControlMode.SAFE_STOP)
        assert stopped.reason == 'clock stopped'
        robot.wait(lambda: robot.commands[-1].twist.linear.x == 0.0, 'standstill')
        assert not robot.engage().success
        hears_people(robot)
        sensors.pace = 1.0
    sensors.time_ns = -START
    hears_people(robot)
    assert robot.process.popen.poll() is None, 'a time before 1970 is none'


def test_an_override_that_is_old_by_its_stamp_or_lay_waiting_is_refused(tmp_path: Path) -> None:
    with driven(tmp_path / 'log', make_bundle(tmp_path / 'good')) as robot:
        robot.wait(lambda: robot.modes, 'the node is active')
        override(robot, 1.0, sec=int(time.time()) - 10)
        robot.wait(lambda: 'old by its stamp' in robot.process.output, 'the refusal')
        assert robot.modes[-1].mode == ControlMode.DISENGAGED
        # One that comes while the whole process stands still is not obeyed when it goes on.
        robot.process.popen.send_signal(signal.SIGSTOP)
        override(robot, 1.0)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            robot.peer.spin(0.05)
        robot.process.popen.send_signal(signal.SIGCONT)
        hold(robot, 0.0, 0.3)
        robot.reaches(ControlMode.MANUAL)
        assert all(each.twist.linear.x == 0.0 for each in robot.commands)
        override(robot, 1.0, sec=int(time.time()) + 3600)
        robot.wait(lambda: robot.commands[-1].twist.linear.x == 1.0, 'a clock may be fast')


def test_mode_is_told_once_a_second_and_agrees_with_the_state(tmp_path: Path) -> None:
    with driven(tmp_path / 'log', make_bundle(tmp_path / 'good')) as robot:
        robot.engaged()
        robot.modes.clear()
        robot.wait(lambda: len(robot.modes) >= 4, 'heartbeats')
        stamps = [each.header.stamp.sec + each.header.stamp.nanosec / 1e9 for each in robot.modes]
        gaps = [after - before for before, after in itertools.pairwise(stamps)]
        assert 0.5 < sum(gaps) / len(gaps) < 2.0
        assert {each.mode for each in robot.modes} == {ControlMode.AUTONOMOUS}
        assert robot.states[-1].mode == ControlMode.AUTONOMOUS


def test_a_node_that_is_not_active_says_so_and_its_sensors_are_its_own(tmp_path: Path) -> None:
    peer = Peer()
    policy = make_bundle(tmp_path / 'good')
    remap = ('-r', 'policy_node:image_raw:=front')
    with running('policy_node', tmp_path / 'log', *remap, policy=policy) as process:
        robot = Robot(peer, process)
        try:
            assert 'not active' in robot.engage().message
            for transition in (
                Transition.TRANSITION_CONFIGURE,
                Transition.TRANSITION_ACTIVATE,
            ):
                request = ChangeState.Request(transition=Transition(id=transition))
                assert peer.call(ChangeState, 'policy_node/change_state', request).success
            # What its state does not allow is refused, and it goes on.
            again = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
            assert not peer.call(ChangeState, 'policy_node/change_state', again).success
            typeless = ParameterMessage(name='policy', value=ParameterValue(type=200))
            nonsense = SetParameters.Request(parameters=[typeless])
            assert not peer.call(SetParameters, 'policy_node/set_parameters', nonsense).results
            robot.wait(lambda: '/front' in topics(peer), 'it subscribes under its own name')
            assert {'/front', '/imu/data', '/cmd_vel_override'} <= topics(peer)
            assert '/image_raw' not in topics(peer)
            names = [name for name in peer.node.get_node_names() if 'policy' in name]
            assert names == ['policy_node']
        finally:
            robot.sensors.stop()
            peer.close()


def topics(peer: Peer) -> set[str]:
    known = peer.node.get_subscriber_names_and_types_by_node('policy_node', '/')
    return {name for name, _ in known}


def test_a_recorder_is_nobody_who_acts(tmp_path: Path) -> None:
    with driven(tmp_path / 'log', make_bundle(tmp_path / 'good')) as robot:
        peer = robot.peer
        recorder = Node('recorder_node', context=peer.context)
        recorder.create_subscription(TwistStamped, 'cmd_vel', lambda message: None, 10)
        robot.engaged()
        robot.wait(lambda: len(robot.commands) > 25, 'the base was noticed')
        peer.node.destroy_subscription(
            next(each for each in peer.node.subscriptions if each.topic_name == '/cmd_vel')
        )
        assert 'nobody listens' in robot.reaches(ControlMode.SAFE_STOP).reason
        recorder.destroy_node()


def test_a_terminal_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    node = tmp_path / 'node.py'
    node.write_text(UNREAD)
    with driven(tmp_path / 'log', make_bundle(tmp_path / 'good'), node) as robot:
        robot.engaged()
        robot.sensors.imu.linear_acceleration.x = math.nan
        robot.reaches(ControlMode.SAFE_STOP)
        robot.wait(lambda: robot.commands[-1].twist.linear.x == 0.0, 'standstill')
        hears_people(robot)
        assert robot.process.interrupt() == 0


def test_a_base_that_is_killed_is_missed_within_seconds(tmp_path: Path) -> None:
    base = subprocess.Popen(
        [
            sys.executable,
            '-c',
            """
import rclpy
from geometry_msgs.msg import TwistStamped
from liquid_control.nodes.common.dds import use_default_profile

use_default_profile()
rclpy.init()
base = rclpy.create_node('base')
base.create_subscription(TwistStamped, 'cmd_vel', lambda message: None, 10)
rclpy.spin(base)
""",
        ]
    )
    try:
        with driven(tmp_path / 'log', make_bundle(tmp_path / 'good')) as robot:
            publisher = 'the base listens'
            count = robot.peer.node.count_subscribers
            robot.wait(lambda: count('cmd_vel') == 2, publisher)
            robot.engaged()
            robot.peer.node.destroy_subscription(
                next(e for e in robot.peer.node.subscriptions if e.topic_name == '/cmd_vel')
            )
            robot.peer.spin(1.0)
            assert robot.modes[-1].mode == ControlMode.AUTONOMOUS, 'the base still listens'
            base.kill()
            killed = time.monotonic()
            reason = robot.reaches(ControlMode.SAFE_STOP).reason
            if 'stands still' in reason:  # of a machine that held all of it up, not of this
                assert robot.engage().success
                robot.reaches(ControlMode.AUTONOMOUS)
                reason = robot.reaches(ControlMode.SAFE_STOP).reason
            assert 'nobody listens' in reason
            took = time.monotonic() - killed
            print(f'missed after {took:.1f} s')
            assert took < 10.0
    finally:
        base.kill()
        base.wait()
