"""Layers saved whole, and weights that belong to another wiring."""

from __future__ import annotations

import os
import zipfile

import pytest
import torch

from liquid_control.nn import LTC, AutoNCP, CfC, FullyConnected, Random, load_layer, save_layer
from liquid_control.nn.checkpoint import CheckpointError

LAYERS = [
    lambda: LTC(5, AutoNCP(12, 2, seed=9), solver='exponential_midpoint', unfolds=2),
    lambda: LTC(5, 4, input_mapping=None, mixed_memory=True, return_sequences=False),
    lambda: CfC(5, AutoNCP(12, 2, seed=9), strict_wiring=True, proj_size=3),
    lambda: CfC(5, 4, mode='pure', backbone_layers=2, backbone_units=9, activation='gelu'),
    lambda: CfC(5, 4, backbone_layers=0, batch_first=False).double(),
    lambda: LTC(5, Random(9, 3, sparsity=0.4)),
    lambda: CfC(5, FullyConnected(9, 3)),
]


@pytest.mark.parametrize('make', LAYERS)
@torch.no_grad()
def test_a_layer_is_loaded_whole_from_its_file_alone(make, tmp_path):
    layer = make()
    save_layer(layer, tmp_path / 'layer.pt')
    torch.manual_seed(1)
    again = load_layer(tmp_path / 'layer.pt')

    assert type(again) is type(layer)
    x = torch.randn(3, 4, 5, dtype=next(layer.parameters()).dtype)
    assert torch.equal(again(x, elapsed=0.1)[0], layer(x, elapsed=0.1)[0])
    if layer.wiring is not None:
        assert again.wiring.layers == layer.wiring.layers
        assert (again.wiring.adjacency == layer.wiring.adjacency).all()


@pytest.mark.parametrize('content', [b'', b'epochs: 3\n', None])
def test_what_is_no_file_of_a_layer_is_refused(content, tmp_path):
    path = tmp_path / 'layer.pt'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match='missing or damaged'):
        load_layer(path)


def test_a_damaged_file_is_refused_or_gives_the_layer_that_was_saved(tmp_path):
    layer, path = CfC(5, 4), tmp_path / 'layer.pt'
    save_layer(layer, path)
    content = path.read_bytes()
    path.write_bytes(content[:500])
    with pytest.raises(CheckpointError, match='missing or damaged'):
        load_layer(path)
    refused = 0
    for place in range(0, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            again = load_layer(path)
        except CheckpointError:
            refused += 1
        else:  # the damage is in what fills a record up to its alignment
            for name, weight in layer.state_dict().items():
                assert torch.equal(again.state_dict()[name], weight), (place, name)
    assert refused > 10


@pytest.mark.parametrize('change', [{'kind': 'GRU'}, {'input_size': 6}, {'weights': {}}])
def test_a_description_that_makes_no_layer_is_refused(change, tmp_path):
    path = tmp_path / 'layer.pt'
    save_layer(CfC(5, 4), path)
    torch.save(torch.load(path) | change, path)
    with pytest.raises(CheckpointError, match='makes no layer'):
        load_layer(path)


@pytest.mark.parametrize('content', [{'format': 99}, [1, 2]])
def test_a_file_of_another_format_is_refused(content, tmp_path):
    torch.save(content, tmp_path / 'layer.pt')
    with pytest.raises(CheckpointError, match='expected a saved layer of format 1'):
        load_layer(tmp_path / 'layer.pt')


@pytest.mark.parametrize('kind', [LTC, CfC])
def test_weights_of_another_wiring_are_refused(kind):
    weights = kind(5, AutoNCP(12, 2, seed=1)).state_dict()
    layer = kind(5, AutoNCP(12, 2, seed=2))
    with pytest.raises(ValueError, match='belong to another wiring'):
        layer.load_state_dict(weights)


def huge(data):
    data['units'] = 1 << 40


def wide(data):
    data['options']['backbone_units'] = 1 << 40


def deep(data):
    data['options']['backbone_layers'] = 1 << 40


def hollow(data):
    """One number that claims to be 2^40."""
    name = next(iter(data['weights']))
    data['weights'][name] = torch.zeros(1).expand(1 << 20, 1 << 20)


@pytest.mark.parametrize('make', [lambda: LTC(5, 4), lambda: CfC(5, 4)])
@pytest.mark.parametrize('change', [huge, wide, deep, hollow])
def test_a_description_of_more_than_the_file_holds_builds_nothing(make, change, tmp_path):
    layer, path = make(), tmp_path / 'layer.pt'
    save_layer(layer, path)
    data = torch.load(path, weights_only=True)
    change(data)
    torch.save(data, path)
    with pytest.raises(CheckpointError, match='makes no layer'):
        load_layer(path)


def test_compressed_content_and_pipes_are_refused(tmp_path):
    path, packed = tmp_path / 'layer.pt', tmp_path / 'packed.pt'
    save_layer(CfC(5, 4), path)
    with (
        zipfile.ZipFile(path) as archive,
        zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as copy,
    ):
        for name in archive.namelist():
            copy.writestr(name, archive.read(name))
    with pytest.raises(CheckpointError, match='its content is compressed'):
        load_layer(packed)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match='found a pipe'):
        load_layer(path)
