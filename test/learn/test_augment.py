# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Augmentation: it changes what may change and leaves the commands true."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.compiled_cells import some_inputs

from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.inputs import JointsSpec
from liquid_control.learn.data.augment import augment, mirror, turned
from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.train.recipe import Augment

SIGNALS = Signals(
    commands=(
        CommandSpec('steering_angle', 'rad', -0.5, 0.5),
        CommandSpec('speed', 'm/s', 0.0, 1.0),
    ),
    inputs=some_inputs('image', 'imu', 'scan', 'goal', 'velocity'),
)
OFF = Augment(flip=0, shift=0, gamma=0, tint=0, shadow=0, noise=0, cutout=0)


def window(seed: int = 0) -> Steps:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(40, 200, (1, 20, 30, 3), dtype=torch.uint8, generator=generator)
    return Steps(
        inputs={
            'image': image.repeat(6, 1, 1, 1),
            'imu': torch.randn(6, 6, generator=generator),
            'scan': torch.rand(6, 20, generator=generator),
            'goal': torch.randn(6, 3, generator=generator),
            'velocity': torch.randn(6, 6, generator=generator),
        },
        elapsed=torch.full((6,), 0.05),
        commands=torch.randn(6, 2, generator=generator),
        weights=torch.ones(6),
    )


def test_a_mirror_turns_round_what_has_a_left_and_a_right() -> None:
    steps = window()
    seen = mirror(steps, SIGNALS)
    before, after = steps.inputs, seen.inputs
    assert torch.equal(after['image'], before['image'].flip(2))
    assert torch.equal(seen.commands, steps.commands * torch.tensor([-1.0, 1.0]))
    # A left bend: acceleration to the left (+y) and a positive yaw rate (+z); both change sign.
    assert torch.equal(after['imu'], before['imu'] * torch.tensor([1, -1, 1, -1, 1, -1]))
    assert torch.equal(after['scan'], before['scan'].flip(1))
    assert torch.equal(after['goal'], before['goal'] * torch.tensor([1, 1, -1]))
    assert torch.equal(after['velocity'], before['velocity'] * torch.tensor([1, -1, 1, -1, 1, -1]))
    again = mirror(seen, SIGNALS)
    for name, values in before.items():
        assert torch.equal(again.inputs[name], values)


def test_a_robot_shown_turned_to_the_left_sees_all_further_right_and_steers_back() -> None:
    steps = window()
    spec = Augment(**{**vars(OFF), 'turn': 0.2, 'turn_back': 0.8, 'field_of_view': 1.2})
    image = SIGNALS.inputs['image']
    focal = image.source_width / 2 / math.tan(0.6) * image.width / image.crop[2]  # pixels per rad
    seen = turned(steps, 4 / focal, spec, SIGNALS)
    before, after = steps.inputs['image'], seen.inputs['image']
    assert torch.equal(after[:, :, 4:], before[:, :, :-4])
    assert torch.equal(after[:, :, 0], before[:, :, 0]), 'the gap repeats the edge'
    changed = seen.commands - steps.commands
    assert changed[:, 0].numpy() == pytest.approx(-0.8 * 4 / focal, abs=1e-6)
    assert not changed[:, 1].any(), 'the speed stays'
    drawn = augment(steps, spec, SIGNALS, np.random.default_rng(2))
    assert not torch.equal(drawn.commands, steps.commands)


def test_what_nobody_can_mirror_stays_as_it_is() -> None:
    joints = {'joints': JointsSpec(rate=50.0, max_age=0.1, joints=('elbow',))}
    steps = replace(window(), inputs={'joints': torch.randn(6, 2)})
    assert mirror(steps, replace(SIGNALS, inputs=joints)) is steps
    wheels = (CommandSpec('left_wheel/velocity', 'rad/s', -1.0, 1.0),) * 2
    assert mirror(window(), replace(SIGNALS, commands=wheels)).commands.sum() != 0


def test_with_everything_off_a_window_stays_as_it_is() -> None:
    steps = window()
    seen = augment(steps, OFF, SIGNALS, np.random.default_rng(1))
    assert torch.equal(seen.inputs['image'], steps.inputs['image'])
    assert torch.equal(seen.commands, steps.commands)


@pytest.mark.parametrize(
    'change', [{'shift': 4}, {'gamma': 0.5}, {'tint': 0.3}, {'shadow': 1.0}, {'cutout': 1.0}]
)
def test_a_change_is_the_same_in_all_frames_of_a_window(change: dict[str, float]) -> None:
    steps = window()
    seen = augment(steps, Augment(**{**vars(OFF), **change}), SIGNALS, np.random.default_rng(3))
    assert not torch.equal(seen.inputs['image'], steps.inputs['image'])
    assert (seen.inputs['image'] == seen.inputs['image'][:1]).all()
    assert torch.equal(seen.commands, steps.commands)
    assert torch.equal(seen.inputs['imu'], steps.inputs['imu'])


def test_pixel_noise_is_new_in_every_frame() -> None:
    steps = window()
    seen = augment(
        steps, Augment(**{**vars(OFF), 'noise': 8.0}), SIGNALS, np.random.default_rng(2)
    )
    difference = seen.inputs['image'].float() - steps.inputs['image'].float()
    assert not torch.equal(difference[0], difference[1])
    assert 0 < difference.std() <= 8.5
    assert abs(difference.mean()) < 0.5


def test_a_shifted_image_holds_the_moved_pixels() -> None:
    steps = window()
    seen = augment(steps, Augment(**{**vars(OFF), 'shift': 3}), SIGNALS, np.random.default_rng(5))
    moves = [
        (down, right)
        for down in range(-3, 4)
        for right in range(-3, 4)
        if torch.equal(
            seen.inputs['image'][0, 3:-3, 3:-3],
            steps.inputs['image'][0, 3 - down : 17 - down, 3 - right : 27 - right],
        )
    ]
    assert len(moves) == 1


def test_the_window_given_is_not_changed_in_place() -> None:
    steps, before = window(), window()
    augment(steps, Augment(flip=1, shift=3, cutout=1), SIGNALS, np.random.default_rng(1))
    assert torch.equal(steps.inputs['image'], before.inputs['image'])
