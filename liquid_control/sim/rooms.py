# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Rooms drawn from a seed: walls with doors, furniture, people who walk to and fro; and a task.

Everything is flat: a shape is a rectangle or a disc on the floor, seen from above, and as tall as
a lidar needs. Between any two things that stand free there is room to pass, so that every room
can be reached; what moves is a function of time alone, so that a drive can be judged again from
its recording.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.difficulty import check_strength
from liquid_control.sim.protocols import Pose

Array = NDArray[np.float64]

DIFFICULTIES = {
    'rooms': 'one room, two or three, with doors between them',
    'doors': 'how narrow doors are: 1.6 m at 0, 0.9 to 1.2 m at 1',
    'furniture': 'how many things stand about: none at 0, up to nine at 1',
    'movers': 'how many people walk to and fro: none at 0, up to two at 1',
    'lidar': 'noise of the ranges, and returns that are lost',
}

WALL_THICKNESS = 0.1
PASSAGE = 0.75
"""Smallest gap between things that stand free, m."""
MOVER_RADIUS = 0.2
MOVER_SPEED = 0.3
"""The fastest that anybody walks, m/s."""

_WIDE_DOOR = 1.6
_TRIES = 200


@dataclass(frozen=True)
class Rectangle:
    """A rectangle: middle (m), half extents (m), yaw (rad)."""

    x: float
    y: float
    half_x: float
    half_y: float
    yaw: float = 0.0


