# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small random policy bundles for tests: valid, fixed by a seed, sensitive to every input."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from liquid_control.common.assets import CONTRACT_FILE
from liquid_control.contract.bundle import CORE_FILE, encoder_file
from liquid_control.contract.contract import (
    CommandSpec,
    Contract,
    NetworkSpec,
)
from liquid_control.contract.inputs import ImageSpec, ImuSpec, InputSpec, SpeedSpec

OPSET = 17
FEATURES = 8
POOLED = (6, 4)  # width, height of the image the encoder's weights see

MAX_AGE = {'image': 0.3, 'imu': 0.1, 'speed': 0.2}  # s

COMMANDS = {
    'steering_angle': CommandSpec('steering_angle', 'rad', -0.5, 0.5),
    'speed': CommandSpec('speed', 'm/s', 0.0, 2.0),
    'yaw_rate': CommandSpec('yaw_rate', 'rad/s', -2.0, 2.0),
    'steering': CommandSpec('steering', '1', -1.0, 1.0),
    'throttle': CommandSpec('throttle', '1', 0.0, 1.0),
    'velocity_x': CommandSpec('velocity_x', 'm/s', -1.0, 2.0),
    'velocity_y': CommandSpec('velocity_y', 'm/s', -1.0, 1.0),
    'velocity_z': CommandSpec('velocity_z', 'm/s', -0.5, 1.0),
    'elbow/position': CommandSpec('elbow/position', 'rad', -1.0, 1.0),
    'wheel/velocity': CommandSpec('wheel/velocity', 'rad/s', -5.0, 5.0),
}

Break = Literal['hash', 'version', 'field', 'yaml', 'no core', 'not onnx', 'signature', 'nan']


def make_bundle(
    path: Path,
    *,
    image: bool = True,
    imu: bool = True,
    speed: bool = False,
    commands: Sequence[str] = ('steering_angle', 'speed'),
    state_size: int = 8,
    control_rate: float = 20.0,
    gain: float = 1.0,
    seed: int = 0,
    inputs: Mapping[str, InputSpec] | None = None,
    break_: Break | None = None,
) -> Path:
    """Write a bundle into the directory `path` and return it.

    The command depends on every input, on the state and on the elapsed time. Images are
    160x120, the encoder sees 96x48 of them.

    Args:
        commands: names of `COMMANDS`.
        inputs: instead of image, imu and speed.
        gain: swing of the command around the middle of its range; above 1 it leaves the range.
        break_: what to damage: the core's hash, the format version, a missing field, the YAML, the
            core file, its content, the names of its inputs. 'nan' is a valid bundle whose command
            is not a number.
    """
    path.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    usual = {
        'image': image_spec() if image else None,
        'imu': ImuSpec(rate=200.0, max_age=MAX_AGE['imu']) if imu else None,
        'speed': SpeedSpec(rate=50.0, max_age=MAX_AGE['speed']) if speed else None,
    }
    if inputs is None:
        inputs = {name: spec for name, spec in usual.items() if spec is not None}
    contract = Contract(
        name=path.name,
        control_rate=control_rate,
        elapsed_range=(0.0, 1.0),
        commands=tuple(COMMANDS[name] for name in commands),
        network=NetworkSpec('test', state_size, 0, 0, state_size),
        opset=OPSET,
        hashes={},
        inputs=dict(inputs),
        provenance={'seed': seed},
    )
    graphs = {CORE_FILE: _core(contract, rng, gain, break_)}
    for name, spec in contract.images.items():
        graphs[encoder_file(name)] = _encoder(spec, rng)
    for name, data in graphs.items():
        contract.hashes[name] = hashlib.sha256(data).hexdigest()
        (path / name).write_bytes(data)
    contract.dump(path / CONTRACT_FILE)
    _damage(path, break_)
    return path


def image_spec(topic: str = '') -> ImageSpec:
    return ImageSpec(
        width=96,
        height=48,
        source_width=160,
        source_height=120,
        crop=(0, 40, 160, 80),
        rate=30.0,
        max_age=MAX_AGE['image'],
        features=FEATURES,
        topic=topic,
    )


