# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Graphs are data from outside: no file is opened and no code loaded that a graph names."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from support.bundles import make_bundle

from liquid_control.common.errors import BundleError
from liquid_control.contract.bundle import Bundle, load_bundle
from liquid_control.contract.onnx_file import (
    CHILDREN,
    MAX_FIELDS,
    STANDARD_DOMAINS,
    check_self_contained,
)

FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope='module')
def model(bundle: Bundle) -> onnx.ModelProto:
    return onnx.load_from_string(bundle.core)


def changed(model: onnx.ModelProto, change: Callable[[onnx.ModelProto], Any]) -> bytes:
    """The bytes of a changed copy."""
    hostile = onnx.ModelProto()
    hostile.CopyFrom(model)
    change(hostile)
    return hostile.SerializeToString()


def reseal(path: Path, name: str, data: bytes) -> Path:
    """Replace a graph and its hash, as somebody who wants it loaded would."""
    contract = path / 'policy.yaml'
    old = hashlib.sha256((path / name).read_bytes()).hexdigest()
    contract.write_text(contract.read_text().replace(old, hashlib.sha256(data).hexdigest()))
    (path / name).write_bytes(data)
    return path


# External data and foreign operators, wherever ONNX lets them hide


def outside() -> TensorProto:
    """A tensor kept in another file."""
    tensor = TensorProto(name='w', data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value='../../etc/passwd')
    return tensor


def in_memory() -> TensorProto:
    """A tensor at an address of the reading process, by ONNX Runtime's own marker."""
    tensor = TensorProto(name='w', data_type=TensorProto.FLOAT, dims=[1])
    tensor.external_data.add(key='location', value='*/_ORT_MEM_ADDR_/*')
    tensor.external_data.add(key='offset', value='4096')
    return tensor


def attribute(**value: Any) -> onnx.AttributeProto:
    return onnx.AttributeProto(name='a', **value)


def node_with(**value: Any) -> onnx.NodeProto:
    return onnx.NodeProto(op_type='Constant', output=['c'], attribute=[attribute(**value)])


def subgraph(depth: int) -> onnx.GraphProto:
    """A tensor kept outside, `depth` graphs down."""
    if depth == 0:
        return onnx.GraphProto(name='g', initializer=[outside()])
    return onnx.GraphProto(name='g', node=[node_with(g=subgraph(depth - 1))])


def sparse() -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=outside())


EXTERNAL: dict[str, Callable[[onnx.ModelProto], Any]] = {
    'initializer': lambda m: m.graph.initializer.append(outside()),
    'memory address': lambda m: m.graph.initializer.append(in_memory()),
    'sparse initializer': lambda m: m.graph.sparse_initializer.append(sparse()),
    'sparse indices': lambda m: m.graph.sparse_initializer.add().indices.CopyFrom(outside()),
    'constant': lambda m: m.graph.node.append(node_with(t=outside())),
    'list of tensors': lambda m: m.graph.node.append(node_with(tensors=[outside()])),
    'sparse constant': lambda m: m.graph.node.append(node_with(sparse_tensor=sparse())),
    'sparse constants': lambda m: m.graph.node.append(node_with(sparse_tensors=[sparse()])),
    'subgraph': lambda m: m.graph.node.append(node_with(g=subgraph(0))),
    'deep subgraph': lambda m: m.graph.node.append(node_with(g=subgraph(5))),
    'list of graphs': lambda m: m.graph.node.append(node_with(graphs=[subgraph(0)])),
    'function': lambda m: m.functions.add().node.append(node_with(t=outside())),
    'default of a function': lambda m: m.functions.add().attribute_proto.append(
        attribute(t=outside())
    ),
    'training': lambda m: m.training_info.add().algorithm.CopyFrom(subgraph(0)),
    'before training': lambda m: m.training_info.add().initialization.CopyFrom(subgraph(0)),
}


@pytest.mark.parametrize('place', EXTERNAL)
def test_external_data_is_found_wherever_it_hides(model: onnx.ModelProto, place: str) -> None:
    with pytest.raises(BundleError, match='outside the file'):
        check_self_contained(changed(model, EXTERNAL[place]), where='core.onnx')


