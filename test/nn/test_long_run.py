# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ten thousand steps, each on its own state: the compiled step neither overflows nor drifts."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from support.ncps_pairs import shake

from liquid_control.nn import LTC, AutoNCP, CfC
from liquid_control.nn.onnx_export.core import layer_step
from liquid_control.nn.onnx_export.graph import FLOAT, Graph

STEPS, INPUTS, UNITS = 10_000, 6, 19
LAYERS = {
    'LTC fused': lambda: LTC(INPUTS, AutoNCP(UNITS, 2)),
    'LTC midpoint': lambda: LTC(
        INPUTS, AutoNCP(UNITS, 2), solver='exponential_midpoint', unfolds=1
    ),
    'CfC wired': lambda: CfC(INPUTS, AutoNCP(UNITS, 2)),
    'CfC dense': lambda: CfC(INPUTS, UNITS),
    'CfC pure': lambda: CfC(INPUTS, AutoNCP(UNITS, 2), mode='pure'),
}


@pytest.mark.parametrize('name', LAYERS)
@torch.no_grad()
def test_torch_and_onnx_runtime_stay_together(name):
    torch.manual_seed(0)
    layer = LAYERS[name]()
    shake(layer)
    x = torch.randn(STEPS, 1, INPUTS)
    x[::500] *= 1e4  # now and then a sensor goes wild
    elapsed = 10.0 ** (torch.rand(STEPS, 1) * 4 - 3)  # 1 ms to 10 s
    elapsed[::700] = 0.0

    graph = Graph(
        {'x': ((1, INPUTS), FLOAT), 'elapsed': ((1, 1), FLOAT), 'state': ((1, UNITS), FLOAT)}
    )
    new = layer_step(graph, layer, ['x'], 'state', 'elapsed')
    model = graph.model('step', {'next_state': (new, (1, UNITS))})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider']
    )
    state, compiled = np.zeros((1, UNITS), np.float32), np.empty((STEPS, UNITS), np.float32)
    for t, (features, seconds) in enumerate(zip(x.numpy(), elapsed.numpy(), strict=True)):
        (state,) = session.run(None, {'x': features, 'elapsed': seconds[None], 'state': state})
        compiled[t] = state[0]

    states = layer.rnn_cell.scan(x, torch.zeros(1, UNITS), elapsed)[:, 0].numpy()
    assert np.isfinite(compiled).all()
    # Relative where a state is large, which only the mode 'pure' allows.
    errors = (np.abs(compiled - states) / np.maximum(1.0, np.abs(states))).max(axis=1)
    assert errors.max() < 1e-4, f'step {errors.argmax()}: {errors.max():.1e}'
