# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Modes, faults and limits on a virtual clock: what stops the robot, why, and how fast."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.runners import MS, PERIOD, START, Drive, moving

from liquid_control.contract.modes import Mode


def test_nothing_is_sent_before_engaging(drive: Drive) -> None:
    tick = drive.tick(20)
    assert tick.mode is Mode.DISENGAGED
    assert tick.command is None
    assert tick.action.raw is not None, 'the network runs, so that its state is warm'


def test_engaging_drives_within_the_rate_limits(drive: Drive) -> None:
    drive.engage()
    previous = (0.0, 0.0)
    for _ in range(40):
        command = drive.tick().command
        assert command is not None
        assert abs(command[0] - previous[0]) <= 2.0 * 0.05 + 1e-9
        assert -4.0 * 0.05 - 1e-9 <= command[1] - previous[1] <= 2.0 * 0.05 + 1e-9
        previous = command
    assert drive.controller.mode is Mode.AUTONOMOUS
    assert previous[1] > 0.2


def test_engaging_without_sensors_is_refused_with_the_missing_one(drive: Drive) -> None:
    assert 'image: nothing received' in drive.controller.engage(START)
    assert drive.controller.mode is Mode.DISENGAGED


def freeze(drive: Drive, name: str, *, at: int | None = None) -> None:
    stamp = drive.now if at is None else at
    setattr(drive, name, lambda: stamp)


def camera_stops(drive: Drive) -> None:
    freeze(drive, 'image_stamp')


def camera_goes_back(drive: Drive) -> None:
    freeze(drive, 'image_stamp', at=START - 1000 * MS)


def camera_from_the_future(drive: Drive) -> None:
    drive.image_stamp = lambda: drive.now + 5000 * MS


def imu_stops(drive: Drive) -> None:
    freeze(drive, 'imu_stamp')


def odometry_stops(drive: Drive) -> None:
    freeze(drive, 'speed_stamp')


def odometry_absurd(drive: Drive) -> None:
    drive.speed = 1e9


def imu_nan(drive: Drive) -> None:
    drive.imu = np.full(6, np.nan, np.float32)


def imu_infinite(drive: Drive) -> None:
    drive.imu = np.array([np.inf, 0, 0, 0, 0, 0], np.float32)


def imu_absurd(drive: Drive) -> None:
    drive.imu = np.array([1e6, 0, 0, 0, 0, 0], np.float32)


def encoder_nan(drive: Drive) -> None:
    drive.features = np.full(8, np.nan, np.float32)


SENSOR_FAULTS = {
    camera_stops: 'image: .* old.*repeated',
    camera_goes_back: 'image: .* old.*went back',
    camera_from_the_future: 'image: .* old.*future',
    imu_stops: 'imu: .* old.*repeated',
    odometry_stops: 'speed: .* old.*repeated',
    odometry_absurd: 'speed: .* old.*absurd',
    imu_nan: 'imu: .* old.*not finite',
    imu_infinite: 'imu: .* old.*not finite',
    imu_absurd: 'imu: .* old.*absurd',
    encoder_nan: 'image: .* old.*not finite',
}


@pytest.mark.parametrize(
    ('fault', 'reason'), SENSOR_FAULTS.items(), ids=lambda value: getattr(value, '__name__', '')
)
def test_sensor_fault_stops_within_its_age_limit_and_says_why(
    drive: Drive, fault: object, reason: str
) -> None:
    moving(drive)
    fault(drive)
    contract = drive.policy.contract
    limit = contract.inputs[reason.split(':')[0]].max_age
    deadline = drive.now + limit * 1e9 + PERIOD
    while drive.controller.mode is Mode.AUTONOMOUS:
        tick = drive.tick()
        assert drive.now <= deadline + PERIOD, 'too late'
    assert tick.mode is Mode.SAFE_STOP
    assert re.match(reason, tick.reason), tick.reason
    speed = tick.command[1]
    while speed > 0:
        tick = drive.tick()
        assert speed - tick.command[1] <= 4.0 * 0.05 + 1e-9, 'deceleration is limited'
        speed = tick.command[1]
    assert drive.tick().command[1] == 0.0, 'the stop is kept up'