def foreign_node(domain: str) -> onnx.NodeProto:
    return helper.make_node('EPContext', [], ['c'], domain=domain)


FOREIGN: dict[str, Callable[[onnx.ModelProto], Any]] = {
    'graph': lambda m: m.graph.node.append(foreign_node('my.ops')),
    "ONNX Runtime's own": lambda m: m.graph.node.append(foreign_node('com.microsoft')),
    'subgraph': lambda m: m.graph.node.append(
        node_with(g=onnx.GraphProto(node=[foreign_node('my.ops')]))
    ),
    'function': lambda m: m.functions.add().node.append(foreign_node('my.ops')),
}


@pytest.mark.parametrize('place', FOREIGN)
def test_foreign_operator_is_found_wherever_it_hides(model: onnx.ModelProto, place: str) -> None:
    with pytest.raises(BundleError, match="'EPContext' belongs to the domain"):
        check_self_contained(changed(model, FOREIGN[place]), where='core.onnx')


RANDOM: dict[str, Callable[[onnx.ModelProto], Any]] = {
    'graph': lambda m: m.graph.node.append(helper.make_node('RandomUniform', [], ['c'])),
    'subgraph': lambda m: m.graph.node.append(
        node_with(g=onnx.GraphProto(node=[helper.make_node('Bernoulli', ['x'], ['c'])]))
    ),
}


@pytest.mark.parametrize('place', RANDOM)
def test_operator_that_draws_random_numbers_is_refused(model: onnx.ModelProto, place: str) -> None:
    with pytest.raises(BundleError, match='draws random numbers'):
        check_self_contained(changed(model, RANDOM[place]), where='core.onnx')


def test_hostile_graph_with_the_right_hash_is_refused_on_loading(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    for name in ('core.onnx', 'encoder_image.onnx'):
        hostile = onnx.load(path / name)
        hostile.graph.initializer.append(outside())
        broken = reseal(make_bundle(tmp_path / name), name, hostile.SerializeToString())
        with pytest.raises(BundleError, match=f'{name}.*outside the file'):
            load_bundle(broken)


def test_a_second_graph_hides_nothing(model: onnx.ModelProto) -> None:
    """Protobuf merges a message that is given twice."""
    second = onnx.ModelProto(graph=onnx.GraphProto(initializer=[outside()]))
    data = second.SerializeToString() + model.SerializeToString()
    assert onnx.load_from_string(data).graph.initializer[0].external_data
    with pytest.raises(BundleError, match='outside the file'):
        check_self_contained(data, where='core.onnx')


def test_every_way_to_a_tensor_or_a_node_is_followed() -> None:
    """Against ONNX's own description of the format, the installed version's."""
    ways: dict[str, dict[int, str]] = {}

    def leads(message: Any, above: tuple[str, ...] = ()) -> bool:
        """Whether a tensor or a node can be in it; notes the fields by which."""
        if message.name in above:
            return True
        fields = {
            field.number: field.message_type.name
            for field in message.fields
            if field.message_type and leads(field.message_type, (*above, message.name))
        }
        if fields or message.name == 'TensorProto':
            ways[message.name] = fields
        return message.name in ways

    leads(onnx.ModelProto.DESCRIPTOR)
    types = {name for name in ways if name not in CHILDREN}
    assert types <= {'TypeProto', 'Sequence', 'Map', 'Optional', 'ValueInfoProto'}, (
        'these hold one another, but no tensor'
    )
    for name, fields in CHILDREN.items():
        expected = {number: kind for number, kind in ways[name].items() if kind not in types}
        assert fields == expected, name


# Files that are no models, or made to keep a reader busy


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'no graph',
        b'\x00' * 100,
        b'\x20\x00\x00\x00ORTM' + b'\x00' * 100,
        b'\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01',
        b'\x08' + b'\xff' * 11,
        b'\x3a\x02\x08',
        b'\x38\x01',
    ],
    ids=[
        'empty',
        'text',
        'zeros',
        "ONNX Runtime's own format",
        'endless',
        'long number',
        'cut short',
        'graph as a number',
    ],
)
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match='not accepted as an ONNX model'):
        check_self_contained(data, where='core.onnx')


