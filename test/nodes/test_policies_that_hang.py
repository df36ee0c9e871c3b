# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Nodes whose policies never return, while they are loaded or on what is seen just now."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
from liquid_control.msg import PolicyState
from support.bundles import make_bundle
from support.hostile_bundles import endless, endless_when_shaken, with_load
from support.robots import Robot
from support.ros import Peer, running


def pushed(state: PolicyState) -> float:
    """Upward acceleration that the policy saw, m/s^2; 0 where it saw none."""
    return state.input_values[2] if len(state.input_values) else 0.0


def test_a_policy_that_hangs_on_what_is_seen_now_is_given_up(tmp_path: Path) -> None:
    good = make_bundle(tmp_path / 'good')
    hostile = with_load(tmp_path / 'hostile', endless_when_shaken)
    peer = Peer()
    log, timeout = tmp_path / 'log', 100.0
    with running('policy_node', log, autostart=True, policy=good, load_timeout=timeout) as process:
        robot = Robot(peer, process)
        try:
            robot.sensors.imu.linear_acceleration.z = 60.0
            robot.wait(lambda: robot.states and pushed(robot.states[-1]) == 60.0, 'it is shaken')
            result = robot.set_policy(hostile)
            assert not result.successful
            assert 'did not return from a step on the live observation' in result.reason
            robot.states.clear()
            robot.wait(lambda: len(robot.states) > 3, 'ticks')
            assert robot.states[-1].policy == 'good'
            process.popen.terminate()
            process.popen.wait(20)
        finally:
            robot.sensors.stop()
            peer.close()


def test_a_node_that_loads_a_policy_ends_when_told_to(tmp_path: Path) -> None:
    peer = Peer()
    hostile = with_load(tmp_path / 'hostile', endless)
    log, timeout = tmp_path / 'log', 100.0
    with running('policy_node', log, autostart=True, policy=hostile, load_timeout=timeout) as node:
        trial = peer.wait(lambda: psutil.Process(node.popen.pid).children(), 'a trial')[0]
        started = time.monotonic()
        node.popen.terminate()
        node.popen.wait(20)
        assert time.monotonic() - started < 10
        assert not trial.is_running() or trial.status() == psutil.STATUS_ZOMBIE
        assert 'cancelled' in node.output
    peer.close()