def test_sensors_that_recover_do_not_move_a_stopped_robot(drive: Drive) -> None:
    moving(drive)
    camera_stops(drive)
    drive.tick(30)
    drive.image_stamp = lambda: drive.now
    tick = drive.tick(30)
    assert tick.mode is Mode.SAFE_STOP
    assert tick.command[1] == 0.0
    assert drive.controller.engage(drive.now) == ''
    assert drive.tick(20).command[1] > 0.0


def test_engaging_with_a_stale_sensor_is_refused(drive: Drive) -> None:
    moving(drive)
    camera_stops(drive)
    drive.tick(30)
    assert 'image' in drive.controller.engage(drive.now)
    assert drive.controller.mode is Mode.SAFE_STOP


def test_first_reason_wins(drive: Drive) -> None:
    moving(drive)
    drive.controller.stop('first')
    drive.controller.stop('second')
    assert drive.tick().reason == 'first'


def test_clock_that_goes_back_stops_and_forgets_the_sensors(drive: Drive) -> None:
    moving(drive)
    drive.now -= 100 * PERIOD
    tick = drive.controller.tick(drive.now)
    assert tick.mode is Mode.SAFE_STOP
    assert 'clock went back' in tick.reason
    assert tick.action.raw is None
    drive.tick(20)
    assert drive.controller.engage(drive.now) == '', 'new stamps count again'


def test_clock_that_jumps_ahead_stops(drive: Drive) -> None:
    moving(drive)
    drive.now += 10_000 * MS
    assert drive.controller.tick(drive.now).mode is Mode.SAFE_STOP


def test_clock_that_jumps_ahead_stops_even_where_the_sensors_were_quicker(drive: Drive) -> None:
    moving(drive)
    drive.now += 10_000 * MS
    tick = drive.tick()
    assert tick.mode is Mode.SAFE_STOP
    assert 'clock jumped ahead' in tick.reason
    drive.tick(20)
    assert drive.controller.engage(drive.now) == ''


def test_clock_that_jumps_ahead_brakes_within_the_limits(drive: Drive) -> None:
    speed = moving(drive).tick().command[1]
    drive.now += 10_000 * MS
    tick = drive.controller.tick(drive.now)
    assert 0.0 < speed - tick.command[1] <= 4.0 * 0.05 + 1e-9


def test_a_robot_without_its_policy_brakes_within_the_limits(drive: Drive) -> None:
    speed = moving(drive).tick().command[1]
    for _ in range(100):
        command = drive.controller.do_without(drive.now, 0.05, 'clock stopped')
        assert 0.0 <= speed - command[1] <= 4.0 * 0.05 + 1e-9
        speed = command[1]
    assert speed == 0.0
    assert drive.controller.mode is Mode.SAFE_STOP
    assert drive.controller.reason == 'clock stopped'


def test_policy_that_returns_nan_stops(tmp_path: Path) -> None:
    drive = Drive(tmp_path, break_='nan')
    drive.engage()
    tick = drive.tick()
    assert tick.mode is Mode.SAFE_STOP
    assert 'not finite' in tick.reason
    assert np.isfinite(tick.command).all()


def test_override_takes_over_at_once_and_gives_back(drive: Drive) -> None:
    moving(drive)
    drive.controller.override((-0.3, 1.0), drive.now)
    tick = drive.tick()
    assert tick.mode is Mode.MANUAL
    assert tick.command == (-0.3, 1.0)
    before = tick.command
    tick = drive.tick(11)
    assert tick.mode is Mode.AUTONOMOUS
    assert abs(tick.command[0] - before[0]) <= 2.0 * 0.05 * 2 + 1e-9, 'starts from the hand'


def test_override_that_sticks_keeps_the_person_in_charge(drive: Drive) -> None:
    moving(drive)
    for _ in range(200):
        drive.controller.override((0.2, 0.4), drive.now)
        tick = drive.tick()
        assert tick.mode is Mode.MANUAL
        assert tick.command == (0.2, 0.4)


def test_override_is_clamped_to_the_robot(drive: Drive) -> None:
    drive.tick(2)
    drive.controller.override((3.0, 9.0), drive.now)
    tick = drive.tick()
    assert tick.command == (0.4, 1.5)
    assert tick.limited_by == 'clamp steering_angle'


