# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A recording as a policy saw it: images, inputs, states and commands at every tick."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.reader import BagReader
from liquid_control.bags.topics import find_topic
from liquid_control.common.errors import BundleError, SensorError
from liquid_control.common.files import write_output
from liquid_control.common.image import Pixels
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.replay.bag_replay import WHEELBASE, Options
from liquid_control.evaluate.replay.replayer import ReplayedTick, replay
from liquid_control.evaluate.replay.topics import choose_topics
from liquid_control.runtime.inference.attention import Attention
from liquid_control.runtime.inference.policy import Policy

Floats = NDArray[np.floating]

# A recorded motion is as old as this at most, s; and below this speed nobody tells a curvature.
_MOTION_AGE, _SLOWEST = 0.2, 0.1
# Fewer ticks say nothing.
LEAST_TICKS = 20


@dataclass(frozen=True)
class Drive:
    """T ticks at which the policy acted, in their order.

    Attributes:
        stamp_ns: [T]
        elapsed: as given to the network, s, [T].
        commands: the policy's, [T, C]; recorded: the recording's, NaN where it does not say.
        states: after each tick, [T, S].
        inputs: by name, [T, W]; of an image its features.
        frames: image input -> which of its images each tick saw, [T].
        images: image input -> what the encoder got, uint8 [N, H, W, 3].
        masks: image input -> where the encoder looked (VisualBackProp), 0 to 1, [N, H, W].
        motion: speed (m/s), yaw_rate (rad/s) and curvature (1/m) as recorded, [T]; NaN where not
            known. Empty where the recording has no odometry.
        notes: what is missing, and why.
    """

    stamp_ns: NDArray[np.int64]
    elapsed: Floats
    commands: Floats
    recorded: Floats
    states: Floats
    inputs: dict[str, Floats]
    frames: dict[str, NDArray[np.int64]]
    images: dict[str, NDArray[np.uint8]]
    masks: dict[str, Floats]
    motion: dict[str, Floats]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.stamp_ns)

    @property
    def time(self) -> Floats:
        """Since the first tick, s, [T]."""
        return np.asarray((self.stamp_ns - self.stamp_ns[0]) / 1e9)

    def unbroken(self, period_ns: int) -> NDArray[np.int64]:
        """How many ticks before each one follow each other without a gap, [T]."""
        found = np.zeros(len(self), np.int64)
        follows = np.diff(self.stamp_ns) < 1.5 * period_ns
        for index, goes_on in enumerate(follows, start=1):
            found[index] = found[index - 1] + 1 if goes_on else 0
        return found

    def save(self, path: Path) -> None:
        """Write a file that `load` reads."""
        flat: dict[str, Any] = {'notes': np.array(self.notes, dtype=np.str_)}
        for name, value in vars(self).items():
            if isinstance(value, dict):
                flat |= {f'{name}/{key}': each for key, each in value.items()}
            elif name != 'notes':
                flat[name] = value
        stream = io.BytesIO()
        np.savez(stream, **flat)
        write_output(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path) -> Drive:
        """Read what `save` wrote. Raises ReplayError."""
        found: dict[str, Any] = {
            name: {} for name in ('inputs', 'frames', 'images', 'masks', 'motion')
        }
        try:
            with np.load(path, allow_pickle=False) as flat:
                for key in flat.files:
                    name, _, entry = key.partition('/')
                    if entry:
                        found[name][entry] = flat[key]
                    else:
                        found[name] = flat[key]
            return cls(**{**found, 'notes': tuple(map(str, found['notes']))})
        except Exception as error:
            raise ReplayError(f'{path} is damaged ({error}): remove it and start again') from error


