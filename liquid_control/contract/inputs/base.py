# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What every kind of input says of itself: elements, topics, how it is read and written.

A kind is a frozen dataclass derived from `InputSpec`; its fields are the options that a contract
and a recipe may give it. Everything else in the house asks these methods and names no sensor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.cdr import Serialized
from liquid_control.common.errors import BundleError
from liquid_control.contract import bounds

Array = NDArray[np.float32]
Spec = TypeVar('Spec', bound='InputSpec')

# What becomes of a motion along an axis, and of one about it, where left and right are exchanged.
ALONG = {'x': 1, 'y': -1, 'z': 1}
ABOUT = {'x': -1, 'y': 1, 'z': -1}

MAX_TOPIC_LENGTH = 200
_TOPIC = re.compile(r'[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


@dataclass(frozen=True)
class Element:
    """One number of a vector input."""

    name: str
    unit: str
    low: float
    """Plausible from here to `high`; what lies outside, NaN too, is refused."""
    high: float
    scale: float
    """One unit as the network sees it: tanh(value / scale)."""
    mirror: int = 1
    """-1: changes its sign where left and right are exchanged; 0: nobody can tell."""


def by_axis(
    what: str, unit: str, limit: float, scale: float, mirrors: Mapping[str, int]
) -> tuple[Element, ...]:
    """An element for each axis of `ALONG` or `ABOUT`."""
    return tuple(
        Element(f'{what}_{axis}', unit, -limit, limit, scale, mirror)
        for axis, mirror in mirrors.items()
    )


@dataclass(frozen=True)
class Source:
    """One topic that an input listens to."""

    topic: str
    types: tuple[str, ...]
    """Of its messages; the first is the usual one."""
    role: str = ''
    """Which of an input's topics it is; '' for the only one."""
    leading: bool = True
    """Its stamps and ages are the input's; others only add what is known meanwhile."""
    latched: bool = False
    """Sent once and kept for those who come later."""
    suffixes: tuple[str, ...] = ('',)
    """For each type what follows the topic: another form of the same has a topic of its own."""

    def topics(self) -> dict[str, str]:
        """Type -> topic on which it is listened to."""
        return {
            msgtype: self.topic + suffix
            for msgtype, suffix in zip(self.types, self.suffixes, strict=True)
        }


class Reading(NamedTuple):
    """What a message says."""

    stamp_ns: int | None
    """None for a message without a stamp: it counts from its arrival."""
    value: NDArray[Any]
    """float32 [width]; of an image uint8 [height, width, 3] RGB."""


class Reader(Protocol):
    """Reads an input's messages in the order in which they come; may keep what it needs."""

    def take(self, role: str, message: Serialized, msgtype: str) -> Reading | None:
        """What is known with this message; None where it only adds to the next ones.

        Raises:
            SensorError: it says nothing that could be used. What it says beyond that is judged
                by `InputSpec.refusal`.
        """


@dataclass(frozen=True)
class EachMessage:
    """A reader of messages that stand alone."""

    read: Callable[[Serialized], Reading]

    def take(self, role: str, message: Serialized, msgtype: str) -> Reading | None:
        return self.read(message)


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What the contract says of one input."""

    rate: float
    """Expected message rate, Hz."""
    max_age: float
    """The robot stops when the newest value is older than this, s."""
    topic: str = ''
    """Relative; '' for the usual one."""

    kind: ClassVar[str]
    """In the table."""
    encoder: ClassVar[str] = ''
    """'' goes straight into the core; 'image' has a graph of its own that runs once a frame;
    'scan' has layers of its own at the front of the core's graph."""
    suggested: ClassVar[str] = 'asked'
    """When a recording that has it is learnt from with it, where nobody says what to use:
    'present', 'blind' (without anything that is encoded), 'joints' (joints are commanded), or
    'asked' (never)."""

    def __post_init__(self) -> None:
        bounds.check(self.kind, BundleError, rate=self.rate, max_age=self.max_age)
        check_topic(self.kind, self.topic)

    def elements(self) -> tuple[Element, ...]:
        """What each number means; none for an image."""
        raise NotImplementedError

    @classmethod
    def usual_sources(cls, name: str) -> tuple[Source, ...]:
        """The topics of an input of this name, where its options name no others."""
        raise NotImplementedError

    def sources(self, name: str) -> tuple[Source, ...]:
        """The topics it listens to; `name` is the input's name in the contract."""
        return tuple(
            replace(source, topic=self.topic or source.topic)
            for source in self.usual_sources(name)
        )

    @classmethod
    def suggest(
        cls: type[Spec], message: Serialized, msgtype: str, *, rate: float, max_age: float
    ) -> Spec:
        """What to learn with, as a recorded message of its first leading topic suggests.

        Raises:
            SensorError, ImageError: this message tells nothing.
            ConfigError: nobody can guess it.
        """
        return cls(rate=rate, max_age=max_age)

    def reader(self) -> Reader:
        """A reader that knows nothing yet."""
        raise NotImplementedError

    def write(
        self, value: NDArray[Any], stamp_ns: int, frame_id: str = ''
    ) -> dict[str, tuple[str, bytes]]:
        """Messages that say it: role -> type, CDR. What `reader` reads of them is `value`."""
        raise NotImplementedError

    def describe(self) -> str:
        """What it is, for people."""
        units: dict[str, list[str]] = {}
        for element in self.elements():
            units.setdefault(element.unit, []).append(element.name)
        return '; '.join(f'{", ".join(names)}, {unit}' for unit, names in units.items())

    def mirrored(self, values: NDArray[Any]) -> NDArray[Any] | None:
        """The same, [..., width], with left and right exchanged; None where nobody can tell."""
        signs = np.array([element.mirror for element in self.elements()], np.float32)
        return values * signs if signs.all() else None

    @cached_property
    def width(self) -> int:
        """How many numbers it has; 0 for an image."""
        return len(self.elements())

    @property
    def looks_back(self) -> float:
        """How long a new reader must have listened before it says anything, s."""
        return 0.0

    @property
    def core_width(self) -> int:
        """How many numbers the core sees of it: its encoder's features, where it has one."""
        return self.width

    @cached_property
    def plausible(self) -> tuple[Array, Array]:
        """Smallest and largest plausible values, [width] each."""
        elements = self.elements()
        low, high = ([getattr(e, side) for e in elements] for side in ('low', 'high'))
        return np.array(low, np.float32), np.array(high, np.float32)

    def reads_like(self, other: InputSpec) -> bool:
        """Whether the other makes the same of the same topics; rate and age limit may differ."""
        if type(self) is not type(other):
            return False
        return replace(other, rate=self.rate, max_age=self.max_age) == self

    def made_up(self, rng: np.random.Generator) -> NDArray[Any]:
        """An everyday value, for trials; of an image what its encoder takes."""
        low, high = self.plausible
        usual = np.array([element.scale for element in self.elements()], np.float32) / 2
        least, most = np.clip(-usual, low, high), np.clip(usual, low, high)
        return rng.uniform(least, most).astype(np.float32)

    def refusal(self, value: NDArray[Any]) -> str:
        """Why a value must not reach a policy, '' where it may."""
        low, high = self.plausible
        if value.shape != low.shape:
            return f'{value.size} values instead of {self.width}'
        # Written so that NaN, which compares as false, is refused.
        fits = (value >= low) & (value <= high)
        if fits.all():
            return ''
        index = int(fits.argmin())
        element, found = self.elements()[index], float(value[index])
        what = 'absurd' if np.isfinite(found) else 'not finite'
        return f'{what}: {element.name} is {found:g}{_unit(element.unit)}'


def to_float32(*values: float) -> Array:
    """What float32 cannot hold becomes infinite, and is refused."""
    with np.errstate(over='ignore'):
        return np.array(values, np.float32)


def check_topic(kind: str, topic: str) -> None:
    """Refuse what is no relative topic name; '' is the usual topic."""
    if topic and not (len(topic) <= MAX_TOPIC_LENGTH and _TOPIC.fullmatch(topic)):
        raise BundleError(
            f"{kind}: topic must be a relative name such as 'front/scan', "
            f'found {topic[:MAX_TOPIC_LENGTH]!r}'
        )


def _unit(unit: str) -> str:
    return '' if unit == '1' else f' {unit}'
