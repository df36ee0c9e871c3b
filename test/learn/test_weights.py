# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Weights beside a bundle are data from outside: no header of theirs decides what is allocated."""

from __future__ import annotations

import os
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from support.exports import make_network

from liquid_control.common.errors import BundleError
from liquid_control.learn.train.weights import WEIGHTS_FILE, load_weights, save_weights

torch.set_num_threads(1)

SIX_GIB = 6 << 30


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Replace an array of the weights; compressed, so that zeros take no room."""
    with zipfile.ZipFile(folder / WEIGHTS_FILE) as archive:
        arrays = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(folder / WEIGHTS_FILE, 'w', zipfile.ZIP_DEFLATED) as archive:
        for entry, data in {**arrays, f'{name}.npy': content}.items():
            archive.writestr(entry, data)


def npy(description: str, zeros: int = 0) -> bytes:
    header = description.encode().ljust(118) + b'\n'
    return b'\x93NUMPY\1\0' + len(header).to_bytes(2, 'little') + header + bytes(zeros)


def test_weights_of_when_there_was_one_encoder_are_those_of_the_camera(tmp_path: Path) -> None:
    network, other = make_network(), make_network(seed=1)
    arrays = {
        name.replace('encoders.image.', 'encoder.'): tensor.numpy()
        for name, tensor in network.state_dict().items()
    }
    np.savez(tmp_path / WEIGHTS_FILE, **arrays)
    assert load_weights(other, tmp_path) == ['image', 'core']
    for name, tensor in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_weights_come_back_part_by_part(tmp_path: Path) -> None:
    network, other = make_network(), make_network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01)
    save_weights(network, tmp_path)
    assert load_weights(other, tmp_path) == ['image', 'core']
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ('description', 'message'),
    [
        (f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({SIX_GIB // 4},)}}", None),
        (f"{{'descr': '<V{SIX_GIB // 8}', 'fortran_order': False, 'shape': (8,)}}", 'no numbers'),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (8,)}", 'no numbers'),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os')}", 'cannot be read'),
    ],
    ids=['shape', 'type', 'objects', 'code'],
)
def test_array_that_asks_for_gigabytes_is_not_read(
    tmp_path: Path, description: str, message: str | None
) -> None:
    network = make_network()
    save_weights(network, tmp_path)
    name = next(name for name in network.state_dict() if not name.startswith('encoders.'))
    rewrite(tmp_path, name, npy(description, zeros=50_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if message is None:
        assert load_weights(network, tmp_path) == ['image'], 'the other part is as it was'
    else:
        with pytest.raises(BundleError, match=message):
            load_weights(network, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000, 'kB'


def test_what_are_no_weights_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / WEIGHTS_FILE
    with pytest.raises(BundleError, match=r'has no weights\.npz'):
        load_weights(make_network(), tmp_path)
    file.write_bytes(b'no archive')
    with pytest.raises(BundleError, match=r'weights\.npz cannot be read'):
        load_weights(make_network(), tmp_path)
    np.savez(file, **{'encoders.image.other': np.zeros(3, np.float32)})
    with pytest.raises(BundleError, match='fit neither an encoder nor the core'):
        load_weights(make_network(), tmp_path)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(BundleError, match='must be a regular file, found a pipe'):
        load_weights(make_network(), tmp_path)
