# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is done to a world: something that must not matter, or something that must.

Each change does one thing and leaves everything else as it was, which a simulator can and a
recording cannot. Nuisances are drawn from another seed, so they are as large as they are from one
world of training to the next; how the camera is mounted is none, because a policy must know that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from liquid_control.sim import outdoors, rover
from liquid_control.sim.protocols import Motion, Pose
from liquid_control.sim.rooms import Disc, Rooms, Shapes
from liquid_control.sim.seasons import SCENES
from liquid_control.sim.simulator import Simulator
from liquid_control.sim.track import Track
from liquid_control.sim.track_world import TrackWorld

# What is drawn anew is drawn from the seed so far away: no world of any study or training.
ELSEWHERE = 7_000_000

BEND, BEND_LENGTH = 0.2, 3.0
"""How far the road is bent to a side, and over which length, m."""
OBSTACLE_AHEAD, OBSTACLE_ASIDE, OBSTACLE_RADIUS = 0.7, 0.1, 0.15
"""Where something stands in the rover's way, and its size, m."""
_ROOM = 0.03
"""What a moved rover keeps of room about it, m."""


@dataclass(frozen=True, eq=False)
class Change:
    """One intervention.

    Attributes:
        name: of its kind.
        cause: whether the command should follow it.
        options: of the world in which it is made; see `liquid_control.sim.robots.simulate`.
        move: of the robot, in its own axes.
        noise: seed of the sensors' noise; that of the world where None.
    """

    name: str
    cause: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    move: Pose | None = None
    noise: int | None = None


NOTHING = Change('nothing')
EVERYTHING = 'all of them'


def nuisances(robot: str, seed: int) -> list[Change]:
    """What must not matter to a robot in the world of a seed, and all of it together."""
    other = ELSEWHERE + seed
    if robot == 'rover':
        return [Change('noise', noise=other)]
    parts = TrackWorld.REDRAWN if robot == 'car' else outdoors.REDRAWN
    found = [
        Change(part, options={'redrawn': {part: other}}, noise=other if part == 'noise' else None)
        for part in parts
    ]
    whole: dict[str, Any] = {'redrawn': dict.fromkeys(parts, other)}
    if robot == 'quadrotor':
        places = [name for name in SCENES if name != 'summer']
        scene = {'scene': places[other % len(places)]}
        beside = {'difficulty': {**outdoors.TRAINING, 'distractor': 1.0}}
        found += [Change('season', options=scene), Change('distractor', options=beside)]
        whole |= {**scene, **beside}
    return [*found, Change(EVERYTHING, options=whole, noise=other)]


MOVES: dict[str, dict[str, tuple[Pose, ...]]] = {
    'car': {
        'offset': tuple(Pose(y=y) for y in (-0.12, -0.06, 0.06, 0.12)),
        'heading': tuple(Pose(yaw=yaw) for yaw in (-0.2, -0.1, 0.1, 0.2)),
    },
    'quadrotor': {
        'offset': tuple(Pose(y=y) for y in (-0.8, -0.4, 0.4, 0.8)),
        'height': tuple(Pose(z=z) for z in (-0.4, 0.4)),
        'distance': tuple(Pose(x=x) for x in (-0.8, 0.8)),
        'heading': tuple(Pose(yaw=yaw) for yaw in (-0.3, -0.15, 0.15, 0.3)),
    },
    'rover': {
        'offset': tuple(Pose(y=y) for y in (-0.1, 0.1)),
        'heading': tuple(Pose(yaw=yaw) for yaw in (-0.4, -0.2, 0.2, 0.4)),
    },
}
"""How the robots are moved, m and rad."""


def moves(robot: str) -> list[Change]:
    """The robot somewhere else in the same world."""
    return [
        Change(name, cause=True, move=move)
        for name, poses in MOVES[robot].items()
        for move in poses
    ]


def possible(simulator: Simulator[Any, Any], time_ns: int) -> bool:
    """Whether the robot can be where it was moved to: not inside of anything."""
    rooms = getattr(simulator.world, 'rooms', None)
    if rooms is None:
        return True
    motion = simulator.motion
    here, seconds = np.array([[motion.x, motion.y]]), np.array([time_ns / 1e9])
    return bool(rooms.clearance(here, seconds) > rover.RADIUS + _ROOM)


def ahead(
    robot: str, simulator: Simulator[Any, Any], motions: list[Motion]
) -> list[tuple[Change, list[int]]]:
    """What can be changed of the world in front of a robot, and at which of the places.

    Roads are bent to either side in turn, at every other place in one world: to open one costs
    more than to drive in it, and no bend reaches the place after the next.
    """
    places = range(len(motions))
    if robot == 'car':
        found = []
        for first in (0, 1):
            track: Track = simulator.world.track
            for index in places[first::2]:
                motion = motions[index]
                station = track.locate(motion.x, motion.y, motion.yaw).station
                track = bent(track, station, BEND if (index // 2 + first) % 2 else -BEND)
            found.append((Change('bend', cause=True, options={'track': track}), places[first::2]))
        return [(change, list(indices)) for change, indices in found if indices]
    if robot == 'rover':
        rooms = [in_the_way(simulator.world.rooms, motions[i], 1 - 2 * (i % 2)) for i in places]
        return [
            (Change('obstacle', cause=True, options={'rooms': found_rooms}), [index])
            for index, found_rooms in enumerate(rooms)
            if found_rooms is not None
        ]
    return []


def bent(track: Track, station: float, aside: float) -> Track:
    """A track that swerves from a station on, + to the left, and is itself again behind that."""
    count = round(BEND_LENGTH / track.spacing)
    index = (round(station / track.spacing) + np.arange(count)) % len(track.points)
    shift = aside * np.sin(np.pi * np.arange(count) / count) ** 2
    points = track.points.copy()
    points[index] += shift[:, None] * track.normals[index]
    return Track(points)


def in_the_way(rooms: Rooms, motion: Motion, side: int) -> Rooms | None:
    """Rooms with something that stands ahead, a little to a side; None where there is no room."""
    cosine, sine = math.cos(motion.yaw), math.sin(motion.yaw)
    x = motion.x + OBSTACLE_AHEAD * cosine - side * OBSTACLE_ASIDE * sine
    y = motion.y + OBSTACLE_AHEAD * sine + side * OBSTACLE_ASIDE * cosine
    way = np.linspace((motion.x, motion.y), (x, y), 9)
    clearance = rooms.shapes.clearance(way)  # a wall between would hide it
    near_goal = math.dist((x, y), rooms.goal) < OBSTACLE_RADIUS + 2 * rover.RADIUS
    if near_goal or clearance.min() < 0.0 or clearance[-1] < OBSTACLE_RADIUS:
        return None
    rounds = (*rooms.rounds, Disc(x, y, OBSTACLE_RADIUS))
    shapes = Shapes((*rooms.walls, *rooms.furniture), rounds)
    return replace(rooms, rounds=rounds, shapes=shapes)
