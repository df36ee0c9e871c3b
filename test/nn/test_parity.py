# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Our cells against the reference: same weights, inputs and elapsed times, same numbers."""

from __future__ import annotations

import ncps.torch
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ncps_pairs import WIRINGS, Pair, irregular_seconds, make_pair, run_reference, shake
from torch import Tensor

from liquid_control.nn import LTC, AutoNCP, CfC, Wiring, from_ncps, kernels, to_ncps

CASES = [
    *[(LTC, wiring, {}) for wiring in WIRINGS],
    *[(LTC, units, {}) for units in (1, 2, 31, 256)],
    *[(LTC, 'autoncp', {'unfolds': unfolds}) for unfolds in (1, 2, 12)],
    (LTC, 'autoncp', {'input_mapping': 'linear', 'output_mapping': 'linear'}),
    (LTC, 'autoncp', {'input_mapping': None, 'output_mapping': None}),
    (LTC, 'autoncp', {'mixed_memory': True}),
    *[(CfC, wiring, {}) for wiring in WIRINGS],
    *[(CfC, units, {}) for units in (1, 2, 31, 256)],
    *[(CfC, units, {'mode': mode}) for mode in ('pure', 'no_gate') for units in ('autoncp', 17)],
    *[
        (CfC, 17, {'backbone_layers': 2, 'backbone_units': 24, 'activation': activation})
        for activation in ('tanh', 'relu', 'silu', 'gelu', 'lecun_tanh')
    ],
    (CfC, 17, {'backbone_layers': 0}),
    (CfC, 17, {'mixed_memory': True, 'proj_size': 3}),
    (CfC, 'autoncp', {'mixed_memory': True, 'proj_size': 3}),
]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}

cases = pytest.mark.parametrize(
    ('kind', 'units', 'options'),
    CASES,
    ids=[f'{kind.__name__} {units} {options or ""}' for kind, units, options in CASES],
)
dtypes = pytest.mark.parametrize('dtype', TOLERANCE, ids=str)


def assert_equal(got: Tensor, expected: Tensor, what: str) -> None:
    tolerance = TOLERANCE[expected.dtype]
    scale = max(1.0, expected.abs().max().item())
    error = (got - expected).abs().max().item() / scale
    assert error <= tolerance, f'{what} differs by {error:.1e}'


def case(
    kind: type, units: int | str, options: dict, dtype: torch.dtype, steps: int
) -> tuple[Pair, Tensor, Tensor]:
    """A pair, inputs [3, steps, inputs] and elapsed times [3, steps], the same on every run."""
    seed = CASES.index((kind, units, options))
    input_size = 1 + 5 * seed % 37
    pair = make_pair(kind, input_size, units, seed, **options).to(dtype)
    x = torch.randn(3, steps, input_size, dtype=dtype)
    return pair, x, irregular_seconds(3, steps, seed).to(dtype)


def liquid_state(state: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return state[0] if isinstance(state, tuple) else state


@dtypes
@cases
@torch.no_grad()
def test_outputs_and_states_equal_the_reference(kind, units, options, dtype):
    pair, x, elapsed = case(kind, units, options, dtype, steps=64)
    expected, expected_state = run_reference(pair.theirs, x, elapsed)

    outputs, state = pair.ours(x, elapsed=elapsed)
    with kernels.plain_torch():
        plain_outputs, plain_state = pair.ours(x, elapsed=elapsed)

    assert_equal(outputs, expected, 'outputs')
    assert_equal(liquid_state(state), expected_state, 'state')
    assert_equal(plain_outputs, expected, 'outputs in plain torch')
    assert_equal(liquid_state(plain_state), expected_state, 'state in plain torch')


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from([LTC, CfC]),
    dtype=st.sampled_from(list(TOLERANCE)),
    size=st.integers(1, 8).flatmap(lambda power: st.integers(2 ** (power - 1), 2**power)),
    sparsity=st.floats(0.1, 0.9),
    input_size=st.integers(1, 64),
    unfolds=st.integers(1, 12),
    mappings=st.tuples(*[st.sampled_from(['affine', 'linear', None])] * 2),
    mode=st.sampled_from(['default', 'no_gate', 'pure']),
    mixed_memory=st.booleans(),
    seed=st.integers(0, 2**31 - 1),
)
@torch.no_grad()
def test_random_networks_equal_the_reference(
    kind, dtype, size, sparsity, input_size, unfolds, mappings, mode, mixed_memory, seed
):
    torch.manual_seed(seed)
    ours_units: Wiring | int = size
    if size >= 4:
        outputs = 1 + seed % (size - 3)
        ours_units = AutoNCP(size, outputs, sparsity, seed)
    options = {'mode': mode}
    if kind is LTC:
        options = dict(zip(('input_mapping', 'output_mapping'), mappings, strict=True))
        options['unfolds'] = unfolds
    layer = kind(input_size, ours_units, mixed_memory=mixed_memory, **options)
    theirs = to_ncps(layer).to(dtype)
    shake(theirs)
    x, elapsed = torch.randn(2, 16, input_size, dtype=dtype), irregular_seconds(2, 16, seed)
    expected, _ = run_reference(theirs, x, elapsed.to(dtype))
    outputs, _ = from_ncps(theirs)(x, elapsed=elapsed)
    assert_equal(outputs, expected, 'outputs')


@dtypes
@cases
def test_gradients_equal_the_reference(kind, units, options, dtype):
    pair, x, elapsed = case(kind, units, options, dtype, steps=8)
    x.requires_grad_(True)
    expected, _ = run_reference(pair.theirs, x, elapsed)
    direction = torch.randn_like(expected)
    names = [name for name, weight in pair.ours.named_parameters() if weight.requires_grad]

    def gradients(layer: torch.nn.Module, outputs: Tensor) -> list[Tensor]:
        weights = [x, *(layer.get_parameter(name) for name in names)]
        return torch.autograd.grad((outputs * direction).mean(), weights)

    expected_gradients = gradients(pair.theirs, expected)
    fast = gradients(pair.ours, pair.ours(x, elapsed=elapsed)[0])
    with kernels.plain_torch():
        plain = gradients(pair.ours, pair.ours(x, elapsed=elapsed)[0])

    for name, want, got, got_plain in zip(
        ['inputs', *names], expected_gradients, fast, plain, strict=True
    ):
        assert_equal(got, want, f'gradient of {name}')
        assert_equal(got_plain, want, f'gradient of {name} in plain torch')


@pytest.mark.parametrize('name', ['LTC', 'CfC'])
def test_the_same_seed_starts_from_the_same_weights(name):
    kind = {'LTC': LTC, 'CfC': CfC}[name]
    for units, their_units in [(11, 11), WIRINGS['autoncp']()]:
        torch.manual_seed(5)
        ours = kind(6, units).state_dict()
        torch.manual_seed(5)
        theirs = getattr(ncps.torch, name)(6, their_units).state_dict()
        assert ours.keys() == theirs.keys()
        for key, weight in theirs.items():
            assert torch.equal(ours[key], weight), key
