"""Renders car.png, the README's picture: the simulated car from behind, and what it sees."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from liquid_control.rollout.expert import Expert
from liquid_control.sim.appearance import Look
from liquid_control.sim.camera import Camera
from liquid_control.sim.car import Car
from liquid_control.sim.scene import CHASE_CAMERA, FRONT_CAMERA, build_model, paint
from liquid_control.sim.track import generate_track

SEED = 14
STEPS = 2700  # physics steps to the bend that is shown
WIDTH, HEIGHT = 800, 450
INSET = (256, 192)
OVERSAMPLING = 2


def main() -> None:
    """Drive to the bend and take both pictures."""
    track, look = generate_track(SEED), Look()
    model = build_model(track, look, SEED)
    paint(model, track, look, SEED)
    model.vis.global_.offwidth, model.vis.global_.offheight = (
        OVERSAMPLING * WIDTH,
        OVERSAMPLING * HEIGHT,
    )
    car, expert = Car(model), Expert(track)
    car.place(*track.pose_at(0.0))
    for _ in range(STEPS):
        car.advance(expert.command(car.motion()))

    picture = shoot(car, CHASE_CAMERA, (WIDTH, HEIGHT))
    inset = shoot(car, FRONT_CAMERA, INSET)
    framed = cv2.copyMakeBorder(inset, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    height, width = framed.shape[:2]
    picture[12 : 12 + height, 12 : 12 + width] = framed
    path = Path(__file__).with_suffix('.png')
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


def shoot(car: Car, name: str, size: tuple[int, int]) -> np.ndarray:
    """Return one camera's picture, RGB, with smooth edges."""
    camera = Camera(car.model, OVERSAMPLING * size[0], OVERSAMPLING * size[1], name)
    large = camera.render(car.data)
    camera.close()
    return cv2.resize(large, size, interpolation=cv2.INTER_AREA)


if __name__ == '__main__':
    main()
