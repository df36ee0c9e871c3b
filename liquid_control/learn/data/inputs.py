# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a policy is to see where nobody says it: what a recording has, by one rule for all kinds.

The kinds themselves say when they are learnt from (`InputSpec.suggested`): a camera, IMU, scan or
goal where there is one; odometry where nothing needs an encoder, since a policy that feels its own
speed learns to copy it; joint states where joints are commanded; the others where they are asked
for. What a message of theirs is like decides the rest (`InputSpec.suggest`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import numpy as np

from liquid_control.bags.errors import BagError, TopicError
from liquid_control.bags.input_topics import find_source, is_usual, label
from liquid_control.bags.reader import BagReader
from liquid_control.common.errors import ConfigError, ImageError, LiquidControlError, SensorError
from liquid_control.contract.bounds import BOUNDS, MAX_AGE
from liquid_control.contract.inputs import KINDS, InputSpec

# Commands of joints, whose states are then what there is to see.
JOINT_COMMANDS = ('std_msgs/msg/Float64MultiArray',)
# Messages further apart than this many usual gaps: nobody was sending.
PAUSE = 10.0
# Messages to look at until one says what an input is like.
MESSAGES = 100
# Sensors may miss this many messages before the robot stops.
MISSED_MESSAGES = 10


def choose_inputs(
    reader: BagReader,
    topics: Mapping[str, str],
    wanted: Mapping[str, str] | None,
    command_type: str,
    on_status: Callable[[str], None],
) -> dict[str, InputSpec]:
    """The inputs that a bag has, or those that are wanted, as its messages suggest them.

    Args:
        topics: names that the user gave, see `learn.data.signals.Signals.topics`.
        wanted: inputs by name, each with its kind; None: what is there.
        command_type: of the messages that command.
        on_status: told what is used, what is not and how to choose.

    Raises:
        BagError, TopicError: there is nothing to see, or it is not sure which.
    """
    found: Mapping[str, tuple[type[InputSpec], str | None]]
    if wanted is None:
        found = _present(reader, topics, command_type in JOINT_COMMANDS, on_status)
    else:
        found = {
            name: (KINDS[kind], _leading(reader, name, KINDS[kind], topics))
            for name, kind in wanted.items()
        }
    return _suggested(reader, found, on_status)


def _present(
    reader: BagReader, named: Mapping[str, str], joints: bool, on_status: Callable[[str], None]
) -> dict[str, tuple[type[InputSpec], str]]:
    """What there is to see: by kind, with its leading topic.

    What is not sure is not used, but for what needs an encoder: a policy without it would be
    another one.

    Args:
        joints: whether joints are commanded.

    Raises:
        TopicError: there is nothing to see, or it is not sure which.
    """
    found: dict[str, tuple[type[InputSpec], str]] = {}
    left_out, problems = [], []
    for kind, spec in sorted(KINDS.items(), key=lambda entry: entry[1].suggested == 'blind'):
        try:
            topic = _leading(reader, kind, spec, named, guessed=True)
        except TopicError as error:
            if spec.encoder and spec.suggested == 'present':
                raise
            problems.append(error)
            if spec.suggested == 'present':
                on_status(f'{kind}: not used, {error}')
            continue
        if topic is None:
            continue
        is_blind = not any(each.encoder for each, _ in found.values())
        if spec.suggested == 'present' or {'blind': is_blind, 'joints': joints}.get(
            spec.suggested, False
        ):
            found[kind] = spec, topic
        else:
            left_out.append(f'{kind} ({topic})')
    if all(spec.suggested == 'blind' for spec, _ in found.values()):
        if problems:
            raise problems[0]
        usual = [kind for kind, spec in KINDS.items() if spec.suggested == 'present']
        raise TopicError(
            f'{reader.path} needs one of {", ".join(usual)} to learn from, or others named with '
            f'--inputs; it has {reader.describe()}'
        )
    if left_out:
        on_status(f'not used: {", ".join(left_out)}; --inputs chooses')
    return {kind: found[kind] for kind in KINDS if kind in found}


def _leading(
    reader: BagReader,
    name: str,
    spec: type[InputSpec],
    named: Mapping[str, str],
    *,
    guessed: bool = False,
) -> str | None:
    """The topic that leads an input, None where one of its topics is missing.

    Args:
        guessed: nobody asked for it: what leads nothing (a goal) must be called as on the robot.

    Raises:
        TopicError: several could be it; or one is missing, and the input was asked for.
    """
    sources, leading = spec.usual_sources(name), None
    for source in sources:
        alone = len(sources) == 1
        topic = find_source(reader.filled, name, source, named, alone=alone)
        is_asked = topic in named.values()
        if topic is not None and guessed and not (source.leading or is_asked):
            topic = topic if is_usual(topic, source) else None
        if topic is None:
            if guessed:
                return None
            raise TopicError(
                f'{reader.path} has no topic for {label(name, source)} '
                f'({" or ".join(source.types)}); it has {reader.describe()}'
            )
        leading = topic if source.leading else leading
    return leading


def _suggested(
    reader: BagReader,
    found: Mapping[str, tuple[type[InputSpec], str | None]],
    on_status: Callable[[str], None],
) -> dict[str, InputSpec]:
    """The inputs as their first messages suggest them."""
    topics = {name: topic for name, (_, topic) in found.items() if topic is not None}
    rates = _rates(reader, list(topics.values()))
    inputs = {}
    for name, topic in topics.items():
        rate = rates[topic]
        inputs[name] = _suggest(reader, found[name][0], topic, rate)
        on_status(f'{name}: {topic}, {rate:g} Hz')
    return inputs


def _suggest(reader: BagReader, spec: type[InputSpec], topic: str, rate: float) -> InputSpec:
    problem: LiquidControlError | None = None
    for message in islice(reader.messages([topic]), MESSAGES):
        try:
            return spec.suggest(
                message.to_cdr(), message.msgtype, rate=rate, max_age=_max_age(rate)
            )
        except (SensorError, ImageError) as error:
            problem = problem or error
        except ConfigError as error:
            raise BagError(f'{topic}: {error}') from error
    raise BagError(f'{reader.path}, {topic}: nothing to learn from: {problem}') from problem


def _rates(reader: BagReader, topics: Sequence[str]) -> dict[str, float]:
    """Messages a second while they come, Hz: pauses and jumps of the clock have no say."""
    arrived: dict[str, list[int]] = {topic: [] for topic in topics}
    stamped = dict.fromkeys(topics, -1)
    for message in reader.messages(topics):
        if message.stamp_ns != stamped[message.topic]:  # a repeated one is refused
            stamped[message.topic] = message.stamp_ns
            arrived[message.topic].append(message.log_ns)
    rates = {}
    for topic, stamps in arrived.items():
        gaps = np.diff(np.sort(stamps)) / 1e9
        usual = gaps[gaps <= PAUSE * np.median(gaps)] if len(gaps) else gaps
        rate = 1 / usual.mean() if usual.sum() > 0 else 0.0
        rates[topic] = min(max(round(float(rate), 1), 0.1), BOUNDS['rate'][1])
    return rates


def _max_age(rate: float) -> float:
    """A slow sensor's messages may still not be older than a robot may drive on, s."""
    return min(round(MISSED_MESSAGES / rate, 3), MAX_AGE)
