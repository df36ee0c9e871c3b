# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Commands over DDS in every form that a robot takes, and a person's in the same."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped
from liquid_control.msg import ControlMode
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Float64MultiArray
from support.bundles import make_bundle
from support.robots import Robot, driven
from support.ros import Peer

from liquid_control.common.errors import ConfigError
from liquid_control.nodes.policy import commands, px4
from liquid_control.nodes.policy.commands import CommandPort

FLYING = ('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate')


def port(node: Any, command_type: str, names: tuple[str, ...]) -> CommandPort:
    return CommandPort(
        node, command_type=command_type, names=names, wheelbase=0.3, frame_id='base_link'
    )


def linear(message: Any) -> list[float]:
    twist = getattr(message, 'twist', message)
    return [twist.linear.x, twist.linear.y, twist.linear.z, twist.angular.z]


@pytest.mark.parametrize(
    ('command_type', 'message', 'names', 'said'),
    [
        ('twist_stamped', TwistStamped, FLYING, linear),
        ('twist', Twist, FLYING, linear),
        ('float64_multi_array', Float64MultiArray, ('a/position', 'b/position'), None),
    ],
)
def test_what_is_sent_arrives_and_a_person_is_heard_in_the_same_form(
    peer: Peer, command_type: str, message: Any, names: tuple[str, ...], said: Any
) -> None:
    values = tuple(0.1 * (index + 1) for index in range(len(names)))
    sender = port(peer.node, command_type, names)
    received = peer.listen(message, 'cmd_vel')
    peer.wait(lambda: sender.listeners, 'the base listens')
    assert sender.rivals == 0
    sender.publish(values, Time(sec=5))
    told = peer.wait(lambda: received and received[-1], 'a command')
    assert (said(told) if said else list(told.data)) == pytest.approx(values)
    hand = peer.node.create_publisher(message, 'cmd_vel_override', qos_profile_sensor_data)
    peer.wait(hand.get_subscription_count, 'the override topic')

    def heard() -> Any:
        hand.publish(told)
        return sender.take_override()

    override = peer.wait(heard, 'the override')
    assert override.values == pytest.approx(values)
    assert override.stamp_ns == (5_000_000_000 if command_type == 'twist_stamped' else None)
    sender.close()


@pytest.mark.parametrize(
    ('command_type', 'names', 'message'),
    [
        ('ackermann', ('yaw_rate', 'speed'), 'needs the commands steering_angle and speed'),
        ('ackermann', ('steering', 'throttle'), 'cannot tell steering, throttle'),
        ('twist', ('a/position',), 'expected Float64MultiArray'),
        ('twist', ('speed',), 'cannot stand together'),
        ('px4_trajectory_setpoint', FLYING, 'needs the package px4_msgs'),
        ('px4_trajectory_setpoint', ('steering_angle', 'speed'), 'cannot tell'),
    ],
)
def test_commands_that_do_not_fit_the_message_are_refused(
    peer: Peer, command_type: str, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        port(peer.node, command_type, names)


def test_px4_is_told_setpoints_of_the_world_with_a_sign_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With stand-ins for px4_msgs, which is only imported when it is chosen."""
    sent: dict[str, list[Any]] = {}

    class Node:
        def create_publisher(self, kind: Any, topic: str, qos: Any) -> Any:
            sent[topic] = []
            return SimpleNamespace(
                publish=lambda message: sent[topic].append(SimpleNamespace(**vars(message)))
            )

        def create_subscription(self, kind: Any, topic: str, *rest: Any, **more: Any) -> None:
            assert (kind, topic) == (TwistStamped, 'cmd_vel_override'), 'a joystick sends these'

    package = SimpleNamespace(
        TrajectorySetpoint=type('TrajectorySetpoint', (), {}),
        OffboardControlMode=type('OffboardControlMode', (), {}),
    )

    def import_module(name: str) -> Any:
        return package if name == 'px4_msgs.msg' else __import__('geometry_msgs.msg').msg

    monkeypatch.setattr(commands.importlib, 'import_module', import_module)
    monkeypatch.setattr(px4.importlib, 'import_module', import_module)
    sender = port(Node(), 'px4_trajectory_setpoint', FLYING)
    sender.publish((1.0, 0.0, 0.5, 0.2), Time(sec=3, nanosec=4000), yaw=math.pi / 2)
    (setpoint,), (mode,) = sent['cmd_vel'], sent['offboard_control_mode']
    assert setpoint.velocity == pytest.approx([1.0, 0.0, -0.5], abs=1e-9)
    assert setpoint.yawspeed == -0.2
    assert setpoint.timestamp == mode.timestamp == 3_000_004
    assert (mode.velocity, mode.position) == (True, False)
    sender.publish((1.0, 0.0, 0.5, 0.2), Time(sec=4), offboard=False)
    assert sent['offboard_control_mode'][-1].timestamp == 4_000_000
    assert len(sent['cmd_vel']) == 1, 'its controllers would take it in every mode'


class Flight:
    """Odometry of a robot that hovers where it is put."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._publisher = robot.peer.node.create_publisher(
            Odometry, 'odom', qos_profile_sensor_data
        )
        self.message = Odometry()
        self.message.pose.pose.position.z = 2.0
        self.message.pose.pose.orientation.w = 1.0
        robot.peer.node.create_timer(0.02, self._send)

    def _send(self) -> None:
        self.message.header.stamp = self._robot.peer.node.get_clock().now().to_msg()
        self._publisher.publish(self.message)


def test_a_flying_robot_stops_at_its_fence_hovers_and_lands(tmp_path: Path) -> None:
    file = Path(__file__).parents[2] / 'config' / 'robots' / 'px4_quadrotor.yaml'
    text = file.read_text()
    drone = tmp_path / 'drone.yaml'
    for shipped, wanted in (('after: 20.0', 'after: 0.5'), ('offboard: true', 'offboard: false')):
        assert shipped in text
        text = text.replace(shipped, wanted)
    drone.write_text(text)
    bundle = make_bundle(tmp_path / 'bundle', commands=FLYING, image=False)
    with driven(tmp_path / 'log', bundle, robot=drone) as robot:
        robot.receives()
        assert 'pose: nothing received' in robot.engage().message
        flight = Flight(robot)
        robot.wait(lambda: robot.engage().success, 'it knows where it is')
        robot.wait(lambda: robot.commands and any(linear(robot.commands[-1])), 'it flies')
        flight.message.pose.pose.position.x = 16.0
        assert 'fence: 16.0 m from home' in robot.reaches(ControlMode.SAFE_STOP).reason
        robot.wait(lambda: linear(robot.commands[-1]) == [0.0] * 4, 'it hovers')
        robot.wait(lambda: linear(robot.commands[-1]) == [0.0, 0.0, -0.5, 0.0], 'it lands')
        assert 'fence: 16.0' in robot.engage().message
