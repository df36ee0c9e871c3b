# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot's process.

One thread does everything: it simulates a short slice of time, publishes what the sensors saw, and
waits for commands until the slice is over in real time too. (An OpenGL context must stay in its
thread, so the camera would allow no other.)
"""

from __future__ import annotations

import signal
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.packages import needed_by
from liquid_control.nodes.common.dds import use_default_profile
from liquid_control.nodes.common.lifecycle import FINISHING_SECONDS, ending_signals
from liquid_control.nodes.common.terminal import never_wait_for_terminal


def main() -> None:
    """Run the node until a signal ends it; a robot that moves is given time to be stopped."""
    with needed_by('simulator_node'):  # also as `python -m`: MuJoCo is not where robots are
        from liquid_control.nodes.simulator.robot import SimulatedRobot

    signals: list[int] = []
    for signum in ending_signals():
        signal.signal(signum, lambda signum, frame: signals.append(signum))
    use_default_profile()
    never_wait_for_terminal()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    node = None
    try:
        node = SimulatedRobot()
        executor.add_node(node)
        _serve(executor, 0.0)
        while not signals:
            _serve(executor, node.advance())
        deadline = time.monotonic() + FINISHING_SECONDS
        while node.finishing and len(signals) == 1 and time.monotonic() < deadline:
            _serve(executor, node.advance())
    except LiquidControlError as error:
        get_logger('simulator_node').fatal(str(error))
        raise SystemExit(1) from None
    finally:
        # `ros2 launch` repeats itself, and at the interpreter's end nobody handles it any more.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        executor.shutdown()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


def _serve(executor: SingleThreadedExecutor, seconds: float) -> None:
    """Take commands for a time, and at least those that have come already."""
    deadline = time.monotonic() + seconds
    while True:
        executor.spin_once(timeout_sec=max(deadline - time.monotonic(), 0.0))
        if time.monotonic() >= deadline:
            return


if __name__ == '__main__':
    main()
