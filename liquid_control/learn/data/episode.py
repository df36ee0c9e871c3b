"""One drive as training sees it: signals with their stamps, who drove when, what can be learnt.

A tick is one to learn from where the robot would have been driven at it: no input older than its
`max_age`, and a command in force. Time without inputs is no time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags.clock import PAUSE_NS
from liquid_control.bags.errors import BagError
from liquid_control.bags.samples import COMMAND_HOLD_NS
from liquid_control.contract.contract import IMU_SIZE
from liquid_control.learn.data.segments import Segment, Stamps, Values, Weights, clipped, counting
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.data.spans import (
    Spans,
    complement,
    duration,
    intersection,
    spans_of,
    within,
)

# Files of an episode's directory; what the first says is repeated in the dataset's manifest.
FACTS_FILE = 'episode.json'
SIGNALS_FILE = 'signals.npz'
IMAGES_FILE = 'images.u8'

# Less is not worth a word, s.
_MOMENT = 0.05


@dataclass(frozen=True, eq=False)
class Episode:
    """One bag's signals, each with its stamps (ns), sorted; unused ones have no samples.

    Attributes:
        name: of the bag.
        digest: sha256 of the bag's data.
        images: uint8 [N, H, W, 3] RGB, mapped from disk in the order of their arrival.
        image_rows: index into `images`, in the order of the stamps `image_ns`.
        image_numbers: number in the bag, where unreadable pictures count as well.
        imu: linear acceleration (m/s^2), angular velocity (rad/s), [M, 6]; stamps `imu_ns`.
        speed: m/s, [K, 1]; stamps `speed_ns`.
        commands: [L, C] in the commands' units, NaN where unknown; stamps `command_ns`.
        segments: who drove, from `start_ns` to `end_ns` without a gap.
        start_ns, end_ns: the part to learn from: every input used has arrived before the start.
        max_age: s, of the inputs 'image', 'imu', 'speed' that are used.
        topics: of inputs and 'command'.
        refused: messages that are left out, as `bags.refusals.Refusal` with the number `of` all.
        jumps: of the clock, in words.
        outside: s at the beginning and the end in which not all topics were recorded.
    """

    name: str
    digest: str
    images: NDArray[np.uint8]
    image_rows: NDArray[np.int64]
    image_numbers: NDArray[np.int64]
    image_ns: Stamps
    imu: Values
    imu_ns: Stamps
    speed: Values
    speed_ns: Stamps
    commands: Values
    command_ns: Stamps
    segments: tuple[Segment, ...]
    start_ns: int
    end_ns: int
    max_age: Mapping[str, float]
    topics: Mapping[str, str]
    refused: tuple[Mapping[str, Any], ...]
    jumps: tuple[str, ...]
    outside: float

    @property
    def duration(self) -> float:
        """How long there is something to learn from, s."""
        return duration(self.usable)

    @cached_property
    def fresh(self) -> Spans:
        """When no input is older than its limit: a policy could have been asked."""
        whole = np.array([[self.start_ns, self.end_ns]], np.int64)
        return reduce(intersection, (self._fresh(kind) for kind in self.max_age), whole)

    @cached_property
    def commanded(self) -> Spans:
        """When a command was in force, from which one thing at least can be learnt."""
        stamps = self.command_ns
        ends = np.minimum(np.r_[stamps[1:] - 1, self.end_ns], stamps + COMMAND_HOLD_NS)
        known = np.isfinite(self.commands).any(axis=1)
        return within(spans_of(stamps[known], ends[known]), self.start_ns, self.end_ns)

    @cached_property
    def usable(self) -> Spans:
        """When there is something to see and something to learn."""
        return intersection(self.fresh, self.commanded)

    def taught(self, weights: Weights) -> Spans:
        """What counts in the loss."""
        return intersection(self.usable, counting(self.segments, weights))

    def drivers(self) -> dict[str, float]:
        """How long who drove, as far as it can be learnt from, s."""
        total: dict[str, float] = {}
        for kind, start_ns, end_ns in self.segments:
            part = duration(within(self.usable, start_ns, end_ns))
            total[kind] = total.get(kind, 0.0) + part
        return total

    def left_out(self) -> dict[str, float]:
        """Seconds that cannot be learnt from, by reason: the first one that holds."""
        rest, command = (
            complement(self._pauses(), self.start_ns, self.end_ns),
            self.topics['command'],
        )
        reasons = {}
        for kind, age in self.max_age.items():
            reasons[f'{kind} older than {age:g} s'] = rest, self._fresh(kind)
            rest = intersection(rest, self._fresh(kind))
        reasons[f'no command on {command} for {COMMAND_HOLD_NS / 1e9:g} s'] = rest, self.commanded
        lost = {
            why: duration(before) - duration(intersection(before, kept))
            for why, (before, kept) in reasons.items()
        }
        lost['not all topics there yet, or any more'] = self.outside
        return {why: seconds for why, seconds in lost.items() if seconds > _MOMENT}

    def why_nothing(self) -> str:
        """Why there is nothing to learn from: reasons, and the longest silence of each topic."""
        reasons = [f'{why}: {seconds:.1f} s' for why, seconds in self.left_out().items()]
        for kind, stamps in {**self._inputs(), 'command': self.command_ns}.items():
            if kind in (*self.max_age, 'command'):
                gap = np.diff(stamps).max(initial=0) / 1e9
                reasons.append(f'{self.topics[kind]} is silent for up to {gap:.3g} s')
        return '; '.join(reasons)

    def _inputs(self) -> dict[str, Stamps]:
        return {'image': self.image_ns, 'imu': self.imu_ns, 'speed': self.speed_ns}

    def _fresh(self, kind: str) -> Spans:
        stamps = self._inputs()[kind]
        ages = spans_of(stamps, stamps + round(self.max_age[kind] * 1e9))
        return within(ages, self.start_ns, self.end_ns)

    def _pauses(self) -> Spans:
        """When nothing was recorded, or the clock jumped."""
        stamps = np.unique(np.concatenate([*self._inputs().values(), self.command_ns]))
        long = np.flatnonzero(np.diff(stamps) > PAUSE_NS)
        return np.stack([stamps[long], stamps[long + 1]], axis=1)

    def within(self, start_ns: int, end_ns: int) -> Episode:
        """The same episode, between two stamps only."""
        start_ns, end_ns = max(start_ns, self.start_ns), min(end_ns, self.end_ns)
        segments = clipped(self.segments, start_ns, end_ns)
        return replace(self, start_ns=start_ns, end_ns=end_ns, segments=segments)

    def cut(self, frames: tuple[int, int] | None) -> Episode:
        """The same episode from one frame until just before another.

        Raises:
            BagError: the episode has no such frames.
        """
        if frames is None:
            return self
        first, end = frames
        numbers = self.image_numbers
        if not 0 <= first < end or first > numbers.max(initial=-1):
            raise BagError(
                f'{self.name}: frames {first} to {end} were asked for, it has '
                f'{numbers.max(initial=-1) + 1}'
            )
        within = self.image_ns[(numbers >= first) & (numbers < end)]
        if not len(within):
            raise BagError(f'{self.name}: none of the frames {first} to {end} can be read')
        return self.within(int(within[0]), int(within[-1]))


def open_episode(folder: Path, signals: Signals) -> Episode:
    """Open a directory that `liquid_control.learn.data.ingest` wrote for these signals."""
    facts = json.loads((folder / FACTS_FILE).read_text())
    with np.load(folder / SIGNALS_FILE) as file:
        arrays = {name: file[name] for name in file.files}
    image = signals.image
    frames: NDArray[np.uint8] = np.zeros((0, 1, 1, 3), np.uint8)
    if image is not None:
        shape = (len(arrays['frame']), image.height, image.width, 3)
        frames = np.memmap(folder / IMAGES_FILE, np.uint8, 'r', shape=shape)
    used = {'image': image, 'imu': signals.imu, 'speed': signals.speed}
    rows = arrays['image'].astype(np.int64)
    return Episode(
        name=facts['bag'],
        digest=facts['digest'],
        images=frames,
        image_rows=rows,
        image_numbers=arrays['frame'][rows],
        image_ns=arrays['image_ns'],
        imu=arrays['imu'].reshape(-1, IMU_SIZE),
        imu_ns=arrays['imu_ns'],
        speed=arrays['speed'].reshape(-1, 1),
        speed_ns=arrays['speed_ns'],
        commands=arrays['command'],
        command_ns=arrays['command_ns'],
        segments=tuple(Segment(**segment) for segment in facts['segments']),
        start_ns=facts['start_ns'],
        end_ns=facts['end_ns'],
        max_age={kind: spec.max_age for kind, spec in used.items() if spec is not None},
        topics=facts['topics'],
        refused=tuple(facts['refused']),
        jumps=tuple(facts['jumps']),
        outside=facts['outside'],
    )
