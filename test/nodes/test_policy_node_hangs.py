# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What never returns, or fails: the real node stops the robot in time, and people are heard."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from liquid_control.msg import ControlMode
from std_srvs.srv import Trigger
from support.bundles import make_bundle
from support.failing_bundles import make_failing
from support.robots import (
    Robot,
    brakes_in_time,
    driven,
    hears_people,
    hold,
    override,
    stamps_and_speeds,
)


def ends(robot: Robot) -> None:
    robot.process.popen.send_signal(signal.SIGTERM)
    end = time.monotonic() + 10.0
    while robot.process.popen.poll() is None:
        robot.peer.spin(0.05)
        assert time.monotonic() < end, 'it hangs'
    robot.peer.spin(0.05)


def test_a_step_that_never_returns_stops_the_robot_and_another_policy_brings_it_back(
    tmp_path: Path,
) -> None:
    policy, good = make_failing(tmp_path / 'hanging', 'hang'), make_bundle(tmp_path / 'good')
    with driven(tmp_path / 'log', policy) as robot:
        robot.engaged()
        since = len(robot.commands) - 1
        robot.sensors.imu.linear_acceleration.x = 9.0
        assert 'has not answered' in robot.reaches(ControlMode.SAFE_STOP).reason
        brakes_in_time(robot, since)
        hears_people(robot)
        refusal = robot.engage()
        assert not refusal.success
        assert 'has not answered' in refusal.message
        robot.sensors.imu.linear_acceleration.x = 0.0
        assert robot.set_policy(good).successful
        robot.wait(lambda: robot.engage().success, 'the new policy has ticked')
        robot.wait(lambda: robot.states[-1].policy == 'good', 'it ticks')
        robot.wait(lambda: robot.commands[-1].twist.linear.x > 0.2, 'it drives again')
        ends(robot)
    assert robot.commands[-1].twist.linear.x == 0.0


def test_the_fallback_stands_ready_after_a_step_that_never_returns(tmp_path: Path) -> None:
    policy, good = make_failing(tmp_path / 'hanging', 'hang'), make_bundle(tmp_path / 'good')
    with driven(tmp_path / 'log', policy, fallback_policy=good) as robot:
        robot.engaged()
        robot.sensors.imu.linear_acceleration.x = 9.0
        robot.reaches(ControlMode.SAFE_STOP)
        robot.wait(lambda: robot.modes[-1].policy == 'good', 'the fallback is in charge')
        robot.sensors.imu.linear_acceleration.x = 0.0
        robot.wait(lambda: robot.engage().success, 'a person lets it drive')
        robot.wait(lambda: robot.commands[-1].twist.linear.x > 0.2, 'it drives')


def test_a_shadow_that_never_returns_costs_nothing_and_cannot_be_promoted(tmp_path: Path) -> None:
    policy, shadow = make_bundle(tmp_path / 'good'), make_failing(tmp_path / 'hanging', 'hang')
    with driven(tmp_path / 'log', policy, shadow_policy=shadow) as robot:
        robot.engaged()
        robot.sensors.imu.linear_acceleration.x = 9.0
        robot.states.clear()
        robot.wait(lambda: len(robot.states) > 40, 'two seconds of driving')
        # A starved machine may let a sensor grow old; a shadow must never be why it stops.
        stops = [each.reason for each in robot.modes if each.mode == ControlMode.SAFE_STOP]
        assert all(' old' in reason for reason in stops), stops
        told = robot.peer.listen(DiagnosticArray, '/diagnostics')
        # More than one cycle in twenty missed, as on a starved machine, is worse and said first.
        robot.wait(
            lambda: (
                any('does not answer' in each.status[0].message for each in told)
                or any('missed' in each.status[0].message for each in told[5:])
            ),
            'its name',
        )
        refusal = robot.peer.call(Trigger, 'policy_node/promote', Trigger.Request())
        assert not refusal.success
        assert 'does not answer' in refusal.message
        ends(robot)


