# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the policy node's parameters, its bundle and its robot file say of the commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from liquid_control.common.assets import CONTRACT_FILE, find_bundle, robot_file
from liquid_control.common.errors import LiquidControlError
from liquid_control.contract.commands import FORWARD, TURNING, axis_of
from liquid_control.contract.contract import Contract
from liquid_control.contract.inputs import ImageSpec, InputSpec
from liquid_control.contract.robot import Robot
from liquid_control.nodes.view.hand import HandAxis

ASKED = (
    'policy', 'shadow_policy', 'fallback_policy', 'robot', 'command_type', 'override_timeout',
)  # fmt: skip
"""The policy node's parameters that `Facts.read` needs."""


@dataclass(frozen=True)
class Facts:
    """Of the policy in charge and the robot that it drives."""

    policy: str = ''
    """As the parameter names it."""
    shadow: str = ''
    fallback: str = ''
    robot: str = ''
    command_type: str = ''
    override_timeout: float = 0.5
    """s"""
    wheelbase: float | None = None
    """m"""
    control_rate: float = 0.0
    """Hz; what the policy was trained at."""
    axes: tuple[HandAxis, ...] = ()
    """What a person may command, in the contract's order: the robot's limits."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """What the policy may command, by name: its contract's limits within the robot's."""
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    """What the policy sees, by name."""
    problem: str = ''
    """Why limits are not known; '' when they are."""

    @property
    def cameras(self) -> dict[str, dict[str, str]]:
        """Topics of every camera that the policy sees, by name and type of message."""
        images = (each for each in self.inputs.items() if isinstance(each[1], ImageSpec))
        return {name: spec.sources(name)[0].topics() for name, spec in images}

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Facts:
        """Read bundle and robot file; this takes its time."""
        known = cls(
            policy=values['policy'],
            shadow=values['shadow_policy'],
            fallback=values['fallback_policy'],
            robot=values['robot'],
            command_type=values['command_type'],
            override_timeout=values['override_timeout'],
        )
        try:
            return known.with_limits()
        except (LiquidControlError, OSError) as error:
            return cls(**{**vars(known), 'problem': f'limits are not known here: {error}'})

    def with_limits(self) -> Facts:
        """Raises LiquidControlError or OSError where a file is not there or not readable."""
        contract = Contract.parse((find_bundle(self.policy) / CONTRACT_FILE).read_bytes())
        robot = Robot.load(robot_file(self.robot))
        axes, ranges = [], {}
        for spec in contract.commands:
            limits = robot.limits.get(spec.name, spec)
            about = axis_of(spec.name)
            place = about.family == 'joint' and not about.moves
            axes.append(HandAxis(spec.name, spec.unit, limits.min, limits.max, about.moves, place))
            ranges[spec.name] = (max(spec.min, limits.min), min(spec.max, limits.max))
        return Facts(
            **{
                **vars(self),
                'wheelbase': robot.wheelbase,
                'control_rate': contract.control_rate,
                'axes': tuple(axes),
                'ranges': ranges,
                'inputs': contract.inputs,
            }
        )


def part(name: str) -> str:
    """Which movement of a person's hand a command belongs to; '' for one of its own."""
    if name in FORWARD:
        return 'forward'
    if name in TURNING:
        return 'turn'
    return {'velocity_y': 'left', 'velocity_z': 'up'}.get(name, '')
