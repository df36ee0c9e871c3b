"""Loading a policy bundle: data from outside, checked before anything of it is parsed or run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from liquid_control.runtime.contract import Contract
from liquid_control.runtime.errors import BundleError

CONTRACT_FILE = 'policy.yaml'
ENCODER_FILE = 'encoder.onnx'
CORE_FILE = 'core.onnx'

MAX_CONTRACT_BYTES = 1 << 20
MAX_GRAPH_BYTES = 256 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory whose bytes are those its contract names."""

    path: Path
    contract: Contract
    core: bytes
    encoder: bytes | None
    digest: str
    """sha256 of policy.yaml, which holds the hash of every graph: it stands for the whole."""


def load_bundle(path: str | Path) -> Bundle:
    """Read and check the bundle in a directory.

    Raises:
        BundleError: missing or damaged, with what was expected, what was found and what to do.
    """
    path = Path(path)
    if not path.is_dir():
        raise BundleError(
            f'no policy bundle at {path}: expected a directory with {CONTRACT_FILE} and '
            f'{CORE_FILE}; train one with `liquid-control train`, or name another'
        )
    text = _read(path, CONTRACT_FILE, MAX_CONTRACT_BYTES)
    try:
        contract = Contract.parse(text.decode())
    except (UnicodeDecodeError, BundleError) as error:
        raise BundleError(f'{path}: {error}') from error
    names = [CORE_FILE] if contract.image is None else [CORE_FILE, ENCODER_FILE]
    if sorted(contract.hashes) != sorted(names):
        raise BundleError(
            f'{path}: hashes must name exactly {names}, found {sorted(contract.hashes)}'
        )
    graphs = {name: _read_graph(path, name, contract.hashes[name]) for name in names}
    return Bundle(
        path=path,
        contract=contract,
        core=graphs[CORE_FILE],
        encoder=graphs.get(ENCODER_FILE),
        digest=hashlib.sha256(text).hexdigest(),
    )


def find_bundle(name: str, *folders: Path) -> Path:
    """The directory of a bundle given by path, or by name in one of the folders.

    Raises:
        BundleError: nowhere found; the message lists the names that exist.
    """
    if Path(name, CONTRACT_FILE).is_file():
        return Path(name)
    for folder in folders:
        if (folder / name / CONTRACT_FILE).is_file():
            return folder / name
    known = sorted(
        file.parent.name for folder in folders for file in folder.glob(f'*/{CONTRACT_FILE}')
    )
    raise BundleError(
        f'no policy bundle {name!r}: it is neither a directory with {CONTRACT_FILE} nor one of '
        f'{", ".join(dict.fromkeys(known)) or "the shipped bundles (none installed)"}'
    )


def shipped_models() -> Path:
    """Where the source tree keeps its bundles."""
    return Path(__file__).resolve().parents[2] / 'models'


def _read_graph(path: Path, name: str, expected: str) -> bytes:
    data = _read(path, name, MAX_GRAPH_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise BundleError(
            f'{path / name}: sha256 must be {expected[:12]}…, found {found[:12]}…; the file was '
            'changed or cut short: copy or export the bundle again'
        )
    return data


def _read(path: Path, name: str, limit: int) -> bytes:
    file = path / name
    if not file.is_file():
        raise BundleError(f'{path}: {name} is missing; copy or export the bundle again')
    if not file.resolve().is_relative_to(path.resolve()):
        raise BundleError(f'{file} leads out of the bundle; a bundle holds its own files')
    if file.stat().st_size > limit:
        raise BundleError(f'{file}: {file.stat().st_size} bytes, at most {limit} are accepted')
    return file.read_bytes()
