# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy node that sees by other sensors than a camera and an IMU, over DDS."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from liquid_control.msg import ControlMode
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState, LaserScan
from std_msgs.msg import Float32MultiArray
from support.bundles import image_spec, make_bundle
from support.robots import Robot, Sensors
from support.ros import Peer, running

from liquid_control.contract.inputs import (
    GoalSpec,
    JointsSpec,
    ScanSpec,
    VectorSpec,
    VelocitySpec,
)

LIMITS = {'rate': 50.0, 'max_age': 0.5}
INPUTS = {
    'destination': GoalSpec(**LIMITS),
    'scan': ScanSpec(**LIMITS, sectors=8, near=0.1, far=5.0, features=4),
    'motion': VelocitySpec(**LIMITS),
    'arm': JointsSpec(**LIMITS, joints=('elbow',)),
    'battery': VectorSpec(**LIMITS, length=1, low=0.0, high=60.0, scale=12.0),
}


class Rover(Sensors):
    """Odometry, scan, joints and a voltage at 50 Hz; any of them can be silenced."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer)
        self.silent: set[str] = set()
        self.odom = Odometry()
        self.odom.header.frame_id = 'odom'
        self.odom.pose.pose.orientation.w = 1.0
        self.odom.twist.twist.linear.x = 0.3
        self.scan = LaserScan(angle_min=-math.pi, angle_increment=math.pi / 18, range_max=8.0)
        self.scan.ranges = [2.0] * 36
        self.joints = JointState(name=['wrist', 'elbow'], position=[0.1, 0.2], velocity=[0.0, 0.5])
        self.battery = Float32MultiArray(data=[11.5])
        messages = {
            'odom': self.odom,
            'scan': self.scan,
            'joint_states': self.joints,
            'battery': self.battery,
        }
        self._messages = {
            topic: (
                peer.node.create_publisher(type(each), topic, qos_profile_sensor_data),
                each,
            )
            for topic, each in messages.items()
        }

    def run(self) -> None:
        while not self._stopping.wait(0.02):
            for topic, (publisher, message) in self._messages.items():
                if hasattr(message, 'header'):
                    message.header.stamp = self._clock.now().to_msg()
                if topic not in self.silent:
                    publisher.publish(message)


def goal(frame: str, x: float) -> PoseStamped:
    message = PoseStamped()
    message.header.frame_id = frame
    message.pose.position.x = x
    return message


def seen(state: Any) -> dict[str, list[float]]:
    """Values of the inputs by name."""
    parts = np.split(np.asarray(state.input_values), np.cumsum(state.input_widths)[:-1])
    return {name: part.tolist() for name, part in zip(state.input_names, parts, strict=True)}


def test_a_policy_drives_by_goal_scan_velocity_joints_and_any_numbers(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / 'rover', inputs=INPUTS, seed=1)
    peer = Peer()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    planner = peer.node.create_publisher(PoseStamped, 'goal_pose', latched)
    planner.publish(goal('map', 4.0))  # before anybody listens
    with running('policy_node', tmp_path / 'log', autostart=True, policy=bundle) as process:
        robot = Robot(peer, process, Rover)
        rover = robot.sensors
        try:
            told = "destination: .*the goal is given in the frame 'map', odometry in 'odom'"
            robot.wait(lambda: 'the goal is given' in process.output, 'the refusal')
            (line,) = {
                line.partition('destination:')[2]
                for line in process.output.splitlines()
                if 'the goal is given' in line
            }
            assert line
            refused = robot.engage()
            assert not refused.success
            assert re.match(told, refused.message), refused.message
            planner.publish(goal('odom', 4.0))
            robot.engaged()
            values = seen(robot.states[-1])
            assert values['destination'] == pytest.approx([4.0, 1.0, 0.0])
            assert values['scan'] == [2.0] * 8
            assert values['motion'] == pytest.approx([0.3, 0, 0, 0, 0, 0])
            assert values['arm'] == pytest.approx([0.2, 0.5])
            assert values['battery'] == [11.5]
            assert robot.states[-1].input_ages[4] < 0.5, 'it counts from its arrival'
            rover.silent.add('odom')
            stop = robot.reaches(ControlMode.SAFE_STOP)
            assert stop.reason.startswith('destination: ')
            assert 'old, limit 0.500 s' in stop.reason
        finally:
            rover.stop()
            process.end()
            peer.close()


class TwoCameras(Sensors):
    """A second camera beside the first, brighter."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer)
        rear = peer.node.create_publisher(Image, 'rear/image_raw', qos_profile_sensor_data)
        self.rear = Image(height=120, width=160, encoding='mono8', step=160)
        self.rear.data = bytes([200]) * (160 * 120)
        self.rear_works = True
        publish = self._camera.publish

        def both(image: Image) -> None:
            publish(image)
            if self.rear_works:
                self.rear.header.stamp = image.header.stamp
                rear.publish(self.rear)

        self._camera.publish = both


def test_each_of_two_cameras_counts(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / 'both', inputs={'image': image_spec(), 'rear': image_spec()})
    peer = Peer()
    with running('policy_node', tmp_path / 'log', autostart=True, policy=bundle) as process:
        robot = Robot(peer, process, TwoCameras)
        try:
            robot.engaged()
            state = robot.states[-1]
            assert list(state.input_names) == ['image', 'rear']
            assert all(stamp.sec > 0 for stamp in state.input_stamps)
            robot.sensors.rear_works = False
            assert robot.reaches(ControlMode.SAFE_STOP).reason.startswith('rear: ')
            assert robot.states[-1].input_ages[0] < 0.3, 'the other one goes on'
        finally:
            robot.sensors.stop()
            process.end()
            peer.close()
