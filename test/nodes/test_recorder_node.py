# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The recorder's own process: what it records, when, and what is left when things go wrong."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from liquid_control.msg import ControlMode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosbags.interfaces import QosDurability, QosReliability
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String, UInt8MultiArray
from support.recorders import DEEP, LATCHED, Recorder, strings, with_parameters
from support.ros import TIMEOUT, Peer, running

from liquid_control import __version__
from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.repair import repair
from liquid_control.common.errors import ConfigError
from liquid_control.nodes.recorder.config import RecorderConfig
from liquid_control.nodes.recorder.session import _git_version


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_every_message_is_in_a_finished_bag_when_the_process_is_told_to_end(
    recorder: Recorder, signum: int
) -> None:
    recorder.matched()
    recorder.say(0, 500)
    recorder.received('/chatter', 500)
    assert recorder.process.interrupt(signum) == 0

    with BagReader(recorder.episode()) as reader:
        assert reader.is_finished
        assert reader.topics['/chatter'] == 'std_msgs/msg/String'
    assert strings(recorder.episode()) == list(range(500))
    assert recorder.session()['episodes'][0]['ended_by'] == 'deactivation'


def test_messages_of_our_own_types_decode_with_and_without_ros(recorder: Recorder) -> None:
    mode = ControlMode(mode=ControlMode.MANUAL, reason='a person', policy='track', policy_hash='0')
    mode.header.stamp = Time(sec=12, nanosec=34)
    publisher = recorder.peer.node.create_publisher(ControlMode, '/mode', LATCHED)
    publisher.publish(mode)
    recorder.received('/mode', 1)
    recorder.process.interrupt()

    with BagReader(recorder.episode()) as reader:
        (message,) = reader.messages(['/mode'])
        for other in reader.messages():
            assert other.value is not None
    assert deserialize_message(message.raw, ControlMode) == mode
    assert message.stamp_ns == 12_000_000_034
    assert (message.value.mode, message.value.reason) == (ControlMode.MANUAL, 'a person')
    assert abs(message.log_ns - time.time_ns()) < 60e9


def test_a_killed_recorder_loses_no_second_that_was_flushed(recorder: Recorder) -> None:
    recorder.matched()
    sent: list[float] = []

    def say_one_more() -> bool:
        recorder.say(len(sent), len(sent) + 1)
        sent.append(time.monotonic())
        return sent[-1] - sent[0] > 4.0

    recorder.wait(say_one_more, 'four seconds of messages')
    killed = time.monotonic()
    recorder.process.popen.kill()
    recorder.process.popen.wait(TIMEOUT)

    flushed = sum(moment < killed - 2.0 for moment in sent)
    with BagReader(recorder.episode()) as reader:
        assert not reader.is_finished
    found = strings(recorder.episode())
    assert len(found) >= flushed > 0
    assert found == list(range(len(found)))
    assert repair(recorder.episode()).message_counts['/chatter'] == len(found)
    assert (recorder.episode() / 'metadata.yaml').exists()


@with_parameters(all_topics=False, topics=['/named'], regex='/sensor/.*', exclude='/sensor/bad')
def test_topics_are_chosen_by_name_and_expression(recorder: Recorder) -> None:
    names = ['/named', '/sensor/a', '/sensor/bad', '/other', '/policy_node/mode']
    publishers = [recorder.peer.node.create_publisher(String, name, LATCHED) for name in names[:4]]
    for publisher in publishers:
        publisher.publish(String(data='1'))
    mode = recorder.peer.node.create_publisher(ControlMode, names[4], LATCHED)
    mode.publish(ControlMode())
    for name in ('/named', '/sensor/a', '/policy_node/mode'):
        recorder.received(name, 1)
    recorder.process.interrupt()
    with BagReader(recorder.episode()) as reader:
        assert set(reader.topics) == {'/named', '/sensor/a', '/policy_node/mode'}


def test_a_topic_may_vanish_and_come_back_with_less_to_offer(recorder: Recorder) -> None:
    recorder.matched()
    recorder.say(0, 10)
    recorder.received('/chatter', 10)
    recorder.peer.node.destroy_publisher(recorder.chatter)
    best_effort = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
    recorder.chatter = recorder.peer.node.create_publisher(String, '/chatter', best_effort)
    recorder.matched()

    def heard() -> bool:
        recorder.say(10, 11)
        status = recorder.status[-1]
        return dict(zip(status.topics, status.received, strict=True))['/chatter'] > 10

    recorder.wait(heard, 'the best-effort publisher is heard')
    recorder.process.interrupt()
    assert set(strings(recorder.episode())) == set(range(11))


