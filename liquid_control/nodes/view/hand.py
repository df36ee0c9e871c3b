# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A hand on the wheel: who steers from which page, for how long it counts, and what it asks for.

The dead man's switch is the silence: a command is passed on once, when it comes, and dated by the
last thing that its page is known to have seen, and how long it had it. Nothing repeats it. A
released key, a page without the focus or closed, a laptop that sleeps and a network that fails are
all the same: nothing more comes, and the policy node stops the robot within its
`override_timeout`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A page repeats its command at 20 Hz; silent for so long, the hand is gone, s.
PATIENCE = 0.4


@dataclass(frozen=True)
class HandAxis:
    """One command that a hand may give."""

    name: str
    unit: str
    low: float
    high: float
    moves: bool = True
    """Whether it moves the robot by itself: it goes to zero when the hand lets go."""
    place: bool = False
    """Whether it is a place, which may be anywhere in the range and stays: of a joint."""

    def value(self, share: float) -> float:
        """Of the range: 1 is `high`, -1 is `low`; 0 is nothing, of a place its middle."""
        if self.place:
            return self.low + (share + 1) / 2 * (self.high - self.low)
        return share * self.high if share >= 0 else -share * self.low


class HandError(ValueError):
    """What a page asked for is refused; the text is for people."""


class Wheel:
    """One hand at a time; times are monotonic, s."""

    def __init__(self) -> None:
        self.holder = ''
        """Whose hand it is: '' for nobody's."""
        self._heard = -math.inf

    def grip(self, who: str, now: float) -> bool:
        """A hand asks for something; returns whether it has just taken hold.

        Raises:
            HandError: somebody else steers.
        """
        if self.holder not in ('', who) and now - self._heard <= PATIENCE:
            raise HandError('somebody else is steering')
        new = self.holder != who
        self.holder, self._heard = who, now
        return new

    def release(self, who: str) -> bool:
        """A hand lets go; returns whether it had the wheel."""
        held = self.holder == who
        if held:
            self.holder = ''
        return held

    def lost(self, now: float) -> bool:
        """Whether a hand has fallen silent without letting go; told once."""
        gone = self.holder != '' and now - self._heard > PATIENCE
        if gone:
            self.holder = ''
        return gone


def given_ns(seen_ns: int, now_ns: int, *, passed: float, had: object) -> int:
    """When a command was given, in the time of the stamps.

    What its page had seen is younger than the command by as long as the page says that it had it:
    several commands follow one thing seen, and each has a time of its own.

    Args:
        seen_ns, now_ns: when that was sent, and when the command came.
        passed: the same time by our own clock, s: simulated time may go slower.
        had: what the page says, s; without a number it is dated by what it saw.
    """
    told = isinstance(had, int | float) and not isinstance(had, bool) and math.isfinite(had)
    share = min(max(float(had), 0.0) / passed, 1.0) if told and passed > 0 else 0.0  # type: ignore[arg-type]
    return seen_ns + round(share * max(now_ns - seen_ns, 0))


def command(
    axes: Sequence[HandAxis], asked: object, held: Mapping[str, float] | None = None
) -> tuple[float, ...]:
    """The command vector for shares of the axes' ranges, by name.

    What is not named is zero; a place stays.

    Args:
        held: where places are now, by name.

    Raises:
        HandError: not a mapping of known names to numbers within -1..1.
    """
    if not isinstance(asked, Mapping) or len(asked) > len(axes):
        raise HandError('expected shares of the commands by name')
    if not axes:
        raise HandError('the commands of the policy and their limits are not known yet')
    unknown = asked.keys() - {axis.name for axis in axes}
    if unknown:
        raise HandError(f'no command {str(min(unknown))[:50]!r}')
    return tuple(_value(axis, asked, held or {}) for axis in axes)


def _value(axis: HandAxis, asked: Mapping[str, object], held: Mapping[str, float]) -> float:
    if axis.place and axis.name not in asked:
        if axis.name not in held:
            raise HandError(f'where {axis.name} is now is not known: set it, too')
        return held[axis.name]
    return axis.value(_share(asked.get(axis.name, 0.0)))


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HandError('expected a number within -1..1')
    if not -1.0 <= value <= 1.0:  # neither is NaN
        raise HandError(f'expected a number within -1..1, found {value:g}')
    return float(value)
