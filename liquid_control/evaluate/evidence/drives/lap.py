# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One lap of the simulated car: all that can go wrong is counted, and much can be done to it.

A departure from the road, a collision and a stop by the watchdog are different outcomes: the
first two are the network's failures, the last is the safety envelope's answer to sensors that are
silent or too old. After any of them the car is put back a little further on, at rest, with a
policy that starts anew.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.contract.modes import Mode
from liquid_control.evaluate.evidence.study import Measured, Piece
from liquid_control.rollout.disturbance import Disturbance
from liquid_control.rollout.driver import PolicyDriver, kept_policy
from liquid_control.runtime.inference.policy import Policy
from liquid_control.sim import car
from liquid_control.sim.protocols import Command, Sample
from liquid_control.sim.robots import CarSimulator, simulate_car

FORWARD = 0.5
"""How much further on a car is put back, m."""
PATIENCE = 5.0
"""s in which a car must get further by `SLOWEST`."""
SLOWEST = 0.3
"""m/s."""
QUICK_WAY = 6.0
"""How much of a lap is driven where it must be quick, m: a quarter."""
SMOOTH = 2.0
"""Steering that changes faster than this is none that a track asks for, Hz."""

# What strength 1 of a disturbance is.
NOISE, BRIGHTNESS, LATENESS, PUSHES = 120.0, 3.0, 0.3, 2.0
DISTURBANCES = {
    'noise': f'pixel noise, {NOISE:g} grey levels',
    'dark': 'less light, none at all',
    'bright': f'more light, {1 + BRIGHTNESS:g} times, until it is white',
    'dirt': 'a grey patch before the lens, all of it',
    'dropped': 'share of frames that never arrive, all',
    'late': f'frames arrive late, by {LATENESS:g} s',
    'pushes': f'pushes at the steering, {PUSHES:g} times those of the training drives',
}


FAILURES = {
    'departures': 'departures',
    'collisions': 'collisions',
    'stops': 'watchdog stops',
    'stuck': 'stuck',
}
"""What a car is put back for, by the name of its number, and as people read it."""


@dataclass(frozen=True)
class Lap:
    """How a lap went.

    Attributes:
        departures: from the road.
        collisions: with what is on it.
        stops: by the watchdog, or for want of sensors never begun.
        stuck: times at which it hardly moved, for another reason.
        distance: m; duration: simulated, s.
        offset, offset_95: distance from the centre line, mean and 95 % of the ticks, m.
        variation: of the steering angle, rad/s: how much it moves, in all.
        fast: share of the steering's power above `SMOOTH` Hz.
        why: of the first stop.
    """

    departures: int = 0
    collisions: int = 0
    stops: int = 0
    stuck: int = 0
    distance: float = 0.0
    duration: float = 0.0
    offset: float = 0.0
    offset_95: float = 0.0
    variation: float = 0.0
    fast: float = 0.0
    why: str = ''

    @property
    def finished(self) -> bool:
        """In one go, without being put back."""
        return not self.failures

    @property
    def failures(self) -> int:
        """How often it was put back."""
        return self.departures + self.collisions + self.stops + self.stuck


def stretch(quick: bool) -> dict[str, float]:
    """The entry of a piece that says how much of a lap is driven; none for all of it."""
    return {'way': QUICK_WAY} if quick else {}


def driven(piece: Piece) -> str:
    """How much of a lap, in words."""
    return f'The first {piece["way"]:g} m of a lap' if 'way' in piece else 'One lap'


def measure(piece: Piece) -> Measured:
    """A lap, as plain data; see `drive_lap`."""
    settings = {
        name: piece[name]
        for name in ('disturbance', 'strength', 'rate', 'jitter', 'told', 'way', 'difficulty')
        if name in piece
    }
    return asdict(drive_lap(Path(piece['policy']), piece['world'], **settings))


def drive_lap(
    bundle: Path,
    world: int,
    *,
    disturbance: str = '',
    strength: float = 0.0,
    rate: float = 0.0,
    jitter: float = 0.0,
    told: bool = True,
    difficulty: Mapping[str, float] = MappingProxyType({}),
    most_failures: int = 1000,
    way: float = math.inf,
) -> Lap:
    """Drive one lap of a world, or the beginning of it.

    Args:
        world: seed of the track and its look, and of the disturbance.
        disturbance: a name in `DISTURBANCES`, or none.
        strength: of it, 0 to 1.
        rate: of control, Hz; 0: that of the policy.
        jitter: largest deviation of a tick, as a share of the period.
        told: whether the policy is told the elapsed time, or that of its own rate always.
        difficulty: of the world, see `TrackWorld`.
        most_failures: the lap is given up after so many.
        way: so much of it at most, m.
    """
    policy = kept_policy(bundle)
    rate = rate or policy.contract.control_rate
    shown: Any = policy if told else Untold(policy)
    rng = np.random.default_rng([world, sum(disturbance.encode())])
    lap, offsets, angles = Lap(), list[float](), list[float]()
    with simulate_car(world, difficulty=difficulty) as simulator:
        track, done = simulator.world.track, 0.0
        length = min(track.length, way)
        while done < length:
            done += simulator.world.traffic.free_ahead(done)
            simulator.reset(simulator.world.pose_at(station=done % track.length))
            driver = Disturbed(shown, disturbance, strength, rng)
            failure = _stretch(
                simulator, driver, length - done, rate, jitter, offsets, angles, rng
            )
            done += max(simulator.status.progress, 0.0) + (FORWARD if failure else 0.0)
            lap = replace(lap, duration=lap.duration + simulator.time_ns / 1e9)
            if failure:
                lap = replace(lap, **{failure: getattr(lap, failure) + 1})
                lap = replace(lap, why=lap.why or driver.why)
            if lap.failures >= most_failures:
                break
    return replace(lap, distance=done, **_summary(offsets, angles, rate))


