# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""From a trained network to a policy bundle, written only if it does what the network does.

The graphs run in the runtime's own backend over recorded steps before the bundle gets its name; a
bundle that disagrees with torch is refused, and so is one that lost too much to a smaller number
format.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.common.assets import CONTRACT_FILE
from liquid_control.common.errors import LiquidControlError
from liquid_control.contract.bundle import CORE_FILE, encoder_file
from liquid_control.contract.contract import Contract
from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.export.card import model_card
from liquid_control.learn.export.parity import (
    LOSS_LIMITS,
    Facts,
    check_loss,
    check_parity,
    run_bundle,
    run_network,
)
from liquid_control.learn.train.weights import save_weights
from liquid_control.nn.ensemble import AnyPolicy
from liquid_control.nn.onnx_export.core import core_model
from liquid_control.nn.onnx_export.encoder import encoder_model
from liquid_control.nn.onnx_export.graph import OPSET
from liquid_control.nn.onnx_export.quantize import quantize_encoder

CARD_FILE = 'README.md'
MAX_BUNDLE_BYTES = 2_000_000
CALIBRATION_IMAGES = 128
# A number of the encoder, which is most of a graph, in each format.
_BYTES = {'float32': 4, 'float16': 2, 'int8': 1}


class ExportError(LiquidControlError):
    """The network cannot become a bundle as asked."""


def export_bundle(
    network: AnyPolicy,
    *,
    name: str,
    path: Path,
    control_rate: float,
    elapsed_range: tuple[float, float],
    steps: Steps,
    provenance: dict[str, Any] | None = None,
    precision: str = 'float32',
) -> Contract:
    """Write the bundle `path`, in place of one that is there; on failure nothing changes.

    Args:
        network: trained; switched to `eval()`.
        name: of the policy.
        control_rate: Hz.
        elapsed_range: shortest and longest time between steps to accept, s.
        steps: real ones, a few hundred or more, in one sequence: the bundle is evaluated on them.
        provenance: plain data for contract and card; see `model_card` for what has a place there.
        precision: number format of the encoder, one of `LOSS_LIMITS`.

    Returns:
        The contract as written; parity and loss are in its provenance.

    Raises:
        ParityError: bundle and torch disagree, or the precision loses too much.
        ExportError: unknown precision, or the bundle is too big.
    """
    check_precision(precision)
    network.eval()
    contract = new_contract(network, name, control_rate, elapsed_range)
    contract = replace(contract, provenance=dict(provenance or {}))
    partial = path.with_name(f'.{path.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        contract = _fill(partial, contract, network, steps, precision)
        put_in_place(partial, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return contract


def check_before(contract: Contract, path: Path, precision: str, *folders: Path) -> None:
    """Try whether this can be exported: before a long training, not after it.

    Args:
        contract: of the network before training.
        path: of the bundle.
        folders: others that will be written to.

    Raises:
        ExportError: unknown precision, the bundle will be too big, it cannot be written, or
            something else is there.
    """
    check_precision(precision)
    size = contract.network.parameters * (4 + _BYTES[precision])
    if size > MAX_BUNDLE_BYTES:
        raise _too_big(size)
    check_target(path, *folders)


def check_target(path: Path, *folders: Path) -> None:
    """Try whether a bundle can be written to a path, and other files to folders.

    Raises:
        ExportError: they cannot, or something else is there.
    """
    if path.name in ('', '..'):
        raise ExportError(f'{path} cannot be a policy bundle: name a directory to make')
    free = not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir()))
    if not free and not (path / CONTRACT_FILE).is_file():
        raise ExportError(
            f'{path} is no policy bundle but something else, which would be lost: name another '
            'directory, or remove it'
        )
    for place in (path.with_name(f'.{path.name}'), *(folder / '.run' for folder in folders)):
        trial = place.with_name(f'{place.name}.trial')
        try:
            shutil.rmtree(trial, ignore_errors=True)
            trial.mkdir(parents=True)
            (trial / CORE_FILE).write_bytes(bytes(MAX_BUNDLE_BYTES))
        except OSError as error:
            raise _unwritable(place.parent, error) from error
        finally:
            shutil.rmtree(trial, ignore_errors=True)


