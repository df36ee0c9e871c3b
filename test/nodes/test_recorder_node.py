"""The recorder's own process: what it records, when, and what is left when things go wrong."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from liquid_control.msg import ControlMode, RecorderStatus
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from ros import TIMEOUT, Peer, Process, running
from rosbags.interfaces import QosDurability, QosReliability
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import Trigger

from liquid_control import __version__
from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.repair import repair
from liquid_control.nodes.recording_config import RecorderConfig
from liquid_control.nodes.recording_session import _git_version
from liquid_control.runtime.errors import ConfigError

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DEEP = QoSProfile(depth=1000)


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


class Recorder:
    """A running recorder with a publisher of strings beside it."""

    def __init__(self, peer: Peer, process: Process, directory: Path) -> None:
        self.peer, self.process, self.directory = peer, process, directory
        self.status = peer.listen(RecorderStatus, '/recorder_node/status', LATCHED)
        self.chatter = peer.node.create_publisher(String, '/chatter', DEEP)

    def wait(self, condition: Any, what: str) -> Any:
        return self.peer.wait(condition, what, process=self.process)

    def matched(self, publisher: Any = None) -> None:
        publisher = publisher or self.chatter
        self.wait(publisher.get_subscription_count, 'the recorder subscribes')

    def say(self, first: int, last: int) -> None:
        for i in range(first, last):
            self.chatter.publish(String(data=str(i)))

    def call(self, service: str) -> Trigger.Response:
        return self.peer.call(Trigger, f'/recorder_node/{service}', Trigger.Request())

    def received(self, topic: str, count: int) -> None:
        """Wait until the recorder has taken in so many messages of the current episode."""

        def is_there() -> bool:
            status = self.status[-1] if self.status else RecorderStatus()
            return count <= dict(zip(status.topics, status.received, strict=True)).get(topic, 0)

        self.wait(is_there, f'{count} messages of {topic} received')

    def rate(self, topic: str) -> float:
        status = self.status[-1]
        return dict(zip(status.topics, status.rate, strict=True)).get(topic, 0.0)

    def session(self) -> dict[str, Any]:
        return yaml.safe_load((self.directory / 'session.yaml').read_text())

    def episode(self, number: int = 0) -> Path:
        return self.directory / f'episode_{number:04d}'


@pytest.fixture
def recorder(peer: Peer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """A recorder that is active."""
    parameters = {'autostart': True, 'min_free_disk': 0, **getattr(request, 'param', {})}
    directory = tmp_path / 'session'
    log = tmp_path / 'recorder.log'
    with running('recorder_node', log, output_directory=directory, **parameters) as process:
        recorder = Recorder(peer, process, directory)
        recorder.wait(lambda: recorder.status, 'the recorder is active')
        yield recorder


def with_parameters(**parameters: Any) -> pytest.MarkDecorator:
    """Start the `recorder` of a test with these parameters."""
    return pytest.mark.parametrize('recorder', [parameters], indirect=True, ids=['parameters'])


def readable(bag: Path) -> int:
    """How many strings can be read of a bag that is still being written."""
    try:
        return len(strings(bag))
    except BagError:
        return 0


def strings(bag: Path, topic: str = '/chatter') -> list[int]:
    with BagReader(bag) as reader:
        return [int(message.value.data) for message in reader.messages([topic])]


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
    recorder.matched(latched)
    recorder.say(0, 5)
    recorder.wait(lambda: recorder.rate('/chatter') > 0, 'messages arrive')
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
    recorder.matched(latched)
    recorder.matched()
    recorder.say(0, 50)
    recorder.wait(lambda: recorder.rate('/chatter') > 0, 'messages arrive')
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


@with_parameters(cache_size=1, compression='none')
def test_what_the_full_queue_refused_is_told_by_topic(recorder: Recorder) -> None:
    publisher = recorder.peer.node.create_publisher(UInt8MultiArray, '/burst', DEEP)
    recorder.matched(publisher)
    message = UInt8MultiArray(data=bytes(900_000))
    sent = 0

    def counts() -> dict[str, tuple[int, int]]:
        status = recorder.status[-1]
        both = zip(status.received, status.dropped, strict=True)
        return dict(zip(status.topics, both, strict=True))

    def burst() -> bool:
        nonlocal sent
        for _ in range(20):  # one waits for the disk, the others find the queue full
            publisher.publish(message)
        sent += 20
        return counts().get('/burst', (0, 0))[1] > 0

    recorder.wait(burst, 'messages are dropped')
    recorder.wait(lambda: counts()['/burst'][0] == sent, 'all have come')
    recorder.process.interrupt()
    (entry,) = recorder.session()['episodes']
    with BagReader(recorder.episode()) as reader:
        assert reader.message_counts['/burst'] + entry['dropped']['/burst'] == sent
    assert list(entry['dropped']) == ['/burst']
    assert 'lacks messages that the disk was too slow for' in recorder.process.output


def test_a_disk_that_fails_ends_the_episode_and_keeps_what_was_written(recorder: Recorder) -> None:
    recorder.matched()
    recorder.say(0, 100)
    recorder.wait(lambda: readable(recorder.episode()) == 100, 'a hundred messages on the disk')
    size = max(file.stat().st_size for file in recorder.episode().iterdir())
    # From here on no file may grow: to the process the disk is full.
    resource.prlimit(recorder.process.popen.pid, resource.RLIMIT_FSIZE, (size, size))

    def problem() -> str:
        recorder.say(100, 200)
        return recorder.status[-1].problem

    assert 'cannot write' in recorder.wait(problem, 'the failure is reported')
    assert not recorder.status[-1].recording
    found = strings(recorder.episode())
    assert found[:100] == list(range(100))


def test_too_little_free_disk_is_refused_at_the_start(tmp_path: Path) -> None:
    log = tmp_path / 'log'
    with running(
        'recorder_node', log, autostart=True, output_directory=tmp_path, min_free_disk=9_999_999
    ) as process:
        assert process.popen.wait(TIMEOUT) == 1
    assert 'min_free_disk is 9999999 MB: delete or move recordings' in log.read_text()


def test_a_disk_that_fills_up_ends_the_episode_cleanly(peer: Peer, tmp_path: Path) -> None:
    margin = 300_000_000
    limit = (shutil.disk_usage(tmp_path).free - margin) // 1_000_000
    directory = tmp_path / 'session'
    with running(
        'recorder_node',
        tmp_path / 'log',
        autostart=True,
        output_directory=directory,
        min_free_disk=limit,
    ) as process:
        recorder = Recorder(peer, process, directory)
        recorder.matched()
        recorder.say(0, 100)
        recorder.received('/chatter', 100)
        with (tmp_path / 'filler').open('wb') as filler:
            os.posix_fallocate(filler.fileno(), 0, 2 * margin)
            recorder.wait(lambda: recorder.status[-1].problem, 'the problem is told')
        (tmp_path / 'filler').unlink()
        status = recorder.status[-1]
        assert (status.recording, status.episode) == (False, '')
        assert f'min_free_disk is {limit} MB: delete or move recordings' in status.problem
        with BagReader(recorder.episode()) as reader:
            assert reader.is_finished
        assert strings(recorder.episode()) == list(range(100))
        assert recorder.session()['episodes'][0]['ended_by'] == 'disk nearly full'
        recorder.wait(lambda: recorder.call('start_episode').success, 'room again, a new episode')
        recorder.wait(lambda: recorder.status[-1].recording, 'a new episode')
        assert recorder.status[-1].problem == ''


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
    recorder.matched(latched)
    recorder.matched(clock)
    recorder.matched()

    def tick(seconds: int) -> None:
        clock.publish(Clock(clock=Time(sec=seconds)))

    for second in (100, 200):

        def heard(second: int = second) -> bool:
            tick(second)
            recorder.say(second, second + 1)
            return recorder.status[-1].header.stamp.sec == second

        recorder.wait(heard, 'simulated time arrives')
    recorder.process.interrupt()
    with pytest.raises(BagError, match='does not exist'):
        BagReader(recorder.episode(1))
    with BagReader(recorder.episode()) as reader:
        logged = [(m.value.data, m.log_ns // 10**9) for m in reader.messages(['/chatter'])]
        assert reader.message_counts['/latched'] == 1
        assert reader.start_ns >= 100 * 10**9
    assert {stamp for _, stamp in logged} == {100, 200}
    assert ('200', 200) in logged
