"""Layers saved whole, and weights that belong to another wiring."""

from __future__ import annotations

import pytest
import torch

from liquid_control.nn import LTC, AutoNCP, CfC, load_layer, save_layer
from liquid_control.nn.checkpoint import CheckpointError

LAYERS = [
    lambda: LTC(5, AutoNCP(12, 2, seed=9), solver='exponential_midpoint', unfolds=2),
    lambda: LTC(5, 4, input_mapping=None, mixed_memory=True, return_sequences=False),
    lambda: CfC(5, AutoNCP(12, 2, seed=9), strict_wiring=True, proj_size=3),
    lambda: CfC(5, 4, mode='pure', backbone_layers=2, backbone_units=9, activation='gelu'),
    lambda: CfC(5, 4, backbone_layers=0, batch_first=False).double(),
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


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / 'layer.pt'
    save_layer(CfC(5, 4), path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match='missing or damaged'):
        load_layer(path)
    with pytest.raises(CheckpointError, match='missing or damaged'):
        load_layer(tmp_path / 'absent.pt')


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