class Untold:
    """A policy that believes in its own rate, whatever the clock says."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def step(self, inputs: Any, elapsed: float) -> Any:
        """One step, of the policy's own period."""
        return self._policy.step(inputs, 1 / self._policy.contract.control_rate)


class Disturbed:
    """A policy at the wheel, with something between it and the world.

    Attributes:
        engaged: whether the policy has ever been in charge.
        stopped: whether the watchdog has stopped the car; `why` it did.
    """

    def __init__(
        self, policy: Policy, disturbance: str, strength: float, rng: np.random.Generator
    ) -> None:
        self._driver = PolicyDriver(policy, on_mode=self._on_mode)
        self._kind, self._strength, self._rng = disturbance, strength, rng
        self._waiting: deque[Sample] = deque()
        self._pushes = Disturbance(rng)
        self._corner = rng.random(2)
        self.stopped, self.why = False, 'never engaged: its sensors are silent'
        self.engaged = False

    def _on_mode(self, mode: Mode, reason: str) -> None:
        if mode is Mode.AUTONOMOUS:
            self.engaged, self.why = True, ''
        if mode is Mode.SAFE_STOP:
            self.stopped, self.why = True, reason

    def sense(self, sample: Sample, now_ns: int) -> None:
        """A sample on its way to the policy; late ones arrive when others do."""
        if sample.sensor == 'image':
            if self._kind == 'dropped' and self._rng.random() < self._strength:
                return
            self._waiting.append(self._disturbed(sample))
        else:
            self._driver.sense(sample)
        delay = LATENESS * self._strength * 1e9 if self._kind == 'late' else 0.0
        while self._waiting and now_ns - self._waiting[0].stamp_ns >= delay:
            self._driver.sense(self._waiting.popleft())

    def _disturbed(self, sample: Sample) -> Sample:
        seen = replace(sample, look=lambda: self._seen(sample.value))
        if self._kind == 'noise':
            _ = seen.value  # every frame draws its own, whether it is looked at or not
        return seen

    def _seen(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        strength, rng = self._strength, self._rng
        if self._kind == 'noise':
            changed: NDArray[Any] = image + rng.normal(0, NOISE * strength, image.shape)
        elif self._kind in ('dark', 'bright'):
            gain = 1 - strength if self._kind == 'dark' else 1 + BRIGHTNESS * strength
            changed = image * gain
        elif self._kind == 'dirt':
            changed = image.astype(np.float64)
            height, width = image.shape[:2]
            side = np.sqrt(strength) * np.array([height, width])
            top, left = (self._corner * (np.array([height, width]) - side)).astype(int)
            changed[top : top + round(side[0]), left : left + round(side[1])] = 128
        else:
            return image
        clipped: NDArray[np.uint8] = changed.clip(0, 255).astype(np.uint8)
        return clipped

    def act(self, simulator: CarSimulator) -> tuple[Command, Command]:
        """What the policy commands, and what the car is told."""
        wanted = self._driver.act(simulator.time_ns)
        if self._kind != 'pushes':
            return wanted, wanted
        pushed = self._pushes.apply(wanted, simulator.status.place, simulator.time_ns)
        share = PUSHES * self._strength
        angle = wanted['steering_angle']
        angle += share * (pushed['steering_angle'] - angle)
        return wanted, car.command(steering_angle=angle, speed=wanted['speed'])


def _stretch(
    simulator: CarSimulator,
    driver: Disturbed,
    distance: float,
    rate: float,
    jitter: float,
    offsets: list[float],
    angles: list[float],
    rng: np.random.Generator,
) -> str:
    """Drive from rest for a distance or until a failure; which one, '' for none."""
    tick, seen_ns, seen_at = 0, 0, 0.0
    while simulator.status.progress < distance:
        tick += 1
        wanted, told = driver.act(simulator)
        due = round((tick + jitter * rng.uniform(-0.5, 0.5)) * 1e9 / rate)
        for sample in simulator.step(told, max(due - simulator.time_ns, 1)):
            driver.sense(sample, sample.stamp_ns)
        status = simulator.status
        offsets.append(abs(status.place.offset))
        angles.append(wanted['steering_angle'])
        if status.departures:
            return 'departures'
        if status.collisions:
            return 'collisions'
        if driver.stopped:
            return 'stops'
        if simulator.time_ns - seen_ns >= PATIENCE * 1e9:
            if status.progress - seen_at < SLOWEST * PATIENCE:
                return 'stuck' if driver.engaged else 'stops'
            seen_ns, seen_at = simulator.time_ns, status.progress
    return ''


def _summary(offsets: list[float], angles: list[float], rate: float) -> dict[str, Any]:
    steering = np.asarray(angles)
    power = np.abs(np.fft.rfft(steering - steering.mean())) ** 2
    fast = np.fft.rfftfreq(len(steering), 1 / rate) > SMOOTH
    return {
        'offset': float(np.mean(offsets)),
        'offset_95': float(np.quantile(offsets, 0.95)),
        'variation': float(np.abs(np.diff(steering)).sum() * rate / max(len(steering) - 1, 1)),
        'fast': float(power[fast].sum() / max(power.sum(), 1e-12)),
    }


def failed(measured: Measured) -> bool:
    """Whether a lap was not finished in one go."""
    return failures(measured) > 0


def failures(measured: Measured) -> int:
    """How often the car was put back on a lap."""
    return sum(measured[name] for name in FAILURES)