@dataclass(frozen=True)
class Disc:
    """A round thing: middle and radius, m."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Mover:
    """Somebody who walks to and fro between two points, gently at both ends.

    period: s, there and back
    phase: rad
    """

    from_x: float
    from_y: float
    to_x: float
    to_y: float
    period: float
    phase: float

    def place(self, seconds: float) -> tuple[float, float]:
        """Where the middle is at a time, m."""
        share = 0.5 - 0.5 * math.cos(2.0 * math.pi * seconds / self.period + self.phase)
        return (
            self.from_x + share * (self.to_x - self.from_x),
            self.from_y + share * (self.to_y - self.from_y),
        )

    def places(self, seconds: Array) -> Array:
        """The same at many times [N]: [N, 2]."""
        share = 0.5 - 0.5 * np.cos(2.0 * np.pi * seconds / self.period + self.phase)
        start = np.array([self.from_x, self.from_y])
        places: Array = start + share[:, None] * (np.array([self.to_x, self.to_y]) - start)
        return places


class Shapes:
    """Things that stand still, and how far points are from them."""

    def __init__(self, boxes: tuple[Rectangle, ...], discs: tuple[Disc, ...]) -> None:
        self._middle = np.array([[b.x, b.y] for b in boxes]).reshape(-1, 2)
        self._half = np.array([[b.half_x, b.half_y] for b in boxes]).reshape(-1, 2)
        self._cos = np.array([math.cos(b.yaw) for b in boxes])
        self._sin = np.array([math.sin(b.yaw) for b in boxes])
        self._centre = np.array([[d.x, d.y] for d in discs]).reshape(-1, 2)
        self._radius = np.array([d.radius for d in discs])

    def clearance(self, points: Array) -> Array:
        """Distance of points [N, 2] from the nearest thing, m [N]; negative inside of one."""
        nearest = np.full(len(points), np.inf)
        if len(self._half):
            offset = points[:, None] - self._middle
            along = np.abs(offset[..., 0] * self._cos + offset[..., 1] * self._sin)
            across = np.abs(offset[..., 1] * self._cos - offset[..., 0] * self._sin)
            beyond = np.stack([along, across], axis=-1) - self._half
            outside = np.maximum(beyond, 0.0)
            apart = np.hypot(outside[..., 0], outside[..., 1])
            nearest = (apart + np.minimum(beyond.max(axis=-1), 0.0)).min(axis=1)
        if len(self._radius):
            offset = points[:, None] - self._centre
            rounds = np.hypot(offset[..., 0], offset[..., 1]) - self._radius
            nearest = np.minimum(nearest, rounds.min(axis=1))
        return nearest


@dataclass(frozen=True, eq=False)
class Rooms:
    """One drawn place and one task in it.

    size: along x and y, m; a corner is at the origin
    walls, furniture, rounds: what stands still
    goal: x, y, m
    """

    size: tuple[float, float]
    walls: tuple[Rectangle, ...]
    furniture: tuple[Rectangle, ...]
    rounds: tuple[Disc, ...]
    movers: tuple[Mover, ...]
    start: Pose
    goal: tuple[float, float]
    shapes: Shapes

    def clearance(self, points: Array, seconds: Array) -> float:
        """Smallest distance of points [N, 2] from anything at their times [N], m."""
        nearest = float(self.shapes.clearance(points).min())
        for mover in self.movers:
            away = points - mover.places(seconds)
            nearest = min(nearest, float(np.hypot(away[:, 0], away[:, 1]).min()) - MOVER_RADIUS)
        return nearest


def draw_rooms(seed: int, strength: Mapping[str, float] = MappingProxyType({})) -> Rooms:
    """Draw rooms and a task from a seed: same seed, same rooms.

    Args:
        strength: of each of `DIFFICULTIES`; 1 where nothing is said.
    """
    check_strength(strength, DIFFICULTIES)
    rng = np.random.default_rng([seed, 11])
    while True:
        rooms = _Draw(rng, {name: strength.get(name, 1.0) for name in DIFFICULTIES}).rooms()
        if rooms is not None:
            return rooms


class _Draw:
    """One attempt; what does not fit is drawn again."""

    def __init__(self, rng: np.random.Generator, strength: Mapping[str, float]) -> None:
        self._rng = rng
        self._strength = strength
        self._size = (float(rng.uniform(6.5, 8.5)), float(rng.uniform(4.6, 6.0)))
        self._doors: list[tuple[float, float]] = []
        self._walls = self._outer_walls()
        self._furniture: list[Rectangle] = []
        self._rounds: list[Disc] = []

    def rooms(self) -> Rooms | None:
        """The rooms, or None where no task fits in them."""
        self._divide()
        self._furnish()
        shapes = self._shapes()
        for _ in range(_TRIES):
            start, goal = self._free(shapes, 0.4), self._free(shapes, 0.4)
            if start is None or goal is None:
                return None
            if math.dist(start, goal) < 2.5:
                continue
            return Rooms(
                size=self._size,
                walls=tuple(self._walls),
                furniture=tuple(self._furniture),
                rounds=tuple(self._rounds),
                movers=tuple(self._people(shapes, start, goal)),
                start=Pose(*start, float(self._rng.uniform(-math.pi, math.pi))),
                goal=goal,
                shapes=shapes,
            )
        return None

    def _shapes(self) -> Shapes:
        return Shapes((*self._walls, *self._furniture), tuple(self._rounds))

    def _outer_walls(self) -> list[Rectangle]:
        width, depth = self._size
        half = WALL_THICKNESS / 2
        return [
            Rectangle(width / 2, -half, width / 2 + 2 * half, half),
            Rectangle(width / 2, depth + half, width / 2 + 2 * half, half),
            Rectangle(-half, depth / 2, half, depth / 2),
            Rectangle(width + half, depth / 2, half, depth / 2),
        ]

    def _divide(self) -> None:
        """Up to two walls with a door each: across the whole place, then its larger part."""
        rng, (width, depth) = self._rng, self._size
        count = round(self._strength['rooms'] * rng.choice([1, 2]))
        x = float(rng.uniform(0.4, 0.6)) * width
        door_y = float(rng.uniform(0.9, depth - 0.9))
        y = float(rng.uniform(0.4, 0.6)) * depth
        left = x > width / 2
        low, high = (0.0, x) if left else (x, width)
        door_x = float(rng.uniform(low + 0.9, high - 0.9))
        if abs(y - door_y) < 1.1:  # the second wall must not stand in the first one's door
            count = min(count, 1)
        if count > 0:
            self._wall_with_door(x, door_y, 0.0, depth, upright=True)
        if count > 1:
            self._wall_with_door(y, door_x, low, high, upright=False)

    def _wall_with_door(
        self, at: float, door: float, low: float, high: float, *, upright: bool
    ) -> None:
        narrow = float(self._rng.uniform(0.9, 1.2))
        half = (_WIDE_DOOR + self._strength['doors'] * (narrow - _WIDE_DOOR)) / 2
        for begin, end in ((low, door - half), (door + half, high)):
            if end - begin > 0.02:
                middle, reach = (begin + end) / 2, (end - begin) / 2
                thick = WALL_THICKNESS / 2
                self._walls.append(
                    Rectangle(at, middle, thick, reach)
                    if upright
                    else Rectangle(middle, at, reach, thick)
                )
        self._doors.append((at, door) if upright else (door, at))

    def _furnish(self) -> None:
        """Things against the walls and free in the rooms, never in the way to a door."""
        rng, (width, depth) = self._rng, self._size
        for _ in range(round(self._strength['furniture'] * rng.integers(4, 10))):
            for _ in range(20):
                x, y = float(rng.uniform(0, width)), float(rng.uniform(0, depth))
                if rng.random() < 0.3:
                    disc = Disc(x, y, float(rng.uniform(0.12, 0.28)))
                    if self._fits(disc, disc.radius):
                        self._rounds.append(disc)
                        break
                    continue
                half_x, half_y = float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.15, 0.35))
                if rng.random() < 0.5:
                    box = Rectangle(x, half_y if y < depth / 2 else depth - half_y, half_x, half_y)
                    if self._fits(box, half_x, besides_walls=True):
                        self._furniture.append(box)
                        break
                    continue
                box = Rectangle(x, y, half_x, half_y, float(rng.uniform(0, math.pi)))
                if self._fits(box, math.hypot(half_x, half_y)):
                    self._furniture.append(box)
                    break

    def _fits(self, thing: Rectangle | Disc, reach: float, *, besides_walls: bool = False) -> bool:
        """Whether there is room to pass all around, besides the wall that it stands against."""
        middle = np.array([[thing.x, thing.y]])
        if any(
            math.dist((thing.x, thing.y), door) < reach + PASSAGE + 0.2 for door in self._doors
        ):
            return False
        walls = tuple(self._walls[4:] if besides_walls else self._walls)
        others = Shapes((*walls, *self._furniture), tuple(self._rounds))
        if besides_walls:
            sides = min(thing.x, self._size[0] - thing.x) - reach
            if 0.0 < sides < PASSAGE or sides < 0.0:
                return False
        return bool(others.clearance(middle)[0] >= reach + PASSAGE)

    def _free(self, shapes: Shapes, margin: float) -> tuple[float, float] | None:
        for _ in range(_TRIES):
            x, y = self._rng.uniform((0.0, 0.0), self._size).tolist()
            if shapes.clearance(np.array([[x, y]]))[0] >= margin:
                return x, y
        return None

    def _people(
        self, shapes: Shapes, start: tuple[float, float], goal: tuple[float, float]
    ) -> list[Mover]:
        """Where they walk there is room to wait, at the start and at the goal above all."""
        rng = self._rng
        found: list[Mover] = []
        for _ in range(round(self._strength['movers'] * rng.integers(0, 3))):
            for _ in range(30):
                begin = self._free(shapes, MOVER_RADIUS + 0.1)
                if begin is None:
                    break
                turn, length = rng.uniform(-math.pi, math.pi), rng.uniform(1.0, 3.0)
                end = (begin[0] + length * math.cos(turn), begin[1] + length * math.sin(turn))
                line = np.linspace(begin, end, 25)
                inside = (line > 0).all() and (line < np.array(self._size)).all()
                if not inside or shapes.clearance(line).min() < MOVER_RADIUS + 0.1:
                    continue
                kept = np.array([start, goal, *self._doors])
                away = np.hypot(*np.moveaxis(line[:, None] - kept, -1, 0)).min(axis=0)
                if (away < 0.9).any():
                    continue
                speed = rng.uniform(0.5, 1.0) * MOVER_SPEED
                period = math.pi * length / speed  # its fastest is in the middle
                phase = float(rng.uniform(0, 2 * math.pi))
                found.append(Mover(*begin, *end, float(period), phase))
                break
        return found
