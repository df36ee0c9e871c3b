# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bundles with a right hash whose graphs take what a robot does not have."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support.bundles import make_bundle

from liquid_control.contract.contract import Contract


def with_load(path: Path, add: Callable[[onnx.GraphProto], str]) -> Path:
    """A bundle whose command has a value in it that `add` puts into the graph."""
    make_bundle(path)
    model = onnx.load(path / 'core.onnx')
    last = next(node for node in model.graph.node if node.output[0] == 'command')
    last.output[0] = 'command_before'
    added = add(model.graph)
    model.graph.node.append(helper.make_node('Add', ['command_before', added], ['command']))
    data = model.SerializeToString()
    (path / 'core.onnx').write_bytes(data)
    contract = Contract.parse((path / 'policy.yaml').read_text())
    hashes = {**contract.hashes, 'core.onnx': hashlib.sha256(data).hexdigest()}
    dataclasses.replace(contract, hashes=hashes).dump(path / 'policy.yaml')
    return path


def constant(graph: onnx.GraphProto, name: str, value: object) -> str:
    graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    return name


def endless(graph: onnx.GraphProto) -> str:
    """A loop of 2^62 rounds."""
    return looped(graph, 1 << 62)


def slow(graph: onnx.GraphProto) -> str:
    """A loop of some 0.05 s. Its rounds hang on an input, so that they are none of the loading."""
    graph.node.extend(
        [
            helper.make_node('ReduceSum', ['elapsed'], ['seconds'], keepdims=0),
            helper.make_node(
                'Mul', ['seconds', constant(graph, 'none', np.float32(0))], ['no_time']
            ),
            helper.make_node('Cast', ['no_time'], ['no_rounds'], to=TensorProto.INT64),
            helper.make_node(
                'Add', ['no_rounds', constant(graph, 'many', np.int64(40_000))], ['n']
            ),
        ]
    )
    return looped(graph, 'n')


def endless_when_shaken(graph: onnx.GraphProto) -> str:
    """A loop that ends, unless the IMU feels more than any trial makes up: 50 m/s^2."""
    graph.node.extend(
        [
            helper.make_node('ReduceMax', ['imu'], ['strongest'], keepdims=0),
            helper.make_node(
                'Greater', ['strongest', constant(graph, 'strong', np.float32(50))], ['shaken']
            ),
            helper.make_node(
                'Where',
                [
                    'shaken',
                    constant(graph, 'endless', np.int64(1 << 62)),
                    constant(graph, 'one_round', np.int64(1)),
                ],
                ['rounds'],
            ),
        ]
    )
    return looped(graph, 'rounds')


def looped(graph: onnx.GraphProto, rounds: int | str) -> str:
    """A loop of so many rounds, or of as many as a value says."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node('Identity', ['go'], ['goes_on']),
            helper.make_node('Add', ['last', 'last'], ['next']),
        ],
        'body',
        [
            value('round', TensorProto.INT64, []),
            value('go', TensorProto.BOOL, []),
            value('last', TensorProto.FLOAT, []),
        ],
        [value('goes_on', TensorProto.BOOL, []), value('next', TensorProto.FLOAT, [])],
    )
    if isinstance(rounds, int):
        rounds = constant(graph, 'rounds', np.int64(rounds))
    true, zero = constant(graph, 'true', True), constant(graph, 'zero', np.float32(0))
    graph.node.append(helper.make_node('Loop', [rounds, true, zero], ['looped'], body=body))
    return 'looped'


def huge(graph: onnx.GraphProto) -> str:
    """A constant of 4 GB that takes no room in the file."""
    shape = constant(graph, 'shape', np.array([1 << 30], np.int64))
    one = helper.make_tensor('one', TensorProto.FLOAT, [1], [1.0])
    graph.node.extend(
        [
            helper.make_node('ConstantOfShape', [shape], ['ones'], value=one),
            helper.make_node('ReduceSum', ['ones'], ['sum'], keepdims=0),
        ]
    )
    return 'sum'
