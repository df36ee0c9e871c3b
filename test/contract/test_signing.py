# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Signatures: a robot with trusted keys drives what their owners signed, and nothing else."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.bundles import make_bundle
from support.hostile_bundles import huge, with_load
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.common.errors import BundleError, ConfigError
from liquid_control.contract.bundle import load_bundle, sign_bundle
from liquid_control.contract.signing import create_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    create_key(tmp_path / 'fleet.pem')
    return tmp_path / 'fleet.pem'


def public(key: Path) -> Path:
    return key.with_name(key.name + '.pub')


def test_signed_bundle_is_trusted_by_any_of_several_keys(tmp_path: Path, key: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    sign_bundle(path, key)
    other = create_key(tmp_path / 'other.pem')
    assert load_bundle(path, trusted_keys=[other, public(key)]).contract.name == 'bundle'


def test_unsigned_bundle_is_refused_where_keys_are_trusted(tmp_path: Path, key: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    assert load_bundle(path).contract.name == 'bundle', 'without trusted keys it is welcome'
    with pytest.raises(BundleError, match=r'not signed.*fleet\.pem\.pub.*liquid-control sign'):
        load_bundle(path, trusted_keys=[public(key)])


def test_signature_of_another_key_is_refused(tmp_path: Path, key: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    sign_bundle(path, key)
    other = create_key(tmp_path / 'other.pem')
    with pytest.raises(BundleError, match=r'not by other\.pem\.pub'):
        load_bundle(path, trusted_keys=[other])


def test_contract_changed_after_signing_is_refused(tmp_path: Path, key: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    sign_bundle(path, key)
    contract = path / 'policy.yaml'
    contract.write_text(contract.read_text().replace('max: 2.0', 'max: 9.0'))
    assert load_bundle(path).contract.commands[1].max == 9.0, 'a valid bundle, only not signed'
    with pytest.raises(BundleError, match='changed after signing'):
        load_bundle(path, trusted_keys=[public(key)])


def test_graph_changed_after_signing_is_refused(tmp_path: Path, key: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    sign_bundle(path, key)
    shutil.copy(make_bundle(tmp_path / 'other', seed=1) / 'core.onnx', path / 'core.onnx')
    with pytest.raises(BundleError, match='sha256'):
        load_bundle(path, trusted_keys=[public(key)])


@pytest.mark.parametrize('size', [0, 63, 65, 100_000])
def test_signature_of_another_length_is_refused(tmp_path: Path, key: Path, size: int) -> None:
    path = make_bundle(tmp_path / 'bundle')
    (path / 'policy.sig').write_bytes(bytes(size))
    with pytest.raises(BundleError):
        load_bundle(path, trusted_keys=[public(key)])


def test_signature_is_checked_before_the_contract_is_read(tmp_path: Path, key: Path) -> None:
    path = make_bundle(tmp_path / 'bundle', break_='yaml')
    with pytest.raises(BundleError, match='not signed'):
        load_bundle(path, trusted_keys=[public(key)])


def test_damaged_bundle_is_not_signed(tmp_path: Path, key: Path) -> None:
    path = make_bundle(tmp_path / 'bundle', break_='hash')
    with pytest.raises(BundleError, match='sha256'):
        sign_bundle(path, key)
    assert not (path / 'policy.sig').exists()


def test_new_key_is_its_owners_alone_and_overwrites_nothing(tmp_path: Path, key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(ConfigError, match='exists'):
        create_key(key)
    assert key.read_bytes() == before


def test_private_key_that_others_can_read_is_refused(tmp_path: Path, key: Path) -> None:
    key.chmod(0o644)
    with pytest.raises(ConfigError, match='chmod 600'):
        sign_bundle(make_bundle(tmp_path / 'bundle'), key)


def test_wrong_key_files_are_refused_with_what_to_do(tmp_path: Path, key: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    sign_bundle(path, key)
    with pytest.raises(ConfigError, match=r'give robots the \.pub file'):
        load_bundle(path, trusted_keys=[key])
    with pytest.raises(ConfigError, match='cannot be read'):
        load_bundle(path, trusted_keys=[tmp_path / 'lost.pub'])
    with pytest.raises(ConfigError, match='--new-key'):
        sign_bundle(path, tmp_path / 'lost.pem')
    public(key).chmod(0o600)
    with pytest.raises(ConfigError, match='not a private key'):
        sign_bundle(path, public(key))


def test_without_cryptography_only_trusted_keys_are_out_of_reach(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_bundle(tmp_path / 'bundle')
    monkeypatch.setitem(sys.modules, 'cryptography', None)
    assert load_bundle(path).contract.name == 'bundle'
    with pytest.raises(ConfigError, match='pip install cryptography'):
        load_bundle(path, trusted_keys=[public(key)])


@pytest.mark.skipif(shutil.which('openssl') is None, reason='openssl is not installed')
def test_openssl_agrees_with_the_signature(tmp_path: Path, key: Path) -> None:
    path = make_bundle(tmp_path / 'bundle')
    sign_bundle(path, key)
    command = ['openssl', 'pkeyutl', '-verify', '-pubin', '-inkey', str(public(key)), '-rawin']
    command += ['-in', str(path / 'policy.yaml'), '-sigfile', str(path / 'policy.sig')]
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_sign_and_verify_from_the_command_line(tmp_path: Path) -> None:
    path, key = str(make_bundle(tmp_path / 'bundle')), str(tmp_path / 'fleet.pem')
    run = CliRunner().invoke
    assert run(app, ['sign', path, '--key', key]).exit_code == 1, 'there is no such key'
    assert run(app, ['verify', path, '--key', key + '.pub']).exit_code == 1
    signed = run(app, ['sign', path, '--key', key, '--new-key'])
    assert signed.exit_code == 0
    assert 'fleet.pem.pub' in signed.output.replace('\n', '')
    assert run(app, ['verify', path, '--key', key + '.pub']).exit_code == 0
    again = create_key(tmp_path / 'other.pem')
    assert run(app, ['verify', path, '--key', str(again)]).exit_code == 1


def test_keys_are_found_in_the_home_directory(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('HOME', str(key.parent))
    path = make_bundle(tmp_path / 'bundle')
    sign_bundle(path, Path('~', key.name))
    assert load_bundle(path, trusted_keys=[f'~/{public(key).name}']).path == path


def test_verify_tries_a_policy_as_the_robot_does(tmp_path: Path, key: Path) -> None:
    path = with_load(tmp_path / 'huge', huge)
    sign_bundle(path, key)
    refused = CliRunner().invoke(app, ['verify', str(path), '--key', str(public(key))])
    assert refused.exit_code == 1
    assert 'more than 1024 MB' in refused.output.replace('\n', ' ')
