# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Several robots share a graph and a disk: each recorder keeps to its own."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest
import yaml
from liquid_control.msg import ControlMode
from std_msgs.msg import String
from support.recorders import LATCHED, Recorder, with_parameters
from support.ros import Peer, running

from liquid_control.bags.reader import BagReader
from liquid_control.nodes.recorder.session import RecordingSession


def test_two_cars_under_one_launch_record_their_own_topics_into_their_own_folders(
    peer: Peer, tmp_path: Path
) -> None:
    used = Peer('driver', namespace='/car1')
    topics = ['/car1/scan', '/car2/scan', '/shared', '/camera/of_car1', '/camera/of_nobody']
    publishers = [
        (used if topic == '/camera/of_car1' else peer).node.create_publisher(
            String, topic, LATCHED
        )
        for topic in topics
    ]
    with contextlib.ExitStack() as running_recorders:
        recorders = []
        for namespace in ('/car1', '/car2'):
            process = running_recorders.enter_context(
                running(
                    'recorder_node',
                    tmp_path / f'{namespace[1:]}.log',
                    *('-r', f'__ns:={namespace}'),
                    autostart=True,
                    min_free_disk=0,
                    start_on='engage',
                    # The same second, often enough: the stamp alone would not tell them apart.
                    output_directory=tmp_path / 'same{stamp}' / 'bags',
                )
            )
            recorders.append(Recorder(peer, process, tmp_path, namespace))
        modes = [
            peer.node.create_publisher(ControlMode, f'{car}/policy_node/mode', LATCHED)
            for car in ('/car1', '/car2')
        ]
        for publisher in publishers:
            publisher.publish(String(data='1'))
        for mode in modes:
            mode.publish(ControlMode(mode=ControlMode.AUTONOMOUS))
        recorders[0].received('/camera/of_car1', 1)
        for recorder, namespace in zip(recorders, ('/car1', '/car2'), strict=True):
            recorder.received(f'{namespace}/scan', 1)
            recorder.received('/shared', 1)
            recorder.directory = Path(recorder.status[-1].episode).parent
        for mode in modes:
            mode.publish(ControlMode(mode=ControlMode.DISENGAGED))
        for recorder in recorders:
            recorder.process.interrupt()
    used.close()

    assert recorders[0].directory != recorders[1].directory
    for recorder, namespace in zip(recorders, ('/car1', '/car2'), strict=True):
        with BagReader(recorder.episode()) as bag:
            recorded = set(bag.topics)
        own = {name for name in recorded if name.startswith(f'{namespace}/')}
        assert {f'{namespace}/scan', f'{namespace}/policy_node/mode'} <= own
        shared = {name for name in recorded - own if name.count('/') == 1}
        assert '/shared' in shared
        assert recorded - own - shared == ({'/camera/of_car1'} if namespace == '/car1' else set())
        assert 'host' not in recorder.session()
        assert str(tmp_path) not in (recorder.directory / 'session.yaml').read_text()


def test_sessions_of_one_second_and_of_one_directory_do_not_meet(tmp_path: Path) -> None:
    stamped = [RecordingSession(f'{tmp_path}/{{stamp}}/bags', {}) for _ in range(3)]
    assert len({session.directory for session in stamped}) == 3
    named = [RecordingSession(f'{tmp_path}/named', {'robot': robot}) for robot in 'ab']
    bags = [session.new_bag('episode') for session in (*named, *named)]
    assert [bag.path.name for bag in bags] == [f'episode_{number:04d}' for number in range(4)]
    for bag in bags:
        bag.close()
    files = ['session.yaml', 'session_1.yaml']
    robots = [yaml.safe_load((tmp_path / 'named' / file).read_text())['robot'] for file in files]
    assert robots == ['a', 'b']


def test_what_lies_in_the_directory_already_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / 'victim'
    victim.write_text('precious')
    directory = tmp_path / 'session'
    directory.mkdir()
    for name in ('session.yaml', 'session_1.yaml', '.session.yaml.part', '.session_2.yaml.part'):
        (directory / name).symlink_to(victim)
    (directory / 'episode_0000').symlink_to(tmp_path / 'nowhere')
    session = RecordingSession(str(directory), {})
    session.new_bag('episode').close()
    assert victim.read_text() == 'precious'
    assert (directory / 'session_2.yaml').is_file()
    assert (directory / 'episode_0001' / 'metadata.yaml').is_file()
    assert not (tmp_path / 'nowhere').exists()


def test_a_session_does_not_tell_where_things_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / 'home' / 'anna'
    models = home / 'models'
    models.mkdir(parents=True)
    monkeypatch.setenv('HOME', str(home))
    session = RecordingSession(
        '~/bags',
        {
            'recorder_parameters': {'mode_topic': '/policy_node/mode', 'topics': ('/scan',)},
            'policy_parameters': {'policy': str(models), 'keys': [str(models), str(tmp_path)]},
        },
    )
    text = (session.directory / 'session.yaml').read_text()
    assert 'anna' not in text
    assert yaml.safe_load(text)['policy_parameters'] == {
        'policy': '~/models',
        'keys': ['~/models', '../../..'],
    }
    assert yaml.safe_load(text)['recorder_parameters'] == {
        'mode_topic': '/policy_node/mode',
        'topics': ['/scan'],
    }


@with_parameters(note_host=True)
def test_the_machines_name_is_noted_where_that_is_asked_for(recorder: Recorder) -> None:
    assert recorder.session()['host'] == socket.gethostname()
