# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether policies go on looking at the same places when their camera is noisy.

Every policy drives by itself in unseen worlds; some of the images that it saw are looked at again
with noise, and the mask of its encoder (VisualBackProp) is compared with that of the clean image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.study import (
    EvidenceError,
    Measured,
    Piece,
    Report,
    Study,
    Table,
    grouped,
)
from liquid_control.evaluate.evidence.worlds import unseen_worlds
from liquid_control.evaluate.explain.stability import NOISES, TRIALS, under_noise
from liquid_control.evaluate.statistics import clustered_mean
from liquid_control.rollout.driver import PolicyDriver, step
from liquid_control.rollout.tasks import robot_of
from liquid_control.runtime.inference.attention import Attention
from liquid_control.runtime.inference.policy import Policy
from liquid_control.sim.protocols import Sample
from liquid_control.sim.robots import simulate

WORLDS, QUICK_WORLDS, IMAGES, QUICK_IMAGES = 8, 2, 8, 3
EVERY = 1.0
"""From one image that is looked at to the next, s."""
SCORED = 20.0
"""The noise of the one number, grey levels."""
MOST_SAID = 6
"""Policies that the one line of the report names."""


def study(
    bundles: list[Path], *, worlds: int = WORLDS, seed: int = 0, quick: bool = False
) -> Study:
    """Images of so many worlds, the same worlds for all policies.

    Raises:
        EvidenceError: a policy has no camera, or there are not so many worlds.
    """
    seeds = unseen_worlds(QUICK_WORLDS if quick else worlds, seed)
    pieces: list[Piece] = []
    for path in bundles:
        bundle = load_bundle(path)
        if not bundle.contract.images:
            raise EvidenceError(f'{path} has no camera, and looks at nothing: leave it out')
        same = {'policy': str(path), 'name': bundle.contract.name, 'digest': bundle.digest}
        images = QUICK_IMAGES if quick else IMAGES
        pieces += [{**same, 'world': world, 'images': images} for world in seeds]
    return Study('attention', measure, pieces, summarise)


def measure(piece: Piece) -> Measured:
    """Noise -> SSIM of every image and trial, in one world."""
    policy = Policy.load(Path(piece['policy']))
    name = next(iter(policy.contract.images))
    attention = Attention(policy.bundle, name)
    rng = np.random.default_rng(piece['world'])
    found: dict[str, list[float]] = {}
    for pixels in seen(policy, piece['world'], piece['images']):
        for noise, similar in under_noise(attention, attention.preprocess(pixels), rng).items():
            found.setdefault(noise, []).extend(similar)
    return found


class Watching(PolicyDriver):
    """A policy at the wheel, and the newest image that it was given."""

    image: NDArray[np.uint8] | None = None

    def sense(self, sample: Sample) -> None:
        """A sample for the policy."""
        if sample.sensor == 'image':
            self.image = sample.value
        super().sense(sample)


def seen(policy: Policy, world: int, count: int) -> list[NDArray[np.uint8]]:
    """So many images of a policy's own drive in a world, fewer where it fails on the way."""
    robot, period_ns = robot_of(policy.contract.command_names), policy.contract.period_ns
    driver, images = Watching(policy, robot), list[NDArray[np.uint8]]()
    apart = max(1, round(EVERY * policy.contract.control_rate))
    with simulate(robot, world) as simulator:
        for tick in range(1, count * apart + 1):
            step(simulator, driver, tick * period_ns)
            if simulator.status.problem:
                break
            if tick % apart == 0 and driver.image is not None:
                images.append(driver.image)
    return images


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """A row for each policy, a column for each noise."""
    rows, scores = [], {}
    for (name,), worlds in grouped(found, 'name').items():
        known = [each for each in worlds if each]  # not those that failed before the first image
        similar = {
            noise: clustered_mean([np.mean(each[noise]) for each in known], range(len(known)))
            for noise in (f'{level:g}' for level in NOISES if known)
        }
        rows.append({'policy': name, **{noise: str(value) for noise, value in similar.items()}})
        scores[name] = {'attention, SSIM': similar.get(f'{SCORED:g}')}
    images, count = found[0][0]['images'], len({piece['world'] for piece, _ in found})
    caption = (
        f'Mean structural similarity with the mask of the clean image, 1: the same; {images} '
        f'images in each of {count} worlds, {TRIALS} times each noise (deviation in grey '
        'levels). In brackets 95 % by a bootstrap over worlds. VisualBackProp sees the encoder '
        'alone; `liquid-control explain` has a second opinion.'
    )
    table = Table('attention', 'Attention under pixel noise', rows, caption)
    said = [f'{name}: {score["attention, SSIM"]}' for name, score in scores.items()]
    told = '; '.join(said if len(said) <= MOST_SAID else [*said[:MOST_SAID], '…'])
    return Report('Attention', f'SSIM at {SCORED:g} grey levels: {told}', [table], scores=scores)