@with_parameters(start_on='request')
def test_episodes_are_started_stopped_and_discarded_on_request(recorder: Recorder) -> None:
    latched = recorder.peer.node.create_publisher(String, '/latched', LATCHED)
    latched.publish(String(data='7'))
    recorder.matched()
    recorder.say(0, 5)
    recorder.heard('/latched', '/chatter')
    refused = recorder.call('stop_episode')
    assert (refused.success, 'no episode' in refused.message) == (False, True)

    started = recorder.call('start_episode')
    assert (started.success, started.message) == (True, str(recorder.episode()))
    assert not recorder.call('start_episode').success
    recorder.say(5, 10)
    recorder.received('/chatter', 5)
    assert recorder.status[-1].recording
    assert recorder.status[-1].episode == str(recorder.episode())
    assert recorder.call('stop_episode').success
    assert (recorder.episode() / 'metadata.yaml').exists()
    assert strings(recorder.episode()) == [5, 6, 7, 8, 9]
    assert strings(recorder.episode(), '/latched') == [7]
    with BagReader(recorder.episode()) as reader:
        (offered,) = reader.offered_qos('/latched')
    assert offered.durability == QosDurability.TRANSIENT_LOCAL
    assert offered.reliability == QosReliability.RELIABLE

    assert recorder.call('start_episode').success
    assert recorder.episode(1).is_dir()
    assert recorder.call('discard_episode').success
    assert not recorder.episode(1).exists()
    assert recorder.call('start_episode').message == str(recorder.episode(1))
    recorder.process.interrupt()
    assert [e['path'] for e in recorder.session()['episodes']] == ['episode_0000', 'episode_0001']


@with_parameters(start_on='engage', robot='car 7')
def test_episodes_follow_the_policy_and_the_session_says_who_drove(recorder: Recorder) -> None:
    node = recorder.peer.node
    node.declare_parameter('speed_limit', 2.5)
    publisher = node.create_publisher(ControlMode, '/policy_node/mode', LATCHED)

    def drive(mode: int, policy: str) -> None:
        publisher.publish(ControlMode(mode=mode, policy=policy, policy_hash=f'{policy}-hash'))

    def recording(is_recording: bool) -> None:
        recorder.wait(lambda: recorder.status[-1].recording == is_recording, 'episode')

    drive(ControlMode.DISENGAGED, 'a')
    recorder.matched(publisher)
    recorder.matched()
    recording(False)
    publisher.publish(b'\0\1\0\0garbage')
    drive(ControlMode.AUTONOMOUS, 'a')
    recording(True)
    drive(ControlMode.MANUAL, 'a')
    drive(ControlMode.AUTONOMOUS, 'b')
    drive(ControlMode.SAFE_STOP, 'b')
    recorder.received('/policy_node/mode', 4)
    assert recorder.status[-1].recording
    drive(ControlMode.DISENGAGED, 'b')
    recording(False)
    drive(ControlMode.AUTONOMOUS, 'b')
    recording(True)
    recorder.process.interrupt()

    session = recorder.session()
    assert session['robot'] == 'car 7'
    assert session['recorder_parameters']['/recorder_node']['start_on'] == 'engage'
    assert session['version'] == {'liquid_control': __version__, 'git': _git_version()}
    assert session['policy_parameters']['speed_limit'] == 2.5
    first, second = session['episodes']
    assert (first['started_by'], first['ended_by']) == ('engaged', 'disengaged')
    assert first['policies'] == [{'name': n, 'hash': f'{n}-hash'} for n in 'ab']
    assert (first['takeovers'], second['takeovers']) == (1, 0)
    assert second['policies'] == [{'name': 'b', 'hash': 'b-hash'}]
    with BagReader(recorder.episode()) as reader:
        modes = [m.value.mode for m in reader.messages(['/policy_node/mode'])]
    assert modes[-4:] == [
        ControlMode.MANUAL,
        ControlMode.AUTONOMOUS,
        ControlMode.SAFE_STOP,
        ControlMode.DISENGAGED,
    ]


@with_parameters(start_on='request', snapshot_duration=600.0)
def test_a_snapshot_holds_what_led_up_to_it(recorder: Recorder) -> None:
    latched = recorder.peer.node.create_publisher(String, '/latched', LATCHED)
    latched.publish(String(data='7'))
    recorder.matched()
    recorder.say(0, 50)
    recorder.heard('/latched', '/chatter')
    answer = recorder.call('snapshot')
    assert answer.success, answer.message
    snapshot = recorder.directory / 'snapshot_0000'
    recorder.wait((snapshot / 'metadata.yaml').exists, 'the snapshot is written')
    assert strings(snapshot) == list(range(50))
    assert set(strings(snapshot, '/latched')) == {7}
    assert not recorder.status[-1].recording


