# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bundles are data from outside: nothing reaches out of one, nothing in one crashes a node."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bundles import make_bundle

from liquid_control.common.assets import find_bundle
from liquid_control.common.errors import BundleError
from liquid_control.contract import bundle as bundle_module
from liquid_control.contract.bundle import Bundle, load_bundle
from liquid_control.contract.contract import Contract

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


@pytest.mark.parametrize('name', ['policy.yaml', 'core.onnx', 'encoder_image.onnx'])
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


HOSTILE = {
    'billion laughs': (BILLION_LAUGHS, 'aliases are not accepted, line 2'),
    'deep': ('[' * 10_000, 'nested too deeply'),
    'python object': ('format_version: !!python/object/apply:os.system [id]', 'not determine'),
    'long number': ('format_version: ' + '9' * 5000, 'no number of at most 30'),
    'hexadecimal': ('format_version: 0x' + 'f' * 5000, 'no number of at most 30'),
    'hexadecimal key': ('0x' + 'f' * 1000 + ': 1', 'no number of at most 30'),
    'base 60': ('format_version: 1' + ':59' * 40_000, 'in base 10 or 16'),
    'base 60, real': ('format_version: 1' + ':59' * 40_000 + '.5', 'in base 10 or 16'),
    'no date': ('format_version: 2001-99-99', 'cannot be read'),
    'date': ('format_version: 2001-01-01', 'date is no plain data'),
    'bytes': ('format_version: !!binary "////"', 'bytes is no plain data'),
    'set': ('format_version: !!set {a, b}', 'set is no plain data'),
    'half a character': ('format_version: "\\uD800"', 'half a character'),
    'half a character as key': ('"\\uD800": 1', 'half a character'),
    'no mapping': ('<<: 5', 'expected a mapping'),
    'no text': (b'name: \xff', 'no UTF-8'),
    'empty': ('', 'must hold a mapping'),
}


@pytest.mark.parametrize(('text', 'message'), HOSTILE.values(), ids=HOSTILE)
def test_hostile_contract_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Contract.parse(text)


# Every number of a contract, far out of what a robot can mean: field, as written, instead.
UNBOUNDED = [
    ('control_rate', '20.0', '1.0e-300'),
    ('control_rate', '20.0', '1.0e+300'),
    ('rate', '200.0', '1.0e-300'),
    ('max_age', '0.1', '1.0e+300'),
    ('max_age', '0.3', '.inf'),
    ('max_age', '0.3', '5.0'),
    ('width', '96', '1000000'),
    ('source_height', '120', '0'),
    ('features', '8', '100000000'),
    ('state_size', '8', '100000000'),
    ('neurons', '8', '-1'),
    ('opset', '17', '0x' + 'f' * 15),
    ('max', '0.5', '1.0e+308'),
    ('min', '-0.5', '-4.0'),
    ('max', '2.0', '.nan'),
    ('max', '2.0', '300.0'),
]


@pytest.mark.parametrize(('field', 'old', 'new'), UNBOUNDED)
def test_number_that_no_robot_can_mean_is_refused_by_name(
    bundle: Bundle, field: str, old: str, new: str
) -> None:
    text = (bundle.path / 'policy.yaml').read_text()
    assert f' {field}: {old}\n' in f' {text}'.replace('\n', '\n ')
    with pytest.raises(BundleError, match=rf'{field}.* must be within') as refusal:
        Contract.parse(
            re.sub(rf'\b{field}: {re.escape(old)}$', f'{field}: {new}', text, flags=re.M)
        )
    assert len(str(refusal.value)) < 200


def test_every_refusal_can_be_printed_and_sent(bundle: Bundle, tmp_path: Path) -> None:
    """A path may hold bytes that are no text."""
    with pytest.raises(BundleError) as refusal:
        load_bundle(tmp_path / os.fsdecode(b'caf\xe9'))
    assert r'caf\udce9' in str(refusal.value).encode().decode()


SCALARS = st.sampled_from([
    '1e400', '.nan', '-.inf', '-1', '0', '""', '[]', '{}', '~', 'true', '&a [*a]', '*a',
    '!!int ""', '!!float x', '!!set {a}', '!!binary x', '2001-99-99', '? [1]', '<<: *b', '1:99',
    '9' * 400,
])  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits=st.lists(st.tuples(st.integers(0), SCALARS | st.text(max_size=20)), max_size=4))
def test_any_contract_is_read_or_refused(bundle: Bundle, edits: list[tuple[int, str]]) -> None:
    lines = (bundle.path / 'policy.yaml').read_text().splitlines()
    for place, value in edits:
        line = lines[place % len(lines)]
        lines[place % len(lines)] = re.sub(r':.*|$', lambda _, v=value: f': {v}', line, count=1)
    try:
        contract = Contract.parse('\n'.join(lines))
    except BundleError:
        return
    assert contract.period_ns > 0
    assert contract.core_inputs().keys() & {'features', 'imu', 'speed'}