def test_nesting_and_number_of_fields_are_bounded() -> None:
    with pytest.raises(BundleError, match='nested deeper'):
        check_self_contained(nested(200), where='core.onnx')
    with pytest.raises(BundleError, match=f'more than {MAX_FIELDS} fields'):
        check_self_contained(b'\x08\x00' * (MAX_FIELDS + 1), where='core.onnx')


def nested(depth: int) -> bytes:
    """A model whose graph holds a node with a graph that holds a node with a graph ..."""
    data = b''
    for _ in range(depth):
        for head in (b'\x32', b'\x2a', b'\x0a'):  # attribute.g, node.attribute, graph.node
            data = head + number(len(data)) + data
    return b'\x3a' + number(len(data)) + data


# Any bytes


BYTE = st.integers(0, 255)


def reaches_out(message: Any) -> bool:
    """As ONNX's own parser understands it: external data or a foreign operator anywhere."""
    if isinstance(message, TensorProto) and (message.external_data or message.data_location):
        return True
    if isinstance(message, onnx.NodeProto) and message.domain.encode() not in STANDARD_DOMAINS:
        return True
    for field, value in message.ListFields():
        if field.message_type is not None:
            several = value if hasattr(value, '__len__') else [value]
            if any(reaches_out(item) for item in several):
                return True
    return False


def number(value: int, padding: int = 0) -> bytes:
    """A protobuf varint, longer than it need be by `padding` bytes."""
    out = b''
    while value > 0x7F or padding > 0:
        out += bytes([value & 0x7F | 0x80])
        padding -= value < 0x80
        value >>= 7
    return out + bytes([value])


@st.composite
def fields(draw: st.DrawFn, kind: str, depth: int = 0) -> bytes:
    """Any message of a kind, as bytes: fields known and unknown, repeated, oddly written."""
    out = b''
    for _ in range(draw(st.integers(0, 3))):
        children = sorted(CHILDREN[kind].items()) if depth < 8 else []
        choices: list[tuple[int, bytes | int]] = [(99, b''), (98, 5)]
        if kind == 'NodeProto':
            choices += [(4, b'Tanh'), (7, draw(st.sampled_from([b'', b'ai.onnx', b'x', b'x'])))]
        if kind == 'TensorProto':
            choices += [(9, b'data'), (13, b''), (14, draw(st.sampled_from([0, 1])))]
        pick = draw(st.integers(0, len(children) + len(choices) - 1))
        if pick < len(children):
            key, value = children[pick][0], draw(fields(children[pick][1], depth + 1))
        else:
            key, value = choices[pick - len(children)]
        padding = draw(st.sampled_from([0, 0, 0, 1, 2]))
        if isinstance(value, int):
            out += number(key << 3, padding) + number(value, padding)
        else:
            out += number(key << 3 | 2, padding) + number(len(value), padding) + value
    return out


@FUZZ
@given(data=fields('ModelProto').filter(bool), edit=st.none() | st.tuples(st.integers(0), BYTE))
def test_whatever_onnx_would_follow_is_refused(data: bytes, edit: tuple[int, int] | None) -> None:
    if edit is not None:
        place, byte = edit
        data = data[: place % len(data)] + bytes([byte]) + data[place % len(data) + 1 :]
    data += b'\x3a\x00'  # there is a graph in it
    try:
        check_self_contained(data, where='core.onnx')
    except BundleError:
        return
    try:
        model = onnx.load_from_string(data)
    except Exception:  # not a model for its parser either: nothing will be followed
        return
    assert not reaches_out(model)


@FUZZ
@given(data=st.binary(max_size=400))
def test_any_bytes_are_accepted_or_refused(data: bytes) -> None:
    try:
        check_self_contained(data, where='core.onnx')
    except BundleError as error:
        refusal = str(error)
        assert len(refusal) < 300
