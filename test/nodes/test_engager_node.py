# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A replay's policy is engaged whenever nobody drives, and only in a replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from liquid_control.msg import ControlMode
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import SetBool
from support.ros import Peer, running


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer(namespace='car1')
    yield peer
    peer.close()


def test_policy_is_engaged_again_after_every_stop(tmp_path: Path, peer: Peer) -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = peer.node.create_publisher(ControlMode, 'policy_node/mode', latched)
    asked: list[bool] = []

    def engage(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        asked.append(request.data)
        response.success = len(asked) > 1
        response.message = '' if response.success else 'image: nothing received'
        if response.success:
            publisher.publish(ControlMode(mode=ControlMode.AUTONOMOUS))
        return response

    peer.node.create_service(SetBool, 'policy_node/engage', engage)
    publisher.publish(ControlMode(mode=ControlMode.DISENGAGED))
    log = tmp_path / 'log'
    with running('engager_node', log, '-r', '__ns:=/car1', use_sim_time=True) as process:
        peer.wait(lambda: len(asked) == 2, 'engaged after a refusal', process=process)
        publisher.publish(ControlMode(mode=ControlMode.SAFE_STOP, reason='clock went back'))
        peer.wait(lambda: len(asked) == 3, 'engaged after a stop', process=process)
        assert all(asked)
        assert 'not engaged yet: image: nothing received' in process.output
        assert process.interrupt() == 0


def test_robot_is_not_engaged_by_itself(tmp_path: Path) -> None:
    with running('engager_node', tmp_path / 'log') as process:
        assert process.popen.wait(30) == 1
        assert 'use_sim_time must be true' in process.output
