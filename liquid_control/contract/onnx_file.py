# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an ONNX file reaches for outside itself, found before any library parses it.

A graph of a bundle keeps to itself: its weights lie in it, its operators are the standard ones. A
file that points elsewhere is refused here, so that ONNX Runtime never follows the pointer:

- External data: a tensor stored in another file, by any path, or at a raw memory address (ONNX
  Runtime's own marker for that can be written into a file by anybody).
- Operators of another domain: custom ones, and ONNX Runtime's own EPContext, which loads a
  ready-made engine from another file.
- Operators that draw random numbers: the trial of a graph would say nothing about its next run.

The file is read as protobuf messages, following every field that can hold a tensor or a node,
wherever it is nested and however often it is repeated. Whatever is not well formed is refused.
Robots have ONNX Runtime but not the `onnx` package, so this needs neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from liquid_control.common.errors import BundleError

STANDARD_DOMAINS = (b'', b'ai.onnx')
# A policy that was tried must do the same again: what it draws could make it another one.
RANDOM_OPERATORS = {
    b'Bernoulli',
    b'Multinomial',
    b'RandomNormal',
    b'RandomNormalLike',
    b'RandomUniform',
    b'RandomUniformLike',
}

# Policies have hundreds of nodes and thousands of fields; more is made to keep a reader busy.
MAX_FIELDS = 200_000
# Messages within messages; a subgraph costs three.
MAX_DEPTH = 32

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Message -> field -> message in that field: every way to a tensor or a node (onnx.proto).
CHILDREN: dict[str, dict[int, str]] = {
    'ModelProto': {7: 'GraphProto', 20: 'TrainingInfoProto', 25: 'FunctionProto'},
    'TrainingInfoProto': {1: 'GraphProto', 2: 'GraphProto'},
    'FunctionProto': {7: 'NodeProto', 11: 'AttributeProto'},
    'GraphProto': {1: 'NodeProto', 5: 'TensorProto', 15: 'SparseTensorProto'},
    'NodeProto': {5: 'AttributeProto'},
    'AttributeProto': {
        5: 'TensorProto',
        6: 'GraphProto',
        10: 'TensorProto',
        11: 'GraphProto',
        22: 'SparseTensorProto',
        23: 'SparseTensorProto',
    },
    'SparseTensorProto': {1: 'TensorProto', 2: 'TensorProto'},
    'TensorProto': {},
}
_GRAPH, _OP_TYPE, _DOMAIN = 7, 4, 7
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def check_self_contained(data: bytes, *, where: str) -> None:
    """Pass if a model file holds everything it needs and uses standard operators alone.

    Args:
        where: how messages name the file.

    Raises:
        BundleError: it refers to something outside, or is no well-formed model.
    """
    ProtobufReader(data, where).model()


class ProtobufReader:
    """Reads the bytes of a model as protobuf; refuses what is not well formed."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self._fields_left = MAX_FIELDS

    def model(self) -> None:
        """Pass if the whole model keeps to itself."""
        self._message('ModelProto', 0, len(self._data), 0)
        if not any(number == _GRAPH for number, *_ in self.fields(0, len(self._data))):
            self._refuse('no graph in it')

    def _message(self, kind: str, start: int, end: int, depth: int) -> None:
        """Check one message and everything below it."""
        if depth > MAX_DEPTH:
            self._refuse(f'nested deeper than {MAX_DEPTH} messages')
        children = CHILDREN[kind]
        operator = b''
        foreign: bytes | None = None
        for number, wire, value, stop in self.fields(start, end):
            if number in children:
                self._expect(wire, _BYTES, kind, number)
                self._message(children[number], value, stop, depth + 1)
            elif kind == 'NodeProto' and number in (_OP_TYPE, _DOMAIN):
                self._expect(wire, _BYTES, kind, number)
                text = self._data[value:stop]
                if number == _OP_TYPE:
                    operator = text
                elif text not in STANDARD_DOMAINS:
                    foreign = text
            elif kind == 'TensorProto':
                self._tensor_field(number, wire, value)
        if operator in RANDOM_OPERATORS:
            self._refuse(f'operator {_shown(operator)} draws random numbers')
        if foreign is not None:
            self._refuse(
                f'operator {_shown(operator)} belongs to the domain {_shown(foreign)}; only '
                'standard ONNX operators may be in a bundle'
            )

    def _tensor_field(self, number: int, wire: int, value: int) -> None:
        if number == _DATA_LOCATION:
            self._expect(wire, _VARINT, 'TensorProto', number)
        if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value):
            self._refuse(
                'a tensor is stored outside the file (external data); export the graph with its '
                'weights inside'
            )

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Number, wire type, value (varints) or begin, and end of each field of a message."""
        at = start
        while at < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                self._refuse(f'more than {MAX_FIELDS} fields')
            key, at = self.varint(at, end)
            number, wire = key >> 3, key & 7
            if not 0 < number < 1 << 29:
                self._refuse(f'field number {number}')
            value = at
            if wire == _VARINT:
                value, at = self.varint(at, end)
            elif wire == _FIXED64:
                at += 8
            elif wire == _FIXED32:
                at += 4
            elif wire == _BYTES:
                length, value = self.varint(at, end)
                at = value + length
            else:
                self._refuse(f'wire type {wire}')
            if at > end:
                self._refuse('cut short')
            yield number, wire, value, at

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """A number of at most ten bytes, and where it ends."""
        number = 0
        for shift in range(0, 70, 7):
            if at >= end:
                self._refuse('cut short')
            byte = self._data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number, at
        self._refuse('a number is longer than ten bytes')

    def _expect(self, wire: int, expected: int, kind: str, number: int) -> None:
        if wire != expected:
            self._refuse(f'field {number} of {kind} has wire type {wire}, expected {expected}')

    def _refuse(self, why: str) -> NoReturn:
        raise BundleError(f'{self._where}: not accepted as an ONNX model: {why}')


def _shown(text: bytes) -> str:
    """Printable, and short, whatever it is."""
    return ascii(text[:40].decode('ascii', 'replace'))