def _encoder(spec: ImageSpec, rng: np.random.Generator) -> bytes:
    """Mean colours of a coarse grid, then one dense layer."""
    columns, rows = POOLED
    kernel = [spec.height // rows, spec.width // columns]
    nodes = [
        helper.make_node('Cast', ['image'], ['real'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['real', 'scale'], ['scaled']),
        helper.make_node('Transpose', ['scaled'], ['planes'], perm=[0, 3, 1, 2]),
        helper.make_node(
            'AveragePool', ['planes'], ['pooled'], kernel_shape=kernel, strides=kernel
        ),
        helper.make_node('Flatten', ['pooled'], ['flat']),
        helper.make_node('Gemm', ['flat', 'weight', 'bias'], ['dense']),
        helper.make_node('Tanh', ['dense'], ['features']),
    ]
    size = 3 * columns * rows
    weights = {
        'scale': np.float32(1 / 255),
        'weight': _normal(rng, size, spec.features, scale=2 / np.sqrt(size)),
        'bias': _normal(rng, spec.features, scale=0.1),
    }
    image = helper.make_tensor_value_info(
        'image', TensorProto.UINT8, [1, spec.height, spec.width, 3]
    )
    return _model('encoder', nodes, [image], [_real('features', 1, spec.features)], weights)


def _core(
    contract: Contract, rng: np.random.Generator, gain: float, break_: Break | None
) -> bytes:
    """A leaky recurrent layer: state += (1 - exp(-elapsed / 0.2 s)) * (tanh(drive) - state)."""
    scales = {'image': 1.0, 'imu': 0.1, 'speed': 0.5, 'state': 0.5}
    state_size, count = contract.network.state_size, len(contract.commands)
    inputs = contract.core_inputs()
    weights: dict[str, NDArray[np.float32] | np.float32] = {}
    nodes, terms = [], []
    for name, (_, size) in inputs.items():
        if name == 'elapsed':
            continue
        weights[f'{name}_weight'] = _normal(
            rng, size, state_size, scale=scales.get(name, 0.3) / np.sqrt(size)
        )
        nodes.append(helper.make_node('MatMul', [name, f'{name}_weight'], [f'{name}_term']))
        terms.append(f'{name}_term')
    low = np.array([command.min for command in contract.commands], np.float32)
    high = np.array([command.max for command in contract.commands], np.float32)
    weights |= {
        'bias': _normal(rng, state_size, scale=0.1),
        'leak': np.float32(-5.0),
        'one': np.float32(1.0),
        'read': _normal(rng, state_size, count, scale=2 / np.sqrt(state_size)),
        'swing': np.float32(gain) * (high - low) / 2,
        'middle': (high + low) / 2 + np.float32(np.nan if break_ == 'nan' else 0.0),
    }
    nodes += [
        helper.make_node('Sum', [*terms, 'bias'], ['drive']),
        helper.make_node('Tanh', ['drive'], ['target']),
        helper.make_node('Mul', ['elapsed', 'leak'], ['exponent']),
        helper.make_node('Exp', ['exponent'], ['kept']),
        helper.make_node('Sub', ['one', 'kept'], ['moved']),
        helper.make_node('Sub', ['target', 'state'], ['gap']),
        helper.make_node('Mul', ['moved', 'gap'], ['change']),
        helper.make_node('Add', ['state', 'change'], ['next_state']),
        helper.make_node('MatMul', ['next_state', 'read'], ['readout']),
        helper.make_node('Tanh', ['readout'], ['unit']),
        helper.make_node('Mul', ['unit', 'swing'], ['swung']),
        helper.make_node('Add', ['swung', 'middle'], ['command']),
    ]
    if break_ == 'signature':
        nodes = [_renamed(node, 'elapsed', 'timespan') for node in nodes]
        inputs = {'timespan' if name == 'elapsed' else name: inputs[name] for name in inputs}
    return _model(
        'core',
        nodes,
        [_real(name, *shape) for name, shape in inputs.items()],
        [_real(name, *shape) for name, shape in contract.core_outputs().items()],
        weights,
    )


def _damage(path: Path, break_: Break | None) -> None:
    core, contract = path / CORE_FILE, path / CONTRACT_FILE
    text = contract.read_text()
    if break_ == 'hash':
        data = bytearray(core.read_bytes())
        data[len(data) // 2] ^= 1
        core.write_bytes(data)
    elif break_ == 'version':
        contract.write_text(text.replace('format_version: 2', 'format_version: 99'))
    elif break_ == 'field':
        contract.write_text(text.replace('control_rate:', 'controlrate:'))
    elif break_ == 'yaml':
        contract.write_text('[' + text)
    elif break_ == 'no core':
        core.unlink()
    elif break_ == 'not onnx':
        digest = hashlib.sha256(core.read_bytes()).hexdigest()
        core.write_bytes(b'no graph')
        contract.write_text(text.replace(digest, hashlib.sha256(b'no graph').hexdigest()))


def _model(
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, NDArray[np.float32] | np.float32],
) -> bytes:
    constants = [numpy_helper.from_array(np.asarray(w), name=key) for key, w in weights.items()]
    model = helper.make_model(
        helper.make_graph(nodes, name, inputs, outputs, constants),
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _real(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _normal(rng: np.random.Generator, *shape: int, scale: float) -> NDArray[np.float32]:
    return rng.normal(0, scale, shape).astype(np.float32)


def _renamed(node: onnx.NodeProto, old: str, new: str) -> onnx.NodeProto:
    node.input[:] = [new if name == old else name for name in node.input]
    return node
