"""A bundle's own network again, as its contract describes it: to train it further."""

from __future__ import annotations

import re
from pathlib import Path

from liquid_control.common.errors import BundleError
from liquid_control.common.records import read_record
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract, NetworkSpec
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.weights import load_weights
from liquid_control.nn.policy import Network, PolicyNetwork


def recipe_of(contract: Contract) -> Recipe:
    """To train a policy further: it sees, commands and is what its contract says.

    Raises:
        BundleError: its network is none that is trained here.
    """
    return Recipe(
        signals=Signals(
            commands=contract.commands,
            image=contract.image,
            imu=contract.imu,
            speed=contract.speed,
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
    parts = {'core'} if network.encoder is None else {'encoder', 'core'}
    taken = set(load_weights(network, bundle))
    if taken != parts:
        raise BundleError(
            f'{bundle}: its {", ".join(sorted(parts - taken))} is another than its contract '
            'describes; name the --recipe that it was trained with'
        )
    return network.eval()


def _shape(spec: NetworkSpec, name: str) -> Network:
    shape, where = spec.config, f'{name}: policy.yaml: network: config'
    if not shape:  # a bundle of before it was written down: all that it says
        where = f'{name}: policy.yaml: network'
        shape = {'cell': spec.cell.removesuffix('-wired'), 'neurons': spec.neurons}
        if solver := re.fullmatch(r'(\w+), (\d{1,4}) unfolds', spec.solver):
            shape |= {'solver': solver[1], 'unfolds': int(solver[2])}
    return read_record(Network, shape, where=where, error=BundleError)
