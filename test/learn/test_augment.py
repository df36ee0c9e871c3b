"""Augmentation: it changes what may change and leaves the commands true."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from liquid_control.learn.data.augment import augment, mirror
from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.train.recipe import Augment

NAMES = ('steering_angle', 'speed')
OFF = Augment(flip=0, shift=0, gamma=0, tint=0, shadow=0, noise=0, cutout=0)


def window(seed: int = 0) -> Steps:
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randint(40, 200, (1, 20, 30, 3), dtype=torch.uint8, generator=generator)
    return Steps(
        images=picture.repeat(6, 1, 1, 1),
        imu=torch.randn(6, 6, generator=generator),
        speed=torch.ones(6, 1),
        elapsed=torch.full((6,), 0.05),
        commands=torch.randn(6, 2, generator=generator),
        weights=torch.ones(6),
    )


def test_a_mirror_turns_round_what_has_a_left_and_a_right() -> None:
    steps = window()
    seen = mirror(steps, NAMES)
    assert torch.equal(seen.images, steps.images.flip(2))
    assert torch.equal(seen.commands, steps.commands * torch.tensor([-1.0, 1.0]))
    # A left bend: acceleration to the left (+y) and a positive yaw rate (+z); both change sign.
    assert torch.equal(seen.imu, steps.imu * torch.tensor([1, -1, 1, -1, 1, -1]))
    again = mirror(seen, NAMES)
    assert torch.equal(again.images, steps.images)
    assert torch.equal(again.imu, steps.imu)


def test_with_everything_off_a_window_stays_as_it_is() -> None:
    steps = window()
    seen = augment(steps, OFF, NAMES, np.random.default_rng(1))
    assert torch.equal(seen.images, steps.images)
    assert torch.equal(seen.commands, steps.commands)


@pytest.mark.parametrize(
    'change', [{'shift': 4}, {'gamma': 0.5}, {'tint': 0.3}, {'shadow': 1.0}, {'cutout': 1.0}]
)
def test_a_change_is_the_same_in_all_frames_of_a_window(change: dict[str, float]) -> None:
    steps = window()
    seen = augment(steps, Augment(**{**vars(OFF), **change}), NAMES, np.random.default_rng(3))
    assert not torch.equal(seen.images, steps.images)
    assert (seen.images == seen.images[:1]).all()
    assert torch.equal(seen.commands, steps.commands)
    assert torch.equal(seen.imu, steps.imu)


def test_pixel_noise_is_new_in_every_frame() -> None:
    steps = window()
    seen = augment(steps, Augment(**{**vars(OFF), 'noise': 8.0}), NAMES, np.random.default_rng(2))
    difference = seen.images.float() - steps.images.float()
    assert not torch.equal(difference[0], difference[1])
    assert 0 < difference.std() <= 8.5
    assert abs(difference.mean()) < 0.5


def test_a_shifted_picture_holds_the_moved_pixels() -> None:
    steps = window()
    seen = augment(steps, Augment(**{**vars(OFF), 'shift': 3}), NAMES, np.random.default_rng(5))
    moves = [
        (down, right)
        for down in range(-3, 4)
        for right in range(-3, 4)
        if torch.equal(
            seen.images[0, 3:-3, 3:-3],
            steps.images[0, 3 - down : 17 - down, 3 - right : 27 - right],
        )
    ]
    assert len(moves) == 1


def test_the_window_given_is_not_changed_in_place() -> None:
    steps, before = window(), window()
    augment(steps, Augment(flip=1, shift=3, cutout=1), NAMES, np.random.default_rng(1))
    assert torch.equal(steps.images, before.images)
