# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Each robot's own messages in, as its driver sends them; commands that its base takes out.

Types, frames, rates, quality of service and sizes are those of the drivers' sources: Create 3 and
RPLIDAR of a TurtleBot 4, VESC and Hokuyo of an F1TENTH car, a Donkeycar's camera, MAVROS of a PX4
multicopter, mecanum controller and scanner of an omnidirectional base.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Imu, LaserScan
from support.bundles import image_spec, make_bundle
from support.robots import Robot
from support.ros import Peer, running

from liquid_control.contract.inputs import (
    GoalSpec,
    ImuSpec,
    InputSpec,
    ScanSpec,
    SpeedSpec,
    VelocitySpec,
)
from liquid_control.contract.robot import Robot as RobotFile

FOLDER = Path(__file__).parents[2] / 'config' / 'robots'
RELIABLE = 10


class Source(NamedTuple):
    """One topic of a driver."""

    topic: str
    message: Any
    rate: float
    qos: Any = qos_profile_sensor_data


class Driver(threading.Thread):
    """Publishes what a robot's drivers do, each at its rate."""

    def __init__(self, peer: Peer, sources: list[Source]) -> None:
        super().__init__(daemon=True)
        node = peer.node
        self._clock = node.get_clock()
        self._sources = [
            (source, node.create_publisher(type(source.message), source.topic, source.qos))
            for source in sources
        ]
        self._stopping = threading.Event()

    def run(self) -> None:
        step = 0
        while not self._stopping.wait(0.005):
            step += 1
            for source, publisher in self._sources:
                if step % max(round(200 / source.rate), 1) == 0:
                    source.message.header.stamp = self._clock.now().to_msg()
                    publisher.publish(source.message)

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def scan(frame: str, beams: int, half: float, longest: float) -> LaserScan:
    message = LaserScan(angle_min=-half, angle_max=half, range_min=0.15, range_max=longest)
    message.angle_increment = 2 * half / (beams - 1)
    message.header.frame_id = frame
    ranges = np.full(beams, 2.0, np.float32)
    ranges[: beams // 8] = np.inf  # no return
    ranges[beams // 2] = np.nan  # a failed measurement
    message.ranges = ranges.tolist()
    return message


def odometry(frame: str = 'odom', child: str = 'base_link', z: float = 0.0) -> Odometry:
    message = Odometry(child_frame_id=child)
    message.header.frame_id = frame
    message.pose.pose.position.z = z
    message.pose.pose.orientation.w = 1.0
    message.twist.twist.linear.x = 0.1
    return message


def imu(frame: str) -> Imu:
    message = Imu()
    message.header.frame_id = frame
    message.linear_acceleration.z = 9.81
    message.orientation.w = 1.0
    return message


def goal() -> PoseStamped:
    message = PoseStamped()
    message.header.frame_id = 'odom'
    message.pose.position.x, message.pose.orientation.w = 3.0, 1.0
    return message


def image() -> CompressedImage:
    import cv2

    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    message = CompressedImage(format='jpeg')
    message.header.frame_id = 'camera'
    message.data = cv2.imencode('.jpg', pixels)[1].tobytes()
    return message


SCAN = {'sectors': 12, 'far': 8.0, 'features': 12, 'max_age': 0.6}


@dataclass(frozen=True)
class Case:
    inputs: dict[str, InputSpec]
    commands: tuple[str, ...]
    sources: list[Source]
    parameters: dict[str, Any] = field(default_factory=dict)
    remaps: tuple[str, ...] = ()


ROBOTS: dict[str, Callable[[], Case]] = {
    'turtlebot4': lambda: Case(
        {
            'scan': ScanSpec(rate=7.5, **SCAN),
            'goal': GoalSpec(rate=20.0, max_age=0.5),
            'velocity': VelocitySpec(rate=20.0, max_age=0.5),
        },
        ('velocity_x', 'yaw_rate'),
        [
            Source('scan', scan('rplidar_link', 640, math.pi, 12.0), 7.5),
            Source('odom', odometry(), 20.0),
            Source('goal_pose', goal(), 1.0, RELIABLE),
        ],
    ),
    'f1tenth': lambda: Case(
        {
            'scan': ScanSpec(rate=40.0, field_of_view=4.7, **SCAN),
            'imu': ImuSpec(rate=50.0, max_age=0.5),
            'speed': SpeedSpec(rate=50.0, max_age=0.5),
        },
        ('steering_angle', 'speed'),
        [
            Source('scan', scan('laser', 1081, 2.356, 10.0), 40.0),
            Source('sensors/imu/raw', imu('base_link'), 50.0, RELIABLE),
            Source('odom', odometry(), 50.0, RELIABLE),
        ],
        remaps=('imu/data:=sensors/imu/raw',),
    ),
    'donkeycar': lambda: Case(
        {'image': image_spec()},
        ('steering', 'throttle'),
        [Source('camera/image_raw/compressed', image(), 20.0)],
        parameters={'image_transport': 'compressed'},
        remaps=('image_raw/compressed:=camera/image_raw/compressed',),
    ),
    'px4_quadrotor': lambda: Case(
        {
            'imu': ImuSpec(rate=50.0, max_age=0.5),
            'velocity': VelocitySpec(rate=30.0, max_age=0.5),
        },
        ('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate'),
        [
            Source('mavros/imu/data', imu('base_link'), 50.0),
            Source('mavros/local_position/odom', odometry('map', z=2.0), 30.0),
        ],
        remaps=('imu/data:=mavros/imu/data', 'odom:=mavros/local_position/odom'),
    ),
    'omnidirectional': lambda: Case(
        {
            'scan': ScanSpec(rate=10.0, **SCAN),
            'velocity': VelocitySpec(rate=25.0, max_age=0.5),
        },
        ('velocity_x', 'velocity_y', 'yaw_rate'),
        [
            Source('scan', scan('laser', 720, math.pi, 10.0), 10.0, RELIABLE),
            Source('odom', odometry(), 25.0, RELIABLE),
        ],
    ),
}
AXES = {
    'velocity_x': lambda twist: twist.linear.x,
    'velocity_y': lambda twist: twist.linear.y,
    'velocity_z': lambda twist: twist.linear.z,
    'speed': lambda twist: twist.linear.x,
    'throttle': lambda twist: twist.linear.x,
    'yaw_rate': lambda twist: twist.angular.z,
    'steering': lambda twist: twist.angular.z,
}


@pytest.mark.parametrize('name', ROBOTS)
def test_a_robot_is_driven_by_what_its_own_drivers_send(tmp_path: Path, name: str) -> None:
    case = ROBOTS[name]()
    limits = RobotFile.load(FOLDER / f'{name}.yaml').limits
    # Without the messages of MAVROS nobody tells of offboard: test_flying.py does.
    robot = tmp_path / f'{name}.yaml'
    robot.write_text((FOLDER / robot.name).read_text().replace('offboard: true', ''))
    bundle = make_bundle(tmp_path / 'bundle', inputs=case.inputs, commands=case.commands)
    remaps = [word for remap in case.remaps for word in ('-r', remap)]
    parameters = {'autostart': True, 'policy': bundle, 'robot': robot, 'load_timeout': 60.0}
    peer = Peer()
    with running(
        'policy_node', tmp_path / 'log', *remaps, **parameters, **case.parameters
    ) as process:
        robot = Robot(peer, process, lambda peer: Driver(peer, case.sources))
        try:
            robot.wait(lambda: robot.states and len(robot.states[-1].command_raw), 'all is seen')
            assert robot.engage().success
            robot.wait(lambda: len(robot.commands) > 20, 'it drives')
            assert robot.commands[-1].header.frame_id == 'base_link'
            last = AXES[case.commands[-1]]
            robot.wait(lambda: any(last(each.twist) for each in robot.commands), 'all axes')
            for axis in set(case.commands) & AXES.keys():
                said = [AXES[axis](each.twist) for each in robot.commands]
                assert limits[axis].min <= min(said) <= max(said) <= limits[axis].max
            robot.sensors.stop()
            stop = [AXES[axis] for axis in case.commands if axis in AXES and axis != 'steering']
            robot.wait(
                lambda: not any(read(robot.commands[-1].twist) for read in stop), 'it stops'
            )
        finally:
            process.end()
            peer.close()
