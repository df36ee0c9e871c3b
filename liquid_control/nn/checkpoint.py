"""A liquid layer as one file: what it is, its wiring and its weights, without any code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from liquid_control.nn.cfc import ACTIVATIONS, CfC, CfCCell, WiredCfCCell
from liquid_control.nn.ltc import LTC
from liquid_control.nn.wiring import FixedWiring
from liquid_control.runtime.errors import LiquidControlError

FORMAT = 1


class CheckpointError(LiquidControlError):
    """A saved layer is missing, damaged or of an unknown format."""


def save_layer(layer: LTC | CfC, path: str | Path) -> None:
    """Write a layer whole: `load_layer` needs nothing but the file."""
    torch.save({**describe_layer(layer), 'weights': layer.state_dict()}, path)


def load_layer(path: str | Path) -> LTC | CfC:
    """The layer that `save_layer` wrote, on the CPU, in the precision it was saved in.

    Raises:
        CheckpointError: the file is missing, damaged, or of another format.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at its checksums
            if (damaged := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f'the checksum of {damaged} is wrong')
        data = torch.load(path, map_location='cpu', weights_only=True)
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
        layer = make_layer(data).to(next(iter(weights.values())).dtype)
        layer.load_state_dict(weights)
    except Exception as error:  # from whatever part of it is not as expected
        raise CheckpointError(
            f'{path}: what is saved makes no layer ({type(error).__name__}: {error}); save the '
            'layer again'
        ) from error
    return layer


def describe_layer(layer: LTC | CfC) -> dict[str, Any]:
    """Plain data from which `make_layer` makes a layer of the same kind, without its weights."""
    options: dict[str, Any] = {
        'return_sequences': layer.return_sequences,
        'batch_first': layer.batch_first,
        'mixed_memory': layer.mixed_memory,
    }
    cell = layer.rnn_cell
    if isinstance(layer, LTC):
        for name in ('input_mapping', 'output_mapping', 'solver', 'unfolds'):
            options[name] = getattr(cell, name)
    else:
        options['proj_size'] = layer.output_size if isinstance(layer.fc, nn.Linear) else None
        options |= _wired_options(cell) if isinstance(cell, WiredCfCCell) else _options(cell)
    return {
        'format': FORMAT,
        'kind': type(layer).__name__,
        'input_size': layer.input_size,
        'units': layer.state_size if layer.wiring is None else layer.wiring.to_dict(),
        'options': options,
    }


def _wired_options(cell: WiredCfCCell) -> dict[str, Any]:
    return {'mode': cell.layers[0].mode, 'strict_wiring': cell.strict}


def _options(cell: CfCCell) -> dict[str, Any]:
    linear = [layer for layer in cell.backbone if isinstance(layer, nn.Linear)]
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    return {
        'mode': cell.mode,
        'activation': names[type(cell.activation)],
        'backbone_layers': len(linear),
        'backbone_units': linear[0].out_features if linear else None,
    }


def make_layer(description: dict[str, Any]) -> LTC | CfC:
    """A new layer of the kind that `describe_layer` described."""
    kind = {'LTC': LTC, 'CfC': CfC}[description['kind']]
    units = description['units']
    if isinstance(units, dict):
        units = FixedWiring.from_dict(units)
    return kind(description['input_size'], units, **description['options'])
