# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether a bundle does what its network does: both run over the same recorded steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from liquid_control.common.errors import LiquidControlError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import CommandSpec, Contract
from liquid_control.learn.data.sequences import Steps
from liquid_control.nn.ensemble import AnyPolicy
from liquid_control.nn.policy import PolicyNetwork
from liquid_control.runtime.inference.policy import Policy

# Largest difference between a command of the bundle and of torch, in the command's unit.
PARITY_LIMIT = 1e-4

# Number format of the encoder -> largest loss: root mean square of what it changes in a command,
# as a share of the command's range.
LOSS_LIMITS = {'float32': 0.0, 'float16': 0.002, 'int8': 0.02}

# Number format of the encoder -> largest difference of a command of a bundle and of the network
# that was built again from it, over steps that are made up, as a share of the command's range.
REBUILT_LIMITS = {'float32': 1e-3, 'float16': 0.01, 'int8': 0.1}
MADE_UP = 16

ENCODER_BATCH = 128

Commands = NDArray[np.float32]
Facts = dict[str, Any]


class ParityError(LiquidControlError):
    """A bundle does not do what its network does, or lost too much to a smaller number format."""


def run_network(network: AnyPolicy, steps: Steps) -> Commands:
    """Commands [T, C] of the network in torch, the recorded steps as one sequence."""
    commands: Commands = np.mean([_run(member, steps) for member in network.members], axis=0)
    return commands


@torch.no_grad()
def _run(network: PolicyNetwork, steps: Steps) -> Commands:
    features = {
        name: torch.cat(
            [network.encoders[name](batch) for batch in steps.inputs[name].split(ENCODER_BATCH)]
        )
        for name in network.images
    }
    inputs = network.core_inputs({**steps.inputs, **features})
    outputs, _ = network.cell(inputs[None], None, steps.elapsed[None])
    commands: Commands = network.commands(outputs)[0].cpu().numpy()
    return commands


def run_bundle(path: Path, steps: Steps) -> Commands:
    """Commands [T, C] of a bundle in the runtime's own backend, step by step.

    Raises:
        BundleError: the bundle does not load.
    """
    policy = Policy(load_bundle(path))
    images = [name for name, spec in policy.contract.inputs.items() if spec.encoder == 'image']
    values = {name: tensor.numpy() for name, tensor in steps.inputs.items()}
    commands = []
    for step, elapsed in enumerate(steps.elapsed.tolist()):
        inputs = {name: rows[step] for name, rows in values.items()}
        for name in images:
            inputs[name] = policy.encode_input(name, inputs[name])
        commands.append(policy.step(inputs, elapsed))
    return np.stack(commands)


def check_parity(expected: Commands, found: Commands, commands: tuple[CommandSpec, ...]) -> Facts:
    """What the provenance says of the agreement with torch.

    Raises:
        ParityError: a command differs by more than PARITY_LIMIT, or is not a number.
    """
    error = np.abs(expected - found).max(axis=0)
    for command, value in zip(commands, error, strict=True):
        if not value <= PARITY_LIMIT:
            raise ParityError(
                f'{command.name} of the exported graph differs from torch by {value:.2g} '
                f'{command.unit} over {len(found)} recorded steps, at most {PARITY_LIMIT:g} is '
                'accepted; the network may have diverged: look at its weights, or train it again'
            )
    return {
        'steps': len(found),
        'limit': PARITY_LIMIT,
        'max_abs_error': {c.name: float(e) for c, e in zip(commands, error, strict=True)},
        'torch': str(torch.__version__),
        'onnxruntime': onnxruntime.__version__,
    }


def made_up_steps(contract: Contract, count: int = MADE_UP) -> Steps:
    """Steps of everyday values, one like the other."""
    rng = np.random.default_rng(0)
    inputs = {
        name: torch.from_numpy(np.stack([spec.made_up(rng) for _ in range(count)]))
        for name, spec in contract.inputs.items()
    }
    return Steps(
        inputs=inputs,
        elapsed=torch.full((count,), 1 / contract.control_rate),
        commands=torch.zeros(count, len(contract.commands)),
        weights=torch.ones(count),
    )


def check_rebuilt(network: AnyPolicy, path: Path, contract: Contract, precision: str) -> None:
    """That a network is the one that drives in a bundle.

    Raises:
        ParityError: a command differs by more than REBUILT_LIMITS allows.
    """
    steps = made_up_steps(contract)
    error = np.abs(run_network(network, steps) - run_bundle(path, steps)).max(axis=0)
    for command, value in zip(contract.commands, error, strict=True):
        share = value / (command.max - command.min)
        if not share <= REBUILT_LIMITS[precision]:
            raise ParityError(
                f'{path}: {command.name} of its graph differs by {share:.2%} of its range from '
                'what its weights give: either was exchanged, or an earlier version trained it. '
                'It drives as its graph does; to look into it or to go on with it, train it anew'
            )


def check_loss(
    expected: Commands, found: Commands, commands: tuple[CommandSpec, ...], precision: str
) -> Facts:
    """What the provenance says of an encoder in another number format.

    Raises:
        ParityError: it changes a command by more than LOSS_LIMITS allows.
    """
    ranges = np.array([command.max - command.min for command in commands])
    loss = np.sqrt(np.square(expected - found).mean(axis=0)) / ranges
    limit = LOSS_LIMITS[precision]
    for command, value in zip(commands, loss, strict=True):
        if not value <= limit:
            raise ParityError(
                f'an encoder in {precision} changes {command.name} by {value:.2%} of its range '
                f'(root mean square over {len(found)} recorded steps), at most {limit:.2%} is '
                'accepted; export with a wider --precision'
            )
    return {
        'precision': precision,
        'steps': len(found),
        'limit': limit,
        'rms_loss_share_of_range': {c.name: float(v) for c, v in zip(commands, loss, strict=True)},
    }
