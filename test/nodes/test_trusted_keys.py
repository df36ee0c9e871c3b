# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A node with trusted keys drives signed policies alone, at start and when swapping."""

from pathlib import Path

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue, SetParametersResult
from rcl_interfaces.srv import SetParameters
from support.bundles import make_bundle
from support.ros import TIMEOUT, Peer, Process, running

from liquid_control.contract.bundle import sign_bundle
from liquid_control.contract.signing import create_key


def set_policy(peer: Peer, process: Process, policy: Path) -> SetParametersResult:
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(policy))
    request = SetParameters.Request(parameters=[Parameter(name='policy', value=value)])
    service = 'policy_node/set_parameters'
    peer.wait(lambda: 'DISENGAGED' in process.output, 'active', process=process)
    return peer.call(SetParameters, service, request).results[0]


def test_only_signed_policies_may_drive(tmp_path: Path) -> None:
    key = tmp_path / 'fleet.pem'
    public = create_key(key)
    signed, other, unsigned = (make_bundle(tmp_path / name) for name in ('one', 'two', 'three'))
    sign_bundle(signed, key)
    sign_bundle(other, key)
    trust = {'autostart': True, 'trusted_keys': f'[{public}]'}
    with running('policy_node', tmp_path / 'refused', policy=unsigned, **trust) as process:
        assert process.popen.wait(TIMEOUT) == 1
    assert 'is not signed' in process.output
    peer = Peer()
    try:
        with running('policy_node', tmp_path / 'log', policy=signed, **trust) as process:
            assert set_policy(peer, process, other).successful
            refusal = set_policy(peer, process, unsigned)
    finally:
        peer.close()
    assert not refusal.successful
    assert 'is not signed' in refusal.reason
