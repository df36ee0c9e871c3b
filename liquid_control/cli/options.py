# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs have, and groups of them that stand in a verb as one parameter."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

PolicyName = Annotated[str, typer.Option(help='Policy bundle: a directory, or a shipped name.')]
Topic = Annotated[str | None, typer.Option(help='Short for --topic.')]
Topics = Annotated[
    list[str] | None,
    typer.Option(
        '--topic',
        help='Where the types in a bag do not tell: of an input, or of command, odom, mode, '
        'override, e.g. imu=/imu/data; may be repeated.',
    ),
]
Quick = Annotated[bool, typer.Option('--quick', help='Small sizes: minutes instead of hours.')]
Jobs = Annotated[int | None, typer.Option(help='Processes; all cores without it.', min=1)]
Out = Annotated[
    Path | None, typer.Option(help='Folder of the study; out/evaluate/<name> without it.')
]
Ray = Annotated[
    str | None,
    typer.Option(
        help='Address of a Ray cluster that does the work; what it reads, and --out, lie under '
        'the same paths on its nodes. What is timed is done here.'
    ),
]


@dataclass(frozen=True)
class InputTopicOptions:
    """Topics of what a policy sees."""

    topic: Topics = None
    image_topic: Topic = None
    imu_topic: Topic = None
    odom_topic: Topic = None

    def named(self) -> dict[str, str]:
        """Role or input -> topic, of those that a person named; raises as `named_topics`."""
        own = {key.removesuffix('_topic'): value for key, value in asdict(self).items()}
        return named_topics(own.pop('topic'), **own)


@dataclass(frozen=True)
class ReplayTopicOptions(InputTopicOptions):
    """And of what it commands."""

    command_topic: Topic = None


@dataclass(frozen=True)
class LearningTopicOptions(ReplayTopicOptions):
    """And of who drove."""

    mode_topic: Topic = None
    override_topic: Topic = None


Difficulty = Annotated[
    list[str] | None,
    typer.Option(
        '--difficulty',
        help="How hard the simulated world is, e.g. night=0.5, or a preset's name such as "
        'hard=0.8; may be repeated, and a wrong name lists them.',
    ),
]


def read_difficulty(robot: str, entries: list[str] | None) -> dict[str, float]:
    """Strengths of a robot's world that a person named.

    Raises:
        ConfigError: there is no such robot or difficulty, or its strength is none.
    """
    from liquid_control.rollout.tasks import task_kind
    from liquid_control.sim.difficulty import read_strength

    kind = task_kind(robot)
    return read_strength(entries or (), kind.difficulties, kind.presets)


def named_topics(pairs: list[str] | None, **named: str | None) -> dict[str, str]:
    """Topics that a person named: KEY=TOPIC, and by an option of their own.

    Raises:
        ConfigError: a pair is none.
    """
    from liquid_control.common.errors import ConfigError

    topics = {key: topic for key, topic in named.items() if topic is not None}
    for pair in pairs or ():
        key, _, topic = pair.partition('=')
        if not key or not topic:
            raise ConfigError(f'--topic must be like imu=/imu/data, found {pair!r}')
        topics[key] = topic
    return topics


@dataclass(frozen=True)
class Workplace:
    """Who makes a study, and where."""

    jobs: Jobs = None
    ray: Ray = None
    out: Out = None


@dataclass(frozen=True)
class Effort(Workplace):
    """And how large, from which seed."""

    quick: Quick = False
    seed: Annotated[int, typer.Option(help='Same seed, same numbers (but for times).', min=0)] = 0

    @property
    def settings(self) -> dict[str, Any]:
        """What most studies take by these names."""
        return {'seed': self.seed, 'quick': self.quick}


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb for Typer, in which each parameter that is a dataclass is an option for each field.

    Typer knows no groups: without this, every verb would list what it shares with others.
    """
    types = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in types.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for name, given in inspect.signature(verb).parameters.items():
        if name not in groups:
            parameters.append(given.replace(annotation=types[name]))
            continue
        options = get_type_hints(groups[name], include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name,
                given.KEYWORD_ONLY,
                default=field.default,
                annotation=options[field.name],
            )
            for field in fields(groups[name])
        ]

    @wraps(verb)
    def run(**options: Any) -> None:
        for name, kind in groups.items():
            options[name] = kind(**{field.name: options.pop(field.name) for field in fields(kind)})
        verb(**options)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {given.name: given.annotation for given in parameters}
    return run
