# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether a policy fits a robot, and where the joints are that it commands."""

from __future__ import annotations

from liquid_control.common.errors import ConfigError
from liquid_control.contract.commands import axis_of
from liquid_control.contract.contract import Contract
from liquid_control.contract.robot import Robot
from liquid_control.runtime.sensing.observation import Observation


def check_fits(contract: Contract, robot: Robot) -> None:
    """Refuse a policy that could not land a robot, or not start from where an arm is."""
    names = contract.command_names
    if robot.land is not None and 'velocity_z' not in names:
        raise ConfigError(
            f'robot {robot.name} lands by itself (land), which needs the command velocity_z; the '
            f'policy commands {", ".join(names)}'
        )
    seen = {each.name for spec in contract.inputs.values() for each in spec.elements()}
    if blind := [name for name in _held_joints(contract) if name not in seen]:
        raise ConfigError(
            f'policy {contract.name} commands {", ".join(blind)} and does not see it: it could '
            'not start from where the joint is; train it with the input joints'
        )


def joint_positions(contract: Contract, observation: Observation) -> dict[str, float]:
    """What a policy sees of what it commands: where the joints of an arm are."""
    positions: dict[str, float] = {}
    for name, spec in contract.inputs.items():
        if spec.encoder != 'image':
            values = observation.values[name].tolist()
            positions |= dict(zip((each.name for each in spec.elements()), values, strict=True))
    return {name: positions[name] for name in _held_joints(contract)}


def _held_joints(contract: Contract) -> list[str]:
    """Commands that hold a joint's position."""
    axes = [axis_of(name) for name in contract.command_names]
    return [axis.name for axis in axes if axis.family == 'joint' and axis.stop == 'hold']
