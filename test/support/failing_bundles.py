# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bundles that are good until a sensor says otherwise, and then fail in one way."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support.bundles import make_bundle

from liquid_control.common.assets import CONTRACT_FILE
from liquid_control.contract.bundle import CORE_FILE, encoder_file
from liquid_control.contract.contract import Contract

# An acceleration (m/s^2) along x, or a mean brightness, above which a bundle fails.
TOO_FAST, TOO_BRIGHT = 5.0, 200.0


def make_failing(
    path: Path, how: Literal['nan', 'hang', 'encoder raises', 'encoder hangs'], **options: Any
) -> Path:
    """As `make_bundle`; `how`: what happens beyond `TOO_FAST` or `TOO_BRIGHT`."""
    make_bundle(path, **options)
    encoder = how.startswith('encoder')
    file = path / (encoder_file('image') if encoder else CORE_FILE)
    model = onnx.load(file)
    output = 'features' if encoder else 'command'
    for node in model.graph.node:
        node.output[:] = ['good' if name == output else name for name in node.output]
    model.graph.node.extend(_when_encoder() if encoder else _when_core())
    if how in ('hang', 'encoder hangs'):
        model.graph.node.extend(_hang(output))
    elif how == 'nan':
        model.graph.node.append(helper.make_node('Where', ['bad', 'nan', 'good'], [output]))
    else:
        # An index beyond the only row, which nobody can know before it is computed.
        model.graph.node.append(helper.make_node('Cast', ['bad'], ['row'], to=TensorProto.INT64))
        model.graph.node.append(helper.make_node('Mul', ['row', 'five'], ['index']))
        model.graph.node.append(helper.make_node('Gather', ['good', 'index'], [output], axis=0))
    model.graph.initializer.extend(_constants())
    _seal(path, file, model.SerializeToString())
    return path


def _when_core() -> list[onnx.NodeProto]:
    return [
        helper.make_node('Gather', ['imu', 'first'], ['along_x'], axis=1),
        helper.make_node('ReduceSum', ['along_x'], ['ax'], keepdims=0),
        helper.make_node('Greater', ['ax', 'too_fast'], ['bad']),
    ]


def _when_encoder() -> list[onnx.NodeProto]:
    return [
        helper.make_node('Cast', ['image'], ['bright'], to=TensorProto.FLOAT),
        helper.make_node('ReduceMean', ['bright'], ['mean'], keepdims=0),
        helper.make_node('Greater', ['mean', 'too_bright'], ['bad_scalar']),
        helper.make_node('Reshape', ['bad_scalar', 'one_row'], ['bad']),
    ]


def _hang(output: str) -> list[onnx.NodeProto]:
    """A loop whose number of rounds comes from an input."""
    real = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node('Identity', ['go'], ['go_on']),
            helper.make_node('Add', ['before', 'before'], ['after']),
        ],
        'body',
        [
            real('round', TensorProto.INT64, []),
            real('go', TensorProto.BOOL, []),
            real('before', TensorProto.FLOAT, []),
        ],
        [real('go_on', TensorProto.BOOL, []), real('after', TensorProto.FLOAT, [])],
    )
    return [
        helper.make_node('Reshape', ['bad', 'scalar'], ['is_bad']),
        helper.make_node('Where', ['is_bad', 'for_ever', 'once'], ['rounds']),
        helper.make_node('Loop', ['rounds', 'yes', 'zero'], ['nothing'], body=body),
        helper.make_node('Add', ['good', 'nothing'], [output]),
    ]


def _constants() -> list[onnx.TensorProto]:
    values = {
        'first': np.array([0], np.int64),
        'too_fast': np.float32(TOO_FAST),
        'too_bright': np.float32(TOO_BRIGHT),
        'one_row': np.array([1], np.int64),
        'scalar': np.array([], np.int64),
        'for_ever': np.int64(1 << 62),
        'once': np.int64(1),
        'five': np.int64(5),
        'yes': np.bool_(True),
        'zero': np.float32(0),
        'nan': np.float32(np.nan),
    }
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]


def _seal(path: Path, file: Path, data: bytes) -> None:
    file.write_bytes(data)
    contract = Contract.parse((path / CONTRACT_FILE).read_text())
    contract.hashes[file.name] = hashlib.sha256(data).hexdigest()
    contract.dump(path / CONTRACT_FILE)
