# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What lies between a graph's inputs and outputs: its convolutions, and how to see their outputs.

A value inside a graph becomes an output by its name alone. Protobuf joins messages that follow one
another in a file, so a model and a graph with nothing but more outputs, one behind the other, are
the model with these outputs: nothing of it is parsed and written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from liquid_control.contract.onnx_file import ProtobufReader

# Fields by their numbers (onnx.proto).
_GRAPH = 7
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _OP_TYPE, _ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _INTS = 1, 8
_TENSOR_DIMS, _TENSOR_NAME = 1, 8
_VALUE_NAME = 1
_VARINT, _BYTES = 0, 2

Pair = tuple[int, int]


@dataclass(frozen=True)
class Convolution:
    """One convolution of an image, before its ReLU.

    Attributes:
        output: name of its maps, [1, C, H, W].
        kernel, strides, pads: down and right; pads are those at the top and at the left.
    """

    output: str
    kernel: Pair
    strides: Pair
    pads: Pair


@dataclass
class _Node:
    operator: str = ''
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, list[int]] = field(default_factory=dict)


def rectified_convolutions(data: bytes, *, where: str) -> list[list[Convolution]]:
    """The convolutions that end in a ReLU, from the image to the last one.

    Of a graph that branches, such as that of an ensemble, every way from the image to an end.

    Args:
        where: how messages name the file.

    Raises:
        BundleError: it is no well-formed model.
    """
    nodes, sizes = _graph(data, where)
    by_output = {name: node for node in nodes for name in node.outputs}
    found: list[list[Convolution]] = []
    passed: set[int] = set()
    for end in reversed(nodes):
        if id(end) in passed or not _rectifies(end, by_output):
            continue
        way: list[Convolution] = []
        node: _Node | None = end
        while node is not None:
            passed.add(id(node))
            if _rectifies(node, by_output):
                way.insert(0, _convolution(_source(node, by_output), by_output, sizes))
            node = by_output.get(node.inputs[0]) if node.inputs else None
        found.append(way)
    return found


def with_outputs(data: bytes, names: Iterable[str]) -> bytes:
    """The model with values from its inside as outputs, behind those that it has."""
    outputs = b''.join(_message(_OUTPUT, _message(_VALUE_NAME, name.encode())) for name in names)
    return data + _message(_GRAPH, outputs)


def _rectifies(node: _Node, by_output: dict[str, _Node]) -> bool:
    return node.operator == 'Relu' and _source(node, by_output).operator == 'Conv'


def _source(node: _Node, by_output: dict[str, _Node]) -> _Node:
    """The node whose output a node reads, past a change of its number format."""
    while True:
        node = by_output.get(node.inputs[0], _Node()) if node.inputs else _Node()
        if node.operator not in ('QuantizeLinear', 'DequantizeLinear', 'Cast'):
            return node


def _convolution(
    node: _Node, by_output: dict[str, _Node], sizes: dict[str, list[int]]
) -> Convolution:
    weight = node.inputs[1]
    while weight not in sizes and weight in by_output:
        weight = by_output[weight].inputs[0]
    rows, columns = sizes[weight][2:4]
    strides = node.attributes.get('strides', [1, 1])
    pads = node.attributes.get('pads', [0, 0, 0, 0])
    return Convolution(
        node.outputs[0], (rows, columns), (strides[0], strides[1]), (pads[0], pads[1])
    )


def _graph(data: bytes, where: str) -> tuple[list[_Node], dict[str, list[int]]]:
    """Nodes in their order, and the sizes of the constants by name."""
    reader = ProtobufReader(data, where)
    nodes, sizes = [], {}
    for number, _, start, end in reader.fields(0, len(data)):
        if number != _GRAPH:
            continue
        for inner, _, begin, stop in reader.fields(start, end):
            if inner == _NODE:
                nodes.append(_node(reader, data, begin, stop))
            elif inner == _INITIALIZER:
                name, dims = _named_numbers(
                    reader, data, (begin, stop), name=_TENSOR_NAME, numbers=_TENSOR_DIMS
                )
                sizes[name] = dims
    return nodes, sizes


def _node(reader: ProtobufReader, data: bytes, start: int, end: int) -> _Node:
    node = _Node()
    for number, _, begin, stop in reader.fields(start, end):
        if number in (_NODE_INPUT, _NODE_OUTPUT):
            names = node.inputs if number == _NODE_INPUT else node.outputs
            names.append(data[begin:stop].decode())
        elif number == _OP_TYPE:
            node.operator = data[begin:stop].decode()
        elif number == _ATTRIBUTE:
            name, ints = _named_numbers(
                reader, data, (begin, stop), name=_ATTRIBUTE_NAME, numbers=_INTS
            )
            node.attributes[name] = ints
    return node


def _named_numbers(
    reader: ProtobufReader, data: bytes, span: Pair, *, name: int, numbers: int
) -> tuple[str, list[int]]:
    """A name and whole numbers, from the fields with these numbers."""
    called, found = '', []
    for number, wire, value, stop in reader.fields(*span):
        if number == name and wire == _BYTES:
            called = data[value:stop].decode()
        elif number == numbers:
            found += [value] if wire == _VARINT else list(_packed(reader, value, stop))
    return called, found


def _packed(reader: ProtobufReader, at: int, end: int) -> Iterator[int]:
    while at < end:
        number, at = reader.varint(at, end)
        yield number


def _message(number: int, content: bytes) -> bytes:
    """A field that holds a message or a text."""
    length, size = len(content), bytearray()
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | _BYTES, *size, length]) + content