def test_override_works_with_dead_sensors(drive: Drive) -> None:
    drive.controller.override((0.1, 0.5), drive.now)
    tick = drive.controller.tick(drive.now + PERIOD)
    assert tick.mode is Mode.MANUAL
    assert tick.command == (0.1, 0.5)


def test_override_that_ends_on_a_robot_never_engaged_brakes_and_is_silent(drive: Drive) -> None:
    drive.tick(2)
    drive.controller.override((0.1, 1.0), drive.now)
    seen = [drive.tick() for _ in range(40)]
    assert seen[-1].mode is Mode.DISENGAGED
    assert seen[-1].command is None
    assert [tick.command for tick in seen if tick.command][-1][1] == 0.0, 'last word is a stop'


def test_override_with_nan_is_refused(drive: Drive) -> None:
    with pytest.raises(ValueError, match='not finite'):
        drive.controller.override((float('nan'), 1.0), drive.now)
    assert drive.controller.mode is Mode.DISENGAGED


def test_disengaging_brakes_before_it_is_silent(drive: Drive) -> None:
    moving(drive)
    drive.controller.disengage()
    seen = [drive.tick() for _ in range(40)]
    assert seen[0].mode is Mode.SAFE_STOP
    assert [tick.command for tick in seen if tick.command][-1][1] == 0.0
    assert seen[-1].command is None
    assert seen[-1].mode is Mode.DISENGAGED


def test_an_override_after_disengaging_leaves_it_disengaged(drive: Drive) -> None:
    moving(drive)
    drive.controller.disengage()
    drive.tick()
    drive.controller.override((0.0, 0.2), drive.now)
    assert drive.tick().mode is Mode.MANUAL
    assert drive.tick(40).mode is Mode.DISENGAGED


def test_a_fault_while_a_person_drives_stops_when_they_let_go(drive: Drive) -> None:
    moving(drive)
    drive.controller.override((0.1, 0.5), drive.now)
    drive.policy.step = lambda *inputs: np.full(2, np.nan, np.float32)
    for _ in range(10):
        tick = drive.tick()
        assert tick.mode is Mode.MANUAL
        assert tick.command == (0.1, 0.5)
    tick = drive.tick(2)
    assert tick.mode is Mode.SAFE_STOP
    assert 'not finite' in tick.reason
    assert [mode for mode, _ in drive.changes] == [
        Mode.AUTONOMOUS,
        Mode.MANUAL,
        Mode.SAFE_STOP,
    ]


def test_override_counts_from_its_stamp_and_from_its_arrival(drive: Drive) -> None:
    drive.tick(2)
    with pytest.raises(ValueError, match='old by its stamp'):
        drive.controller.override((0.0, 1.0), drive.now, drive.now - 501 * MS)
    assert drive.controller.mode is Mode.DISENGAGED
    drive.controller.override((0.0, 1.0), drive.now, drive.now - 400 * MS)
    assert drive.tick(2).mode is Mode.MANUAL
    assert drive.tick().mode is Mode.SAFE_STOP, 'what was left of half a second is over'


def test_a_node_that_goes_brakes_a_person_too_who_may_only_brake_harder(drive: Drive) -> None:
    drive.tick(2)
    drive.controller.override((0.1, 1.5), drive.now)
    assert drive.tick().command == (0.1, 1.5)
    drive.controller.leave('deactivated')
    assert drive.tick().command == pytest.approx((0.1, 1.3))
    drive.controller.override((0.3, 0.2), drive.now)
    assert drive.tick().command == (0.3, 0.2), 'harder, and steering'
    drive.controller.override((0.3, 1.5), drive.now)
    assert drive.tick().command[1] == 0.0, 'never faster'
    assert drive.tick().mode is Mode.DISENGAGED
    drive.controller.override((0.3, 1.5), drive.now)
    assert drive.tick().command is None
    assert 'about to end' in drive.controller.engage(drive.now)


def test_halt_ends_with_a_stop(drive: Drive) -> None:
    steering = moving(drive).tick().command[0]
    assert drive.controller.halt() == (steering, 0.0)
    assert drive.controller.halt() is None
