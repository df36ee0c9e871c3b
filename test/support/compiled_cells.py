# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Graphs of layers and encoders for tests: every cell, with weights away from their start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime as ort
import torch

from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.inputs import (
    GoalSpec,
    ImageSpec,
    ImuSpec,
    InputSpec,
    MovingSpec,
    ScanSpec,
    SpeedSpec,
    VelocitySpec,
)
from liquid_control.nn import LTC, NCP, AutoNCP, CfC, FullyConnected, Random
from liquid_control.nn.cells import layer as plain
from liquid_control.nn.encoder import ImageEncoder
from liquid_control.nn.layer import LiquidLayer
from liquid_control.nn.lrc import LRCCell
from liquid_control.nn.ode import CTRNNCell, NeuralODECell
from liquid_control.nn.onnx_export.core import core_model, layer_step, readout
from liquid_control.nn.onnx_export.encoder import encoder_model
from liquid_control.nn.onnx_export.graph import FLOAT, Graph
from liquid_control.nn.onnx_export.quantize import quantize_encoder
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork
from liquid_control.nn.recurrent import GRUCell, LSTMCell
from liquid_control.nn.solvers import COMPILED
from liquid_control.nn.stack import StackCell

COMMANDS = (
    CommandSpec('steering_angle', 'rad', -0.5, 0.5),
    CommandSpec('speed', 'm/s', 0.0, 3.0),
)
MIDPOINT = {'solver': 'exponential_midpoint', 'unfolds': 1}

LAYERS: dict[str, Callable[[], LiquidLayer]] = {
    'ltc published ncp': lambda: LTC(32, NCP(12, 6, 1, 6, 4, 10, 6)),
    'ltc one unfold': lambda: LTC(5, AutoNCP(12, 2), unfolds=1),
    'ltc no mapping': lambda: LTC(9, AutoNCP(16, 3), input_mapping=None, output_mapping=None),
    'ltc linear mapping': lambda: LTC(9, AutoNCP(16, 3), input_mapping='linear'),
    'ltc fully connected': lambda: LTC(20, FullyConnected(40, 4)),
    'ltc sparse random': lambda: LTC(10, Random(30, 4, sparsity=0.9)),
    'ltc wide input': lambda: LTC(200, AutoNCP(64, 2)),
    'ltc single neuron': lambda: LTC(1, FullyConnected(1)),
    'midpoint published ncp': lambda: LTC(32, NCP(12, 6, 1, 6, 4, 10, 6), **MIDPOINT),
    'midpoint fully connected': lambda: LTC(20, FullyConnected(40, 4), **MIDPOINT),
    'midpoint without recurrence': lambda: LTC(9, Random(40, 2, sparsity=0.9999), **MIDPOINT),
    'midpoint three unfolds': lambda: LTC(
        8, AutoNCP(16, 2), solver='exponential_midpoint', unfolds=3
    ),
    'cfc': lambda: CfC(12, 19),
    'cfc pure': lambda: CfC(12, 19, mode='pure'),
    'cfc no gate': lambda: CfC(12, 19, mode='no_gate'),
    'cfc projected': lambda: CfC(12, 19, proj_size=3),
    'cfc two relu layers': lambda: CfC(12, 19, activation='relu', backbone_layers=2),
    'cfc silu': lambda: CfC(12, 19, activation='silu', backbone_units=30),
    'cfc gelu': lambda: CfC(12, 19, activation='gelu'),
    'cfc tanh': lambda: CfC(12, 19, activation='tanh'),
    'cfc no backbone': lambda: CfC(12, 19, backbone_layers=0),
    'wired cfc': lambda: CfC(32, NCP(12, 6, 1, 6, 4, 10, 6)),
    'wired cfc large': lambda: CfC(40, AutoNCP(96, 3)),
    'wired cfc strict': lambda: CfC(20, AutoNCP(40, 3), strict_wiring=True),
    'wired cfc pure': lambda: CfC(20, AutoNCP(40, 3), mode='pure'),
    'wired cfc no gate': lambda: CfC(20, AutoNCP(40, 3), mode='no_gate'),
    'wired cfc elastance': lambda: CfC(20, AutoNCP(19, 3), mode='elastance'),
    'wired cfc elastance large': lambda: CfC(20, AutoNCP(96, 3), mode='elastance'),
    'cfc mixed memory': lambda: CfC(12, 19, mixed_memory=True, proj_size=2),
    'wired cfc mixed memory': lambda: CfC(20, AutoNCP(19, 3), mixed_memory=True),
    'ltc mixed memory': lambda: LTC(9, AutoNCP(16, 3), mixed_memory=True),
    **{
        f'ltc {solver}': lambda solver=solver: LTC(9, AutoNCP(16, 3), solver=solver, unfolds=12)
        for solver in ('euler', 'rk4')
    },
    **{
        f'{kind} {solver}': lambda make=make, solver=solver: plain(make(solver))
        for kind, make in (
            # Explicit solvers are not stable in steps above 40 ms.
            ('lrc', lambda solver: LRCCell(9, AutoNCP(16, 3), solver, 24)),
            ('ct-rnn', lambda solver: CTRNNCell(9, 16, 3, solver, 4)),
        )
        for solver in COMPILED
    },
    'neural ode euler': lambda: plain(NeuralODECell(9, 16, 3, 'euler', 2)),
    'neural ode rk4': lambda: plain(NeuralODECell(9, 16, 3, 'rk4', 1)),
    'lstm': lambda: plain(LSTMCell(9, 16, 3)),
    'gru': lambda: plain(GRUCell(9, 16, 3)),
    'feed-forward': lambda: plain(StackCell(9, 16, 3, 4)),
    'feed-forward one frame': lambda: plain(StackCell(9, 16, 3, 1)),
}


