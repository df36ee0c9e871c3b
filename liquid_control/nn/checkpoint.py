# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A liquid layer as one file: what it is, its wiring and its weights, without any code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.files import open_regular
from liquid_control.nn.cfc import ACTIVATIONS, CfC, CfCCell, WiredCfCCell
from liquid_control.nn.ltc import LTC
from liquid_control.nn.wiring import FixedWiring

FORMAT = 1
MAX_UNFOLDS = 1000


class CheckpointError(LiquidControlError):
    """A saved layer is missing, damaged or of an unknown format."""


def save_layer(layer: LTC | CfC, path: str | Path) -> None:
    """Write a layer whole: `load_layer` needs nothing but the file.

    Raises:
        CheckpointError: the file cannot be written.
        ValueError: submodules of the layer are not as it made them, and would be lost; or it is
            one that `load_layer` would refuse.
    """
    # Of their own: of a view, the file would hold all that it is a view of.
    description = describe_layer(layer)
    weights = {name: weight.contiguous().clone() for name, weight in layer.state_dict().items()}
    data = {**description, 'weights': weights}
    _check_size(data)
    try:
        torch.save(data, path)
    except (OSError, RuntimeError) as error:  # torch's own, where there is no such folder
        raise CheckpointError(
            f'{path}: cannot be written ({error}); save the layer in another place'
        ) from error


def load_layer(path: str | Path) -> LTC | CfC:
    """The layer that `save_layer` wrote, on the CPU, in the precision it was saved in.

    Raises:
        CheckpointError: the file is missing, damaged, or of another format.
    """
    try:
        with open_regular(Path(path)) as file:
            _check_archive(file)
            file.seek(0)
            data = torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:  # what a damaged file raises depends on where the damage is
        raise CheckpointError(
            f'{path}: expected a layer written by save_layer, found a missing or damaged file '
            f'({type(error).__name__}: {error}); save the layer again'
        ) from error
    if not isinstance(data, dict) or data.get('format') != FORMAT:
        found = data.get('format') if isinstance(data, dict) else type(data).__name__
        raise CheckpointError(
            f'{path}: expected a saved layer of format {FORMAT}, found {found!r}; save the layer '
            'again with this version'
        )
    try:
        weights = data['weights']
        _check_size(data)
        layer = make_layer(data).to(next(iter(weights.values())).dtype)
        layer.load_state_dict(weights)
    except Exception as error:  # from whatever part of it is not as expected
        raise CheckpointError(
            f'{path}: what is saved makes no layer ({type(error).__name__}: {error}); save the '
            'layer again'
        ) from error
    return layer


def _check_archive(file: BinaryIO) -> None:
    """What torch does not look at: checksums, and that the content is no larger than the file."""
    with zipfile.ZipFile(file) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise zipfile.BadZipFile('its content is compressed')
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f'the checksum of {damaged} is wrong')


def _check_size(data: dict[str, Any]) -> None:
    """Build nothing larger than the weights that are there, whatever the description says."""
    weights: dict[str, Tensor] = data['weights']
    for name, weight in weights.items():
        if weight.numel() * weight.element_size() > weight.untyped_storage().nbytes():
            raise ValueError(f'{name} is larger than what is stored of it')
    units, options = data['units'], data['options']
    if data['kind'] == 'LTC' and isinstance(units, int):
        # Its wiring is built before anything else, all to all.
        expected = tuple(weights['rnn_cell.w'].shape)
        if expected != (units, units):
            raise ValueError(f'{units} neurons with synapses of shape {expected}')
    for name, most in (('backbone_layers', len(weights)), ('unfolds', MAX_UNFOLDS)):
        if options.get(name, 0) > most:
            raise ValueError(f'{name} must be at most {most}, found {options[name]}')
    with torch.device('meta'):  # shapes without memory
        made = {name: weight.shape for name, weight in make_layer(data).state_dict().items()}
    if made != {name: weight.shape for name, weight in weights.items()}:
        raise ValueError('the weights have other shapes than the layer that is described')


def describe_layer(layer: LTC | CfC) -> dict[str, Any]:
    """Plain data from which `make_layer` makes a layer of the same kind, without its weights.

    Raises:
        ValueError: submodules are not as the layer made them, which this cannot describe.
    """
    options: dict[str, Any] = {
        'return_sequences': layer.return_sequences,
        'batch_first': layer.batch_first,
        'mixed_memory': layer.mixed_memory,
    }
    if isinstance(layer, LTC):
        for name in ('input_mapping', 'output_mapping', 'solver', 'unfolds'):
            options[name] = getattr(layer.rnn_cell, name)
    else:
        options['proj_size'] = layer.output_size if isinstance(layer.fc, nn.Linear) else None
        cell = layer.rnn_cell
        options |= _wired_options(cell) if isinstance(cell, WiredCfCCell) else _options(cell)
    description = {
        'format': FORMAT,
        'kind': 'LTC' if isinstance(layer, LTC) else 'CfC',
        'input_size': layer.input_size,
        'units': layer.state_size if layer.wiring is None else layer.wiring.to_dict(),
        'options': options,
    }
    with torch.device('meta'):
        _refuse_others(layer, make_layer(description))
    return description


def _refuse_others(layer: nn.Module, made: nn.Module) -> None:
    """Only what is made of the same modules and weights will be the same layer again."""
    for what, ours, theirs in (
        ('module', _kinds(layer), _kinds(made)),
        ('weight', _shapes(layer), _shapes(made)),
    ):
        other = ours.keys() ^ theirs.keys()
        other |= {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
        if other:
            raise ValueError(
                f'the {what} {min(other)!r} is not as {type(made).__name__} makes it (replaced, '
                'added, parametrised or pruned), and would be lost: make that permanent first '
                '(torch.nn.utils.parametrize, torch.nn.utils.prune), or save the state dict'
            )


def _kinds(layer: nn.Module) -> dict[str, type]:
    return {name: type(module) for name, module in layer.named_modules()}


def _shapes(layer: nn.Module) -> dict[str, torch.Size | None]:
    return {name: getattr(entry, 'shape', None) for name, entry in layer.state_dict().items()}


def _wired_options(cell: WiredCfCCell) -> dict[str, Any]:
    return {'mode': cell.layers[0].mode, 'strict_wiring': cell.strict}


def _options(cell: CfCCell) -> dict[str, Any]:
    layers = list(cell.backbone.children())
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    # Another activation may have been put into the backbone since.
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    kinds = [names[type(layer)] for layer in layers if type(layer) in names]
    return {
        'mode': cell.mode,
        'activation': kinds[0] if kinds else cell.activation,
        'backbone_layers': len(linear),
        'backbone_units': linear[0].out_features if linear else None,
    }


def make_layer(description: dict[str, Any]) -> LTC | CfC:
    """A new layer of the kind that `describe_layer` described."""
    kinds: dict[str, type[LTC] | type[CfC]] = {'LTC': LTC, 'CfC': CfC}
    kind = kinds[description['kind']]
    units = description['units']
    if isinstance(units, dict):
        units = FixedWiring.from_dict(units)
    return kind(description['input_size'], units, **description['options'])