@with_parameters(start_on='request')
def test_no_snapshot_without_memory_for_it(recorder: Recorder) -> None:
    answer = recorder.call('snapshot')
    assert not answer.success
    assert 'set snapshot_duration' in answer.message


@with_parameters(split_size=1, compression='none')
def test_large_episodes_are_split(recorder: Recorder) -> None:
    noise = bytes(range(256)) * 1000  # 20 of them are 5 MB
    publisher = recorder.peer.node.create_publisher(UInt8MultiArray, '/noise', DEEP)
    recorder.matched(publisher)
    for _ in range(20):
        publisher.publish(UInt8MultiArray(data=noise))
    recorder.received('/noise', 20)
    recorder.process.interrupt()
    assert len(list(recorder.episode().glob('*.mcap'))) == 5
    with BagReader(recorder.episode()) as reader:
        assert [bytes(m.value.data) for m in reader.messages(['/noise'])] == [noise] * 20


@pytest.mark.parametrize(
    ('parameters', 'expected'),
    [
        ({'regex': '('}, 'parameter regex must be a regular expression'),
        ({'exclude': '*'}, 'parameter exclude must be a regular expression'),
        ({'all_topics': False}, 'nothing to record: set all_topics, topics or regex'),
    ],
)
def test_parameters_that_contradict_are_refused(parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        RecorderConfig(**parameters)


@pytest.mark.parametrize(
    ('parameters', 'expected'),
    [
        ({'output_directory': '/sys/recordings'}, 'cannot record to /sys/recordings'),
        ({'start_on': 'whim'}, 'one of activate, engage, request'),
    ],
)
def test_what_cannot_work_ends_the_process_with_its_reason(
    tmp_path: Path, parameters: dict[str, Any], expected: str
) -> None:
    log = tmp_path / 'log'
    given = {'output_directory': tmp_path, **parameters}
    with running('recorder_node', log, autostart=True, **given) as process:
        assert process.popen.wait(TIMEOUT) == 1
    assert expected in log.read_text()
    assert 'Traceback' not in log.read_text()


def test_a_lifecycle_manager_starts_and_ends_sessions(peer: Peer, tmp_path: Path) -> None:
    directory = tmp_path / 'session'
    with running(
        'recorder_node', tmp_path / 'log', output_directory=directory, min_free_disk=0
    ) as process:
        recorder = Recorder(peer, process, directory)

        def change(transition: int) -> bool:
            request = ChangeState.Request(transition=Transition(id=transition))
            return bool(peer.call(ChangeState, '/recorder_node/change_state', request).success)

        assert change(Transition.TRANSITION_CONFIGURE)
        answer = recorder.call('start_episode')
        assert answer.message == 'the recorder is inactive: activate it first'
        for episode in range(2):
            assert change(Transition.TRANSITION_ACTIVATE)
            recorder.matched()
            recorder.say(episode, episode + 1)
            recorder.received('/chatter', 1)
            assert not change(Transition.TRANSITION_CLEANUP), 'it is active, and stays so'
            assert change(Transition.TRANSITION_DEACTIVATE)
            assert strings(recorder.episode(episode)) == [episode]
            recorder.status.clear()
        assert (directory / 'session_1.yaml').exists()
        assert change(Transition.TRANSITION_CLEANUP)


@with_parameters(use_sim_time=True)
def test_under_simulated_time_messages_are_logged_in_it(recorder: Recorder) -> None:
    clock = recorder.peer.node.create_publisher(Clock, '/clock', DEEP)
    latched = recorder.peer.node.create_publisher(String, '/latched', LATCHED)
    latched.publish(String(data='3'))
    recorder.heard('/latched')
    recorder.matched(clock)
    recorder.matched()

    def tick(seconds: int) -> None:
        clock.publish(Clock(clock=Time(sec=seconds)))

    recorder.wait(lambda: recorder.status[-1].problem, 'it is told that there is no time yet')
    assert 'waiting for /clock' in recorder.status[-1].problem

    for second in (100, 200):

        def heard(second: int = second) -> bool:
            tick(second)
            recorder.say(second, second + 1)
            return recorder.status[-1].header.stamp.sec == second

        recorder.wait(heard, 'simulated time arrives')
    recorder.wait(lambda: not recorder.status[-1].problem, 'the problem is over')
    recorder.process.interrupt()
    with pytest.raises(BagError, match='does not exist'):
        BagReader(recorder.episode(1))
    with BagReader(recorder.episode()) as reader:
        logged = [(m.value.data, m.log_ns // 10**9) for m in reader.messages(['/chatter'])]
        assert reader.message_counts['/latched'] == 1
        assert reader.start_ns >= 100 * 10**9
    assert {stamp for _, stamp in logged} == {100, 200}
    assert ('200', 200) in logged
