# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Layers saved whole, and weights that belong to another wiring."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_control.nn import (
    LTC,
    NCP,
    AutoNCP,
    CfC,
    FixedWiring,
    FullyConnected,
    Random,
    load_layer,
    save_layer,
)
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


# Numbers, flags and names as other libraries hand them over.
whole = st.sampled_from([int, np.int64, np.uint8, torch.tensor, lambda n: torch.Size([n])[0]])
flag = st.sampled_from([bool, np.bool_])
text = st.sampled_from([str, np.str_])


def alternating(inputs: int, outputs: int, name: Callable[[str], str]) -> FixedWiring:
    """A wiring whose neurons of two layers alternate."""
    layers = {name('inter'): range(2, 6, 2), name('command'): range(3, 6, 2), 'motor': range(2)}
    adjacency, sensory = np.zeros((6, 6), np.int8), np.zeros((inputs, 6))
    sensory[:, 2:6:2] = adjacency[2:6:2, 3:6:2] = adjacency[3:6:2, :2] = 1
    return FixedWiring(adjacency, sensory, outputs, layers)


@st.composite
def layers(draw: st.DrawFn) -> LTC | CfC:
    """Of every kind and wiring."""
    size, yes, name = draw(whole), draw(flag), draw(text)
    inputs, units, outputs = (draw(st.integers(least, 5)) for least in (1, 5, 1))
    outputs = min(outputs, units - 3)
    wirings = {
        'none': lambda: size(units),
        'auto': lambda: AutoNCP(size(units), size(outputs), np.float32(0.3), np.int64(3)),
        'ncp': lambda: NCP(*(size(n) for n in (3, 2, outputs, 2, 1, 2, 1)), seed=np.int64(2)),
        'random': lambda: Random(size(units), size(outputs), sparsity=np.float32(0.4)),
        'full': lambda: FullyConnected(size(units), self_connections=yes(False)),
        'fixed': lambda: alternating(inputs, size(2), name),
    }
    shared = {
        'return_sequences': yes(draw(st.booleans())),
        'batch_first': yes(draw(st.booleans())),
        'mixed_memory': yes(draw(st.booleans())),
    }
    kind = draw(st.sampled_from(list(wirings)))
    wiring = wirings[kind]()
    if draw(st.booleans()):
        solver = name(draw(st.sampled_from(['fused', 'exponential_midpoint', 'euler', 'rk4'])))
        mappings = {
            key: None if value is None else name(value)
            for key in ('input_mapping', 'output_mapping')
            for value in [draw(st.sampled_from(['affine', 'linear', None]))]
        }
        return LTC(size(inputs), wiring, solver=solver, unfolds=size(2), **mappings, **shared)
    shared['mode'] = name(draw(st.sampled_from(['default', 'pure', 'no_gate'])))
    shared['proj_size'] = draw(st.sampled_from([None, size(2)]))
    if kind == 'none':
        shared['activation'] = name(draw(st.sampled_from(['lecun_tanh', 'relu', 'gelu', 'silu'])))
        shared['backbone_layers'] = size(draw(st.integers(0, 2)))
        shared['backbone_units'] = size(7)
    else:
        shared['strict_wiring'] = yes(draw(st.booleans()))
    return CfC(size(inputs), wiring, **shared)


@settings(max_examples=60, deadline=None)
@given(layer=layers(), dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
@torch.no_grad()
def test_what_is_saved_is_loaded(layer, dtype, tmp_path_factory):
    path = tmp_path_factory.mktemp('layer') / 'layer.pt'
    save_layer(layer.to(dtype), path)
    again = load_layer(path)
    x = torch.randn(2, 3, layer.input_size).to(dtype)
    assert torch.equal(again(x, elapsed=0.5)[0], layer(x, elapsed=0.5)[0])
    assert str(again) == str(layer)
    assert again.state_dict().keys() == layer.state_dict().keys()


def test_nothing_is_written_that_loading_refuses(tmp_path):
    path = tmp_path / 'layer.pt'
    with pytest.raises(ValueError, match='unfolds must be at most'):
        save_layer(LTC(3, 4, unfolds=2000), path)
    assert not path.exists()
    layer = CfC(3, 4)
    layer.rnn_cell.ff1.bias = torch.nn.Parameter(torch.zeros(1).expand(4))
    layer.rnn_cell.ff2.bias = torch.nn.Parameter(torch.zeros(1 << 20)[5:9])
    save_layer(layer, path)
    assert path.stat().st_size < 1 << 20
    assert load_layer(path).state_dict().keys() == layer.state_dict().keys()


def test_saving_draws_no_random_numbers(tmp_path):
    layer = CfC(3, 4)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    save_layer(layer, tmp_path / 'layer.pt')
    assert torch.equal(torch.rand(1), expected)


def test_a_file_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
    for path in (tmp_path / 'no folder' / 'layer.pt', tmp_path):
        with pytest.raises(CheckpointError, match='cannot be written') as caught:
            save_layer(CfC(3, 4), path)
        assert '\n' not in str(caught.value)


def test_a_layer_of_a_users_own_class_is_not_saved_as_another(tmp_path):
    class Own(CfC):
        pass

    with pytest.raises(ValueError, match='is not as CfC makes it'):
        save_layer(Own(3, 4), tmp_path / 'layer.pt')


@pytest.mark.parametrize('make', LAYERS)
def test_a_layer_without_memory_gets_its_masks_with_it(make):
    """Made on the meta device, as large models are, then given memory and loaded."""
    real = make().float()
    with torch.device('meta'):
        layers = make().float(), make().float()
        assert layers[0](torch.randn(3, 4, 5))[0].is_meta
    layers[0].to_empty(device='cpu').load_state_dict(real.state_dict())
    layers[1].load_state_dict(real.state_dict(), assign=True)
    x = torch.randn(3, 4, 5)
    for layer in layers:
        assert torch.equal(layer(x)[0], real(x)[0])
    if isinstance(real.wiring, AutoNCP):
        with torch.device('meta'):
            other = type(real)(5, AutoNCP(12, 2, seed=1))
        with pytest.raises(ValueError, match='belong to another wiring'):
            other.load_state_dict(real.state_dict(), assign=True, strict=False)
