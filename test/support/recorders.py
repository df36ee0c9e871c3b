# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A running recorder, and what can be read of its bags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from liquid_control.msg import RecorderStatus
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger
from support.ros import Peer, Process

from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DEEP = QoSProfile(depth=1000)


class Recorder:
    """A running recorder with a publisher of strings beside it."""

    def __init__(self, peer: Peer, process: Process, directory: Path, namespace: str = '') -> None:
        self.peer, self.process, self.directory = peer, process, directory
        self.status = peer.listen(RecorderStatus, f'{namespace}/recorder_node/status', LATCHED)
        self.chatter = peer.node.create_publisher(String, f'{namespace}/chatter', DEEP)

    def wait(self, condition: Any, what: str) -> Any:
        return self.peer.wait(condition, what, process=self.process)

    def wait_for_the_end(self) -> None:
        self.peer.wait(lambda: self.process.popen.poll() is not None, 'the process ends')
        assert self.process.popen.returncode == 0

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

    def heard(self, *topics: str) -> None:
        """Wait until messages of these topics have come, recorded or not."""

        def came(topic: str) -> bool:
            return any(
                dict(zip(status.topics, status.rate, strict=True)).get(topic, 0.0) > 0
                for status in self.status
            )

        for topic in topics:
            self.wait(lambda topic=topic: came(topic), f'messages of {topic} arrive')

    def session(self) -> dict[str, Any]:
        return yaml.safe_load((self.directory / 'session.yaml').read_text())

    def episode(self, number: int = 0) -> Path:
        return self.directory / f'episode_{number:04d}'


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
