# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
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

from liquid_control.bags.clock import PAUSE_NS
from liquid_control.bags.errors import BagError
from liquid_control.bags.samples import COMMAND_HOLD_NS
from liquid_control.contract.inputs import InputSpec
from liquid_control.learn.data.segments import Segment, Stamps, Values, Weights, clipped, counting
from liquid_control.learn.data.series import Frames, Series
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.data.spans import (
    Spans,
    complement,
    duration,
    intersection,
    spans_of,
    within,
)

# Files of an episode's directory; what the first says is repeated in the dataset's manifest. The
# frames of each image lie in a file of their own.
FACTS_FILE = 'episode.json'
SIGNALS_FILE = 'signals.npz'

# Less is not worth a word, s.
_MOMENT = 0.05


@dataclass(frozen=True, eq=False)
class Episode:
    """One bag's signals, each with its stamps (ns), sorted; unused ones have no samples.

    Attributes:
        name: of the bag.
        digest: sha256 of the bag's data.
        inputs: what the policy sees, by name; the frames of an image are `Frames`.
        commands: [L, C] in the commands' units, NaN where unknown; stamps `command_ns`.
        segments: who drove, from `start_ns` to `end_ns` without a gap.
        start_ns, end_ns: the part to learn from: every input used has arrived before the start.
        max_age: s, of each input.
        topics: of inputs and 'command'.
        refused: messages that are left out, as `bags.refusals.Refusal` with the number `of` all.
        jumps: of the clock, in words.
        outside: s at the beginning and the end in which not all topics were recorded.
    """

    name: str
    digest: str
    inputs: Mapping[str, Series]
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
        for name, stamps in self._stamps().items():
            gap = np.diff(stamps).max(initial=0) / 1e9
            reasons.append(f'{self.topics[name]} is silent for up to {gap:.3g} s')
        return '; '.join(reasons)

    def _stamps(self) -> dict[str, Stamps]:
        inputs = {name: series.stamps for name, series in self.inputs.items()}
        return {**inputs, 'command': self.command_ns}

    def _fresh(self, name: str) -> Spans:
        stamps = self.inputs[name].stamps
        ages = spans_of(stamps, stamps + round(self.max_age[name] * 1e9))
        return within(ages, self.start_ns, self.end_ns)

    def _pauses(self) -> Spans:
        """When nothing was recorded, or the clock jumped."""
        stamps = np.unique(np.concatenate([*self._stamps().values()]))
        long = np.flatnonzero(np.diff(stamps) > PAUSE_NS)
        return np.stack([stamps[long], stamps[long + 1]], axis=1)

    def within(self, start_ns: int, end_ns: int) -> Episode:
        """The same episode, between two stamps only."""
        start_ns, end_ns = max(start_ns, self.start_ns), min(end_ns, self.end_ns)
        segments = clipped(self.segments, start_ns, end_ns)
        return replace(self, start_ns=start_ns, end_ns=end_ns, segments=segments)

    def cut(self, frames: tuple[int, int] | None) -> Episode:
        """The same episode from one frame until just before another.

        A frame is one of the first image, where there is none a sample of the first input.

        Raises:
            BagError: the episode has no such frames.
        """
        if frames is None:
            return self
        first, end = frames
        leading = self.inputs[leading_input(self.inputs)]
        numbers = leading.numbers
        if not 0 <= first < end or first > numbers.max(initial=-1):
            raise BagError(
                f'{self.name}: frames {first} to {end} were asked for, it has '
                f'{numbers.max(initial=-1) + 1}'
            )
        within = leading.stamps[(numbers >= first) & (numbers < end)]
        if not len(within):
            raise BagError(f'{self.name}: none of the frames {first} to {end} can be read')
        return self.within(int(within[0]), int(within[-1]))


def leading_input(inputs: Mapping[str, Series]) -> str:
    """Whose samples are counted as frames."""
    images = [name for name, series in inputs.items() if isinstance(series, Frames)]
    return [*images, *inputs][0]


def image_names(inputs: Mapping[str, InputSpec]) -> list[str]:
    """The inputs whose samples are frames."""
    return [name for name, spec in inputs.items() if spec.encoder == 'image']


def pixels_file(name: str) -> str:
    """Of an image, in an episode's directory."""
    return f'{name}.u8'


def save_series(folder: Path, found: Mapping[str, Series]) -> None:
    """Write the series of inputs and commands; `open_episode` reads them."""
    arrays = {
        f'{name}.{part}': getattr(series, part)
        for name, series in found.items()
        for part in ('stamps', 'values', 'numbers')
    }
    np.savez(folder / SIGNALS_FILE, **arrays)


def open_episode(folder: Path, signals: Signals) -> Episode:
    """Open a directory that `liquid_control.learn.data.ingest` wrote for these signals."""
    facts = json.loads((folder / FACTS_FILE).read_text())
    with np.load(folder / SIGNALS_FILE) as file:
        series = {
            name: Series(*(file[f'{name}.{part}'] for part in ('stamps', 'values', 'numbers')))
            for name in (*signals.inputs, 'command')
        }
    inputs = {name: series[name] for name in signals.inputs}
    for name in image_names(signals.inputs):
        inputs[name] = _with_pixels(inputs[name], folder / pixels_file(name), signals.inputs[name])
    commands = series['command']
    return Episode(
        name=facts['bag'],
        digest=facts['digest'],
        inputs=inputs,
        commands=commands.values,
        command_ns=commands.stamps,
        segments=tuple(Segment(**segment) for segment in facts['segments']),
        start_ns=facts['start_ns'],
        end_ns=facts['end_ns'],
        max_age={name: spec.max_age for name, spec in signals.inputs.items()},
        topics=facts['topics'],
        refused=tuple(facts['refused']),
        jumps=tuple(facts['jumps']),
        outside=facts['outside'],
    )


def _with_pixels(series: Series, file: Path, spec: Any) -> Frames:
    shape = (len(series), spec.height, spec.width, 3)
    # Frames of one stamp are all in the file, and one of them in the series.
    count = file.stat().st_size // (spec.height * spec.width * 3)
    pixels = np.memmap(file, np.uint8, 'r', shape=(count, *shape[1:]))
    return Frames(series.stamps, series.values, series.numbers, pixels)
