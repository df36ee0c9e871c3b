# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A controller on a virtual clock, with sensors and a policy that can be broken."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from support.bundles import make_bundle

from liquid_control.common.errors import SensorError
from liquid_control.contract.inputs import Reading
from liquid_control.contract.modes import Mode
from liquid_control.contract.robot import CommandLimits, Robot
from liquid_control.runtime.control.controller import Controller, Tick
from liquid_control.runtime.control.runner import Frame, PolicyRunner
from liquid_control.runtime.inference.policy import Policy

MS = 1_000_000
PERIOD = 50 * MS
START = 1_000_000 * MS
GRAVITY = np.array([0, 0, 9.81, 0, 0, 0], np.float32)
IMAGE = np.full((120, 160, 3), 90, np.uint8)

ROBOT = Robot(
    name='test car',
    wheelbase=0.325,
    limits={
        'steering_angle': CommandLimits(-0.4, 0.4, max_rate=2.0),
        'speed': CommandLimits(0.0, 1.5, max_rate=2.0, max_fall_rate=4.0),
    },
)


def make_runner(path: Path, *, time_budget: float | None = None, **bundle: object) -> PolicyRunner:
    return PolicyRunner(Policy.load(make_bundle(path, **bundle)), time_budget=time_budget)


class Drive:
    """A controller on a virtual clock, with a camera and an IMU that can be broken."""

    def __init__(self, path: Path, robot: Robot = ROBOT, **bundle: object) -> None:
        self.runner = make_runner(path / 'bundle', **bundle)
        self.policy = self.runner.policy
        self.changes: list[tuple[Mode, str]] = []
        self.controller = Controller(
            self.runner, robot, on_mode=lambda mode, reason: self.changes.append((mode, reason))
        )
        self.features: np.ndarray | None = None
        self.now = START
        self.image_stamp = self.imu_stamp = self.speed_stamp = lambda: self.now
        self.speed = 0.5
        self.imu = GRAVITY

    def sense(self) -> None:
        controller, now = self.controller, self.now
        frame = controller.frames['image'] = Frame(IMAGE, self.image_stamp(), now)
        readings = {
            'imu': Reading(self.imu_stamp(), self.imu),
            'speed': Reading(self.speed_stamp(), np.float32([self.speed])),
        }
        if self.features is not None:
            readings['image'] = Reading(self.image_stamp(), self.features)
        for runner in (controller.runner, controller.shadow):
            if runner is None:
                continue
            with contextlib.suppress(SensorError):
                if self.features is None:
                    runner.encode('image', frame)
            for name, reading in readings.items():
                if name in runner.sensors.slots:
                    with contextlib.suppress(SensorError):
                        runner.sensors.put(name, reading, now)

    def tick(self, count: int = 1) -> Tick:
        tick = None
        for _ in range(count):
            self.now += PERIOD
            self.sense()
            tick = self.controller.tick(self.now)
        assert tick is not None
        return tick

    def engage(self) -> None:
        self.tick(2)
        assert self.controller.engage(self.now) == ''


def moving(drive: Drive) -> Drive:
    drive.engage()
    assert drive.tick(40).command[1] > 0.2
    return drive
