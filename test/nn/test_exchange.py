# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whole layers to and from the reference library."""

from __future__ import annotations

import ncps.torch
import ncps.wirings
import pytest
import torch
from support.ncps_pairs import irregular_seconds, make_pair, run_reference, shake

from liquid_control.nn import LTC, AutoNCP, CfC, from_ncps, to_ncps

CASES = [
    (LTC, 'autoncp', {'unfolds': 4}),
    (LTC, 7, {'input_mapping': None, 'output_mapping': 'linear', 'mixed_memory': True}),
    (CfC, 'published ncp', {'proj_size': 2, 'mode': 'no_gate'}),
    (CfC, 7, {'backbone_layers': 2, 'backbone_units': 9, 'activation': 'silu'}),
    (CfC, 7, {'backbone_layers': 0, 'mode': 'pure', 'mixed_memory': True}),
]


@pytest.mark.parametrize(('kind', 'units', 'options'), CASES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=str)
def test_layers_cross_over_in_both_directions_with_outputs_and_gradients(
    kind, units, options, dtype
):
    theirs = make_pair(kind, 6, units, seed=3, **options).to(dtype).theirs
    x, elapsed = torch.randn(2, 32, 6, dtype=dtype), irregular_seconds(2, 32, 3).to(dtype)
    x.requires_grad_()
    ours = from_ncps(theirs)
    back = to_ncps(ours)

    expected, _ = run_reference(theirs, x, elapsed)
    found = ours(x, elapsed=elapsed)[0], run_reference(back, x, elapsed)[0]

    tolerance = 1e-5 if dtype == torch.float32 else 1e-10
    names = [name for name, weight in ours.named_parameters() if weight.requires_grad]
    direction = torch.randn_like(expected)

    def gradients(layer: torch.nn.Module, outputs: torch.Tensor) -> list[torch.Tensor]:
        weights = [x, *(layer.get_parameter(name) for name in names)]
        return torch.autograd.grad((outputs * direction).mean(), weights)

    wanted = gradients(theirs, expected)
    for layer, outputs in zip((ours, back), found, strict=True):
        torch.testing.assert_close(outputs, expected, rtol=0, atol=tolerance)
        for name, got, want in zip(['x', *names], gradients(layer, outputs), wanted, strict=True):
            scale = max(1.0, want.abs().max().item())
            assert (got - want).abs().max() <= tolerance * scale, name


@pytest.mark.parametrize('kind', [LTC, CfC])
def test_a_layer_made_in_double_precision_stays_double(kind):
    torch.set_default_dtype(torch.float64)
    try:
        theirs = make_pair(kind, 6, 'autoncp', seed=3).theirs.double()
        ours = from_ncps(theirs)
        back = to_ncps(ours)
    finally:
        torch.set_default_dtype(torch.float32)
    for layer in (ours, back):
        assert {weight.dtype for weight in layer.parameters() if weight.requires_grad} == {
            torch.float64
        }


def test_what_was_frozen_stays_frozen():
    theirs = ncps.torch.LTC(5, 9).eval()
    theirs.rnn_cell.cm.requires_grad_(False)
    ours = from_ncps(theirs)
    assert not ours.training
    frozen = [name for name, weight in ours.named_parameters() if not weight.requires_grad]
    assert frozen == ['rnn_cell.cm']


@torch.no_grad()
def test_a_layer_with_clipped_parameters_crosses_over():
    theirs = ncps.torch.LTC(5, 9, implicit_param_constraints=False).double()
    theirs.rnn_cell.w[0, :3] = 0.0
    theirs.rnn_cell.cm[1] = 40.0
    x, elapsed = torch.randn(2, 16, 5).double(), irregular_seconds(2, 16, 3)
    expected, _ = run_reference(theirs, x, elapsed)
    outputs, _ = from_ncps(theirs)(x, elapsed=elapsed)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_a_wiring_that_grew_after_the_layer_was_made_does_no_harm():
    wiring = ncps.wirings.AutoNCP(12, 2)
    theirs = ncps.torch.LTC(5, wiring)
    ncps.torch.LTC(5, wiring)  # the same wiring again: the reference adds synapses to it
    shake(theirs)
    x, elapsed = torch.randn(2, 16, 5), irregular_seconds(2, 16, 3).float()
    expected, _ = run_reference(theirs, x, elapsed)
    outputs, _ = from_ncps(theirs)(x, elapsed=elapsed)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-5)


def test_what_the_other_library_lacks_is_refused():
    with pytest.raises(ValueError, match='without backbone dropout'):
        from_ncps(ncps.torch.CfC(5, 4, backbone_layers=2, backbone_dropout=0.1))
    with pytest.raises(ValueError, match='epsilon'):
        from_ncps(ncps.torch.LTC(5, 4, epsilon=1e-6))
    with pytest.raises(ValueError, match='CfC, got Linear'):
        from_ncps(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="solves with 'fused' only"):
        to_ncps(LTC(5, 4, solver='rk4'))
    with pytest.raises(ValueError, match='no strict wiring'):
        to_ncps(CfC(5, AutoNCP(12, 2), strict_wiring=True))