@pytest.mark.parametrize('how', ['encoder raises', 'encoder hangs'])
def test_an_encoder_that_fails_is_named_and_another_policy_brings_it_back(
    tmp_path: Path, how: str
) -> None:
    policy, good = make_failing(tmp_path / 'failing', how), make_bundle(tmp_path / 'good')
    with driven(tmp_path / 'log', policy) as robot:
        robot.engaged()
        dark, robot.sensors.image.data = robot.sensors.image.data, bytes([255]) * 57600
        since = len(robot.commands) - 1
        robot.reaches(ControlMode.SAFE_STOP)
        brakes_in_time(robot, since)
        robot.wait(lambda: 'encoder' in robot.engage().message, 'the reason')
        robot.sensors.image.data = dark
        if how == 'encoder raises':
            robot.wait(lambda: robot.engage().success, 'good frames are enough')
        assert robot.set_policy(good).successful
        robot.wait(lambda: robot.engage().success, 'another policy sees')
        ends(robot)


def test_a_failing_policy_never_takes_the_wheel_from_a_person(tmp_path: Path) -> None:
    with driven(tmp_path / 'log', make_failing(tmp_path / 'failing', 'nan')) as robot:
        robot.engaged()
        robot.sensors.imu.linear_acceleration.x = 9.0
        assert 'not finite' in robot.reaches(ControlMode.SAFE_STOP).reason
        override(robot, 1.0)
        robot.reaches(ControlMode.MANUAL)
        robot.commands.clear()
        robot.modes.clear()
        hold(robot, 1.0, 2.0)
        assert {each.mode for each in robot.modes} == {ControlMode.MANUAL}
        assert {each.twist.linear.x for each in robot.commands} == {1.0}
        assert len(robot.commands) > 20


def test_while_a_parameter_is_being_set_for_ever_people_and_rivals_are_heard(
    tmp_path: Path,
) -> None:
    stuck = tmp_path / 'stuck_node.py'
    stuck.write_text(
        """
import time
from liquid_control.nodes.policy import node as policy_node

class Stuck(policy_node.PolicyNode):
    def _on_parameters(self, changed):
        if any(each.name == 'policy' for each in changed):
            time.sleep(1000)

policy_node.PolicyNode = Stuck
policy_node.main()
"""
    )
    policy = make_bundle(tmp_path / 'good')
    with driven(tmp_path / 'log', policy, stuck) as robot:
        robot.engaged()
        setting = robot.start_setting_policy(tmp_path)
        robot.wait(lambda: len(robot.states) > 5, 'it drives on')
        hears_people(robot)
        robot.wait(lambda: robot.engage().success, 'it can be engaged')
        rival = robot.peer.node.create_publisher(TwistStamped, 'cmd_vel', 1)
        assert 'another node' in robot.reaches(ControlMode.SAFE_STOP).reason
        robot.peer.node.destroy_publisher(rival)
        assert not setting.done()
        ends(robot)
    assert robot.commands[-1].twist.linear.x == 0.0


def test_a_person_who_brakes_is_heard_while_the_node_ends(tmp_path: Path) -> None:
    policy = make_bundle(tmp_path / 'good')
    with driven(tmp_path / 'log', policy, override_timeout=5.0) as robot:
        robot.wait(lambda: robot.modes, 'the node is active')
        override(robot, 2.5)
        robot.wait(lambda: robot.commands and robot.commands[-1].twist.linear.x == 2.5, 'a drive')
        began = len(robot.commands)
        robot.process.popen.send_signal(signal.SIGTERM)
        robot.wait(lambda: robot.commands[-1].twist.linear.x < 2.0, 'it brakes at once')
        override(robot, 0.5)
        robot.wait(lambda: robot.commands[-1].twist.linear.x <= 0.5, 'a person brakes harder')
        robot.wait(lambda: robot.commands[-1].twist.linear.x == 0.0, 'rest')
        robot.peer.wait(lambda: robot.modes[-1].mode == ControlMode.DISENGAGED, 'the end')
    _, speeds = stamps_and_speeds(robot.commands[began:])
    assert (np.diff(speeds) <= 1e-6).all(), 'nothing makes it faster again'
