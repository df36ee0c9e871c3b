# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Messages of a recording that are left out: how many, why, and which was the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass
class Refusal:
    """Messages of one topic that are left out for one kind of reason.

    Attributes:
        first: Number of the first of them among all messages of the topic, from 0.
        first_ns: Its stamp.
        why: What was wrong with it.
    """

    topic: str
    count: int
    first: int
    first_ns: int
    why: str

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Refusal:
        """An entry of `Refusals.report`."""
        return cls(**{part.name: entry[part.name] for part in fields(cls)})


class Refusals:
    """Counts what is left out of a recording.

    Attributes:
        seen: Messages of each topic so far, those left out as well.
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self._found: dict[tuple[str, str], Refusal] = {}

    def add(self, topic: str, kind: str, why: str, stamp_ns: int, number: int) -> None:
        """Note a message.

        Args:
            kind: 'image', 'value', 'stamp' or 'spike'.
            number: Among all messages of its topic.
        """
        known = self._found.get((topic, kind))
        if known is not None:
            known.count += 1
            return
        why = ' '.join(why.removeprefix(f'{topic}: ').split())
        self._found[topic, kind] = Refusal(topic, 1, number, stamp_ns, why)

    def count(self, topic: str, *kinds: str) -> int:
        """Messages of a topic that are left out."""
        return sum(
            self._found[topic, kind].count for kind in kinds if (topic, kind) in self._found
        )

    def lines(self, topic: str | None = None, *kinds: str) -> list[str]:
        """A line for each topic and kind of reason, or for some of them."""
        return [
            describe(entry, self.seen[name])
            for (name, kind), entry in self._found.items()
            if topic in (None, name) and (kind in kinds or not kinds)
        ]

    def report(self) -> list[dict[str, Any]]:
        """For JSON."""
        return [{**asdict(entry), 'of': self.seen[entry.topic]} for entry in self._found.values()]


def describe(entry: Refusal, of: int) -> str:
    """One line; `of` is how many messages the topic has."""
    return (
        f'{entry.topic}: {entry.count} of {of} messages left out, the first no. {entry.first} at '
        f'{seconds(entry.first_ns)} s: {entry.why}'
    )


def seconds(stamp_ns: int) -> str:
    """A stamp in seconds, to the millisecond."""
    return f'{stamp_ns // 1_000_000_000}.{stamp_ns % 1_000_000_000 // 1_000_000:03d}'
