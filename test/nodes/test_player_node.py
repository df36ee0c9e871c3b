# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The player's own process: everything arrives, as recorded, under the bag's time."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from builtin_interfaces.msg import Time
from rclpy.qos import DurabilityPolicy as Durability
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Imu
from std_msgs.msg import String
from std_srvs.srv import SetBool
from support.ros import TIMEOUT, Peer, running

from liquid_control.bags.metadata import qos_profile
from liquid_control.bags.reader import BagReader
from liquid_control.bags.writer import BagWriter
from liquid_control.common.assets import config_file
from liquid_control.common.errors import ConfigError
from liquid_control.nodes.player import PlayerConfig

START_NS = 50 * 10**9
PERIOD_NS = 10_000_000
MESSAGES = 100
DEEP = QoSProfile(depth=1000)


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second: an IMU and a camera of 640x480, a latched description, a commanded speed."""
    path = tmp_path_factory.mktemp('bags') / 'bag'
    pixels = bytes(640 * 480 * 3)
    with BagWriter(path, compression='lz4') as writer:
        writer.add_topic('/imu/data', 'sensor_msgs/msg/Imu')
        writer.add_topic('/image', 'sensor_msgs/msg/Image')
        writer.add_topic('/cmd_vel', 'geometry_msgs/msg/Twist')
        writer.add_topic(
            '/description', 'std_msgs/msg/String', qos=[qos_profile(depth=1, transient_local=True)]
        )
        writer.write_message('/description', {'data': 'a robot'}, START_NS)
        for i in range(MESSAGES):
            stamp_ns = START_NS + i * PERIOD_NS
            writer.write_message('/imu/data', {'linear_acceleration': {'x': float(i)}}, stamp_ns)
            writer.write_message('/cmd_vel', {}, stamp_ns)
            if i % 3 == 0:
                image = {'width': 640, 'height': 480, 'step': 1920, 'data': pixels}
                writer.write_message('/image', image, stamp_ns)
    return path


def nanoseconds(stamp: Time) -> int:
    return stamp.sec * 10**9 + stamp.nanosec


def test_every_message_arrives_in_order_and_the_process_ends(
    peer: Peer, bag: Path, tmp_path: Path
) -> None:
    imu = peer.listen(Imu, '/imu/data', DEEP)
    images = peer.listen(Image, '/image', qos_profile_sensor_data)
    clock = peer.listen(Clock, '/clock', DEEP)
    with running(
        'player_node', tmp_path / 'log', bag=bag, wait_for=['/imu/data', '/image'], rate=0.5
    ) as player:
        peer.wait(lambda: player.popen.poll() is not None, 'the player ends')
        peer.wait(lambda: len(imu) == MESSAGES and len(images) == 34, 'the last message')
    assert player.popen.returncode == 0
    assert [m.linear_acceleration.x for m in imu] == list(range(MESSAGES))
    assert [nanoseconds(m.header.stamp) for m in images] == [
        START_NS + i * PERIOD_NS for i in range(0, MESSAGES, 3)
    ]
    times = [nanoseconds(message.clock) for message in clock]
    assert times == sorted(times)
    assert START_NS <= times[0] <= START_NS + 100 * PERIOD_NS
    assert times[-1] >= START_NS + (MESSAGES - 1) * PERIOD_NS


def listen_in_order(peer: Peer) -> list[tuple[str, int]]:
    """A list that fills with what comes on /clock and /imu/data: which, and its time."""
    seen: list[tuple[str, int]] = []
    peer.node.create_subscription(
        Clock, '/clock', lambda m: seen.append(('clock', nanoseconds(m.clock))), DEEP
    )
    peer.node.create_subscription(
        Imu, '/imu/data', lambda m: seen.append(('imu', nanoseconds(m.header.stamp))), DEEP
    )
    return seen


def test_each_message_comes_after_the_clock_has_reached_its_time(
    peer: Peer, bag: Path, tmp_path: Path
) -> None:
    seen = listen_in_order(peer)
    with running(
        'player_node',
        tmp_path / 'log',
        bag=bag,
        wait_for=['/imu/data'],
        clock_rate=100.0,
    ) as player:
        peer.wait(lambda: player.popen.poll() is not None, 'the player ends')
    # Who takes them by two threads must know the time long before the first message.
    first = [kind for kind, _ in seen].index('imu')
    assert first >= 5
    assert seen[:first].count(('clock', START_NS)) >= first - 2
    now = 0
    late = 0
    for kind, stamp in seen:
        if kind == 'clock':
            now = stamp
        else:
            late = max(late, stamp - now)
    assert sum(kind == 'clock' for kind, _ in seen) >= 90
    assert late <= 5 * PERIOD_NS  # two topics have no common order; within a few ticks of it


def test_a_part_is_played_on_other_topics(peer: Peer, bag: Path, tmp_path: Path) -> None:
    imu = peer.listen(Imu, '/other', DEEP)
    images = peer.listen(Image, '/image', 10)
    with running(
        'player_node',
        tmp_path / 'log',
        '-r',
        '/imu/data:=/other',
        bag=bag,
        topics=['/imu/data'],
        wait_for=['/imu/data'],
        start=0.2,
        end=0.5,
        rate=2.0,
    ) as player:
        peer.wait(lambda: player.popen.poll() is not None, 'the player ends')
        peer.wait(lambda: len(imu) == 31, 'the last message')
    assert [m.linear_acceleration.x for m in imu] == list(range(20, 51))
    assert images == []


def test_pausing_halts_messages_and_time(peer: Peer, bag: Path, tmp_path: Path) -> None:
    imu = peer.listen(Imu, '/imu/data', DEEP)
    with running(
        'player_node', tmp_path / 'log', bag=bag, wait_for=['/imu/data'], paused=True, rate=0.5
    ) as player:

        def pause(data: bool) -> str:
            return str(
                peer.call(SetBool, '/player_node/pause', SetBool.Request(data=data)).message
            )

        assert pause(True) == 'paused'
        assert imu == []
        assert pause(False) == 'playing'
        peer.wait(lambda: len(imu) > 5, 'it plays')
        pause(True)
        for _ in range(20):
            peer.spin()
        halted = len(imu)
        assert halted < MESSAGES
        for _ in range(20):
            peer.spin()
        assert len(imu) == halted
        pause(False)
        peer.wait(lambda: player.popen.poll() is not None, 'the player ends')
        peer.wait(lambda: len(imu) == MESSAGES, 'the last message')
    assert [m.linear_acceleration.x for m in imu] == list(range(MESSAGES))


def test_a_loop_begins_again_until_it_is_told_to_end(
    peer: Peer, bag: Path, tmp_path: Path
) -> None:
    imu = peer.listen(Imu, '/imu/data', DEEP)
    seen = listen_in_order(peer)
    with running(
        'player_node',
        tmp_path / 'log',
        bag=bag,
        topics=['/imu/data'],
        wait_for=['/imu/data'],
        loop=True,
        rate=5.0,
    ) as player:
        peer.wait(lambda: len(imu) > 2 * MESSAGES, 'the third round', process=player)
        assert player.interrupt(signal.SIGTERM) == 0
    values = [m.linear_acceleration.x for m in imu]
    assert values[: 2 * MESSAGES] == list(range(MESSAGES)) * 2
    # Time has gone back before the messages do.
    starts = [i for i, entry in enumerate(seen) if entry == ('imu', START_NS)]
    for start in starts[1:]:
        assert seen[start - 10 : start].count(('clock', START_NS)) >= 5
    # And before that it went on, so that nobody is left with messages of the future.
    last = START_NS + (MESSAGES - 1) * PERIOD_NS
    assert max(stamp for kind, stamp in seen if kind == 'clock') >= last + 10 * PERIOD_NS


def test_what_was_latched_is_latched_and_what_is_excluded_is_not_played(
    peer: Peer, bag: Path, tmp_path: Path
) -> None:
    with running(
        'player_node', tmp_path / 'log', bag=bag, exclude='.*cmd_vel.*', loop=True
    ) as player:
        imu = peer.listen(Imu, '/imu/data', 10)
        peer.wait(lambda: len(imu) > 3, 'it plays', process=player)
        late = peer.listen(
            String, '/description', QoSProfile(depth=1, durability=Durability.TRANSIENT_LOCAL)
        )
        peer.wait(lambda: late, 'the latched message', process=player)
        names = {name for name, _ in peer.node.get_topic_names_and_types()}
    assert late[0].data == 'a robot'
    assert '/image' in names
    assert '/cmd_vel' not in names


def test_what_was_played_and_recorded_again_is_the_same_bag(bag: Path, tmp_path: Path) -> None:
    """Player and recorder together, each in its own process."""
    directory = tmp_path / 'session'
    with running(
        'recorder_node',
        tmp_path / 'recorder.log',
        autostart=True,
        output_directory=directory,
        min_free_disk=0,
        exclude='/rosout|.*/transition_event|/parameter_events',
    ) as recorder:
        topics = ['/imu/data', '/image', '/cmd_vel']
        with running(
            'player_node', tmp_path / 'player.log', bag=bag, wait_for=topics, rate=0.5
        ) as player:
            assert player.popen.wait(TIMEOUT) == 0
        assert recorder.interrupt() == 0
    with BagReader(bag) as before, BagReader(directory / 'episode_0000') as after:
        for topic in [*topics, '/description']:
            assert after.topics[topic] == before.topics[topic]
            sent = [message.raw for message in before.messages([topic])]
            recorded = [message.raw[: len(sent[0])] for message in after.messages([topic])]
            assert recorded == sent, topic


def test_shipped_parameters_leave_out_what_robots_said_in_any_namespace() -> None:
    parameters = yaml.safe_load(config_file('player.yaml').read_text())
    exclude = parameters['/**/player_node']['ros__parameters']['exclude']
    for namespace in ('', '/car1'):
        for topic in ('/cmd_vel', '/policy_node/mode', '/recorder_node/status'):
            assert re.fullmatch(exclude, namespace + topic)
        assert not re.fullmatch(exclude, f'{namespace}/odom')


def test_who_waits_for_a_subscriber_or_finds_another_clock_says_so(
    peer: Peer, bag: Path, tmp_path: Path
) -> None:
    clock = peer.node.create_publisher(Clock, '/clock', 10)
    with running('player_node', tmp_path / 'log', bag=bag, wait_for=['/image']) as player:
        line = 'waiting for somebody to subscribe /image'
        peer.wait(lambda: line in player.output, 'the player says what it waits for')
        images = peer.listen(Image, '/image', qos_profile_sensor_data)
        peer.wait(lambda: player.popen.poll() is not None, 'the player ends')
        assert images
        assert player.output.count(line) == 1
        assert player.output.count('another node publishes /clock too') == 1
    peer.node.destroy_publisher(clock)


@pytest.mark.parametrize(
    ('parameters', 'expected'),
    [
        ({}, 'parameter bag must name the bag to play'),
        ({'bag': 'a', 'start': 2.0, 'end': 1.0}, 'parameter end must be after start'),
        ({'bag': 'a', 'exclude': '('}, 'parameter exclude must be a regular expression'),
    ],
)
def test_parameters_that_contradict_are_refused(parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        PlayerConfig(**parameters)


@pytest.mark.parametrize(
    ('parameters', 'expected'),
    [
        ({'bag': '/nowhere'}, '/nowhere does not exist'),
        ({'wait_for': ['/sonar']}, 'nothing to play on /sonar'),
        ({'topics': ['/sonar']}, 'has no topic /sonar; it has /cmd_vel'),
    ],
)
def test_what_cannot_be_played_ends_the_process_with_its_reason(
    bag: Path, tmp_path: Path, parameters: dict[str, Any], expected: str
) -> None:
    with running('player_node', tmp_path / 'log', **{'bag': bag, **parameters}) as player:
        assert player.popen.wait(TIMEOUT) == 1
        assert expected in player.output
        assert 'Traceback' not in player.output


def test_a_bag_damaged_in_the_middle_is_played_up_to_there(
    peer: Peer, bag: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / 'damaged.mcap'
    content = bytearray((bag / 'bag_0.mcap').read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    with running('player_node', tmp_path / 'log', bag=damaged, rate=5.0) as player:
        assert player.popen.wait(TIMEOUT) == 1
        assert 'damaged.mcap is damaged: ' in player.output


def test_clocks_that_were_set_or_ran_over_are_not_waited_for(peer: Peer, tmp_path: Path) -> None:
    text = peer.listen(String, '/text', DEEP)
    clock = peer.listen(Clock, '/clock', DEEP)
    times = {'1970': 0, 'soon': 10**9, '2030': 19 * 10**17, '2200': 7 * 10**18, 'past': 2**64 - 9}
    with BagWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/text', 'std_msgs/msg/String')
        for words, log_ns in times.items():
            writer.write_message('/text', {'data': words}, log_ns)
    with running(
        'player_node', tmp_path / 'log', bag=tmp_path / 'bag', wait_for=['/text'], rate=2.0
    ) as player:
        peer.wait(lambda: player.popen.poll() is not None, 'the player ends')
    assert player.popen.returncode == 0
    assert [message.data for message in text] == ['1970', 'soon', '2030']
    assert player.output.count('gone over') == 1
    assert 'before 1970 or after 2038' in player.output
    assert nanoseconds(clock[-1].clock) >= times['2030']
    assert all(nanoseconds(message.clock) >= 0 for message in clock)
