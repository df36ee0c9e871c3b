# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag the inputs of a policy come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from liquid_control.bags.errors import TopicError
from liquid_control.bags.reader import BagReader
from liquid_control.contract.inputs import InputSpec, Source

# Forms of images that are no images to us, by the names that image_transport gives them.
_NO_IMAGES = ('/compressedDepth', '/zstd', '/theora', '/ffmpeg', '/foxglove', '/draco')
# What a camera that measures distance publishes beside its colours.
_BESIDES = re.compile(r'depth|disparity|confidence|infra|(?:^|[/_])ir(?:[/_]|$)', re.IGNORECASE)


class TopicRole(NamedTuple):
    """What a topic is to an input."""

    name: str
    """Of the input."""
    role: str
    """Among its topics, '' for the only one."""
    leading: bool
    """Whether the input is as old as this topic's messages."""


@dataclass(frozen=True)
class InputTopics:
    """Topic -> what it is, to one input or to several."""

    parts: Mapping[str, tuple[TopicRole, ...]]

    @property
    def leading(self) -> dict[str, str]:
        """Input -> topic whose stamps are its own."""
        return {
            part.name: topic
            for topic, parts in self.parts.items()
            for part in parts
            if part.leading
        }

    @property
    def aside(self) -> set[str]:
        """Topics that lead no input: what they said once holds, however long ago."""
        return self.parts.keys() - self.leading.values()

    def max_age(self, inputs: Mapping[str, InputSpec]) -> dict[str, float]:
        """Leading topic -> age of its messages that every one of its inputs bears, s."""
        ages: dict[str, float] = {}
        for name, topic in self.leading.items():
            ages[topic] = max(ages.get(topic, 0.0), inputs[name].max_age)
        return ages


def find_inputs(
    reader: BagReader,
    inputs: Mapping[str, InputSpec],
    named: Mapping[str, str],
    missing: Iterable[str] = (),
) -> InputTopics:
    """Find the topics of all inputs.

    Args:
        named: topics that a person named; see `keys` for what goes by which name.
        missing: what else is needed and was not found.

    Raises:
        TopicError: one is missing, several could play the part, or the one named cannot.
    """
    found: dict[str, list[TopicRole]] = {}
    missing = list(missing)
    for name, spec in inputs.items():
        sources = spec.sources(name)
        for source in sources:
            topic = find_source(reader.filled, name, source, named, alone=len(sources) == 1)
            if topic is None:
                missing.append(f'{label(name, source)} of type {" or ".join(source.types)}')
                continue
            found.setdefault(topic, []).append(TopicRole(name, source.role, source.leading))
    if missing:
        raise TopicError(
            f'{reader.path} has no topic for {", ".join(missing)}; it has {reader.describe()}'
        )
    return InputTopics({topic: tuple(parts) for topic, parts in found.items()})


def keys(name: str, source: Source, *, alone: bool) -> tuple[str, ...]:
    """What a person may call an input's topic: as the input, its part, or as the robot calls it.

    Args:
        alone: whether it is the only one of the input.
    """
    return (name, source.topic) if alone else (label(name, source), source.role, source.topic)


def label(name: str, source: Source) -> str:
    """An input's topic in words."""
    return f'{name}.{source.role}' if source.role else name


def find_source(
    topics: Mapping[str, str],
    name: str,
    source: Source,
    named: Mapping[str, str],
    *,
    alone: bool = True,
) -> str | None:
    """Find one topic of an input, None where there is none.

    Of several that could be it, it is the one called as on the robot.

    Args:
        topics: type of each topic, as `BagReader.filled`.

    Raises:
        TopicError: several could be it, or the one named cannot.
    """
    for key in keys(name, source, alone=alone):
        if key in named:
            return _checked(topics, name, source, named[key])
    found = candidates(topics, source)
    if len(found) > 1:
        usual = [topic for topic in found if is_usual(topic, source) and not _is_beside(topic)]
        if len(usual) != 1:
            key = keys(name, source, alone=alone)[0]
            raise TopicError(
                f'several topics could be the {key}: {", ".join(found)}; name one with --topic '
                f'{key}=TOPIC'
            )
        return usual[0]
    return found[0] if found else None


def is_usual(topic: str, source: Source) -> bool:
    """Whether a topic is called as on the robot, in whatever namespace."""
    return any(f'/{topic}'.endswith(f'/{usual}') for usual in source.topics().values())


def candidates(topics: Mapping[str, str], source: Source) -> list[str]:
    """Topics that could be it, without those that only repeat another in another form."""
    found = sorted(topic for topic, msgtype in topics.items() if msgtype in source.types)
    forms = [suffix for suffix in source.suffixes if suffix]
    found = [
        topic
        for topic in found
        if not any(topic.endswith(form) and topic.removesuffix(form) in found for form in forms)
    ]
    return _images(found) if 'sensor_msgs/msg/Image' in source.types else found


def _images(topics: Iterable[str]) -> list[str]:
    images = [topic for topic in topics if not topic.endswith(_NO_IMAGES)]
    return [topic for topic in images if not _is_beside(topic)] or images


def _is_beside(topic: str) -> bool:
    return _BESIDES.search(topic) is not None


def _checked(topics: Mapping[str, str], name: str, source: Source, named: str) -> str:
    found = topics.get(named)
    if found not in source.types:
        possible = sorted(topic for topic, msgtype in topics.items() if msgtype in source.types)
        raise TopicError(
            f'{named} cannot be the topic of {label(name, source)}: expected '
            f'{" or ".join(source.types)}, '
            f'{f"it is {found}" if found else "the bag has no such topic with messages"}; '
            f'possible: {", ".join(possible) or "none"}'
        )
    return named
