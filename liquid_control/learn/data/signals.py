# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is taken from a bag: the part of a recipe that decides what a dataset holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from liquid_control.bags.input_topics import keys
from liquid_control.common.errors import ConfigError, LiquidControlError
from liquid_control.common.records import read_record
from liquid_control.contract import bounds
from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.inputs import InputSpec, check_names, read_inputs

# Topics besides those of the inputs: what was commanded, how the robot moved, who drove, what a
# person commanded who took over.
OTHER_TOPICS = ('command', 'odom', 'mode', 'override')
# What decides nothing of the arrays that a bag becomes.
_LATER = (
    *('rate', 'max_age', 'features'),
    *('scale', 'acceleration_scale', 'angular_velocity_scale'),
)


@dataclass(frozen=True)
class Signals:
    """What is taken from a bag.

    Attributes:
        commands: what the policy learns to give.
        inputs: what it sees, by name.
        wheelbase: m, to tell a steering angle from a recorded yaw rate.
        topics: names in the bags, where the types there do not decide: of an input by its name,
            of a part of it (goal.odom) or what the robot calls it (imu/data), and of command,
            odom, mode and override.
    """

    commands: tuple[CommandSpec, ...]
    inputs: dict[str, InputSpec]
    wheelbase: float = 0.325
    topics: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bounds.check('signals', ConfigError, wheelbase=self.wheelbase)
        check_names(self.inputs, where='signals: inputs', error=ConfigError)
        known = dict.fromkeys(OTHER_TOPICS)
        for name, spec in self.inputs.items():
            sources = spec.sources(name)
            for source in sources:
                known |= dict.fromkeys(keys(name, source, alone=len(sources) == 1))
        for key in self.topics:
            if key not in known:
                raise ConfigError(
                    f'topic {key}={self.topics[key]}: nothing is learnt from {key}; there are '
                    f'{", ".join(known)}'
                )

    @property
    def command_names(self) -> tuple[str, ...]:
        """In the order of the command vector."""
        return tuple(command.name for command in self.commands)

    def taken(self) -> dict[str, Any]:
        """Plain data that decides which arrays a bag becomes; rates, ages and ranges do not."""
        inputs = {name: plain_input(spec) for name, spec in self.inputs.items()}
        plain = {
            'inputs': {
                name: {key: value for key, value in entry.items() if key not in _LATER}
                for name, entry in inputs.items()
            },
            'commands': list(self.command_names),
            'wheelbase': self.wheelbase,
            'topics': self.topics,
        }
        return plain

    def plain(self) -> dict[str, Any]:
        """All of it, as `read_signals` reads it."""
        inputs = {name: plain_input(spec) for name, spec in self.inputs.items()}
        return {**asdict(self), 'inputs': inputs}


def plain_input(spec: InputSpec) -> dict[str, Any]:
    """All fields of an input; tuples are lists, as in a file."""
    return {
        'kind': spec.kind,
        **{k: list(v) if isinstance(v, tuple) else v for k, v in asdict(spec).items()},
    }


def read_signals(document: Any, *, where: str, error: type[LiquidControlError]) -> Signals:
    """Signals from plain data; raises `error` for whatever cannot be."""
    return read_record(Signals, with_inputs(document, where, error), where=where, error=error)


def with_inputs(document: Any, where: str, error: type[LiquidControlError]) -> Any:
    """The plain data of signals with its inputs read; raises `error` where one cannot be."""
    check_spelling(document, where=where, error=error)
    if not isinstance(document, dict) or 'inputs' not in document:
        return document
    inputs = read_inputs(document['inputs'], where=f'{where}: inputs', error=error)
    return {**document, 'inputs': inputs}


def check_spelling(document: Any, *, where: str, error: type[LiquidControlError]) -> None:
    """Refuse signals that are written as before there was a table of inputs."""
    for kind in ('image', 'imu', 'speed'):
        if isinstance(document, dict) and kind in document:
            raise error(
                f'{where}: {kind} stands under inputs, with its kind: inputs: '
                f'{{{kind}: {{kind: {kind}, rate: ..., max_age: ...}}}}'
            )
