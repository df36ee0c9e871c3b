# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Layers to and from `ncps` 1.0.1, the library of the method's authors, with equal outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from liquid_control.nn.cfc import ACTIVATIONS, CfC
from liquid_control.nn.checkpoint import describe_layer
from liquid_control.nn.ltc import LEAST_CONDUCTANCE, LTC
from liquid_control.nn.wiring import FixedWiring, Wiring

# What the reference keeps above zero only by clipping, where it has no positivity map.
CLIPPED = ('w', 'sensory_w', 'cm', 'gleak')


def from_ncps(layer: Any) -> LTC | CfC:
    """Our layer with the weights of an `ncps.torch.LTC` or `CfC`; equal outputs and gradients.

    Where the reference only clips what must be positive (`implicit_param_constraints=False`), our
    parameters are the inverse softplus of its own: equal outputs, other gradients.

    Raises:
        ValueError: the layer uses what this library lacks (backbone dropout, another epsilon).
    """
    kind = type(layer).__name__
    if kind not in ('LTC', 'CfC'):
        raise ValueError(f'expected an ncps.torch.LTC or CfC, got {kind}')
    options: dict[str, Any] = {
        'return_sequences': layer.return_sequences,
        'batch_first': layer.batch_first,
        'mixed_memory': layer.use_mixed,
    }
    weights = {name: weight.detach().clone() for name, weight in layer.state_dict().items()}
    ours = (_ltc if kind == 'LTC' else _cfc)(layer, options, weights)
    sample = _trained(weights)
    ours.to(device=sample.device, dtype=sample.dtype).load_state_dict(weights)
    for name, parameter in ours.named_parameters():
        parameter.requires_grad_(layer.get_parameter(name).requires_grad)
    return ours.train(layer.training)


def _trained(weights: dict[str, Tensor]) -> Tensor:
    """One that is no mask: the reference keeps those in float32 always."""
    return next(weight for name, weight in weights.items() if not name.endswith('mask'))


def _ltc(layer: Any, options: dict[str, Any], weights: dict[str, Tensor]) -> LTC:
    cell = layer.rnn_cell
    if cell._epsilon != LEAST_CONDUCTANCE:
        raise ValueError(f'expected an LTC with epsilon={LEAST_CONDUCTANCE}, got {cell._epsilon}')
    if not cell._implicit_param_constraints:
        for name in CLIPPED:
            value = weights[f'rnn_cell.{name}'].clamp(min=torch.finfo(torch.float32).tiny)
            # The inverse of softplus, which our layers apply; linear where exp would overflow.
            weights[f'rnn_cell.{name}'] = value + torch.log(-torch.expm1(-value))
    mappings = ('affine', 'linear')
    # The masks are what the layer computes with: its wiring grows when it is built again.
    wiring = _our_wiring(
        layer._wiring,
        weights['rnn_cell.sparsity_mask'].numpy(force=True),
        weights['rnn_cell.sensory_sparsity_mask'].numpy(force=True),
    )
    return LTC(
        layer.input_size,
        wiring,
        input_mapping=cell._input_mapping if cell._input_mapping in mappings else None,
        output_mapping=cell._output_mapping if cell._output_mapping in mappings else None,
        unfolds=cell._ode_unfolds,
        **options,
    )


def _cfc(layer: Any, options: dict[str, Any], weights: dict[str, Tensor]) -> CfC:
    cell, units = layer.rnn_cell, layer.wiring_or_units
    options['proj_size'] = layer.proj_size
    if not isinstance(units, int):
        options['mode'] = cell._layers[0].mode
        return CfC(layer.input_size, _our_wiring(units), **options)
    backbone = [] if cell.backbone is None else list(cell.backbone)
    if any(isinstance(part, nn.Dropout) for part in backbone):
        raise ValueError('expected a CfC without backbone dropout, which this library lacks')
    options |= {'mode': cell.mode, 'backbone_layers': len(backbone) // 2}
    if backbone:
        names = {kind.__name__: name for name, kind in ACTIVATIONS.items()}
        names['LeCun'] = 'lecun_tanh'
        options['activation'] = names[type(backbone[1]).__name__]
        options['backbone_units'] = backbone[0].out_features
    return CfC(layer.input_size, units, **options)


def _our_wiring(wiring: Any, mask: ArrayLike = 1, sensory_mask: ArrayLike = 1) -> FixedWiring:
    layers = {}
    for index in range(wiring.num_layers):
        neurons = wiring.get_neurons_of_layer(index)
        name = 'recurrent' if wiring.num_layers == 1 else wiring.get_type_of_neuron(neurons[0])
        layers[name] = range(neurons[0], neurons[-1] + 1)
    return FixedWiring(
        wiring.adjacency_matrix * mask,
        wiring.sensory_adjacency_matrix * sensory_mask,
        wiring.output_dim,
        layers,
    )


def to_ncps(layer: LTC | CfC) -> nn.Module:
    """An `ncps.torch` layer with the weights of ours; needs ncps 1.0.1 (pip install ncps).

    Raises:
        ValueError: the reference has no such layer (another solver, a strict wiring).
    """
    import ncps.torch

    description = describe_layer(layer)
    options = description['options']
    if isinstance(layer, LTC):
        if options.pop('solver') != 'fused':
            raise ValueError(
                f"ncps solves with 'fused' only, this layer with {layer.rnn_cell.solver!r}"
            )
        options['ode_unfolds'] = options.pop('unfolds')
    elif options['mode'] == 'elastance':
        raise ValueError("ncps has no CfC of the mode 'elastance'")
    elif options.pop('strict_wiring', False):
        raise ValueError('ncps has no strict wiring: its recurrence within a layer is full')
    units = layer.state_size if layer.wiring is None else _their_wiring(layer.wiring)
    theirs: nn.Module = getattr(ncps.torch, description['kind'])(
        layer.input_size, units, **options
    )
    weights = layer.state_dict()
    sample = _trained(weights)
    theirs.to(device=sample.device, dtype=sample.dtype).load_state_dict(weights)
    return theirs


def _their_wiring(wiring: Wiring) -> Any:
    import ncps.wirings

    layers = [list(neurons) for neurons in wiring.layers.values()]

    class Layered(ncps.wirings.Wiring):  # type: ignore[misc]
        num_layers = len(layers)

        def get_neurons_of_layer(self, layer_id: int) -> list[int]:
            return layers[layer_id]

        def get_type_of_neuron(self, neuron_id: int) -> str:
            return wiring.neuron_type(neuron_id)

    theirs = Layered(wiring.units)
    theirs.set_output_dim(wiring.output_size)
    theirs.set_input_dim(wiring.input_size)
    theirs.adjacency_matrix = np.array(wiring.adjacency)
    theirs.sensory_adjacency_matrix = np.array(wiring.sensory_adjacency)
    return theirs
