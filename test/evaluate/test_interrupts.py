# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while ROS is being listened to."""

from __future__ import annotations

import signal

import pytest

from liquid_control.evaluate.closed_loop.monitor import uninterrupted


def test_ctrl_c_waits_until_ros_is_done_and_is_not_lost() -> None:
    before, done = signal.getsignal(signal.SIGINT), []

    def interrupted() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append('what was begun')

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done
    assert signal.getsignal(signal.SIGINT) is before
