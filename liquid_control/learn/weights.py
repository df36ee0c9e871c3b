"""The torch weights of a bundle, beside its graphs: training can go on from a bundle alone.

The runtime never reads them. They are plain arrays under the names of the network's state dict.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from liquid_control.nn.policy import PolicyNetwork
from liquid_control.runtime.errors import BundleError

WEIGHTS_FILE = 'weights.npz'


def save_weights(network: PolicyNetwork, bundle: Path) -> None:
    """Write the weights into a bundle's directory."""
    arrays = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    np.savez(bundle / WEIGHTS_FILE, **arrays)


def load_weights(network: PolicyNetwork, bundle: Path) -> list[str]:
    """Take over the weights of every part that the bundle has in the same shape.

    The parts are the encoder and the core (liquid cell and scaling of the commands). Each is taken
    whole or not at all, so a bundle with another cell still gives its encoder.

    Returns:
        Names of the parts taken.

    Raises:
        BundleError: the bundle has no weights, or none that fit.
    """
    try:
        with np.load(bundle / WEIGHTS_FILE, allow_pickle=False) as file:
            given = {name: torch.from_numpy(file[name]) for name in file.files}
    except (OSError, ValueError) as error:
        raise BundleError(
            f'{bundle} has no {WEIGHTS_FILE} to start from; name a bundle made by '
            '`liquid-control train`'
        ) from error
    own = network.state_dict()
    # Wirings and ranges are no weights: where they differ, the weights mean something else.
    fixed = {name for name, _ in network.named_buffers()}
    taken = []
    for part in ('encoder', 'core'):
        names = {name for name in own if _part(name) == part}
        same = names == {name for name in given if _part(name) == part} and all(
            torch.equal(given[name], own[name])
            if name in fixed
            else given[name].shape == own[name].shape
            for name in names
        )
        if names and same:
            own.update({name: given[name] for name in names})
            taken.append(part)
    if not taken:
        raise BundleError(
            f'the weights of {bundle} fit neither encoder nor core of this network; train with '
            'the picture size, features, cell and neurons of that bundle'
        )
    network.load_state_dict(own)
    return taken


def _part(name: str) -> str:
    return 'encoder' if name.startswith('encoder.') else 'core'
