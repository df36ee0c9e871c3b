"""Our cells against the reference: same weights, inputs and elapsed times, same numbers."""

from __future__ import annotations

import pytest
import torch
from reference import WIRINGS, irregular_seconds, make_pair, run_reference

from liquid_control.nn import LTC, CfC

STEPS = 64
CASES = [
    *[(LTC, wiring, {}) for wiring in WIRINGS],
    *[(LTC, units, {}) for units in (1, 2, 31)],
    *[(LTC, 'autoncp', {'unfolds': unfolds}) for unfolds in (1, 3, 12)],
    (LTC, 'autoncp', {'input_mapping': 'linear', 'output_mapping': 'linear'}),
    (LTC, 'autoncp', {'input_mapping': None, 'output_mapping': None}),
    (LTC, 'autoncp', {'mixed_memory': True}),
    *[(CfC, wiring, {}) for wiring in WIRINGS],
    *[(CfC, units, {}) for units in (1, 2, 31)],
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


@pytest.mark.parametrize('dtype', TOLERANCE, ids=str)
@pytest.mark.parametrize(('kind', 'units', 'options'), CASES)
def test_outputs_and_states_equal_the_reference(kind, units, options, dtype):
    seed = CASES.index((kind, units, options))
    input_size = 1 + 5 * seed % 37
    pair = make_pair(kind, input_size, units, seed, **options).to(dtype)
    x = torch.randn(3, STEPS, input_size, dtype=dtype)
    elapsed = irregular_seconds(3, STEPS, seed).to(dtype)

    with torch.no_grad():
        outputs, state = pair.ours(x, elapsed=elapsed)
        expected, expected_state = run_reference(pair.theirs, x, elapsed)

    state = state[0] if isinstance(state, tuple) else state
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(outputs, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(state, expected_state, rtol=tolerance, atol=tolerance)