KINDS: dict[str, InputSpec] = {
    'image': ImageSpec(
        width=48,
        height=24,
        source_width=48,
        source_height=24,
        crop=(0, 0, 48, 24),
        features=9,
        rate=30.0,
        max_age=0.3,
    ),
    'imu': ImuSpec(rate=200.0, max_age=0.1),
    'speed': SpeedSpec(rate=50.0, max_age=0.2),
    'scan': ScanSpec(rate=10.0, max_age=0.3, sectors=20, far=5.0, features=7),
    'moving': MovingSpec(rate=10.0, max_age=0.3, sectors=20, far=5.0, features=7),
    'velocity': VelocitySpec(rate=50.0, max_age=0.2),
    'goal': GoalSpec(rate=50.0, max_age=0.2),
}


def some_inputs(*kinds: str) -> dict[str, InputSpec]:
    """Inputs named by their kinds."""
    return {kind: KINDS[kind] for kind in kinds}


def compile_layer(layer: LiquidLayer) -> onnx.ModelProto:
    sizes = {'x': layer.input_size, 'elapsed': 1, 'state': layer.packed_size}
    graph = Graph({name: ((1, size), FLOAT) for name, size in sizes.items()})
    state = layer_step(graph, layer, ['x'], 'state', 'elapsed')
    return graph.model(
        'step',
        {
            'output': (graph.linear(state, *readout(layer)), (1, layer.output_size)),
            'next_state': (state, (1, layer.packed_size)),
        },
    )


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider']
    )


def make(name: str) -> LiquidLayer:
    """The layer with weights away from their start, where mappings are the identity."""
    torch.manual_seed(1)
    layer = LAYERS[name]()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def network(cell: str, **changes: object) -> PolicyNetwork:
    torch.manual_seed(2)
    options: dict = {'neurons': 19, 'inputs': some_inputs('imu', 'speed'), **changes}
    return PolicyNetwork(NetworkConfig(commands=COMMANDS, cell=cell, **options)).eval()


def images(count: int) -> np.ndarray:
    """Coarse random images, then a black and a white one: uint8 [N + 2, 24, 48, 3]."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (count, 6, 12, 3), dtype=np.uint8)
    smooth = coarse.repeat(4, axis=1).repeat(4, axis=2)
    flat = np.zeros((2, 24, 48, 3), np.uint8)
    flat[1] = 255
    return np.concatenate([smooth, flat])


def models() -> dict[str, onnx.ModelProto]:
    encoder = ImageEncoder(24, 48, 9)
    plain = encoder_model(encoder, 24, 48)
    return {
        'ltc': core_model(network('ltc')),
        'cfc': core_model(network('cfc')),
        'encoder': plain,
        'half encoder': encoder_model(encoder, 24, 48, half=True),
        'int8 encoder': quantize_encoder(plain, images(4)),
    }