def collect(
    reader: BagReader,
    policy: Policy,
    options: Options,
    *,
    ticks: int,
    on_tick: Callable[[int], None] = lambda count: None,
) -> Drive:
    """Replay a recording and keep what the policy saw.

    Args:
        ticks: at most.
        on_tick: told of the number of ticks done.

    Raises:
        TopicError: the recording has not the topics needed.
        ReplayError: the policy could hardly be asked.
    """
    images: dict[str, dict[int, Pixels]] = {name: {} for name in policy.preprocess}

    def keep(name: str, stamp_ns: int, pixels: Pixels) -> None:
        images[name][stamp_ns] = pixels

    topics = choose_topics(
        reader, policy.contract, options.topics, need_command=options.need_command
    )
    replayed = replay(
        reader,
        policy,
        topics,
        wheelbase=options.wheelbase or policy.contract.wheelbase or WHEELBASE,
        start_frame=options.start_frame,
        end_frame=options.end_frame,
        on_image=keep,
    )
    found, problem = [], ''
    for tick in _counted(islice(replayed, ticks), on_tick):
        if np.isfinite(tick.command).all():
            found.append(tick)
        problem = problem or tick.problem
    if len(found) < LEAST_TICKS:
        raise ReplayError(
            f'{reader.path}: policy {policy.contract.name} could be asked at {len(found)} ticks '
            f'only, {LEAST_TICKS} are needed{f" ({problem})" if problem else ""}'
        )
    masks, notes = _masks(policy, images)
    stamps = np.array([tick.stamp_ns for tick in found], np.int64)
    motion = _motion(reader, stamps)
    if not motion:
        notes.append('the recording has no odometry: correlations with motion are left out')
    return Drive(
        stamp_ns=stamps,
        elapsed=np.array([tick.elapsed for tick in found]),
        commands=np.stack([tick.command for tick in found]),
        recorded=np.stack([tick.recorded for tick in found]),
        states=np.stack([tick.state for tick in found]),
        inputs={
            name: np.stack([tick.inputs[name] for tick in found])
            for name in policy.contract.inputs
        },
        frames={name: _indices(found, name, kept) for name, kept in images.items()},
        images={name: np.stack(list(kept.values())) for name, kept in images.items()},
        masks=masks,
        motion=motion,
        notes=tuple(notes),
    )


def _counted(
    ticks: Iterable[ReplayedTick], on_tick: Callable[[int], None]
) -> Iterator[ReplayedTick]:
    for count, tick in enumerate(ticks, start=1):
        on_tick(count)
        yield tick


def _indices(ticks: list[ReplayedTick], name: str, images: dict[int, Pixels]) -> NDArray[np.int64]:
    places = {stamp_ns: index for index, stamp_ns in enumerate(images)}
    return np.array([places[tick.stamps[name]] for tick in ticks], np.int64)


def _masks(
    policy: Policy, images: dict[str, dict[int, Pixels]]
) -> tuple[dict[str, Floats], list[str]]:
    """Where the encoders look in every image; notes of those that do not show it."""
    masks: dict[str, Floats] = {}
    notes = []
    for name, kept in images.items():
        try:
            attention = Attention(policy.bundle, name)
        except BundleError as error:
            notes.append(f'{error}; occlusion alone shows what {name} is looked at for')
            continue
        masks[name] = np.stack([attention.look(each) for each in kept.values()])
    return masks, notes


def _motion(reader: BagReader, ticks_ns: NDArray[np.int64]) -> dict[str, Floats]:
    """The newest recorded motion at each tick."""
    topic = find_topic(reader.filled, 'odom', optional=True)
    if topic is None:
        return {}
    told = []
    for message in reader.messages({topic}):
        try:
            told.append((message.stamp_ns, *samples.motion(message)))
        except SensorError:
            continue
    if not told:
        return {}
    stamps = np.array([each[0] for each in told], np.int64)
    values = np.array([each[1:] for each in told])[np.argsort(stamps, kind='stable')]
    stamps = np.sort(stamps)
    newest = np.searchsorted(stamps, ticks_ns, side='right') - 1
    known = (newest >= 0) & (ticks_ns - stamps[newest] <= 1e9 * _MOTION_AGE)
    speed, yaw_rate = np.where(known[:, None], values[newest], np.nan).T
    moving = np.where(np.abs(speed) > _SLOWEST, speed, np.nan)
    return {'speed': speed, 'yaw_rate': yaw_rate, 'curvature': yaw_rate / moving}
