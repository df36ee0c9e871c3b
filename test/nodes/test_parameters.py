# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Parameters of any kind at start: within their ranges, or refused by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.node import Node
from rclpy.parameter import Parameter
from support.ros import Peer

from liquid_control.common.errors import ConfigError
from liquid_control.nodes.common.parameters import guard_parameters, read_parameters
from liquid_control.nodes.policy.parameters import PolicyParameters

FIELDS = {
    field.metadata['name'] or field.name: field for field in dataclasses.fields(PolicyParameters)
}
NAMES = st.sampled_from(sorted(FIELDS))
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from([0, 1, 0.0, 1.0, -0.0, 0.5, 'raw', 'twist', 'cpu', 'track_cfc', 'donkeycar']),
    st.text(st.characters(codec='utf-8', exclude_characters='\0'), max_size=20),
    st.lists(st.integers(-5, 500), max_size=3),
    st.lists(st.sampled_from(['cpu', 'gpu', '', '/etc/passwd']), max_size=3),
)


@pytest.fixture(scope='module')
def peer() -> Iterator[Peer]:
    peer = Peer('parameters')
    yield peer
    peer.close()


@settings(max_examples=100, deadline=None)
@given(chosen=st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
def test_random_sets_are_read_within_their_ranges_or_refused_by_name(
    peer: Peer, chosen: dict[str, Any]
) -> None:
    overrides = [Parameter(name, value=value) for name, value in chosen.items()]
    node = Node(
        'given',
        context=peer.context,
        parameter_overrides=overrides,
        enable_rosout=False,
        start_parameter_services=False,
    )
    refusal = ''
    try:
        read = read_parameters(node, PolicyParameters)
    except ConfigError as error:
        refusal = str(error)
    finally:
        node.destroy_node()
    if refusal:
        assert any(name in refusal for name in chosen)
        return
    for name, field in FIELDS.items():
        value = getattr(read, field.name)
        assert type(value) is type(field.default), name
        if field.metadata['range'] is not None:
            low, high = field.metadata['range']
            assert low <= value <= high, name
        assert not field.metadata['choices'] or value in field.metadata['choices']


def test_whatever_fails_while_a_parameter_is_set_is_a_refusal(peer: Peer) -> None:
    def fail(changed: list[Parameter]) -> None:
        raise OSError('no room in \udcff')

    node = Node('failing', context=peer.context, enable_rosout=False)
    try:
        read_parameters(node, PolicyParameters)
        guard_parameters(node, PolicyParameters, lambda: True, fail)
        (result,) = node.set_parameters([Parameter('policy', value='other')])
        assert not result.successful
        assert result.reason == 'OSError: no room in \\udcff'
        assert node.get_parameter('policy').value == 'track_cfc'
    finally:
        node.destroy_node()
