# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Sequences of control steps from an episode: what the robot would have known at each tick.

The rule is the runtime's: a tick sees the newest sample at or before it. Training windows are
drawn with irregular ticks, late and lost frames (see `Timing`); a whole episode for judging runs
at the exact control rate. Every window follows from the seed and its number alone, so that a
training resumed after a kill sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from liquid_control.bags.errors import BagError
from liquid_control.bags.samples import COMMAND_HOLD_NS
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.segments import DEFAULT_WEIGHTS, Stamps, Weights, learnable
from liquid_control.learn.data.series import Frames
from liquid_control.learn.data.spans import duration, within
from liquid_control.learn.train.recipe import Timing


@dataclass(frozen=True, eq=False)
class Steps:
    """Inputs and commands of T control steps, or of a batch of them with a leading dimension.

    inputs: by name; of an image uint8 [T, H, W, 3] RGB, of others [T, W] in their units
    elapsed: s since the step before, [T]
    commands: what was commanded at the tick, [T, C], NaN where unknown or not to be learnt from
    weights: how much the tick counts in the loss, [T]
    """

    inputs: Mapping[str, Tensor]
    elapsed: Tensor
    commands: Tensor
    weights: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Steps:
        """The same with every tensor changed."""
        return Steps(
            inputs={name: change(values) for name, values in self.inputs.items()},
            elapsed=change(self.elapsed),
            commands=change(self.commands),
            weights=change(self.weights),
        )

    def first(self, count: int) -> Steps:
        """The first of them."""
        return self.map(lambda tensor: tensor[:count])

    def share(self, index: int, count: int) -> Steps:
        """One of `count` equal shares, one behind the other."""
        size = len(self.elapsed) // count
        return self.map(lambda tensor: tensor[index * size : (index + 1) * size])

    @staticmethod
    def stack(windows: Sequence[Steps]) -> Steps:
        """A batch of windows of equal length."""
        return Steps(
            inputs={
                name: torch.stack([window.inputs[name] for window in windows])
                for name in windows[0].inputs
            },
            elapsed=torch.stack([window.elapsed for window in windows]),
            commands=torch.stack([window.commands for window in windows]),
            weights=torch.stack([window.weights for window in windows]),
        )


def observe(
    episode: Episode,
    ticks: Stamps,
    elapsed: NDArray[np.float64],
    *,
    weights: Weights = DEFAULT_WEIGHTS,
    image_delay_ns: int = 0,
    lost_samples: Mapping[str, NDArray[np.bool_]] | None = None,
    command_offsets_ns: Sequence[int] = (0,),
) -> Steps:
    """What is known at each tick, and what was commanded there.

    Args:
        ticks: ns, within the episode's start and end.
        elapsed: s since the tick before.
        weights: by who drove.
        image_delay_ns: how long after its stamp a frame can be seen.
        lost_samples: by input, those that never arrive, [N]; the first one always does.
        command_offsets_ns: what is to be learnt is the mean of the commands so much later.
    """
    inputs = {}
    for name, series in episode.inputs.items():
        if lost_samples and name in lost_samples:
            series = series.without(lost_samples[name])
        seen = ticks - image_delay_ns if isinstance(series, Frames) else ticks
        inputs[name] = torch.from_numpy(np.ascontiguousarray(series.at(seen)))
    weight = weights.at(episode.segments, ticks)
    told = [_commands_at(episode, ticks + offset) for offset in command_offsets_ns]
    commands: NDArray[np.float32] = np.stack(told).mean(axis=0)
    commands[weight <= 0] = np.nan
    return Steps(
        inputs=inputs,
        elapsed=torch.from_numpy(elapsed.astype(np.float32)),
        commands=torch.from_numpy(commands),
        weights=torch.from_numpy(weight),
    )


