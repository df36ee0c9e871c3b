# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Loading a policy bundle: data from outside, checked before anything of it is parsed or run."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liquid_control.common.assets import CONTRACT_FILE
from liquid_control.common.errors import BundleError
from liquid_control.common.files import write_atomically
from liquid_control.contract import format_1, signing
from liquid_control.contract.contract import Contract
from liquid_control.contract.onnx_file import check_self_contained

SIGNATURE_FILE = 'policy.sig'
CORE_FILE = 'core.onnx'

# Contracts have some kilobytes, and YAML is read slowly: some tens of kilobytes a second.
MAX_CONTRACT_BYTES = 128 << 10
MAX_GRAPH_BYTES = 256 << 20


@dataclass(frozen=True)
class Layout:
    """How a bundle's files and the tensors in them are named."""

    encoders: dict[str, str]
    """Image input -> file of its encoder."""
    tensors: dict[str, str]
    """Input -> tensor of core.onnx."""


def layout(contract: Contract) -> Layout:
    """By the format of a bundle."""
    encoders = {name: encoder_file(name) for name in contract.images}
    tensors = {name: name for name in contract.inputs}
    if contract.format_version == 1 and encoders:
        encoders = {format_1.CAMERA: format_1.ENCODER_FILE}
        tensors[format_1.CAMERA] = format_1.CAMERA_TENSOR
    return Layout(encoders, tensors)


def encoder_file(name: str) -> str:
    """The graph of an image input's encoder."""
    return f'encoder_{name}.onnx'


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory whose bytes are those its contract names."""

    path: Path
    contract: Contract
    core: bytes
    encoders: dict[str, bytes]
    """Of the image inputs, by name."""
    digest: str
    """sha256 of policy.yaml, which holds the hash of every graph: it stands for the whole."""


def load_bundle(path: str | Path, *, trusted_keys: Sequence[str | Path] = ()) -> Bundle:
    """Read and check the bundle in a directory.

    In this order: the signature of policy.yaml, policy.yaml itself, the hash of each graph, that
    each graph keeps to itself.

    Args:
        trusted_keys: files of public keys; where there are any, one of them must have signed.

    Raises:
        BundleError: missing or damaged, with what was expected, what was found and what to do.
        ConfigError: a trusted key cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        raise BundleError(
            f'no policy bundle at {path}: expected a directory with {CONTRACT_FILE} and '
            f'{CORE_FILE}; train one with `liquid-control train`, or name another'
        )
    text = read_contract(path)
    if trusted_keys:
        signature = None
        if (path / SIGNATURE_FILE).exists():
            signature = _read(path, SIGNATURE_FILE, signing.SIGNATURE_BYTES)
        signing.verify(text, signature, trusted_keys, where=str(path))
    try:
        contract = Contract.parse(text)
    except Exception as error:  # whatever the reading of somebody's file raises is a refusal
        raise BundleError(f'{path}: {error}') from error
    encoders = layout(contract).encoders
    names = [CORE_FILE, *encoders.values()]
    if sorted(contract.hashes) != sorted(names):
        raise BundleError(
            f'{path}: hashes must name exactly {names}, found {sorted(contract.hashes)}'
        )
    graphs = {name: _read_graph(path, name, contract.hashes[name]) for name in names}
    return Bundle(
        path=path,
        contract=contract,
        core=graphs[CORE_FILE],
        encoders={name: graphs[file] for name, file in encoders.items()},
        digest=hashlib.sha256(text).hexdigest(),
    )


def read_contract(path: Path) -> bytes:
    """The bytes of a bundle's policy.yaml, not parsed.

    Raises:
        BundleError: there is none, or it is too large.
    """
    return _read(path, CONTRACT_FILE, MAX_CONTRACT_BYTES)


def sign_bundle(path: Path, key_file: Path) -> Path:
    """Sign a bundle that passes every check; returns the file of the signature.

    Raises:
        BundleError: the bundle is missing or damaged.
        ConfigError: the key cannot be used.
    """
    load_bundle(path)
    file = path / SIGNATURE_FILE
    write_atomically(file, signing.sign(read_contract(path), key_file))
    return file


def _read_graph(path: Path, name: str, expected: str) -> bytes:
    data = _read(path, name, MAX_GRAPH_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise BundleError(
            f'{path / name}: sha256 must be {expected[:12]}…, found {found[:12]}…; the file was '
            'changed or cut short: copy or export the bundle again'
        )
    check_self_contained(data, where=str(path / name))
    return data


def _read(path: Path, name: str, limit: int) -> bytes:
    """At most `limit` bytes of an ordinary file that lies in the bundle's directory.

    Where an installation made links instead of copies, the bundle is where its contract is.
    """
    file = path / name
    try:
        home, target = (path / CONTRACT_FILE).resolve().parent, file.resolve()
    except (OSError, RuntimeError) as error:  # a link that leads to itself
        raise BundleError(f'{file} cannot be read: {error}') from error
    if target.parent != home:
        raise BundleError(f'{file} leads out of the bundle; a bundle holds its own files')
    try:
        # Non-blocking: a named pipe must not stop the robot from starting.
        handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise BundleError(f'{path}: {name} is missing; copy or export the bundle again') from error
    except OSError as error:
        raise BundleError(f'{file} cannot be read: {error.strerror}') from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f'{file} is not an ordinary file')
        # The size now, and again as read: a file may grow.
        with open(handle, 'rb', closefd=False) as stream:
            data = b'' if status.st_size > limit else stream.read(limit + 1)
    finally:
        os.close(handle)
    size = max(status.st_size, len(data))
    if size > limit:
        raise BundleError(f'{file}: {size} bytes, at most {limit} are accepted')
    return data
