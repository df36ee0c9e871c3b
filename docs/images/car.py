# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Renders car.png, the README's picture: the simulated car from behind, and what it sees."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from liquid_control.rollout.expert import Expert
from liquid_control.sim.car import CHASE_CAMERA
from liquid_control.sim.protocols import PREFIX
from liquid_control.sim.renderer import Renderer
from liquid_control.sim.robots import CarSimulator, simulate_car
from liquid_control.sim.track_world import TrackWorld

SEED = 14
STEPS = 2700  # physics steps to the bend that is shown
WIDTH, HEIGHT = 800, 450
INSET = (256, 192)
OVERSAMPLING = 2


def main() -> None:
    """Drive to the bend and take both pictures."""
    nominal = dict.fromkeys(TrackWorld.difficulties, 0.0)
    with simulate_car(SEED, difficulty=nominal) as simulator:
        limit = simulator.model.vis.global_
        limit.offwidth, limit.offheight = OVERSAMPLING * WIDTH, OVERSAMPLING * HEIGHT
        expert = Expert(simulator.world.track)
        for _ in range(STEPS):
            simulator.step(expert.command(simulator.motion), simulator.step_ns)
        image = shoot(simulator, CHASE_CAMERA, (WIDTH, HEIGHT))
        inset = shoot(simulator, 'front', INSET)
    framed = cv2.copyMakeBorder(inset, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    height, width = framed.shape[:2]
    image[12 : 12 + height, 12 : 12 + width] = framed
    path = Path(__file__).with_suffix('.png')
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


def shoot(simulator: CarSimulator, name: str, size: tuple[int, int]) -> np.ndarray:
    """Return one camera's image, RGB, with smooth edges."""
    width, height = (OVERSAMPLING * pixels for pixels in size)
    renderer = Renderer(simulator.model, width, height, f'{PREFIX}{name}')
    large = renderer.render(simulator.data)
    renderer.close()
    return cv2.resize(large, size, interpolation=cv2.INTER_AREA)


if __name__ == '__main__':
    main()
