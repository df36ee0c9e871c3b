# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The newest value of every input, with its age: what a policy sees at one instant.

Live, replayed and trained-on observations all follow the one rule of `Sensors`: the newest value
at or before the tick. A value that must not reach a policy (not finite, absurd, a stamp that does
not advance or lies in the future) is refused where it arrives; the last good one then grows old,
and the age is what stops the robot. Nothing missing is ever filled in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import SensorError
from liquid_control.contract.inputs import InputSpec, Reading

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Observation:
    """Inputs of one control tick, by name."""

    values: dict[str, Array]
    """Of an image its features; what is not known is left out."""
    stamps: dict[str, int]
    """Of the values, ns."""
    ages: dict[str, float]
    """s, from stamp or arrival, whichever is older; infinite for what is not known."""
    problem: str
    """Why this must not drive a robot: the first missing or stale input; '' when all is well."""


class _Sample(NamedTuple):
    value: Any
    stamp_ns: int
    received_ns: int


class Slot:
    """The newest good value of one sensor. Written by one thread, read by another."""

    def __init__(self, name: str, max_age: float) -> None:
        self.name = name
        self.max_age = max_age
        self._sample: _Sample | None = None
        self._refusal = ''

    def put(self, value: Any, stamp_ns: int, received_ns: int) -> None:
        """Take a value.

        Raises:
            SensorError: the stamp does not advance or lies in the future; the value is not taken.
        """
        last = self._sample
        if stamp_ns - received_ns > self.max_age * 1e9:
            self.refuse(f'stamp is {(stamp_ns - received_ns) / 1e9:.3f} s in the future')
        if last is not None and stamp_ns <= last.stamp_ns:
            what = 'is repeated' if stamp_ns == last.stamp_ns else 'went back'
            self.refuse(f'stamp {what} ({(last.stamp_ns - stamp_ns) / 1e9:.3f} s)')
        self._sample = _Sample(value, stamp_ns, received_ns)
        self._refusal = ''

    def refuse(self, why: str) -> NoReturn:
        """Note why the latest message was not taken, and raise it as a SensorError."""
        self._refusal = why
        raise SensorError(f'{self.name}: {why}')

    def newest(self, now_ns: int) -> tuple[_Sample | None, float, str]:
        """The newest sample, its age in s, and what is wrong with it ('' when nothing is)."""
        sample, refusal = self._sample, self._refusal
        suffix = f' (latest refused: {refusal})' if refusal else ''
        if sample is None:
            return None, math.inf, f'{self.name}: nothing received{suffix}'
        age = (now_ns - min(sample.stamp_ns, sample.received_ns)) / 1e9
        if age > self.max_age:
            limit = f'limit {self.max_age:.3f} s'
            return sample, age, f'{self.name}: {age:.3f} s old, {limit}{suffix}'
        return sample, age, ''

    @property
    def value(self) -> Any:
        """The newest good value, however old; None for none."""
        return self._sample.value if self._sample is not None else None

    def clear(self) -> None:
        """Forget the value, for a clock that went back."""
        self._sample = None
        self._refusal = ''

    def copy(self, other: Slot) -> None:
        """Take over another slot's value."""
        self._sample, self._refusal = other._sample, other._refusal


class Sensors:
    """A slot for each input of a policy."""

    def __init__(self, inputs: Mapping[str, InputSpec]) -> None:
        self.slots = {name: Slot(name, spec.max_age) for name, spec in inputs.items()}
        self._specs = dict(inputs)
        self._refusals: dict[str, Callable[[Array], str]] = {
            name: _features_refusal if spec.encoder == 'image' else spec.refusal
            for name, spec in inputs.items()
        }
        self._observed = tuple(self.slots.items())

    def share(self, other: Sensors) -> None:
        """Take over what another policy's sensors know, but for what its encoders made."""
        for name, slot in self.slots.items():
            mine, its = self._specs[name], other._specs.get(name)
            if its is not None and mine.encoder != 'image' and mine.reads_like(its):
                slot.copy(other.slots[name])

    def put(self, name: str, reading: Reading, received_ns: int | None = None) -> None:
        """Take what a message says; of an image, the features that its encoder made of it.

        Args:
            received_ns: when it arrived, in the time of the stamps; its stamp where None.

        Raises:
            SensorError: it must not reach the policy.
        """
        slot = self.slots[name]
        if refusal := self._refusals[name](reading.value):
            slot.refuse(refusal)
        stamp_ns = received_ns if reading.stamp_ns is None else reading.stamp_ns
        if stamp_ns is None:
            raise ValueError(f'{name}: a message without a stamp counts from its arrival')
        slot.put(reading.value, stamp_ns, stamp_ns if received_ns is None else received_ns)

    def observe(self, now_ns: int) -> Observation:
        """What is known at `now_ns`, in the time of the stamps."""
        values, stamps, ages, problem = {}, {}, {}, ''
        for name, slot in self._observed:
            sample, ages[name], wrong = slot.newest(now_ns)
            if sample is not None:
                values[name], stamps[name] = sample.value, sample.stamp_ns
            problem = problem or wrong
        return Observation(values, stamps, ages, problem)

    def clear(self) -> None:
        """Forget all values."""
        for slot in self.slots.values():
            slot.clear()


def _features_refusal(features: Array) -> str:
    return '' if np.isfinite(features).all() else 'encoder output is not finite'
