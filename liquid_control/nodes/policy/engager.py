# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Engages the policy node of a replay, and again after every jump of the time, such as a loop's.

For replays alone: on a robot it is a person who engages, and who asks why before engaging again.
"""

from __future__ import annotations

import sys

from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_srvs.srv import SetBool

from liquid_control.common.errors import ConfigError
from liquid_control.msg import ControlMode
from liquid_control.nodes.common.lifecycle import ManagedNode, run

_RETRY_SECONDS = 0.2  # of wall time, whatever the speed of the replay
_DRIVEN = (ControlMode.AUTONOMOUS, ControlMode.MANUAL)


class EngagerNode(ManagedNode):
    """Calls `policy_node/engage` for as long as `policy_node/mode` says that nobody drives."""

    def __init__(self) -> None:
        super().__init__('engager_node', autostart=True)
        self._driven = False
        self._asked: Future | None = None

    def setup(self) -> None:
        """Look for the policy node in the same namespace."""
        if not self.get_parameter('use_sim_time').value:
            raise ConfigError(
                'use_sim_time must be true, found false: this node is for replays, a robot is '
                'engaged by a person'
            )
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(ControlMode, 'policy_node/mode', self._on_mode, latched)
        self._client = self.create_client(SetBool, 'policy_node/engage')
        self.create_timer(
            _RETRY_SECONDS, self._engage, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _on_mode(self, mode: ControlMode) -> None:
        self._driven = mode.mode in _DRIVEN

    def _engage(self) -> None:
        waiting = self._asked is not None and not self._asked.done()
        if self._driven or waiting or not self._client.service_is_ready():
            return
        self._asked = self._client.call_async(SetBool.Request(data=True))
        self._asked.add_done_callback(self._on_answer)

    def _on_answer(self, answer: Future) -> None:
        response = answer.result()
        if response is not None and not response.success:
            self.get_logger().info(
                f'not engaged yet: {response.message}', throttle_duration_sec=5.0
            )


def main() -> None:
    """Run the node as a process."""
    sys.exit(run(EngagerNode))


if __name__ == '__main__':
    main()
