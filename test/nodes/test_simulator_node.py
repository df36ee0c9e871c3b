# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The simulator node's own process, watched and driven over DDS."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Imu, LaserScan
from support.ros import TIMEOUT, Peer, Process, running

from liquid_control.common.errors import ConfigError
from liquid_control.nodes.simulator.robot import SimulatorParameters, open_simulator

SECOND = 1_000_000_000


class Watcher:
    """Listens to all that the node says, and gives commands."""

    def __init__(self, peer: Peer, namespace: str = '') -> None:
        self.peer = peer
        self.clock = peer.listen(Clock, '/clock', QoSProfile(depth=400))
        self.images = peer.listen(Image, f'{namespace}/camera/image_raw', qos_profile_sensor_data)
        self.imu = peer.listen(Imu, f'{namespace}/imu/data', qos_profile_sensor_data)
        self.odometry = peer.listen(Odometry, f'{namespace}/odom', qos_profile_sensor_data)
        self.status = peer.listen(DiagnosticArray, f'{namespace}/simulator_node/status')
        self._commands = peer.node.create_publisher(
            TwistStamped, f'{namespace}/cmd_vel', QoSProfile(depth=1)
        )

    def command(self, speed: float, yaw_rate: float, climb: float = 0.0) -> None:
        message = TwistStamped()
        message.twist.linear.x, message.twist.angular.z = speed, yaw_rate
        message.twist.linear.z = climb
        self._commands.publish(message)

    @property
    def now_ns(self) -> int:
        return nanoseconds(self.clock[-1].clock) if self.clock else 0

    @property
    def speed(self) -> float:
        return float(self.odometry[-1].twist.twist.linear.x) if self.odometry else 0.0

    def drive(self, speed: float, yaw_rate: float, seconds: float) -> None:
        """Command at 20 Hz of simulated time."""
        end = self.now_ns + round(seconds * SECOND)
        due = self.now_ns
        while self.now_ns < end:
            if self.now_ns >= due:
                self.command(speed, yaw_rate)
                due += SECOND // 20
            self.peer.spin()


def nanoseconds(stamp: object) -> int:
    return stamp.sec * SECOND + stamp.nanosec  # type: ignore[attr-defined]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Process]:
    with running('simulator_node', tmp_path / 'node.log', seed=4, randomise=False) as process:
        yield process


def test_car_publishes_drives_and_stops_when_commands_end(peer: Peer, node: Process) -> None:
    watcher = Watcher(peer)
    peer.wait(lambda: watcher.images and watcher.odometry and watcher.imu, 'sensors', process=node)
    assert watcher.speed == pytest.approx(0.0, abs=0.02)
    start = watcher.odometry[-1].pose.pose.position
    # Who is known to subscribe may still have to learn of the publisher.
    peer.wait(
        lambda: watcher.drive(1.0, 0.5, 0.05) or watcher.speed > 0.5, 'the car to go', process=node
    )

    watcher.drive(1.0, 0.5, 1.5)

    assert watcher.speed == pytest.approx(1.0, abs=0.1)
    yaw_rates = [message.angular_velocity.z for message in watcher.imu[-40:]]
    assert np.mean(yaw_rates) == pytest.approx(0.5, abs=0.1)
    position = watcher.odometry[-1].pose.pose.position
    assert np.hypot(position.x - start.x, position.y - start.y) > 0.7

    silent_since = watcher.now_ns
    peer.wait(lambda: abs(watcher.speed) < 0.02, 'the car to stop', process=node)
    stopped = nanoseconds(watcher.odometry[-1].header.stamp) - silent_since
    assert 0.4 * SECOND < stopped < 1.5 * SECOND

    values = {entry.key: entry.value for entry in watcher.status[-1].status[0].values}
    assert values['lap'] == '1'
    assert values['on_road'] in ('true', 'false')
    assert float(values['speed']) == pytest.approx(0.0, abs=1.0)
    assert float(values['real_time_factor']) > 0.0
    assert node.interrupt(signal.SIGINT) == 0, node.output
    assert 'Traceback' not in node.output


