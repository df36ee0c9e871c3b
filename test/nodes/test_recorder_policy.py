# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The recorder follows the policy node: episodes begin and end with it, also when it dies."""

from __future__ import annotations

import signal
import time
from typing import Any

from geometry_msgs.msg import TwistStamped
from liquid_control.msg import ControlMode
from support.recorders import LATCHED, Recorder, with_parameters

from liquid_control.bags.reader import BagReader

MODE = '/policy_node/mode'


class PolicyNode:
    """What the recorder knows of a policy node: the mode, on every change and once a second."""

    def __init__(self, recorder: Recorder) -> None:
        self._node = recorder.peer.node
        self._recorder = recorder
        self._modes = self._node.create_publisher(ControlMode, MODE, LATCHED)
        self._commands = self._node.create_publisher(TwistStamped, '/cmd_vel', LATCHED)
        self._beat = self._node.create_timer(0.5, self._publish)
        self._mode = ControlMode.DISENGAGED
        recorder.matched(self._modes)
        recorder.matched(self._commands)

    def enters(self, mode: int) -> None:
        self._mode = mode
        self._publish()

    def commands(self, speed: float) -> None:
        message = TwistStamped()
        message.twist.linear.x = speed
        self._commands.publish(message)

    def drives(self) -> None:
        """Engaged, and the recorder has heard the mode more than once."""
        self.enters(ControlMode.AUTONOMOUS)
        self._recorder.received(MODE, 3)
        assert self._recorder.status[-1].recording

    def hangs(self) -> None:
        self._node.destroy_timer(self._beat)

    def dies(self) -> None:
        self.hangs()
        self._node.destroy_publisher(self._modes)

    def _publish(self) -> None:
        self._modes.publish(ControlMode(mode=self._mode, policy='track', policy_hash='0'))


def ends(recorder: Recorder, number: int = 0) -> dict[str, Any]:
    """Wait until so many episodes have ended; return the last one's entry."""

    def entries() -> list[dict[str, Any]]:
        return recorder.session()['episodes'][number:]

    (entry,) = recorder.wait(entries, 'the episode ends')
    return entry


@with_parameters(start_on='engage')
def test_episode_ends_with_the_policy_node_and_another_begins_with_the_next(
    recorder: Recorder,
) -> None:
    policy = PolicyNode(recorder)
    policy.drives()
    policy.dies()
    assert ends(recorder)['ended_by'] == f'policy node gone: nobody publishes {MODE} any more'
    recorder.wait(lambda: recorder.status[-1].problem, 'the problem is told')
    assert (
        recorder.status[-1].problem == f'nobody publishes {MODE} any more: the episode was ended'
    )

    another = PolicyNode(recorder)
    another.drives()
    assert recorder.status[-1].problem == ''
    another.hangs()
    assert ends(recorder, 1)['ended_by'] == f'policy node gone: nothing came on {MODE} for 3 s'
    another.enters(ControlMode.AUTONOMOUS)  # it was only slow
    recorder.wait(lambda: recorder.status[-1].episode == str(recorder.episode(2)), 'a third one')
    another.dies()


@with_parameters(start_on='engage')
def test_who_is_told_to_end_while_the_robot_brakes_records_it_to_rest(recorder: Recorder) -> None:
    policy = PolicyNode(recorder)
    policy.drives()
    recorder.process.popen.send_signal(signal.SIGINT)
    policy.enters(ControlMode.SAFE_STOP)
    for speed in (0.5, 0.25):
        policy.commands(speed)
        recorder.peer.spin()
    policy.enters(ControlMode.DISENGAGED)
    policy.commands(0.0)  # the last command follows the mode that announces it
    recorder.peer.spin()
    policy.dies()
    while recorder.process.popen.poll() is None:
        recorder.process.popen.send_signal(signal.SIGINT)  # told again and again, to the last
        recorder.peer.spin()
    assert recorder.process.popen.returncode == 0
    assert ends(recorder)['ended_by'] == 'disengaged'
    with BagReader(recorder.episode()) as bag:
        assert bag.is_finished
        modes = [message.value.mode for message in bag.messages([MODE])]
        speeds = [message.value.twist.linear.x for message in bag.messages(['/cmd_vel'])]
    assert modes[-2:] == [ControlMode.SAFE_STOP, ControlMode.DISENGAGED]
    assert speeds == [0.5, 0.25, 0.0]


@with_parameters(start_on='engage')
def test_a_policy_node_that_goes_on_does_not_keep_the_recorder(recorder: Recorder) -> None:
    policy = PolicyNode(recorder)
    policy.drives()
    told = time.monotonic()
    recorder.process.popen.send_signal(signal.SIGINT)
    recorder.wait_for_the_end()
    assert time.monotonic() - told < 15  # 4 s, on a busy machine
    with BagReader(recorder.episode()) as bag:
        assert bag.is_finished
    assert ends(recorder)['ended_by'] == 'deactivation'


@with_parameters(start_on='engage')
def test_who_waits_for_a_mode_that_nobody_publishes_says_so(recorder: Recorder) -> None:
    elsewhere = recorder.peer.node.create_publisher(ControlMode, '/car2/policy_node/mode', LATCHED)
    recorder.wait(lambda: recorder.status[-1].problem, 'the problem is told')
    expected = f'waiting for {MODE}, which nobody publishes; there is {elsewhere.topic_name}: '
    assert recorder.status[-1].problem.startswith(expected)
    assert recorder.process.output.count(expected) == 1

    PolicyNode(recorder)
    recorder.wait(lambda: not recorder.status[-1].problem, 'the problem is over')
    assert recorder.process.output.count('waiting for') == 1
