# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A training recipe: everything besides the bags that decides which weights come out.

Recipes are YAML files of these dataclasses (see recipe_file.py); the ones of the shipped policies
are in config/training/.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any, TypeVar

from liquid_control.common.errors import ConfigError
from liquid_control.contract.bounds import MAX_AGE
from liquid_control.contract.commands import check_together
from liquid_control.learn.data.segments import DEFAULT_WEIGHTS, Weights
from liquid_control.learn.data.signals import Signals
from liquid_control.nn.policy import DEFAULT_NETWORK, MAX_SEED, Network, NetworkConfig

T = TypeVar('T')


# Stands for the end of a bag.
LAST_FRAME = 2**31

# Where a smoothed command is read, in shares of the smoothing about the middle.
_SMOOTHED = (-0.5, -0.25, 0.0, 0.25, 0.5)


def _check_range(record: object, low: float, high: float, *names: str) -> None:
    """Refuse fields outside of a range, NaN included."""
    limit = f'at least {low:g}' if high == inf else f'within {low:g}..{high:g}'
    for name in names:
        if not (low <= (found := getattr(record, name)) <= high and found != inf):
            raise ConfigError(f'{name} must be {limit}, found {found:g}')


@dataclass(frozen=True)
class Timing:
    """How irregular the control steps of a training window are.

    A robot's ticks come late, are missed, and see frames that are old or were dropped on the way.
    A liquid network is told the elapsed time and can learn to take that in its stride.

    Attributes:
        steps: control steps in a window.
        settle: first steps of a window that are not scored: the state starts from zeros.
        jitter: largest deviation of an elapsed time, as a share of the period.
        missed_ticks: share of ticks that are missed, so that the next elapsed time is longer.
        image_delay: frames are seen this much later than stamped: drawn from 0 to this, s.
        dropped_frames: share of frames that never arrive.
        reaction: how late the driver's hands follow what is seen, s: what is learnt at a tick is
            what was commanded so much later.
        smoothing: what is learnt is the mean of what was commanded over so long about it, s;
            keys are pressed and let go where a wheel is turned.
    """

    steps: int = 32
    settle: int = 2
    jitter: float = 0.2
    missed_ticks: float = 0.02
    image_delay: float = 0.0
    dropped_frames: float = 0.05
    reaction: float = 0.0
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_range(self, 2, 100_000, 'steps')
        _check_range(self, 0, self.steps - 1, 'settle')
        _check_range(self, 0, 1, 'jitter', 'missed_ticks', 'dropped_frames')
        _check_range(self, 0, MAX_AGE, 'image_delay')
        _check_range(self, 0, 1, 'reaction', 'smoothing')

    @property
    def command_offsets_ns(self) -> tuple[int, ...]:
        """What is learnt at a tick is the mean of what was commanded so much later, ns."""
        places = _SMOOTHED if self.smoothing else (0.0,)
        return tuple(round((self.reaction + at * self.smoothing) * 1e9) for at in places)


@dataclass(frozen=True)
class Augment:
    """Changes to a window, the same in all its frames; each 0 switches one off.

    Attributes:
        flip: share of windows seen in a mirror: left becomes right in image, IMU and commands;
            none where joints are commanded, whose mirror image nobody knows.
        shift: largest shift of the image, pixels; the gap repeats the edge.
        turn: largest angle by which the robot is shown turned to one side, rad, with commands that
            turn it back: what a driver who never drifts off does not show.
        turn_back: how much of that angle the turning commands are changed by, in their unit per
            rad: 2 wheelbase/distance of a steering angle that comes back over a distance.
        field_of_view: of the cameras, from the left to the right of the whole image, rad; wanted
            for turns alone.
        gamma: largest exponent, as the exponent of e, of a random gamma curve.
        tint: largest gain of a colour channel, likewise.
        shadow: share of windows in which a random half-plane is darkened.
        noise: largest deviation of pixel noise, grey levels.
        cutout: share of windows in which a random rectangle is greyed out.
    """

    flip: float = 0.5
    shift: int = 0
    turn: float = 0.0
    turn_back: float = 1.0
    field_of_view: float = 1.2
    gamma: float = 0.3
    tint: float = 0.1
    shadow: float = 0.3
    noise: float = 8.0
    cutout: float = 0.0

    def __post_init__(self) -> None:
        _check_range(self, 0, 1, 'flip', 'shadow', 'cutout')
        _check_range(self, 0, 1000, 'shift', 'noise')
        _check_range(self, 0, 5, 'gamma', 'tint')
        _check_range(self, 0, 0.5, 'turn')
        _check_range(self, 0, 10, 'turn_back')
        _check_range(self, 0.1, 3, 'field_of_view')


