# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bundles are data from outside: each kind of damage is refused with what to do."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from support.bundles import make_bundle

from liquid_control.common.assets import find_bundle
from liquid_control.common.errors import BundleError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import Contract
from liquid_control.runtime.inference.policy import Policy

DAMAGE = {
    'hash': 'sha256',
    'version': 'format_version',
    'field': 'unknown field controlrate',
    'yaml': 'YAML',
    'no core': 'core.onnx is missing',
    'not onnx': 'not accepted as an ONNX model',
    'signature': 'disagree with policy.yaml',
}


@pytest.mark.parametrize(('damage', 'message'), DAMAGE.items())
def test_damaged_bundle_is_refused_with_its_reason(
    tmp_path: Path, damage: str, message: str
) -> None:
    path = make_bundle(tmp_path / 'bundle', break_=damage)
    with pytest.raises(BundleError, match=message):
        Policy.load(path)


def test_missing_bundle_names_those_that_exist(tmp_path: Path) -> None:
    make_bundle(tmp_path / 'track')
    with pytest.raises(BundleError, match=r"'trakc'.*track"):
        find_bundle('trakc', tmp_path)
    assert find_bundle('track', tmp_path) == tmp_path / 'track'
    with pytest.raises(BundleError, match='no policy bundle at'):
        load_bundle(tmp_path / 'nowhere')


def test_graph_outside_the_bundle_is_refused(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    outside = (path / 'core.onnx').rename(tmp_path / 'core.onnx')
    (path / 'core.onnx').symlink_to(outside)
    with pytest.raises(BundleError, match='leads out of the bundle'):
        load_bundle(path)


def test_contract_survives_writing_and_reading(tmp_path: Path) -> None:
    contract = load_bundle(make_bundle(tmp_path / 'bundle', speed=True)).contract
    contract.dump(tmp_path / 'policy.yaml')
    assert Contract.parse((tmp_path / 'policy.yaml').read_text()) == contract


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('control_rate: 20.0', 'control_rate: fast', 'control_rate must be a float'),
        ('control_rate: 20.0', 'control_rate: 0.0', 'control_rate must be within 0.5..1000'),
        ('control_rate: 20.0', 'control_rate: 20.0\nextra: 1', 'unknown field extra'),
        ('min: -0.5', 'min: .nan', 'min and max must be within'),
        ('width: 96', 'width: 0', 'width must be within 1..16384'),
    ],
)
def test_impossible_contract_is_refused_by_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = (make_bundle(tmp_path / 'bundle') / 'policy.yaml').read_text()
    assert old in text
    with pytest.raises(BundleError, match=message):
        Contract.parse(text.replace(old, new, 1))


def test_policy_is_deterministic_and_forgets_on_reset(tmp_path: Path) -> None:
    policy = Policy.load(make_bundle(tmp_path / 'bundle'))
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    imu = np.array([0.1, 0.2, 9.8, 0.01, 0.02, 0.3], np.float32)

    def run() -> list[np.ndarray]:
        policy.reset()
        inputs = {'image': policy.encode('image', image), 'imu': imu}
        return [policy.step(inputs, 0.05) for _ in range(5)]

    first, again = run(), run()
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[4]), 'the state must matter'


def as_format_1(path: Path) -> None:
    """Make of a bundle what it would have been before inputs had names."""
    core = onnx.load(path / 'core.onnx')
    for node in core.graph.node:
        node.input[:] = ['features' if name == 'image' else name for name in node.input]
    for tensor in core.graph.input:
        tensor.name = 'features' if tensor.name == 'image' else tensor.name
    onnx.save(core, path / 'core.onnx')
    (path / 'encoder_image.onnx').rename(path / 'encoder.onnx')
    contract = yaml.safe_load((path / 'policy.yaml').read_text())
    for name, spec in contract.pop('inputs').items():
        later = ('kind', 'orientation', 'scale', 'acceleration_scale', 'angular_velocity_scale')
        contract[name] = {key: value for key, value in spec.items() if key not in later}
    contract['hashes'] = {
        name: hashlib.sha256((path / name).read_bytes()).hexdigest()
        for name in ('core.onnx', 'encoder.onnx')
    }
    (path / 'policy.yaml').write_text(yaml.safe_dump({**contract, 'format_version': 1}))


def test_a_bundle_of_format_1_does_what_it_did(tmp_path: Path) -> None:
    today = make_bundle(tmp_path / 'bundle', speed=True)
    old = Path(shutil.copytree(today, tmp_path / 'old'))
    as_format_1(old)
    policies = [Policy.load(path) for path in (today, old)]
    assert policies[1].contract.inputs == policies[0].contract.inputs
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for value in (0.5, 1.0):
        commands = [
            policy.step(
                {
                    'image': policy.encode('image', image),
                    'imu': np.full(6, value, np.float32),
                    'speed': np.array([value], np.float32),
                },
                0.05,
            )
            for policy in policies
        ]
        np.testing.assert_array_equal(*commands)
    with pytest.raises(ValueError, match='contracts of format 1 are only read'):
        policies[1].contract.dump(tmp_path / 'policy.yaml')
    text = (old / 'policy.yaml').read_text()
    for wrong in ('inputs: {}', 'goal: {rate: 1.0, max_age: 1.0}'):
        with pytest.raises(BundleError, match='unknown field'):
            Contract.parse(f'{text}\n{wrong}\n')


def test_missing_input_is_never_filled_in(tmp_path: Path) -> None:
    policy = Policy.load(make_bundle(tmp_path / 'bundle'))
    with pytest.raises(ValueError, match='imu'):
        policy.step({'image': policy.encode('image', np.zeros((120, 160, 3), np.uint8))}, 0.05)
