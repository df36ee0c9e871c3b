# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The torch weights of a bundle, beside its graphs: training can go on from a bundle alone.

The runtime never reads them. They are plain arrays under the names of the network's state dict.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch

from liquid_control.common.errors import BundleError
from liquid_control.common.files import open_regular
from liquid_control.nn.policy import PolicyNetwork

WEIGHTS_FILE = 'weights.npz'
CORE = 'core'
MAX_ARRAYS = 10_000
MAX_SHOWN = 80  # characters of a name in a message


def save_weights(network: PolicyNetwork, bundle: Path) -> None:
    """Write the weights into a bundle's directory."""
    arrays = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    np.savez(bundle / WEIGHTS_FILE, **arrays)


def load_weights(network: PolicyNetwork, bundle: Path) -> list[str]:
    """Take over the weights of every part that the bundle has in the same shape.

    The parts are the encoder of each input that has one, and the core (liquid cell and scaling of
    the commands). Each is taken whole or not at all, so a bundle with another cell still gives its
    encoders.

    Returns:
        Names of the parts taken.

    Raises:
        BundleError: the bundle has no weights, or none that fit.
    """
    own = network.state_dict()
    # Wirings and ranges are no weights: where they differ, the weights mean something else.
    fixed = {name for name, _ in network.named_buffers()}
    taken = []
    try:
        with open_regular(bundle / WEIGHTS_FILE) as file, zipfile.ZipFile(file) as archive:
            shapes = _shapes(archive)
            # Before a policy had several inputs, its encoder had no name.
            old = {name for name in shapes if name.startswith('encoder.')}
            written = {_new_name(name): name for name in shapes} if old else {}
            shapes = {_new_name(name): shape for name, shape in shapes.items()}
            for part in parts(network):
                names = {name for name in own if _part(name) == part}
                theirs = {name: shape for name, shape in shapes.items() if _part(name) == part}
                # Only what has the shape of our own is read: a header may promise anything.
                if not names or theirs != {name: tuple(own[name].shape) for name in names}:
                    continue
                given = {name: _read(archive, written.get(name, name)) for name in names}
                if all(torch.equal(given[name], own[name]) for name in names & fixed):
                    own.update(given)
                    taken.append(part)
    except FileNotFoundError as error:
        raise BundleError(
            f'{bundle} has no {WEIGHTS_FILE} to start from; name a bundle made by '
            '`liquid-control train`'
        ) from error
    except Exception as error:  # what a damaged file raises depends on where the damage is
        raise BundleError(f'{bundle / WEIGHTS_FILE} cannot be read: {error}') from error
    if not taken:
        raise BundleError(
            f'the weights of {bundle} fit neither an encoder nor the core of this network; train '
            'with the inputs, features, cell and neurons of that bundle'
        )
    network.load_state_dict(own)
    return taken


def _shapes(archive: zipfile.ZipFile) -> dict[str, tuple[int, ...]]:
    """Shape of every array, from the headers alone."""
    entries = archive.infolist()
    if len(entries) > MAX_ARRAYS:
        raise ValueError(f'{len(entries)} arrays, at most {MAX_ARRAYS} are accepted')
    shapes = {}
    for entry in entries:
        with archive.open(entry) as stream:
            version = np.lib.format.read_magic(stream)
            if version != (1, 0):
                raise ValueError(f'{entry.filename[:MAX_SHOWN]!r} is in another version of npy')
            shape, _, kind = np.lib.format.read_array_header_1_0(stream)
        if kind.kind not in 'bif' or kind.itemsize > 8:
            raise ValueError(f'{entry.filename[:MAX_SHOWN]!r} holds no numbers')
        shapes[entry.filename.removesuffix('.npy')] = shape
    return shapes


def _read(archive: zipfile.ZipFile, name: str) -> torch.Tensor:
    with archive.open(f'{name}.npy') as stream:
        return torch.from_numpy(np.lib.format.read_array(stream, allow_pickle=False))


def parts(network: PolicyNetwork) -> list[str]:
    """What can be taken from a bundle: its encoders by their input, and the core."""
    return [*network.encoders, CORE]


def _part(name: str) -> str:
    return name.split('.')[1] if name.startswith('encoders.') else CORE


def _new_name(name: str) -> str:
    """Of an array written before an encoder had the name of its input."""
    old, new = 'encoder.', 'encoders.image.'
    return new + name.removeprefix(old) if name.startswith(old) else name