@dataclass(frozen=True)
class Fit:
    """Optimisation.

    Attributes:
        seed: of initial weights, windows and augmentation.
        epochs: at most; the learning rate falls to zero along a half cosine over them.
        passes: times an epoch goes over the recorded time.
        min_steps: optimiser steps of an epoch, however little was recorded: batches become
            smaller until there are as many, then the epoch goes over the recordings again.
        batch_size: windows in a batch, at most.
        learning_rate: of AdamW at the start.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        command_weights: of each command's squared error in shares of its spread; none: all 1.
        patience: epochs without a better held-out score before stopping.
    """

    seed: int = 1
    epochs: int = 40
    passes: float = 1.0
    min_steps: int = 50
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    clip: float = 1.0
    command_weights: tuple[float, ...] = ()
    patience: int = 10

    def __post_init__(self) -> None:
        _check_range(self, 0, MAX_SEED, 'seed')
        _check_range(self, 0, inf, 'weight_decay')
        _check_range(self, 1, inf, 'epochs', 'min_steps', 'batch_size', 'patience')
        _check_range(self, 1e-6, inf, 'passes', 'clip')
        _check_range(self, 1e-12, 10, 'learning_rate')
        if any(not 0 <= weight < inf for weight in self.command_weights):
            raise ConfigError(f'command_weights must be >= 0, found {list(self.command_weights)}')
        if self.command_weights and not any(self.command_weights):
            raise ConfigError('command_weights are all 0: nothing would be learnt')


@dataclass(frozen=True)
class Recipe:
    """See the module docstring.

    Attributes:
        description: what the policy is for, for its model card.
        control_rate: Hz.
        elapsed_range: shortest and longest time between steps to be accepted, s.
        frames: first frame used of every bag and first not used; None: all.
        test_frames: likewise, to report a score on in the model card and for nothing else.
        holdout: share of the bags to evaluate on, whole ones: at least one, or the end of one
            where that would be much; 0: none.
        weights: how much segments count, by who drove.
    """

    signals: Signals
    description: str = ''
    control_rate: float = 20.0
    elapsed_range: tuple[float, float] = (0.005, 0.25)
    frames: tuple[int, int] | None = None
    test_frames: tuple[int, int] | None = None
    holdout: float = 0.1
    network: Network = DEFAULT_NETWORK
    weights: Weights = DEFAULT_WEIGHTS
    timing: Timing = Timing()
    augment: Augment = Augment()
    fit: Fit = Fit()

    def __post_init__(self) -> None:
        check_together(self.signals.command_names)
        _check_range(self, 0, 0.9, 'holdout')
        for name in ('frames', 'test_frames'):
            first, end = getattr(self, name) or (0, 1)
            if not 0 <= first < end:
                raise ConfigError(f'{name} must be two increasing numbers, found {first}, {end}')
        weights, names = self.fit.command_weights, self.signals.command_names
        if len(weights) not in (0, len(names)):
            raise ConfigError(
                f'fit.command_weights must have {len(names)} entries ({", ".join(names)}) or '
                f'none, found {len(weights)}'
            )
        self.network_config()  # refuses what can be no network

    def changed(
        self,
        *,
        cell: str | None = None,
        neurons: int | None = None,
        epochs: int | None = None,
        seed: int | None = None,
        start_frame: int | None = None,
        end_frame: int | None = None,
    ) -> Recipe:
        """This recipe with what is not None put in."""
        network = _replaced(self.network, cell=cell, neurons=neurons)
        fit = _replaced(self.fit, epochs=epochs, seed=seed)
        frames = self.frames
        if start_frame is not None or end_frame is not None:
            first, end = frames or (0, LAST_FRAME)
            first = first if start_frame is None else start_frame
            end = end if end_frame is None else end_frame
            if first >= end:
                raise ConfigError(f'no frames from {first} until before {end}: check both options')
            frames = first, end
        return replace(self, network=network, fit=fit, frames=frames)

    def network_config(self) -> NetworkConfig:
        """The network that this recipe trains."""
        return NetworkConfig(
            **vars(self.network), inputs=self.signals.inputs, commands=self.signals.commands
        )


def _replaced(record: T, **values: Any) -> T:
    given = {name: value for name, value in values.items() if value is not None}
    changed: T = replace(record, **given)  # type: ignore[type-var]
    return changed
