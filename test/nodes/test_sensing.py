# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Serialized messages as the nodes take them, and where the node's threads may run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from geometry_msgs.msg import Twist
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from support.bundles import make_bundle
from support.ros import Peer, running

from liquid_control.nodes.common import rcl_take
from liquid_control.nodes.common.inbox import Inbox
from liquid_control.nodes.policy.commands import CommandPort, Override


def serialized(width: int, grey: int) -> bytes:
    image = Image(height=4, width=width, encoding='mono8', step=width)
    image.data = bytes([grey]) * (4 * width)
    return bytes(serialize_message(image))


def test_inbox_hands_over_the_bytes_in_order_and_what_was_taken_stays(peer: Peer) -> None:
    reliable = QoSProfile(depth=10)  # the inbox may learn of the sender after the first message
    sender = peer.node.create_publisher(Image, 'inbox_image', reliable)
    with_inbox = Peer('with_inbox')
    inbox = Inbox(with_inbox.node, Image, 'inbox_image', reliable)
    peer.wait(lambda: sender.get_subscription_count() == 1, 'the inbox is known')
    assert inbox.receive() is None
    sent = [serialized(width, grey) for width, grey in ((2, 1), (200_000, 2), (3, 3))]
    for message in sent:
        sender.publish(message)
    taken = []
    while len(taken) < len(sent):
        message = inbox.receive(10.0)
        assert message is not None, f'{len(taken)} of {len(sent)} messages came'
        taken.append(message)
    assert [bytes(message) for message in taken] == sent
    assert inbox.receive() is None
    assert inbox.receive(0.01) is None
    with_inbox.close()


def test_where_functions_of_rcl_are_missing_rclpy_takes_the_messages(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise AttributeError('librcl.so: undefined symbol: rcl_take_serialized_message')

    monkeypatch.setattr(rcl_take, '_functions', gone)
    rcl_take.missing.cache_clear()
    try:
        assert 'undefined symbol' in rcl_take.missing()
        test_inbox_hands_over_the_bytes_in_order_and_what_was_taken_stays(peer)
    finally:
        rcl_take.missing.cache_clear()


@pytest.mark.parametrize(
    ('names', 'twist', 'values'),
    [
        (('speed', 'yaw_rate'), (0.0, 1.0), (0.0, 1.0)),
        (('throttle', 'steering'), (0.0, -0.5), (0.0, -0.5)),
        (('steering_angle', 'speed'), (0.0, 1.0), (0.0, 0.0)),
    ],
)
def test_a_person_who_turns_on_the_spot_is_understood_where_the_robot_can(
    peer: Peer, names: tuple[str, ...], twist: tuple[float, float], values: tuple[float, ...]
) -> None:
    base = Peer('base')
    port = CommandPort(
        base.node, command_type='twist', names=names, wheelbase=0.3, frame_id='base_link'
    )
    hand = peer.node.create_publisher(Twist, 'cmd_vel_override', 1)
    peer.wait(hand.get_subscription_count, 'the override topic')
    message = Twist()
    message.linear.x, message.angular.z = twist

    def heard() -> Override | None:
        hand.publish(message)  # as a joystick does: one is lost where it comes before the match
        return port.take_override()

    taken = peer.wait(heard, 'the override')
    assert taken is not None
    assert taken.values == values
    assert taken.stamp_ns is None
    port.close()
    base.close()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason='needs two cores')
def test_only_the_control_thread_may_use_every_core(tmp_path: Path, peer: Peer) -> None:
    cores = os.sched_getaffinity(0)
    bundle = make_bundle(tmp_path / 'bundle')
    with running('policy_node', tmp_path / 'log', autostart=True, policy=bundle) as process:
        peer.wait(lambda: 'not engaged yet' in process.output, 'active', process=process)
        tasks = Path(f'/proc/{process.popen.pid}/task')

        def everywhere() -> int:
            """How many of the threads that came with ROS, or later, may run on all cores."""
            names = {int(task.name): (task / 'comm').read_text() for task in tasks.iterdir()}
            first = min(thread for thread, name in names.items() if name.startswith('dds'))
            return sum(os.sched_getaffinity(each) == cores for each in names if each > first)

        peer.wait(lambda: everywhere() == 1, 'the control thread, and it alone', process=process)
