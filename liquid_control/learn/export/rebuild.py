# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A bundle's own network again, as its contract describes it: to train it further."""

from __future__ import annotations

from pathlib import Path

from liquid_control.common.errors import BundleError
from liquid_control.common.records import read_record
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract, NetworkSpec
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.weights import load_weights, parts
from liquid_control.nn.policy import Network, PolicyNetwork


def recipe_of(contract: Contract) -> Recipe:
    """To train a policy further: it sees, commands and is what its contract says.

    Raises:
        BundleError: its network is none that is trained here.
    """
    return Recipe(
        signals=Signals(
            commands=contract.commands,
            inputs=dict(contract.inputs),
            wheelbase=contract.wheelbase or Signals.wheelbase,
        ),
        description=str(contract.provenance.get('description', '')),
        control_rate=contract.control_rate,
        elapsed_range=contract.elapsed_range,
        network=_shape(contract.network, contract.name),
    )


def load_network(bundle: Path) -> PolicyNetwork:
    """The network of a bundle in torch, with its weights.

    Raises:
        BundleError: the bundle does not load, or describes its network not well enough.
    """
    network = PolicyNetwork(recipe_of(load_bundle(bundle).contract).network_config())
    missing = set(parts(network)) - set(load_weights(network, bundle))
    if missing:
        raise BundleError(
            f'{bundle}: its {", ".join(sorted(missing))} is another than its contract '
            'describes; name the --recipe that it was trained with'
        )
    return network.eval()


def _shape(spec: NetworkSpec, name: str) -> Network:
    where = f'{name}: policy.yaml: network: config'
    if not spec.config:
        raise BundleError(
            f'{where} is empty: the bundle does not say what its network is made of; name the '
            '--recipe that it was trained with'
        )
    return read_record(Network, spec.config, where=where, error=BundleError)
