# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What to take from bags where no recipe says it: as the first bag suggests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from liquid_control.bags.errors import TopicError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.topics import COMMAND_TYPES, find_topic
from liquid_control.common.errors import LiquidControlError
from liquid_control.learn.data.commands import choose_commands, command_specs
from liquid_control.learn.data.inputs import choose_inputs
from liquid_control.learn.data.kinematics import Commanded, commanded
from liquid_control.learn.data.signals import Signals


def infer_signals(
    bags: Sequence[Path],
    topics: Mapping[str, str] | None = None,
    on_status: Callable[[str], None] = lambda text: None,
    wheelbase: float | None = None,
    *,
    inputs: Mapping[str, str] | None = None,
    commands: Sequence[str] = (),
) -> Signals:
    """Inputs and commands of the first bag that can be read.

    The inputs as in learn/data/inputs.py, the commands as in learn/data/commands.py.

    Args:
        topics: names that the user gave, see `Signals.topics`.
        on_status: told what was concluded or assumed of the robot.
        wheelbase: m; None: estimated where the recording tells it.
        inputs: by name, each with its kind, where the user says so.
        commands: their names, where the user says so.

    Raises:
        BagError: no bag can be read, or it holds no commands or nothing to see.
    """
    problems = []
    for bag in bags:
        try:
            return _infer(bag, topics or {}, on_status, wheelbase, inputs, commands)
        except LiquidControlError as error:
            problems.append(error)
    raise problems[0]


def _infer(
    bag: Path,
    topics: Mapping[str, str],
    on_status: Callable[[str], None],
    wheelbase: float | None,
    inputs: Mapping[str, str] | None,
    commands: Sequence[str],
) -> Signals:
    with BagReader(bag) as reader:
        command = find_topic(reader.filled, 'command', topics.get('command'))
        if command is None:
            raise TopicError(
                f'{reader.path} needs a command topic of type {" or ".join(COMMAND_TYPES)} to '
                'learn from; --topic command=TOPIC may also name an Odometry; it has '
                f'{reader.describe()}'
            )
        seen = choose_inputs(reader, topics, inputs, reader.filled[command], on_status)
        odom = find_topic(reader.filled, 'odom', topics.get('odom'), optional=True)
        told = commanded(reader, command, odom, commands)
        names = choose_commands(told, command, on_status, commands)
        wheelbase = wheelbase or _wheelbase(told, names, on_status)
        return Signals(
            commands=command_specs(told, names, wheelbase, command, on_status),
            inputs=seen,
            wheelbase=wheelbase,
            topics=dict(topics),
        )


def _wheelbase(told: Commanded, names: Sequence[str], on_status: Callable[[str], None]) -> float:
    """Estimated or assumed, m; said where it has a say in what is learnt."""
    if 'steering_angle' not in names:
        return Signals.wheelbase
    found = told.wheelbase()
    if found is not None:
        on_status(f'wheelbase: {found:g} m, by the recorded steering angles and odometry')
    elif not told.steers or len(told.moved):
        on_status(
            f'wheelbase: {Signals.wheelbase:g} m is assumed, the recording does not tell it; '
            'if it is another, --set signals.wheelbase=...'
        )
    return found or Signals.wheelbase
