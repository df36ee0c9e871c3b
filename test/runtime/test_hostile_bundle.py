"""Bundles are data from outside: nothing reaches out of one, nothing in one crashes a node."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from bundles import make_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from liquid_control.runtime import bundle as bundle_module
from liquid_control.runtime.bundle import find_bundle, load_bundle
from liquid_control.runtime.contract import Contract
from liquid_control.runtime.errors import BundleError
from liquid_control.runtime.onnx_file import (
    CHILDREN,
    MAX_FIELDS,
    STANDARD_DOMAINS,
    check_self_contained,
)

FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp('bundles') / 'bundle', speed=True)


@pytest.fixture(scope='module')
def model(bundle: Path) -> onnx.ModelProto:
    return onnx.load(bundle / 'core.onnx')


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
    hostile = onnx.ModelProto()
    hostile.CopyFrom(model)
    EXTERNAL[place](hostile)
    with pytest.raises(BundleError, match='outside the file'):
        check_self_contained(hostile.SerializeToString(), where='core.onnx')


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
    hostile = onnx.ModelProto()
    hostile.CopyFrom(model)
    FOREIGN[place](hostile)
    with pytest.raises(BundleError, match="'EPContext' belongs to the domain"):
        check_self_contained(hostile.SerializeToString(), where='core.onnx')


def test_hostile_graph_with_the_right_hash_is_refused_on_loading(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    for name in ('core.onnx', 'encoder.onnx'):
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


# What is in the directory


def test_hash_is_checked_before_a_graph_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_bundle(tmp_path / 'bundle', break_='hash')
    parsed: list[bytes] = []
    monkeypatch.setattr(
        bundle_module, 'check_self_contained', lambda data, where: parsed.append(data)
    )
    with pytest.raises(BundleError, match='sha256'):
        load_bundle(path)
    assert parsed == []


@pytest.mark.parametrize('name', ['policy.yaml', 'core.onnx', 'encoder.onnx'])
def test_a_file_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    for kind, make in (('pipe', os.mkfifo), ('folder', os.mkdir)):
        path = make_bundle(tmp_path / f'{kind}-{name}')
        (path / name).unlink()
        make(path / name)
        with pytest.raises(BundleError, match='not an ordinary file'):
            load_bundle(path)


@pytest.mark.parametrize(
    'target', ['/dev/zero', '/etc/passwd', '../other/core.onnx', 'core.onnx', 'nowhere']
)
def test_link_out_of_the_bundle_is_refused(tmp_path: Path, target: str) -> None:
    make_bundle(tmp_path / 'other')
    path = make_bundle(tmp_path / 'bundle')
    (path / 'core.onnx').unlink()
    (path / 'core.onnx').symlink_to(target)
    with pytest.raises(BundleError):
        load_bundle(path)


def test_contract_that_links_elsewhere_is_not_quoted(tmp_path: Path) -> None:
    secret = tmp_path / 'secret'
    secret.write_text('password: {hunter2')
    path = make_bundle(tmp_path / 'bundle')
    (path / 'policy.yaml').unlink()
    (path / 'policy.yaml').symlink_to(secret)
    with pytest.raises(BundleError) as refusal:
        load_bundle(path)
    assert 'hunter2' not in str(refusal.value)


def test_bundle_installed_as_links_is_loaded(tmp_path: Path) -> None:
    """As `colcon build --symlink-install` does."""
    path = make_bundle(tmp_path / 'source' / 'bundle')
    installed = tmp_path / 'share' / 'bundle'
    installed.mkdir(parents=True)
    for file in path.iterdir():
        (installed / file.name).symlink_to(file)
    assert load_bundle(installed).digest == load_bundle(path).digest


@pytest.mark.parametrize(('name', 'size'), [('policy.yaml', 1 << 21), ('core.onnx', 1 << 40)])
def test_huge_file_is_refused_without_reading_it(tmp_path: Path, name: str, size: int) -> None:
    path = make_bundle(tmp_path / 'bundle')
    os.truncate(path / name, size)
    with pytest.raises(BundleError, match=f'{size} bytes, at most'):
        load_bundle(path)


@pytest.mark.parametrize('name', ['a' * 5000, '../' * 3000, '', '\n', '/', '~'])
def test_any_name_is_answered(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match='no policy bundle'):
        find_bundle(name, tmp_path)


# The contract


BILLION_LAUGHS = '\n'.join(
    ['a0: &a0 [1, 1]', *(f'a{i}: &a{i} [*a{i - 1}, *a{i - 1}]' for i in range(1, 40))]
)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (BILLION_LAUGHS, 'aliases are not accepted, line 2'),
        ('[' * 10_000, 'nested too deeply'),
        ('format_version: !!python/object/apply:os.system [id]', 'could not determine'),
        ('format_version: ' + '9' * 5000, 'cannot be read'),
        ('format_version: 2001-99-99', 'cannot be read'),
        ('', 'must hold a mapping'),
    ],
    ids=['billion laughs', 'deep', 'python object', 'long number', 'no date', 'empty'],
)
def test_hostile_contract_is_refused(text: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Contract.parse(text)


SCALARS = st.sampled_from([
    '1e400', '.nan', '-.inf', '-1', '0', '""', '[]', '{}', '~', 'true', '&a [*a]', '*a',
    '!!int ""', '!!float x', '!!set {a}', '!!binary x', '2001-99-99', '? [1]', '<<: *b', '1:99',
    '9' * 400,
])  # fmt: skip


@settings(FUZZ, max_examples=300)  # YAML is slow
@given(edits=st.lists(st.tuples(st.integers(0), SCALARS | st.text(max_size=20)), max_size=4))
def test_any_contract_is_read_or_refused(bundle: Path, edits: list[tuple[int, str]]) -> None:
    lines = (bundle / 'policy.yaml').read_text().splitlines()
    for place, value in edits:
        line = lines[place % len(lines)]
        lines[place % len(lines)] = re.sub(r':.*|$', lambda _, v=value: f': {v}', line, count=1)
    try:
        contract = Contract.parse('\n'.join(lines))
    except BundleError:
        return
    assert contract.period_ns > 0
    assert contract.core_inputs().keys() & {'features', 'imu', 'speed'}


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
