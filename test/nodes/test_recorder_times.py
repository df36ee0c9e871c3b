# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which simulated time a message is logged in, however late it is fetched."""

from __future__ import annotations

import time

from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from support.ros import Peer

from liquid_control.nodes.recorder.sim_times import SimTimes
from liquid_control.nodes.recorder.thread import Fetched


def test_a_message_is_logged_in_the_time_that_had_come_before_it(peer: Peer) -> None:
    times = SimTimes(peer.node, Fetched())
    clock = peer.node.create_publisher(Clock, '/clock', 1)
    peer.wait(clock.get_subscription_count, 'somebody who follows the clock')
    assert times.at(time.time_ns()) == 0, 'nobody has told it'

    def tell(second: int) -> None:
        def came() -> bool:
            times.take()
            return times.at(time.time_ns()) == second * 10**9

        clock.publish(Clock(clock=Time(sec=second)))
        peer.wait(came, f'second {second}')

    tell(5)
    arrived_ns = time.time_ns()
    tell(6)
    assert times.at(arrived_ns) == 5 * 10**9
    between = time.time_ns()
    tell(3)  # a simulation that began anew
    assert times.at(between) == 6 * 10**9
    assert times.at(time.time_ns()) == 3 * 10**9
    times.close()
