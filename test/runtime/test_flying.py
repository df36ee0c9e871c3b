# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A robot that flies, on a virtual clock: it hovers, lands, and stays within its fence."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runners import MS, PERIOD, Drive

from liquid_control.common.errors import ConfigError
from liquid_control.contract.flight_status import FlightStatus
from liquid_control.contract.modes import Mode
from liquid_control.contract.robot import CommandLimits, Fence, Landing, Robot
from liquid_control.runtime.control.controller import Controller
from liquid_control.runtime.control.fence import RobotPose

NAMES = ('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate')
LIMITS = {
    'velocity_x': CommandLimits(-1.0, 2.0, max_rate=4.0),
    'velocity_y': CommandLimits(-1.0, 1.0, max_rate=4.0),
    'velocity_z': CommandLimits(-0.5, 1.0, max_rate=2.0),
    'yaw_rate': CommandLimits(-2.0, 2.0, max_rate=8.0),
}
HOVER = (0.0, 0.0, 0.0, 0.0)
LAND = Landing(after=1.0, speed=0.4)
FENCE = Fence(radius=10.0, height=(0.5, 4.0), tilt=0.6, max_age=0.2)


class Flight(Drive):
    """With a pose that comes with every tick, unless it is taken away."""

    def __init__(self, path: Path, **robot: object) -> None:
        super().__init__(path, Robot('drone', LIMITS, **robot), commands=NAMES, image=False)
        self.pose: RobotPose | None = RobotPose(0.0, 0.0, 2.0, 0.0, 0.0)

    def sense(self) -> None:
        super().sense()
        if self.pose is not None and self.controller.pose is not None:
            self.controller.pose.put(self.pose, self.now, self.now)

    def flying(self) -> Flight:
        self.engage()
        assert any(self.tick(20).command)
        return self

    def stopped(self) -> Flight:
        self.flying().controller.stop('test')
        self.tick(20)
        return self


class Offboard(Flight):
    """Under a flight controller that tells its status; a pilot has it at first."""

    def __init__(self, path: Path, **robot: object) -> None:
        super().__init__(path, **robot)
        self.controller = Controller(
            self.runner,
            self.controller.robot,
            on_mode=lambda mode, reason: self.changes.append((mode, reason)),
            needs_offboard=True,
        )
        self.status: FlightStatus | None = FlightStatus(armed=True, offboard=False)

    def sense(self) -> None:
        super().sense()
        if self.status is not None:
            self.controller.offboard.tell(self.status, self.now)

    def flying(self) -> Offboard:
        self.engage()
        self.status = FlightStatus(armed=True, offboard=True)
        assert any(self.tick(20).command)
        return self


@pytest.mark.parametrize(
    ('status', 'reason'),
    [
        (FlightStatus(armed=True, offboard=False), 'not in offboard'),
        (FlightStatus(armed=False, offboard=True), 'not armed'),
    ],
)
def test_it_is_engaged_before_offboard_and_holds_until_then(
    tmp_path: Path, status: FlightStatus, reason: str
) -> None:
    flight = Offboard(tmp_path)
    flight.status = status
    flight.engage()
    assert flight.changes[-1] == (Mode.AUTONOMOUS, f'engaged, but {reason} yet')
    for _ in range(20):
        tick = flight.tick()
        assert (tick.command, tick.limited_by) == (HOVER, reason)
        assert tick.action.raw is not None, 'the policy looks on, its state is warm'
    assert flight.controller.offboard.entered is status.offboard
    flight.status = FlightStatus(armed=True, offboard=True)
    commands = [flight.tick().command for _ in range(20)]
    assert flight.changes[-1] == (Mode.AUTONOMOUS, 'engaged')
    step = LIMITS['velocity_x'].max_rate * PERIOD / 1e9
    assert abs(commands[0][0]) == pytest.approx(step), 'gently'


def test_a_pilot_who_takes_it_back_keeps_it(tmp_path: Path) -> None:
    flight = Offboard(tmp_path).flying()
    flight.status = FlightStatus(armed=True, offboard=False)
    assert flight.tick().command is None, 'at once'
    assert flight.changes[-1] == (Mode.DISENGAGED, 'not in offboard')
    flight.status = FlightStatus(armed=True, offboard=True)
    assert flight.tick(20).command is None, 'until somebody engages it again'
    flight.flying()


def test_without_its_status_it_stops_and_is_not_engaged(tmp_path: Path) -> None:
    flight = Offboard(tmp_path)
    flight.status = None
    flight.tick(2)
    assert flight.controller.engage(flight.now) == 'vehicle status: nothing received'
    flight.status = FlightStatus(armed=True, offboard=False)
    flight.flying().status = None
    tick = flight.tick(51)
    assert (tick.mode, tick.reason) == (
        Mode.SAFE_STOP,
        'vehicle status: 2.550 s old, limit 2.5 s',
    )
    assert flight.tick(20).command == HOVER, 'and tells it so, as it may still be in offboard'


def test_what_a_pilot_flies_neither_lands_nor_obeys_a_second_hand(tmp_path: Path) -> None:
    flight = Offboard(tmp_path, land=LAND)
    flight.engage()
    flight.controller.override((1.0, 0.0, 0.5, 0.0), flight.now)
    assert (flight.tick().mode, flight.tick().command) == (Mode.MANUAL, HOVER)
    flight.controller.stop('test')
    commands = [flight.tick().command for _ in range(60)]
    assert flight.controller.mode is Mode.SAFE_STOP
    assert set(commands) == {HOVER}, 'its time to land begins in offboard'


