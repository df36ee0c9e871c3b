# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Options that several verbs have."""

from __future__ import annotations

from typing import Annotated

import typer

Topic = Annotated[str | None, typer.Option(help='Short for --topic.')]
Topics = Annotated[
    list[str] | None,
    typer.Option(
        '--topic',
        help='Where the types in a bag do not tell: of an input, or of command, odom, mode, '
        'override, e.g. imu=/imu/data; may be repeated.',
    ),
]


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
