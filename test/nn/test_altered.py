# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Layers whose submodules were changed: what was put there acts, or is refused."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from liquid_control.nn import LTC, AutoNCP, CfC, save_layer
from liquid_control.nn.cfc import CfCCell, WiredCfCCell
from liquid_control.nn.onnx_export.core import layer_step
from liquid_control.nn.onnx_export.graph import FLOAT, Graph


class LowRank(nn.Module):
    """As LoRA libraries wrap a layer."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, 2, bias=False)
        self.up = nn.Linear(2, base.out_features, bias=False)

    @property
    def weight(self) -> Tensor:
        return self.base.weight

    def forward(self, z: Tensor) -> Tensor:
        return self.base(z) + self.up(self.down(z))


class Halved(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 0.5 * weight


def halve(module: nn.Module, name: str = 'weight') -> None:
    parametrize.register_parametrization(module, name, Halved())


def lowered(layer: nn.Module, *_: object) -> None:
    layer.ff1 = LowRank(layer.ff1)


@torch.no_grad()
def weight_norm(module: nn.Module) -> None:
    parametrizations.weight_norm(module)
    module.parametrizations.weight.original0.mul_(2)


@torch.no_grad()
def old_weight_norm(module: nn.Module, **options: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)
        torch.nn.utils.weight_norm(module, **options)
    module.get_parameter(f'{options.get("name", "weight")}_g').mul_(2)


def quantised(cell: CfCCell) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.ao.quantization.quantize_dynamic(cell, {nn.Linear}, inplace=True)


def own_forward(cell: CfCCell) -> None:
    cell.ff2.forward = lambda z: nn.functional.linear(z, 2 * cell.ff2.weight, cell.ff2.bias)


# What people do to one cell, and what works where the wiring masks ff1 and ff2 too.
ON_HEADS: dict[str, Callable[[CfCCell], object]] = {
    'forward hook': lambda cell: cell.ff1.register_forward_hook(lambda m, x, y: 2 * y),
    'pre-hook': lambda cell: cell.ff2.register_forward_pre_hook(lambda m, x: (2 * x[0], *x[1:])),
    'pruned': lambda cell: prune.l1_unstructured(cell.ff1, 'weight', 0.5),
    'weight norm': lambda cell: weight_norm(cell.ff1),
    'weight norm by hooks': lambda cell: old_weight_norm(cell.ff1),
    'parametrised': lambda cell: halve(cell.ff2),
    'gate replaced': lambda cell: setattr(cell, 'time_a', LowRank(cell.time_a)),
}
ON_BACKBONE: dict[str, Callable[[CfCCell], object]] = {
    'appended': lambda cell: cell.backbone.append(nn.Softsign()),
    'activation replaced': lambda cell: cell.backbone.__setitem__(1, nn.PReLU()),
    'replaced': lambda cell: cell.backbone.__setitem__(0, LowRank(cell.backbone[0])),
    'all replaced': lambda cell: setattr(cell, 'backbone', LowRank(nn.Linear(7, 128))),
    'without bias': lambda cell: cell.backbone.__setitem__(0, nn.Linear(7, 128, bias=False)),
    'hook on the activation': lambda cell: cell.backbone[1].register_forward_hook(
        lambda m, x, y: 2 * y
    ),
    'hook on the whole': lambda cell: cell.backbone.register_forward_hook(lambda m, x, y: 2 * y),
    'pruned backbone': lambda cell: prune.random_unstructured(cell.backbone[0], 'weight', 0.5),
    'head replaced': lowered,
    'forward replaced': own_forward,
    'quantised': quantised,
}
DENSE = {**ON_HEADS, **ON_BACKBONE}


def next_state(cell: CfCCell, x: Tensor, state: Tensor, seconds: Tensor) -> Tensor:
    """One step by calling every submodule."""
    z = cell.backbone(torch.cat([x, state], -1))
    masks = [cell.sparsity_mask] * 2 if cell.sparsity_mask is not None else []

    def head(index: int, name: str) -> Tensor:
        module = getattr(cell, name)
        return module(z, masks[index]) if index < len(masks) else module(z)

    near, far, time_a, time_b = (head(*pair) for pair in enumerate(cell.heads))
    gate = torch.sigmoid(time_a * seconds + time_b)
    return torch.tanh(near) * (1 - gate) + torch.tanh(far) * gate


def by_hand(layer: CfC, x: Tensor, seconds: Tensor) -> Tensor:
    """States [batch, time, units] of a layer, step by step through its modules."""
    cell, states = layer.rnn_cell, []
    cells = cell.layers if isinstance(cell, WiredCfCCell) else [cell]
    state = list(x.new_zeros(len(x), layer.state_size).split([c.state_size for c in cells], -1))
    for t in range(x.shape[1]):
        heard = x[:, t]
        for index, part in enumerate(cells):
            heard = state[index] = next_state(part, heard, state[index], seconds[:, t, None])
        states.append(torch.cat(state, -1))
    return torch.stack(states, 1)


def assert_acts(layer: CfC, twin: CfC) -> None:
    """The change acts in every way of running, learning included."""
    x, seconds = torch.randn(2, 5, 3), torch.rand(2, 5) + 0.1
    expected = by_hand(layer, x, seconds)
    assert (expected - by_hand(twin, x, seconds)).abs().max() > 1e-4, 'the change does nothing'
    _, state = layer(x, elapsed=seconds)
    torch.testing.assert_close(state, expected[:, -1])
    state = None
    for t in range(5):
        _, state = layer.step(x[:, t], state, seconds[:, t])
        torch.testing.assert_close(state, expected[:, t])
    weights = [weight for weight in layer.parameters() if weight.requires_grad]
    for _ in range(2):  # hooks that compute a weight must do so in each pass
        layer.zero_grad()
        found = layer(x, elapsed=seconds)[1].square().sum()
        if weights:
            by_weight = torch.autograd.grad(found, weights, allow_unused=True)
            again = by_hand(layer, x, seconds)[:, -1].square().sum()
            expected_grads = torch.autograd.grad(again, weights, allow_unused=True)
            torch.testing.assert_close(by_weight, expected_grads)


@pytest.mark.parametrize('change', DENSE)
def test_what_is_changed_in_a_dense_cfc_acts(change):
    torch.manual_seed(0)
    layer = CfC(3, 4)
    twin = copy.deepcopy(layer)
    DENSE[change](layer.rnn_cell)
    assert_acts(layer, twin)


@pytest.mark.parametrize('change', ON_HEADS)
def test_what_is_changed_in_a_wired_cfc_acts(change):
    torch.manual_seed(0)
    layer = CfC(3, AutoNCP(9, 2))
    twin = copy.deepcopy(layer)
    ON_HEADS[change](layer.rnn_cell.layer_1)
    assert_acts(layer, twin)


def test_what_knows_nothing_of_the_mask_is_refused():
    layer = CfC(3, AutoNCP(9, 2))
    lowered(layer.rnn_cell.layer_1)
    with pytest.raises(ValueError, match='ff1 is masked by the wiring, which a LowRank'):
        layer(torch.randn(2, 5, 3))


def test_a_masked_head_may_be_another_linear_layer():
    layer, x = CfC(3, AutoNCP(9, 2)), torch.randn(2, 5, 3)
    head = layer.rnn_cell.layer_1.ff1
    plain = nn.Linear(head.in_features, head.out_features)
    plain.load_state_dict(head.state_dict())
    expected, _ = layer(x)
    layer.rnn_cell.layer_1.ff1 = plain
    torch.testing.assert_close(layer(x)[0], expected)


def test_dropout_in_the_backbone_acts_while_training():
    layer, x = CfC(3, 4), torch.randn(2, 5, 3)
    expected, _ = layer(x)
    layer.rnn_cell.backbone.append(nn.Dropout(0.5))
    assert not torch.equal(layer(x)[0], layer(x)[0])
    torch.testing.assert_close(layer.eval()(x)[0], expected)


@pytest.mark.parametrize('mixed_memory', [False, True])
@pytest.mark.parametrize(
    'make',
    [lambda m: LTC(3, 4, mixed_memory=m), lambda m: CfC(3, AutoNCP(9, 2), mixed_memory=m)],
    ids=['ltc', 'cfc wired'],
)
def test_hooks_on_the_cell_and_its_layers_run(make, mixed_memory):
    layer, x = make(mixed_memory), torch.randn(2, 5, 3)
    before = layer(x)[0]
    cell = layer.rnn_cell
    cell.register_forward_hook(lambda module, given, states: states + 1)
    after = layer(x)[0]
    assert not torch.allclose(after, before)
    if not mixed_memory:
        torch.testing.assert_close(after, before + 1)
    if isinstance(cell, WiredCfCCell):
        cell.layer_2.register_forward_hook(lambda module, given, states: 0 * states)
        assert torch.equal(layer(x)[0], torch.ones_like(before))
        assert torch.equal(layer.step(x[:, 0])[0], torch.ones(2, 2))


@pytest.mark.parametrize('name', ['w', 'sensory_w', 'cm', 'output_w'])
@pytest.mark.parametrize('way', ['pruned', 'parametrised', 'weight norm'])
def test_changed_weights_of_an_ltc_act_and_learn(name, way):
    torch.manual_seed(0)
    layer, x = LTC(3, 4), torch.randn(2, 5, 3)
    cell = layer.rnn_cell
    if way == 'pruned':
        prune.random_unstructured(cell, name, 0.5)
        weight = f'{name}_orig'
    elif way == 'parametrised':
        halve(cell, name)
        weight = f'parametrizations.{name}.original'
    else:
        old_weight_norm(cell, name=name, dim=None)
        weight = f'{name}_v'
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    outputs = []
    for _ in range(3):
        outputs.append(layer(x)[0])
        optimizer.zero_grad()
        (outputs[-1] - 1).square().mean().backward()
        assert cell.get_parameter(weight).grad.abs().max() > 0
        optimizer.step()
    expected, twin = layer(x)[0], LTC(3, layer.wiring)
    names = (*twin.rnn_cell._parameters, *twin.rnn_cell._buffers)
    twin.load_state_dict({f'rnn_cell.{key}': getattr(cell, key) for key in names})
    torch.testing.assert_close(expected, twin(x)[0])
    assert not torch.equal(expected, outputs[2])


def test_the_memory_of_mixed_memory_may_be_changed():
    layer, x = CfC(3, 4, mixed_memory=True), torch.randn(2, 5, 3)
    before = layer(x)[0]
    layer.lstm.recurrent_map = LowRank(layer.lstm.recurrent_map)
    assert not torch.allclose(layer(x)[0], before)
    torch.nn.init.zeros_(layer.lstm.recurrent_map.up.weight)
    torch.testing.assert_close(layer(x)[0], before)


@pytest.mark.parametrize('change', ON_HEADS)
def test_changed_layers_can_be_copied_and_compiled(change):
    layer, x = CfC(3, 4), torch.randn(2, 5, 3)
    ON_HEADS[change](layer.rnn_cell)
    expected = layer(x)[0].detach()
    if change not in ('pruned', 'weight norm by hooks'):  # which torch itself cannot copy
        torch.testing.assert_close(copy.deepcopy(layer)(x)[0], expected)
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(layer, backend='eager')(x)[0], expected)


@pytest.mark.parametrize('kind', [LTC, CfC])
def test_layers_can_be_pickled(kind):
    layer, x = kind(3, AutoNCP(9, 2)), torch.randn(2, 5, 3)
    again = pickle.loads(pickle.dumps(layer))
    assert torch.equal(again(x)[0], layer(x)[0])


@pytest.mark.parametrize('change', DENSE)
def test_what_a_file_or_a_graph_cannot_say_is_refused(change, tmp_path):
    layer = CfC(3, 4)
    DENSE[change](layer.rnn_cell)
    sizes = {'x': ((1, 3), FLOAT), 'state': ((1, 4), FLOAT), 'elapsed': ((1, 1), FLOAT)}

    def compiled() -> None:
        layer_step(Graph(sizes), layer, ['x'], 'state', 'elapsed')

    if change in ('weight norm', 'parametrised'):
        compiled()  # the weights of now say all
    else:
        with pytest.raises(ValueError, match=r'(not as it was made|has no compiled form)'):
            compiled()
    if ('hook' in change and 'norm' not in change) or change in ('pre-hook', 'forward replaced'):
        save_layer(layer, tmp_path / 'layer.pt')  # as a state dict: without hooks
    else:
        with pytest.raises(ValueError, match='is not as CfC makes it'):
            save_layer(layer, tmp_path / 'layer.pt')


def test_a_projection_of_another_kind_is_not_compiled():
    layer = CfC(3, 4, proj_size=2)
    layer.fc = nn.Sequential(layer.fc, nn.ReLU())
    with pytest.raises(ValueError, match='fc is not as it was made'):
        layer_step(Graph({}), layer, ['x'], 'state', 'elapsed')


def test_the_name_of_the_activation_is_no_place_for_a_module():
    layer = CfC(3, 4)
    layer.rnn_cell.activation = nn.ReLU()
    with pytest.raises(ValueError, match='put the module into `backbone`'):
        layer(torch.randn(2, 5, 3))
