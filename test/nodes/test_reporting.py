# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The state of a tick, written as bytes, says what the message type says."""

from pathlib import Path

import numpy as np
import pytest
from liquid_control.msg import PolicyState
from rclpy.serialization import deserialize_message
from support.bundles import make_bundle

from liquid_control.contract.inputs import Reading
from liquid_control.contract.modes import Mode
from liquid_control.contract.robot import CommandLimits, Robot
from liquid_control.runtime.control.controller import Controller, Tick
from liquid_control.runtime.control.runner import Frame, PolicyRunner
from liquid_control.runtime.control.state_message import Measured, state_bytes
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.loop.timing import LoopTiming

NOW = 1_795_409_432_958_934_437  # ns
LIMITS = {
    'steering_angle': CommandLimits(-0.4, 0.4, max_rate=2.0),
    'speed': CommandLimits(0.0, 1.5, max_rate=2.0, max_fall_rate=4.0),
}
MEASURED = Measured(frames=7, lateness=1e-4, encoder=2e-3, sense_to_act=9e-3)


def drive(path: Path, *, sense: bool) -> Tick:
    runner = PolicyRunner(Policy.load(make_bundle(path / 'bundle')))
    controller = Controller(runner, Robot('test car', LIMITS, wheelbase=0.325))
    if sense:
        image = np.full((120, 160, 3), 90, np.uint8)
        runner.encode('image', Frame(image, NOW - 30_000_000, NOW))
        reading = Reading(NOW - 2_000_000, np.arange(6, dtype=np.float32))
        runner.sensors.put('imu', reading, NOW)
        assert not controller.engage(NOW)
    return controller.tick(NOW)


def test_state_of_a_driving_tick_reads_back_as_it_was(tmp_path: Path) -> None:
    tick, timing = drive(tmp_path, sense=True), LoopTiming(20.0)
    timing.tick(0, 1e-4, 2)
    timing.renew()
    state = deserialize_message(state_bytes(tick, timing, MEASURED), PolicyState)
    assert state.header.stamp.sec * 10**9 + state.header.stamp.nanosec == NOW
    assert (state.tick, state.missed, state.mode) == (3, 2, Mode.AUTONOMOUS)
    assert (state.policy, state.frames) == ('bundle', 7)
    assert list(state.input_names) == ['image', 'imu']
    stamps = [stamp.sec * 10**9 + stamp.nanosec for stamp in state.input_stamps]
    assert stamps == [NOW - 30_000_000, NOW - 2_000_000]
    assert list(state.input_widths) == [0, 6], 'features are left out'
    assert state.input_values.tolist() == [0, 1, 2, 3, 4, 5]
    assert state.elapsed == pytest.approx(0.05)
    assert state.input_ages.tolist() == pytest.approx([0.03, 0.002])
    assert state.command_names == ['steering_angle', 'speed']
    assert tick.action.raw is not None
    assert tick.command is not None
    np.testing.assert_array_equal(state.command_raw, tick.action.raw)
    np.testing.assert_array_equal(state.command, np.float32(tick.command))
    assert state.limited_by == tick.limited_by
    np.testing.assert_array_equal(state.neurons, tick.runner.policy.state)
    assert np.abs(state.neurons).max() > 0
    times = (state.lateness, state.encoder_time, state.core_time, state.sense_to_act)
    assert times == pytest.approx((1e-4, 2e-3, tick.action.core_ns / 1e9, 9e-3))
    late = timing.late
    statistics = (state.rate, state.lateness_p50, state.lateness_p99, state.lateness_max)
    assert statistics == pytest.approx((timing.rate, late.p50, late.p99, late.max))
    assert state.lateness_max == pytest.approx(1e-4)


def test_state_without_sensors_has_no_command(tmp_path: Path) -> None:
    tick = drive(tmp_path, sense=False)
    state = deserialize_message(state_bytes(tick, LoopTiming(20.0), MEASURED), PolicyState)
    assert state.mode == Mode.DISENGAGED
    assert len(state.command_raw) == len(state.command) == 0
    assert list(state.input_widths) == [0, 0]
    assert len(state.input_values) == 0
    assert np.isinf(state.input_ages).all()
    assert len(state.neurons) == 8
    assert state.lateness == pytest.approx(1e-4)
