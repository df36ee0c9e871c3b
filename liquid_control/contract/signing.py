# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ed25519 keys and signatures: who may tell this robot how to drive.

A signature is the 64 bytes of Ed25519 over the bytes of policy.yaml, which holds the hash of every
graph, so it stands for the whole bundle. Keys are PEM files, so that other tools can check too:

    openssl pkeyutl -verify -pubin -inkey fleet.pem.pub -rawin -in policy.yaml -sigfile policy.sig

`cryptography` is imported where it is used: a robot without trusted keys does not need it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from liquid_control.common.errors import BundleError, ConfigError
from liquid_control.common.files import FileError, read_bounded, write_atomically

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE_BYTES = 64
MAX_KEY_BYTES = 64 << 10
PUBLIC_SUFFIX = '.pub'


def create_key(file: Path) -> Path:
    """Write a new private key, readable by its owner alone, and its public key beside it.

    Returns:
        The file of the public key, `file` with `.pub` appended.

    Raises:
        ConfigError: one of the files exists, or `cryptography` is not installed.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_file = file.with_name(file.name + PUBLIC_SUFFIX)
    for existing in (file, public_file):
        if existing.exists():
            raise ConfigError(f'{existing} exists: name another file for the new key')
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as stream:
        stream.write(private)
    write_atomically(public_file, public)
    return public_file


def sign(text: bytes, key_file: Path) -> bytes:
    """The signature of `text`, 64 bytes.

    Raises:
        ConfigError: the file is no private Ed25519 key, or others can read it.
    """
    return _private_key(key_file).sign(text)


def verify(
    text: bytes, signature: bytes | None, trusted_keys: Sequence[str | Path], *, where: str
) -> None:
    """Pass if `text` is signed by one of the trusted public keys.

    Args:
        signature: None where there is none.
        where: how messages name the bundle.

    Raises:
        BundleError: it is not signed, changed after signing or signed by somebody else.
        ConfigError: a trusted key cannot be read.
    """
    _require_cryptography()
    from cryptography.exceptions import InvalidSignature

    keys = [_public_key(Path(file)) for file in trusted_keys]
    names = ', '.join(Path(file).name for file in trusted_keys)
    if signature is None:
        raise BundleError(
            f'{where} is not signed, and only bundles signed by {names} are trusted here; sign it '
            'with `liquid-control sign`, or change trusted_keys'
        )
    for key in keys:
        try:
            key.verify(signature, text)
        except InvalidSignature:
            continue
        return
    raise BundleError(
        f'{where}: the signature is not by {names}; policy.yaml was changed after signing or '
        'signed with another key: sign it again with `liquid-control sign`, or change trusted_keys'
    )


def _private_key(file: Path) -> Ed25519PrivateKey:
    _require_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read_key(file, 'create one with `liquid-control sign BUNDLE --key FILE --new-key`')
    if stat.S_IMODE(Path(os.path.expanduser(file)).stat().st_mode) & 0o077:
        raise ConfigError(f'{file}: others can read this private key; chmod 600 it')
    try:
        key = load_pem_private_key(data, password=None)
    except Exception as error:  # cryptography raises several unrelated types
        raise ConfigError(f'{file} is not a private key in PEM format: {error}') from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f'{file}: expected an Ed25519 key, found {type(key).__name__}')
    return key


def _public_key(file: Path) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read_key(file, 'trusted_keys must name files of public keys')
    try:
        key = load_pem_public_key(data)
    except Exception as error:  # cryptography raises several unrelated types
        raise ConfigError(
            f'{file} is not a public key in PEM format; give robots the {PUBLIC_SUFFIX} file'
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f'{file}: expected an Ed25519 key, found {type(key).__name__}')
    return key


def _read_key(file: Path, advice: str) -> bytes:
    try:
        return read_bounded(Path(os.path.expanduser(file)), MAX_KEY_BYTES)
    except (OSError, ValueError, FileError) as error:
        raise ConfigError(f'key {file} cannot be read ({error}); {advice}') from error


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            'signatures need the package cryptography: apt-get install python3-cryptography, '
            'or pip install cryptography'
        ) from error
