# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Message definitions and hashes, from ROS and without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liquid_control.bags import definitions
from liquid_control.bags.definitions import definition
from liquid_control.bags.errors import DefinitionError


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ROS workspace that is the only one sourced."""
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    monkeypatch.setattr(definitions.sys, 'prefix', str(tmp_path / 'nowhere'))
    definition.cache_clear()
    yield tmp_path
    definition.cache_clear()


def install(prefix: Path, msgtype: str, text: str, type_hash: str | None = None) -> None:
    package, _, name = msgtype.split('/')
    folder = prefix / 'share' / package / 'msg'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{name}.msg').write_text(text)
    if type_hash:
        hashes = [{'type_name': msgtype, 'hash_string': type_hash}]
        (folder / f'{name}.json').write_text(json.dumps({'type_hashes': hashes}))


def test_a_definition_carries_all_types_it_uses_once(prefix: Path) -> None:
    install(prefix, 'a_msgs/msg/Point', '# a place\nfloat64 x 1.5\nfloat64 y\n')
    install(prefix, 'b_msgs/msg/Pair', 'a_msgs/Point first\na_msgs/Point[<=3] rest  # more\n')
    install(
        prefix,
        'b_msgs/msg/Path',
        'uint8 OPEN=1\nstring<=8 name\nPair[] pairs\na_msgs/Point start\nint32[4] ids\n',
    )
    text = definition('b_msgs/msg/Path').text
    parts = text.split('=' * 80 + '\n')
    assert [part.splitlines()[0] for part in parts[1:]] == [
        'MSG: b_msgs/Pair',
        'MSG: a_msgs/Point',
    ]
    assert parts[0].startswith('uint8 OPEN=1\nstring<=8 name\n')


def test_the_hash_is_the_installations_own(prefix: Path) -> None:
    install(prefix, 'a_msgs/msg/Point', 'float64 x\n', type_hash='RIHS01_abc')
    assert definition('a_msgs/msg/Point').type_hash == 'RIHS01_abc'


def test_the_hash_is_computed_where_the_installation_has_none(prefix: Path) -> None:
    install(prefix, 'std_msgs/msg/String', 'string data\n')
    assert definition('std_msgs/msg/String').type_hash == (
        'RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18'
    )


def test_standard_types_need_no_ros(prefix: Path) -> None:
    imu = definition('sensor_msgs/msg/Imu')
    assert 'MSG: std_msgs/Header' in imu.text
    assert imu.type_hash.startswith('RIHS01_7d9a00ff1310')


def test_an_unknown_type_says_what_to_source(prefix: Path) -> None:
    with pytest.raises(DefinitionError, match='no definition of no_msgs/msg/Such found: source'):
        definition('no_msgs/msg/Such')
    install(prefix, 'a_msgs/msg/Outer', 'no_msgs/Such inner\n')
    with pytest.raises(DefinitionError, match='a_msgs/msg/Outer uses no_msgs/msg/Such'):
        definition('a_msgs/msg/Outer')