def new_contract(
    network: AnyPolicy,
    name: str,
    control_rate: float,
    elapsed_range: tuple[float, float],
) -> Contract:
    """What a bundle of this network will say, as far as it is known before there is one.

    Raises:
        BundleError: the robot would refuse it.
    """
    return Contract(
        name=name,
        control_rate=control_rate,
        elapsed_range=elapsed_range,
        commands=network.config.commands,
        network=network.spec(),
        opset=OPSET,
        hashes={},
        inputs=network.config.bundle_inputs(),
    )


def _too_big(size: int) -> ExportError:
    return ExportError(
        f'the bundle has {size} bytes, at most {MAX_BUNDLE_BYTES} are allowed; train with a '
        'smaller image, fewer features, neurons or members, or a smaller --precision'
    )


def _unwritable(path: Path, error: OSError) -> ExportError:
    return ExportError(f'{path} cannot be written: {error.strerror or error}')


def check_precision(precision: str) -> None:
    """Raise ExportError for an unknown number format: before a long training, not after it."""
    if precision not in LOSS_LIMITS:
        raise ExportError(f'precision must be one of {", ".join(LOSS_LIMITS)}, found {precision}')


def precision_of(contract: Contract) -> str:
    """The number format of a bundle's encoders, where its provenance tells it."""
    facts = contract.provenance.get('encoder')
    found = facts.get('precision') if isinstance(facts, dict) else None
    return str(found) if found in ('float16', 'int8') else 'float32'


def _fill(
    folder: Path, contract: Contract, network: AnyPolicy, steps: Steps, precision: str
) -> Contract:
    """Write the whole bundle to an empty folder, each graph checked there."""
    commands = contract.commands
    expected = run_network(network, steps)
    graphs = {CORE_FILE: core_model(network).SerializeToString()}
    graphs |= _encoders(network, steps, 'float32')
    contract = _write(folder, contract, graphs, {})
    facts = {'parity': check_parity(expected, run_bundle(folder, steps), commands)}
    if contract.images and precision != 'float32':
        graphs |= _encoders(network, steps, precision)
        _write(folder, contract, graphs, {})
        facts['encoder'] = check_loss(expected, run_bundle(folder, steps), commands, precision)
    contract = _write(folder, contract, graphs, facts)
    save_weights(network, folder)
    (folder / CARD_FILE).write_text(model_card(contract), encoding='utf-8')
    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > MAX_BUNDLE_BYTES:
        raise _too_big(size)
    return contract


def _encoders(network: AnyPolicy, steps: Steps, precision: str) -> dict[str, bytes]:
    """Graph of every image's encoder, by its file."""
    graphs = {}
    for name in network.config.encoded('image'):
        pixels = steps.inputs[name].numpy()
        half = precision == 'float16'
        first, *others = [member.image_encoder(name) for member in network.members]
        model = encoder_model(first, *pixels.shape[1:3], half=half, others=others)
        if precision == 'int8':
            chosen = np.linspace(0, len(pixels) - 1, CALIBRATION_IMAGES).astype(int)
            model = quantize_encoder(model, pixels[np.unique(chosen)])
        graphs[encoder_file(name)] = model.SerializeToString()
    return graphs


def _write(folder: Path, contract: Contract, graphs: dict[str, bytes], facts: Facts) -> Contract:
    """Graphs and contract with their hashes; returns that contract."""
    for file, data in graphs.items():
        (folder / file).write_bytes(data)
    contract = replace(
        contract,
        hashes={file: hashlib.sha256(data).hexdigest() for file, data in graphs.items()},
        provenance={**contract.provenance, **facts},
    )
    contract.dump(folder / CONTRACT_FILE)
    return contract


def put_in_place(partial: Path, path: Path) -> None:
    """Give the finished folder its name; the one that had it before goes when this is done."""
    old = path.with_name(f'.{path.name}.old')
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    shutil.rmtree(old, ignore_errors=True)