def test_messages_carry_simulated_time_units_and_frames(peer: Peer, node: Process) -> None:
    watcher = Watcher(peer)
    peer.wait(lambda: len(watcher.images) >= 5, 'five images', process=node)
    peer.wait(lambda: len(watcher.clock) >= 100, 'half a second of clock', process=node)

    image, imu = watcher.images[-1], watcher.imu[-1]
    # Topics have no order among each other: the clock may still be on its way here.
    taken = max(nanoseconds(image.header.stamp), nanoseconds(imu.header.stamp))
    peer.wait(lambda: watcher.now_ns >= taken, 'the clock of the last sensors', process=node)

    assert (image.width, image.height, image.step, image.encoding) == (160, 120, 480, 'rgb8')
    assert np.frombuffer(image.data, np.uint8).reshape(120, 160, 3).std() > 10
    assert image.header.frame_id == 'camera_optical_frame'
    assert imu.linear_acceleration.z == pytest.approx(9.81, abs=0.3)
    assert imu.orientation_covariance[0] == -1.0
    assert imu.angular_velocity_covariance[0] > 0.0
    odometry = watcher.odometry[-1]
    assert (odometry.header.frame_id, odometry.child_frame_id) == ('odom', 'base_link')

    clock = [nanoseconds(message.clock) for message in watcher.clock]
    steps = np.diff(clock)  # of one period each, or of several where a message was missed
    assert (steps > 0).all()
    assert (steps % (SECOND // 200) == 0).all()
    assert nanoseconds(imu.header.stamp) % (SECOND // 200) == 0


def test_a_command_that_is_not_finite_is_refused(peer: Peer, node: Process) -> None:
    watcher = Watcher(peer)
    peer.wait(lambda: watcher.clock, 'clock', process=node)
    peer.wait(lambda: peer.node.count_subscribers('cmd_vel'), 'the car to listen', process=node)

    def refused() -> bool:
        watcher.command(float('nan'), 0.0)
        return 'not finite' in node.output

    peer.wait(refused, 'the refusal', process=node)
    assert watcher.speed == pytest.approx(0.0, abs=0.02)


def test_a_quadrotor_climbs_as_told_and_hovers_when_commands_end(
    peer: Peer, tmp_path: Path
) -> None:
    flight = {'robot': 'quadrotor', 'seed': 4, 'randomise': False}
    with running('simulator_node', tmp_path / 'node.log', **flight) as node:
        watcher = Watcher(peer)
        peer.wait(lambda: watcher.images and watcher.odometry, 'sensors', process=node)
        assert (watcher.images[-1].width, watcher.images[-1].height) == (64, 48)
        start = watcher.odometry[-1].pose.pose.position.z

        def climbs() -> bool:
            watcher.command(0.0, 0.0, climb=0.8)
            return bool(watcher.odometry[-1].pose.pose.position.z > start + 0.3)

        peer.wait(climbs, 'it to climb', process=node)

        def hovers() -> bool:
            return abs(watcher.odometry[-1].twist.twist.linear.z) < 0.02

        peer.wait(hovers, 'it to hover', process=node)
        values = {entry.key: entry.value for entry in watcher.status[-1].status[0].values}
        assert float(values['distance']) > 2.0
        assert values['outcome'] == ''


def test_a_rover_has_the_topics_of_a_turtlebot_and_keeps_its_goal_for_latecomers(
    peer: Peer, tmp_path: Path
) -> None:
    with running('simulator_node', tmp_path / 'node.log', robot='rover', seed=4) as node:
        scans = peer.listen(LaserScan, '/scan', qos_profile_sensor_data)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        watcher = Watcher(peer)
        peer.wait(lambda: scans and watcher.odometry, 'sensors', process=node)
        peer.wait(lambda: watcher.now_ns > 2 * SECOND, 'time to pass', process=node)
        goals = peer.listen(PoseStamped, '/goal_pose', latched)
        peer.wait(lambda: goals, 'the goal', process=node)
        assert goals[0].header.frame_id == watcher.odometry[-1].header.frame_id == 'odom'
        assert len(scans[-1].ranges) == 360
        assert scans[-1].angle_min + 360 * scans[-1].angle_increment == pytest.approx(np.pi)

        def turns() -> bool:
            watcher.command(0.0, 0.8)
            return abs(watcher.odometry[-1].twist.twist.angular.z - 0.8) < 0.1

        peer.wait(turns, 'it to turn on the spot', process=node)
        assert abs(watcher.speed) < 0.05


def test_single_difficulties_of_a_world_are_chosen_beside_all_the_others() -> None:
    def people(*difficulty: str, randomise: bool = True) -> int:
        chosen = SimulatorParameters('rover', 4, randomise=randomise, difficulty=difficulty)
        with open_simulator(chosen) as simulator:
            return len(simulator.world.rooms.movers)

    assert people() > 0
    assert people('movers=0') == people(randomise=False) == 0
    for wrong, said in (('movers', 'entries like rooms=0.5'), ('crowd=1', 'one of rooms')):
        with pytest.raises(ConfigError, match=said):
            people(wrong)
    with pytest.raises(ConfigError, match='the rover has no scene'):
        open_simulator(SimulatorParameters('rover', scene='winter'))


def test_sigterm_ends_the_node_cleanly(peer: Peer, node: Process) -> None:
    watcher = Watcher(peer)
    peer.wait(lambda: watcher.clock, 'clock', process=node)
    assert node.interrupt(signal.SIGTERM) == 0, node.output
    assert 'Traceback' not in node.output


def test_pace_may_be_changed_while_it_runs(peer: Peer, node: Process) -> None:
    watcher = Watcher(peer)

    def factor() -> float:
        values = watcher.status[-1].status[0].values if watcher.status else ()
        return next((float(each.value) for each in values if each.key == 'real_time_factor'), 0.0)

    peer.wait(lambda: factor() > 0.3, 'its own pace', process=node)
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.1)
    request = SetParameters.Request(parameters=[Parameter(name='real_time_factor', value=value)])
    assert peer.call(SetParameters, 'simulator_node/set_parameters', request).results[0].successful
    peer.wait(lambda: 0.05 < factor() < 0.15, 'a tenth of it', process=node)


def test_cars_in_two_namespaces_share_nothing_but_the_time(peer: Peer, tmp_path: Path) -> None:
    small = {'randomise': False, 'image_width': 16, 'image_height': 16}
    first = running('simulator_node', tmp_path / '1.log', '-r', '__ns:=/car1', **small)
    second = running('simulator_node', tmp_path / '2.log', '-r', '__ns:=/car2', **small)
    with first as process1:
        car1 = Watcher(peer, '/car1')
        peer.wait(lambda: car1.now_ns > SECOND, 'its own time', process=process1)
        with second as process2:
            car2 = Watcher(peer, '/car2')
            peer.wait(lambda: len(car2.odometry) > 20, 'the second car', process=process2)
            peer.wait(
                lambda: car2.drive(1.0, 0.0, 0.05) or car2.speed > 0.5, 'it goes', process=process2
            )
            assert car1.speed == pytest.approx(0.0, abs=0.02)
            assert peer.node.count_publishers('/clock') == 1
            # In the time that was there before it; its own would begin at 0.
            assert nanoseconds(car2.odometry[0].header.stamp) > SECOND
            process1.popen.kill()
            process1.popen.wait(TIMEOUT)
            last = car2.now_ns
            # Also while the graph still knows the dead one.
            peer.wait(lambda: car2.now_ns > last + 2 * SECOND, 'time goes on', process=process2)
    times = [nanoseconds(message.clock) for message in car2.clock]
    assert times == sorted(times)


def test_a_second_simulator_of_the_same_name_is_refused(
    peer: Peer, node: Process, tmp_path: Path
) -> None:
    watcher = Watcher(peer)
    peer.wait(lambda: watcher.clock, 'clock', process=node)
    with running('simulator_node', tmp_path / 'second.log') as second:
        peer.wait(lambda: second.popen.poll() is not None, 'the refusal', process=node)
        assert second.popen.returncode == 1
        expected = '/simulator_node is there already: end it, or start this one in a namespace'
        assert expected in second.output
        assert 'Traceback' not in second.output


def test_a_car_that_is_told_to_end_while_it_moves_is_braked_first(
    peer: Peer, node: Process
) -> None:
    watcher = Watcher(peer)
    peer.wait(
        lambda: watcher.drive(1.0, 0.0, 0.05) or watcher.speed > 0.5, 'the car to go', process=node
    )
    node.popen.send_signal(signal.SIGINT)
    watcher.drive(0.0, 0.0, 0.2)
    peer.wait(lambda: node.popen.poll() is not None, 'the end')
    assert node.popen.returncode == 0
    assert abs(watcher.speed) < 0.1


def test_without_mujoco_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "raise ModuleNotFoundError(\"No module named 'mujoco'\", name='mujoco')"
    (tmp_path / 'mujoco.py').write_text(missing)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path), prepend=os.pathsep)
    with running('simulator_node', tmp_path / 'node.log') as process:
        assert process.popen.wait(TIMEOUT) == 1
    (line,) = process.output.splitlines()
    assert line.startswith('simulator_node: mujoco is not installed for')
    assert 'pip install mujoco' in line


def test_a_parameter_out_of_range_is_refused_with_its_name(tmp_path: Path) -> None:
    log = tmp_path / 'node.log'
    with running('simulator_node', log, camera_rate=100000.0) as process:
        assert process.popen.wait(30) == 1
        assert 'camera_rate' in process.output
        assert 'Traceback' not in process.output
