# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag a policy is replayed on and compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from liquid_control.bags.errors import TopicError
from liquid_control.bags.input_topics import InputTopics, find_inputs, keys
from liquid_control.bags.reader import BagReader
from liquid_control.bags.topics import COMMAND_TYPES, find_topic
from liquid_control.contract.contract import Contract


@dataclass(frozen=True)
class ReplayTopics:
    """Where the inputs of a policy and the recorded commands come from."""

    inputs: InputTopics
    command: str | None
    frames: str
    """The topic whose messages are counted as frames: of the first image, or else input."""

    @property
    def all(self) -> set[str]:
        """Topics that are read."""
        return {*self.inputs.parts, *([self.command] if self.command else [])}


def choose_topics(
    reader: BagReader,
    contract: Contract,
    named: Mapping[str, str] | None = None,
    *,
    need_command: bool = True,
) -> ReplayTopics:
    """The topics that a policy's inputs and the recorded commands come from.

    Args:
        named: topics that the user named: 'command', or as `bags.input_topics.keys` has it.
        need_command: whether a bag without commands is refused.

    Raises:
        TopicError: one is missing, several could play the part, or the one named cannot.
    """
    named = named or {}
    _check_named(contract, named)
    command = find_topic(reader.filled, 'command', named.get('command'), optional=not need_command)
    if need_command and command is None:
        raise TopicError(
            f'policy {contract.name} needs a topic for command of type '
            f'{" or ".join(COMMAND_TYPES)}; --topic command=TOPIC may also name an Odometry; the '
            f'bag has {reader.describe()}'
        )
    inputs = find_inputs(reader, contract.inputs, named)
    leading = inputs.leading
    images = [name for name, spec in contract.inputs.items() if spec.encoder == 'image']
    return ReplayTopics(inputs, command, leading[[*images, *contract.inputs][0]])


def _check_named(contract: Contract, named: Mapping[str, str]) -> None:
    """Refuse topics of inputs that the policy has not."""
    known = {'command'}
    for name, spec in contract.inputs.items():
        sources = spec.sources(name)
        known |= {key for each in sources for key in keys(name, each, alone=len(sources) == 1)}
    for key, topic in named.items():
        if key not in known:
            raise TopicError(f'policy {contract.name} has no input for {key}={topic}')
