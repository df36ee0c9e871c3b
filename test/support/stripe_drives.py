# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings that a small network can learn: a bright stripe tells the steering angle."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from support import recordings as rec

from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.inputs import ImageSpec, ImuSpec
from liquid_control.contract.modes import Mode
from liquid_control.contract.wire import twist_axes
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.train.recipe import Augment, Fit, Network, Recipe, Timing

WHEELBASE = 0.325
WIDTH, HEIGHT = 48, 24
COMMANDS = (
    CommandSpec('steering_angle', 'rad', -0.5, 0.5),
    CommandSpec('speed', 'm/s', 0.0, 2.0),
)
SIGNALS = Signals(
    commands=COMMANDS,
    inputs={
        'image': ImageSpec(
            width=WIDTH,
            height=HEIGHT,
            source_width=WIDTH,
            source_height=HEIGHT,
            crop=(0, 0, WIDTH, HEIGHT),
            rate=30.0,
            max_age=0.5,
            features=8,
        ),
        'imu': ImuSpec(rate=200.0, max_age=0.1),
    },
    wheelbase=WHEELBASE,
)
RECIPE = Recipe(
    signals=SIGNALS,
    network=Network(neurons=8),
    timing=Timing(steps=8),
    augment=Augment(noise=4.0),
    fit=Fit(epochs=4, batch_size=8, passes=4, min_steps=1, learning_rate=5e-3),
)


def angle_at(seconds: float, phase: float) -> float:
    """Steering angle of the driver, rad."""
    return 0.4 * math.sin(1.3 * seconds + phase)


def write_drive(
    path: Path,
    *,
    seconds: float = 6.0,
    phase: float = 0.0,
    mode: Mode | None = None,
    sway: float = 0.0,
) -> Path:
    """A bag with camera, IMU and commands; drives of different phase have different data.

    mode: who drove all the time, as a policy node would say; None: nothing is said of it.
    sway: how much faster it is in bends, m/s for a radian.
    """
    entries = []
    if mode is not None:
        entries.append(rec.Entry(rec.START_NS, '/policy_node/mode', {'mode': int(mode)}))
    end_ns = round(seconds * 1e9)
    for index in range(end_ns // rec.FRAME_NS + 1):
        offset_ns = index * rec.FRAME_NS
        pixels = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
        # Left is positive: the stripe of a left bend stands left of the middle.
        column = round(WIDTH * (0.5 - angle_at(offset_ns / 1e9, phase)))
        pixels[:, max(column - 3, 0) : column + 4] = 220
        values = {
            'height': HEIGHT,
            'width': WIDTH,
            'encoding': 'rgb8',
            'step': 3 * WIDTH,
            'data': pixels.reshape(-1),
        }
        entries.append(rec.Entry(rec.START_NS + offset_ns, rec.IMAGE, values))
    entries += [rec.imu_entry(rec.START_NS + at) for at in range(0, end_ns + 1, rec.IMU_NS)]
    for at in range(0, end_ns + 1, rec.COMMAND_NS):
        angle = angle_at(at / 1e9, phase)
        values = angle, 1.0 + sway * abs(angle)
        told = dict(zip(('steering_angle', 'speed'), values, strict=True))
        twist = twist_axes(told, WHEELBASE)
        entries.append(
            rec.command_entry(rec.START_NS + at, twist['velocity_x'], twist['yaw_rate'])
        )
    types = {'policy_node/mode': 'liquid_control/msg/ControlMode'}
    return rec.write_bag(path, sorted(entries, key=lambda entry: entry.stamp_ns), **types)
