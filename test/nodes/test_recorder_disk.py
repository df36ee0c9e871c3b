# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The recorder and its disk: slow, failing, full."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

from std_msgs.msg import UInt8MultiArray
from support.recorders import DEEP, Recorder, readable, strings, with_parameters
from support.ros import TIMEOUT, Peer, running

from liquid_control.bags.reader import BagReader


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
    (entry,) = recorder.session()['episodes']
    assert entry['bytes'] > 0
    assert all(entry['dropped'].values())


def test_a_directory_that_vanishes_ends_the_episode_and_is_told(recorder: Recorder) -> None:
    recorder.matched()
    shutil.rmtree(recorder.directory)
    problem = recorder.wait(lambda: recorder.status[-1].problem, 'it is told')
    assert str(recorder.directory) in problem
    recorder.wait(lambda: not recorder.status[-1].recording, 'the episode ends')
    assert not recorder.call('start_episode').success
    assert recorder.process.interrupt() == 0
    assert 'Traceback' not in recorder.process.output


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
