# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Renders quadrotor.png: the quadrotor from behind in four seasons, and what its camera sees."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from liquid_control.rollout.flight_expert import FlightExpert
from liquid_control.sim.protocols import PREFIX
from liquid_control.sim.quadrotor import CHASE_CAMERA
from liquid_control.sim.renderer import Renderer
from liquid_control.sim.robots import QuadrotorSimulator, simulate_quadrotor

SEED = 4
SECONDS = 2.5
SCENES = ('summer', 'autumn', 'winter', 'desert')
WIDTH, HEIGHT = 480, 270
INSET = (128, 96)
OVERSAMPLING = 2


def main() -> None:
    """Fly on in each scene and take the pictures."""
    images = [image(scene) for scene in SCENES]
    rows = [np.concatenate(images[i : i + 2], axis=1) for i in (0, 2)]
    path = Path(__file__).with_suffix('.png')
    whole = np.concatenate(rows)[..., ::-1]
    cv2.imwrite(str(path), whole, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def image(scene: str) -> np.ndarray:
    """One scene, with the camera's own image in its corner."""
    with simulate_quadrotor(SEED, scene=scene, difficulty={'wind': 0.0}) as simulator:
        limit = simulator.model.vis.global_
        limit.offwidth, limit.offheight = OVERSAMPLING * WIDTH, OVERSAMPLING * HEIGHT
        expert = FlightExpert(simulator.world.target)
        while simulator.time_ns < SECONDS * 1e9:
            simulator.step(expert.command(simulator.motion), 50_000_000)
        large, inset = (
            shoot(simulator, CHASE_CAMERA, (WIDTH, HEIGHT)),
            shoot(simulator, 'front', INSET),
        )
    framed = cv2.copyMakeBorder(inset, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    height, width = framed.shape[:2]
    large[8 : 8 + height, 8 : 8 + width] = framed
    return large


def shoot(simulator: QuadrotorSimulator, name: str, size: tuple[int, int]) -> np.ndarray:
    """Return one camera's image, RGB, with smooth edges."""
    width, height = (OVERSAMPLING * pixels for pixels in size)
    renderer = Renderer(simulator.model, width, height, f'{PREFIX}{name}')
    large = renderer.render(simulator.data)
    renderer.close()
    return cv2.resize(large, size, interpolation=cv2.INTER_AREA)


if __name__ == '__main__':
    main()
