# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A bundle's own network again, as its contract describes it: to train it further."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from liquid_control.common.errors import BundleError
from liquid_control.common.records import read_record
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract, NetworkSpec
from liquid_control.contract.inputs import ImageSpec, InputSpec
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.export.exporter import precision_of
from liquid_control.learn.export.parity import check_rebuilt
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.weights import load_weights, parts
from liquid_control.nn.ensemble import AnyPolicy, Ensemble, make_policy
from liquid_control.nn.policy import Network, PolicyNetwork


def recipe_of(contract: Contract) -> Recipe:
    """To train a policy further: it sees, commands and is what its contract says.

    Raises:
        BundleError: its network is none that is trained here.
    """
    network = _shape(contract.network, contract.name)
    return Recipe(
        signals=Signals(
            commands=contract.commands,
            inputs={
                name: _of_a_member(spec, network.members, f'{contract.name}: {name}')
                for name, spec in contract.inputs.items()
            },
            wheelbase=contract.wheelbase or Signals.wheelbase,
        ),
        description=str(contract.provenance.get('description', '')),
        control_rate=contract.control_rate,
        elapsed_range=contract.elapsed_range,
        network=network,
    )


def load_network(bundle: Path) -> PolicyNetwork:
    """The network of a bundle in torch, with its weights, to look into.

    Raises:
        BundleError: as `load_policy`, or it is an ensemble.
    """
    policy = load_policy(bundle)
    if isinstance(policy, Ensemble):
        raise BundleError(
            f'{bundle} must be a single network to be looked into, and is the mean of '
            f'{len(policy.members)}; name a policy that was trained with network.members 1'
        )
    return policy


def load_policy(bundle: Path) -> AnyPolicy:
    """The network of a bundle in torch, or its networks, with their weights.

    Raises:
        BundleError: the bundle does not load, or describes its network not well enough.
        ParityError: its weights are of another network than the graph that drives.
    """
    contract = load_bundle(bundle).contract
    network = make_policy(recipe_of(contract).network_config())
    missing = set(parts(network)) - set(load_weights(network, bundle))
    if missing:
        raise BundleError(
            f'{bundle}: its {", ".join(sorted(missing))} is another than its contract '
            'describes; name the --recipe that it was trained with'
        )
    network.eval()
    check_rebuilt(network, bundle, contract, precision_of(contract))
    return network


def _of_a_member(spec: InputSpec, members: int, where: str) -> InputSpec:
    """An input as each member sees it: `NetworkConfig.bundle_inputs` undone."""
    if not isinstance(spec, ImageSpec):
        return spec
    if spec.features % members:
        raise BundleError(
            f'{where}: features must be a multiple of the {members} members of its network, found '
            f'{spec.features}'
        )
    return replace(spec, features=spec.features // members)


def _shape(spec: NetworkSpec, name: str) -> Network:
    where = f'{name}: policy.yaml: network: config'
    if not spec.config:
        raise BundleError(
            f'{where} is empty: the bundle does not say what its network is made of; name the '
            '--recipe that it was trained with'
        )
    return read_record(Network, spec.config, where=where, error=BundleError)
