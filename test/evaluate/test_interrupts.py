# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM while ROS is being listened to."""

from __future__ import annotations

import signal

import pytest

from liquid_control.evaluate.closed_loop.drive import terminated_as_interrupted
from liquid_control.evaluate.closed_loop.monitor import uninterrupted


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_ros_is_done_and_is_not_lost(signum: signal.Signals) -> None:
    before, done = signal.getsignal(signum), []

    def interrupted() -> None:
        with uninterrupted():
            signal.raise_signal(signum)
            done.append('what was begun')

    with pytest.raises(KeyboardInterrupt), terminated_as_interrupted():
        interrupted()
    assert done
    assert signal.getsignal(signum) is before
