# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph under construction: constants are numpy arrays, values are names.

Graphs are written node by node rather than traced: at the size of a liquid network a control step
costs what its nodes cost (about 0.4 us each in ONNX Runtime), not what its arithmetic costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Read by ONNX Runtime 1.16 (JetPack 5 and 6) and everything newer.
OPSET = 17
IR_VERSION = 8

# What decides between equal graphs, measured with ONNX Runtime 1.32 on one core of an x86 server;
# only the ratios matter.
NODE_NS = 400.0  # a node, whatever it computes
MULTIPLY_NS = 0.085  # one multiplication and addition of a product [1, in] x [in, out]

FLOAT = TensorProto.FLOAT
FLOAT16 = TensorProto.FLOAT16
UINT8 = TensorProto.UINT8

Shape = tuple[int, ...]


class Graph:
    """Collects nodes in order; `model` closes the graph.

    Values of its own have a slash in their names, which no input has.

    Args:
        inputs: name -> (shape, element type of TensorProto).
    """

    def __init__(self, inputs: Mapping[str, tuple[Shape, int]]):
        self._inputs = [
            helper.make_tensor_value_info(name, kind, shape)
            for name, (shape, kind) in inputs.items()
        ]
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """The name of a constant; float32 unless another type is given."""
        name = f'constant/{len(self._constants)}'
        array = np.ascontiguousarray(values, dtype=dtype)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output and return the output's name."""
        return self.split(op, *inputs, count=1, **attributes)[0]

    def split(self, op: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """Append a node with `count` outputs and return their names."""
        stem = f'{op.lower()}/{len(self._nodes)}'
        outputs = [stem] if count == 1 else [f'{stem}_{index}' for index in range(count)]
        self._nodes.append(helper.make_node(op, list(inputs), outputs, **attributes))
        return outputs

    def joined(self, parts: Sequence[str]) -> str:
        """The name of values [1, any] side by side."""
        return parts[0] if len(parts) == 1 else self.add('Concat', *parts, axis=1)

    def parts(self, x: str, *sizes: int) -> list[str]:
        """Names of the parts of x [1, sum of sizes], cut along its second axis."""
        return self.split('Split', x, self.constant(sizes, np.int64), count=len(sizes), axis=1)

    def linear(self, x: str, weight: Any, bias: Any) -> str:
        """x [1, in] times weight [in, out] plus bias [1, out]; these given as array or name."""
        names = [item if isinstance(item, str) else self.constant(item) for item in (weight, bias)]
        return self.add('Gemm', x, *names)

    def model(self, name: str, outputs: Mapping[str, tuple[str, Shape]]) -> onnx.ModelProto:
        """The finished, checked model.

        Args:
            outputs: name of the output -> (value, shape), all float32.
        """
        public = {value: output for output, (value, _) in outputs.items()}
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [public.get(value, value) for value in names]
        graph = helper.make_graph(
            self._nodes,
            name,
            self._inputs,
            [
                helper.make_tensor_value_info(output, FLOAT, shape)
                for output, (_, shape) in outputs.items()
            ],
            self._constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid('', OPSET)],
            ir_version=IR_VERSION,
            producer_name='liquid_control',
        )
        onnx.checker.check_model(model, full_check=True)
        return model
