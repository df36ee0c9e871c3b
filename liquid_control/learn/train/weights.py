# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The torch weights of a bundle, beside its graphs: training can go on from a bundle alone.

The runtime never reads them. They are plain arrays under the names of the network's state dict.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import torch

from liquid_control.common.errors import BundleError
from liquid_control.common.files import open_regular
from liquid_control.nn.ensemble import AnyPolicy
from liquid_control.nn.policy import PolicyNetwork

Array = tuple[str, tuple[int, ...]]
"""Its name in the file, and its shape."""

WEIGHTS_FILE = 'weights.npz'
CORE = 'core'
MAX_ARRAYS = 10_000
MAX_SHOWN = 80  # characters of a name in a message

# Before the names of an ensemble's members, and their number.
_MEMBER = re.compile(r'networks\.(\d+)\.')


def save_weights(network: AnyPolicy, bundle: Path) -> None:
    """Write the weights into a bundle's directory."""
    arrays = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    np.savez(bundle / WEIGHTS_FILE, **arrays)


def load_weights(network: AnyPolicy, bundle: Path) -> list[str]:
    """Take over the weights of every part that the bundle has in the same shape.

    The parts are the encoder of each input that has one, and the core (liquid cell and scaling of
    the commands). Each is taken whole or not at all, so a bundle with another cell still gives its
    encoders. Members of an ensemble take those of a bundle's members, in turn where it has fewer.

    Returns:
        Names of the parts taken.

    Raises:
        BundleError: the bundle has no weights, or none that fit.
    """
    try:
        with open_regular(bundle / WEIGHTS_FILE) as file, zipfile.ZipFile(file) as archive:
            shapes = _shapes(archive)
            found = [
                _fitting(member, archive, _of_member(shapes, index))
                for index, member in enumerate(network.members)
            ]
    except FileNotFoundError as error:
        raise BundleError(
            f'{bundle} has no {WEIGHTS_FILE} to start from; name a bundle made by '
            '`liquid-control train`'
        ) from error
    except Exception as error:  # what a damaged file raises depends on where the damage is
        raise BundleError(f'{bundle / WEIGHTS_FILE} cannot be read: {error}') from error
    taken = [part for part in parts(network) if all(part in each for each in found)]
    if not taken:
        raise BundleError(
            f'the weights of {bundle} fit neither an encoder nor the core of this network; train '
            'with the inputs, features, cell and neurons of that bundle'
        )
    for member, given in zip(network.members, found, strict=True):
        for part in taken:
            member.load_state_dict(given[part], strict=False)
    return taken


def _of_member(shapes: dict[str, tuple[int, ...]], index: int) -> dict[str, Array]:
    """Arrays of one of a bundle's networks, by their names in it."""
    numbers = {int(found[1]) for name in shapes if (found := _MEMBER.match(name))}
    prefix = f'networks.{index % (max(numbers) + 1)}.' if numbers else ''
    return {
        _new_name(name.removeprefix(prefix)): (name, shape)
        for name, shape in shapes.items()
        if name.startswith(prefix)
    }


def _fitting(
    network: PolicyNetwork, archive: zipfile.ZipFile, arrays: dict[str, Array]
) -> dict[str, dict[str, torch.Tensor]]:
    """By part, the weights that are of the shape of the network's own."""
    own = network.state_dict()
    # Wirings and ranges are no weights: where they differ, the weights mean something else.
    fixed = {name for name, _ in network.named_buffers()}
    fitting = {}
    for part in parts(network):
        names = {name for name in own if _part(name) == part}
        theirs = {name: shape for name, (_, shape) in arrays.items() if _part(name) == part}
        # Only what has the shape of our own is read: a header may promise anything.
        if not names or theirs != {name: tuple(own[name].shape) for name in names}:
            continue
        given = {name: _read(archive, arrays[name][0]) for name in names}
        if all(torch.equal(given[name], own[name]) for name in names & fixed):
            fitting[part] = given
    return fitting


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


def parts(network: AnyPolicy) -> list[str]:
    """What can be taken from a bundle: its encoders by their input, and the core."""
    return [*network.members[0].encoders, CORE]


def _part(name: str) -> str:
    return name.split('.')[1] if name.startswith('encoders.') else CORE


def _new_name(name: str) -> str:
    """Of an array written before an encoder had the name of its input."""
    old, new = 'encoder.', 'encoders.image.'
    return new + name.removeprefix(old) if name.startswith(old) else name
