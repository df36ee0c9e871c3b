# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Draws roads.png: what the car sees where a road is hard, one difficulty at a time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from liquid_control.rollout.tasks.track import TrackTask
from liquid_control.sim.road import surface
from liquid_control.sim.road.difficulties import DIFFICULTIES
from liquid_control.sim.robots import CarSimulator, simulate_car

SEED, SIZE, COLUMNS = 12, (160, 120), 6
SECONDS = 4.0
BEFORE = {'cones': 0.7, 'parked': 0.8, 'moving': 0.8, 'crossings': 1.0}
"""How far before a thing its picture is taken, m."""
SHOWN = [name for name in DIFFICULTIES if name not in ('fast', 'delay', 'slack')]


def main() -> None:
    """One picture for each difficulty, most of them at the same place."""
    cells = [labelled('as trained', {})]
    cells += [labelled(name, {name: 1.0}) for name in SHOWN]
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % COLUMNS)
    rows = [np.hstack(cells[at : at + COLUMNS]) for at in range(0, len(cells), COLUMNS)]
    sheet = np.vstack(rows)[..., ::-1]
    path = Path(__file__).with_suffix('.png')
    cv2.imwrite(str(path), sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def labelled(name: str, difficulty: dict[str, float]) -> np.ndarray:
    """What the car sees, with the difficulty's name below."""
    with simulate_car(
        SEED, difficulty=difficulty, image_width=SIZE[0], image_height=SIZE[1]
    ) as simulator:
        camera = next(sensor for sensor in simulator.sensors if sensor.name == 'image')
        camera.deviation = 0.0  # noise says nothing here, and makes the file large
        simulator.reset()
        station = place(name, simulator)
        if station is not None:
            simulator.reset(simulator.world.pose_at(station=station))
            samples = simulator.step({'steering_angle': 0.0, 'speed': 0.0}, 50_000_000)
        else:
            task = TrackTask(simulator)
            while simulator.time_ns < SECONDS * 1e9:
                samples = simulator.step(task.expert(), 50_000_000)
        image = [seen.value for seen in samples if seen.sensor == 'image'][-1]
    framed = cv2.copyMakeBorder(image, 2, 18, 2, 2, cv2.BORDER_CONSTANT, value=(255,) * 3)
    corner = (4, SIZE[1] + 15)
    cv2.putText(framed, name, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40,) * 3, 1, cv2.LINE_AA)
    return framed


def place(name: str, simulator: CarSimulator) -> float | None:
    """Where along the track a difficulty shows, m; None: wherever one comes to."""
    world = simulator.world
    track = world.track
    if world.traffic.things:
        return world.traffic.things[0].station_at(0.0) - BEFORE[name]
    if name == 'crossings':
        x, y = surface.crossing_places(track, {name: 1.0}, SEED)[0][:2]
        return track.locate(x, y, 0.0).station - BEFORE[name]
    if name == 'glare':
        heading = np.arctan2(track.tangents[:, 1], track.tangents[:, 0])
        facing = np.cos(heading - world.appearance.sun_azimuth)
        return float(np.argmax(facing) * track.spacing)
    return None


if __name__ == '__main__':
    main()