def ticks_of(episode: Episode, period_ns: int) -> Stamps:
    """Ticks of the exact control rate at which the robot would have asked a policy, [T]."""
    first = -((episode.start_ns - episode.fresh[:, 0]) // period_ns)
    counts = np.maximum((episode.fresh[:, 1] - episode.start_ns) // period_ns - first + 1, 0)
    before = np.cumsum(counts) - counts
    numbers = np.arange(counts.sum()) + np.repeat(first - before, counts)
    ticks: Stamps = episode.start_ns + numbers * period_ns
    return ticks


def whole(episode: Episode, period_ns: int, weights: Weights = DEFAULT_WEIGHTS) -> Steps:
    """The episode from start to end at the exact control rate, as a robot would have lived it.

    Where an input was too old no policy is asked, and its state waits.
    """
    ticks = ticks_of(episode, period_ns)
    return observe(episode, ticks, np.full(len(ticks), period_ns / 1e9), weights=weights)


class Windows(Dataset[Steps]):
    """Training windows at random places of all episodes, numbered from 0 without end.

    Args:
        episodes: to draw from, by the durations of what there is to learn from.
        period_ns: control period.
        timing: length and irregularity.
        seed: of places and irregularities.
        change: applied to each window, with the window's own random numbers.
        weights: by who drove.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        period_ns: int,
        timing: Timing,
        seed: int,
        change: Callable[[Steps, np.random.Generator], Steps] = lambda steps, _: steps,
        weights: Weights = DEFAULT_WEIGHTS,
    ):
        window_ns = timing.steps * period_ns
        self.too_short = 0.0
        """In pieces shorter than a window, from which nothing is learnt, s."""
        self._episodes: list[Episode] = []
        for episode in episodes:
            taught = episode.taught(weights)
            for first_ns, last_ns in learnable(taught, episode.fresh, window_ns):
                if last_ns - first_ns > window_ns:
                    self._episodes.append(episode.within(first_ns, last_ns))
                else:
                    self.too_short += duration(within(taught, first_ns, last_ns))
        if not self._episodes:
            raise BagError(
                f'no bag holds {window_ns / 1e9:.1f} s in one piece to learn from, the length of '
                'a training window; record longer drives or lower timing.steps'
                + ''.join(f' ({e.name}: {e.why_nothing()})' for e in episodes[:1])
            )
        durations = np.array([e.end_ns - e.start_ns for e in self._episodes]) / 1e9
        self.count_per_pass = max(round(durations.sum() * 1e9 / (timing.steps * period_ns)), 1)
        self._shares = durations / durations.sum()
        self._timing = timing
        self._period_ns = period_ns
        self._seed = seed
        self._change = change
        self._weights = weights

    def __getitem__(self, index: int) -> Steps:
        timing = self._timing
        rng = np.random.default_rng([self._seed, index])
        episode = self._episodes[rng.choice(len(self._episodes), p=self._shares)]
        elapsed = self._draw_elapsed(rng)
        offsets = np.round((np.cumsum(elapsed) - elapsed[0]) * 1e9).astype(np.int64)
        room = max(episode.end_ns - episode.start_ns - int(offsets[-1]), 0)
        ticks = np.minimum(episode.start_ns + int(rng.uniform(0, room)) + offsets, episode.end_ns)
        lost = {
            name: self._draw_lost(len(series), rng)
            for name, series in episode.inputs.items()
            if isinstance(series, Frames)
        }
        delay = round(rng.uniform(0, timing.image_delay) * 1e9)
        steps = observe(
            episode,
            ticks,
            elapsed,
            weights=self._weights,
            image_delay_ns=delay,
            lost_samples=lost,
            command_offsets_ns=timing.command_offsets_ns,
        )
        return self._change(steps, rng)

    def _draw_lost(self, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        lost = rng.random(count) < self._timing.dropped_frames
        lost[:1] = False
        return lost

    def _draw_elapsed(self, rng: np.random.Generator) -> NDArray[np.float64]:
        timing = self._timing
        # Late by jitter is early for the next: ticks stay on the grid, as on a robot.
        lateness = rng.uniform(-0.5, 0.5, timing.steps + 1) * timing.jitter
        missed = rng.random(timing.steps) < timing.missed_ticks
        periods = 1.0 + np.diff(lateness) + missed
        return np.maximum(periods, 0.1) * (self._period_ns / 1e9)


class WindowOrder(Sampler[int]):
    """The numbers of one epoch's windows: every epoch has new ones.

    Args:
        count: windows in an epoch, in all processes together.
        rank, processes: which share is this process's, where several train together.
    """

    def __init__(self, count: int, rank: int = 0, processes: int = 1):
        self._count = count
        self._rank = rank
        self._processes = processes
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count // self._processes

    def __iter__(self) -> Iterator[int]:
        first = self._epoch * self._count + self._rank
        return iter(range(first, first + len(self) * self._processes, self._processes))


def _commands_at(episode: Episode, ticks: Stamps) -> NDArray[np.float32]:
    """The command in force at each tick, on the straight line to the next one that is near."""
    stamps, commands = episode.command_ns, episode.commands
    before = np.maximum(np.searchsorted(stamps, ticks, side='right') - 1, 0)
    after = np.minimum(before + 1, len(stamps) - 1)
    left, right = commands[before], commands[after]
    gap = stamps[after] - stamps[before]
    share = (np.maximum(ticks - stamps[before], 0) / np.maximum(gap, 1))[:, None]
    near = (gap <= COMMAND_HOLD_NS)[:, None] & np.isfinite(right)
    held = np.where(near, left + (right - left) * np.where(near, share, 0), left)
    age = ticks - stamps[before]
    held[(age < 0) | (age > COMMAND_HOLD_NS)] = np.nan
    return held.astype(np.float32)