def test_its_stop_is_hovering(tmp_path: Path) -> None:
    flight = Flight(tmp_path).stopped()
    for _ in range(100):
        assert flight.tick().command == HOVER, 'until somebody takes it'
    assert flight.controller.mode is Mode.SAFE_STOP


def test_it_lands_where_nobody_takes_it(tmp_path: Path) -> None:
    flight = Flight(tmp_path, land=LAND).stopped()
    commands = [flight.tick().command for _ in range(40)]
    began = next(i for i, command in enumerate(commands) if command != HOVER)
    assert commands[began] == pytest.approx((0.0, 0.0, -0.1, 0.0)), 'within the limits'
    assert commands[-1] == (0.0, 0.0, -0.4, 0.0)
    flight.engage()
    assert flight.controller.mode is Mode.AUTONOMOUS


def test_a_person_interrupts_the_landing_and_it_hovers_again(tmp_path: Path) -> None:
    flight = Flight(tmp_path, land=LAND).stopped()
    flight.tick(40)
    flight.controller.override((0.0, 0.0, 0.5, 0.0), flight.now)
    assert flight.tick().command == (0.0, 0.0, 0.5, 0.0)
    flight.tick(15)
    assert flight.controller.mode is Mode.SAFE_STOP
    seconds = 0.0
    while flight.tick().command == HOVER:
        seconds += PERIOD / 1e9
    assert seconds > 0.5, 'and waits anew'


def test_disengaging_hovers_and_gives_it_back(tmp_path: Path) -> None:
    flight = Flight(tmp_path, land=LAND).stopped()
    flight.tick(40)
    flight.controller.disengage()
    commands = [flight.tick().command for _ in range(10)]
    assert HOVER in commands
    assert commands[-1] is None


def test_the_node_leaves_a_landing_as_a_hover(tmp_path: Path) -> None:
    flight = Flight(tmp_path, land=LAND).stopped()
    assert flight.tick(40).command != HOVER
    assert flight.controller.halt() == HOVER


def test_a_guard_lands_it_while_the_policy_hangs(tmp_path: Path) -> None:
    flight = Flight(tmp_path, land=LAND).flying()
    command = None
    for _ in range(60):
        flight.now += PERIOD
        command = flight.controller.do_without(flight.now, 0.05, 'policy has not answered')
    assert command == (0.0, 0.0, -0.4, 0.0)


@pytest.mark.parametrize(
    ('where', 'reason'),
    [
        (RobotPose(11.0, 0.0, 2.0, 0.0, 0.0), 'fence: 11.0 m from home'),
        (RobotPose(0.0, 0.0, 4.2, 0.0, 0.0), 'fence: 4.2 m high'),
        (RobotPose(0.0, 0.0, 2.0, 0.0, 0.8), 'fence: tilted'),
    ],
)
def test_outside_of_the_fence_it_stops_and_is_not_engaged(
    tmp_path: Path, where: RobotPose, reason: str
) -> None:
    flight = Flight(tmp_path, fence=FENCE).flying()
    flight.pose = where
    tick = flight.tick()
    assert tick.mode is Mode.SAFE_STOP
    assert tick.reason.startswith(reason)
    assert reason in flight.controller.engage(flight.now)
    flight.pose = RobotPose(0.0, 0.0, 2.0, 0.0, 0.0)
    flight.tick()
    assert flight.controller.mode is Mode.SAFE_STOP, 'a person engages it again'
    flight.engage()


def test_a_pose_that_is_old_stops(tmp_path: Path) -> None:
    flight = Flight(tmp_path, fence=FENCE)
    flight.pose = None
    flight.tick(2)
    assert flight.controller.engage(flight.now) == 'pose: nothing received'
    flight.pose = RobotPose(0.0, 0.0, 2.0, 0.0, 0.0)
    flight.flying().pose = None
    since = flight.now
    while flight.controller.mode is Mode.AUTONOMOUS:
        tick = flight.tick()
    assert flight.now - since <= 200 * MS + PERIOD
    assert tick.reason.startswith('pose: 0.25')


def test_a_person_flies_back_but_not_on(tmp_path: Path) -> None:
    flight = Flight(tmp_path, fence=FENCE)
    flight.pose = RobotPose(11.0, 0.0, 2.0, 0.0, 0.0)
    flight.tick()
    for wanted, flown in ((1.0, 0.0), (-1.0, -1.0)):
        flight.controller.override((wanted, 0.0, 0.0, 0.0), flight.now)
        tick = flight.tick()
        assert (tick.mode, tick.command[0]) == (Mode.MANUAL, flown)


def test_a_clock_that_goes_back_forgets_the_pose(tmp_path: Path) -> None:
    flight = Flight(tmp_path, fence=FENCE).flying()
    flight.now -= 10_000 * MS
    flight.pose = None
    assert flight.controller.tick(flight.now).reason.startswith('clock went back')
    assert 'pose: nothing received' in flight.controller.engage(flight.now) or not flight.sense()


def test_what_cannot_descend_cannot_land(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='needs the command velocity_z'):
        Drive(
            tmp_path,
            Robot('drone', LIMITS, land=LAND),
            commands=('velocity_x', 'yaw_rate'),
            image=False,
        )
