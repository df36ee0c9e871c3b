# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Closed-form continuous-time (CfC) neurons: the state after an elapsed time, without a solver.

Source: Hasani, Lechner et al., "Closed-form continuous-time neural networks", Nature Machine
Intelligence 2022, equation 10 (default), table 1 (pure, no gate). The mode 'elastance' multiplies
the speed of the gate by a learnt share, as Farsang, Neubauer and Grosu do with the capacitance of
an LTC (arXiv 2403.08791).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import _has_any_global_hook

from liquid_control.nn import kernels
from liquid_control.nn.cfc_equations import CfCEquations, cfc_states, next_state
from liquid_control.nn.intact import hooked, intact
from liquid_control.nn.layer import (
    LiquidCell,
    LiquidLayer,
    Step,
    each_step,
    number_of_units,
)
from liquid_control.nn.options import one_of, whole_number
from liquid_control.nn.wiring import Adjacency, Wiring

GATED_HEADS = ('ff1', 'ff2', 'time_a', 'time_b')
# Mode -> linear heads that it has.
MODES: dict[str, tuple[str, ...]] = {
    'default': GATED_HEADS,
    'pure': ('ff1',),
    'no_gate': GATED_HEADS,
    'elastance': (*GATED_HEADS, 'elastance'),
}


class LeCunTanh(nn.Module):
    """1.7159 tanh(0.666 x): keeps the variance of unit inputs near one."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(0.666 * x)


class MaskedLinear(nn.Linear):
    """Weights that act where a mask is 1; the cell owns it and hands it over."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # + mask
        return functional.linear(x, self.weight * mask, self.bias)


def _linear(module: nn.Module) -> bool:
    """Whether the module is weight and bias and nothing else."""
    return intact(module, nn.Linear.forward, MaskedLinear.forward) and (
        module._parameters.get('bias') is not None or module.bias is not None  # parametrised
    )


ACTIVATIONS: dict[str, type[nn.Module]] = {
    'lecun_tanh': LeCunTanh,
    'tanh': nn.Tanh,
    'relu': nn.ReLU,
    'silu': nn.SiLU,
    'gelu': nn.GELU,
}
# scale * tanh(slope * x): what the compiled kernels know.
KERNEL_ACTIVATIONS = {LeCunTanh: (1.7159, 0.666), nn.Tanh: (1.0, 1.0)}


class CfCCell(LiquidCell):
    """Parameters and equations of one group of CfC neurons that all hear each other.

    Args:
        input_size, units: inputs and neurons.
        mode: a name in `MODES`.
        activation: of the backbone, a name in `ACTIVATIONS`.
        backbone_units, backbone_layers: of the network in front of the heads; 0 layers: none.
        mask: 1 where a synapse may be, [inputs + units, units]; masks ff1 and ff2.
        mask_gates: mask time_a and time_b too.
    """

    sparsity_mask: Tensor | None
    _modules: dict[str, Any]  # linear maps, or what replaced them with the same attributes

    def __init__(
        self,
        input_size: int,
        units: int,
        mode: str,
        activation: str = 'lecun_tanh',
        backbone_units: int = 0,
        backbone_layers: int = 0,
        mask: Adjacency | None = None,
        mask_gates: bool = False,
    ):
        super().__init__()
        mode, activation = (
            one_of('mode', mode, MODES),
            one_of('activation', activation, ACTIVATIONS),
        )
        input_size, units = whole_number('input_size', input_size), whole_number('units', units)
        backbone_layers = whole_number('backbone_layers', backbone_layers, least=0)
        least = 1 if backbone_layers else 0
        backbone_units = whole_number('backbone_units', backbone_units, least)
        self.input_size = input_size
        self.state_size = self.output_size = units
        self.mode = mode
        if mask is None:
            self.register_buffer('sparsity_mask', None)
        else:
            self.register_mask('sparsity_mask', mask.T)
        if mode == 'pure':
            self.w_tau = nn.Parameter(torch.empty(1, units))
            self.A = nn.Parameter(torch.empty(1, units))

        self._activation = activation
        shape = ACTIVATIONS[activation]()
        self.backbone = nn.Sequential()
        width = input_size + units
        for _ in range(backbone_layers):
            self.backbone.append(nn.Linear(width, backbone_units)).append(shape)
            width = backbone_units
        self.heads = MODES[mode]
        self.masked_heads = len(self.heads if mask_gates else self.heads[:2])  # ff1 and ff2
        for index, head in enumerate(self.heads):
            masked = mask is not None and index < self.masked_heads
            self.add_module(head, (MaskedLinear if masked else nn.Linear)(width, units))
        # w_tau too: at zero its absolute value would have no gradient.
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)

    @property
    def weight(self) -> Tensor:
        weight = self._modules['ff1']._parameters.get('weight')
        # Otherwise parametrised, replaced or quantised.
        return next(self.parameters(), torch.empty(0)) if weight is None else weight

    @property
    def activation(self) -> str:
        """Name of that of the backbone; to have another, put that into `backbone`."""
        return self._activation

    def altered(self) -> str | None:
        if 'activation' in self._modules:
            raise ValueError('activation is only a name: put the module into `backbone`')
        backbone = self._modules['backbone']
        if not intact(backbone, nn.Sequential.forward) or len(backbone) % 2:
            return 'backbone'
        modules = list(backbone._modules.items())
        for (name, linear), (name_after, shape) in zip(modules[::2], modules[1::2], strict=True):
            if not _linear(linear):
                return f'backbone.{name}'
            # Any module may be the activation, but one for all layers.
            if shape is not modules[1][1] or not intact(shape, type(shape).forward):
                return f'backbone.{name_after}'
        for name in self.heads:
            if not _linear(self._modules[name]):
                return name
        return None

    def _must_call(self) -> bool:
        """Whether submodules must be called: their weights do not say all that is wanted."""
        return _has_any_global_hook() or self.altered() is not None

    def equations(self) -> CfCEquations:
        """The equations with the parameters of now."""
        # Past the attributes of modules, which cost more than the rest of it.
        heads = [self._modules[name] for name in self.heads]
        weights, mask = [head.weight for head in heads], self.sparsity_mask
        if mask is not None:
            for index in range(self.masked_heads):
                weights[index] = weights[index] * mask
        layers, pure = list(self._modules['backbone']._modules.values()), self.mode == 'pure'
        return CfCEquations(
            mode=self.mode,
            activation=layers[1] if layers else torch.tanh,
            backbone=tuple((layer.weight, layer.bias) for layer in layers[::2]),
            heads=torch.cat(weights),
            heads_bias=torch.cat([head.bias for head in heads]),
            w_tau=self.w_tau if pure else None,
            A=self.A if pure else None,
        )

    def stepper(self, x: Tensor, elapsed: Tensor) -> Step:
        if not self._must_call():
            return self.equations_at(elapsed, len(x)).stepper(x, elapsed)
        xs, seconds = x.unbind(), each_step(elapsed, x)
        return lambda t, state: self._through_modules(xs[t], state, seconds[t])

    def advancer(self, elapsed: Tensor, steps: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """From inputs [batch, inputs], state, seconds [batch, 1] of a step to the next state."""
        if hooked(self):
            return lambda x, state, seconds: self(x[None], state, seconds.T)[0]
        if self._must_call():
            return self._through_modules
        p = self.equations_at(elapsed, steps)
        return lambda x, state, seconds: p.advance(p.input_current(x), state, seconds)

    def _through_modules(self, x: Tensor, state: Tensor, seconds: Tensor) -> Tensor:
        """One step by calling the submodules: with whatever they, or hooks on them, do."""
        z = self.backbone(torch.cat([x, state], dim=-1))
        heads = [self._head(index, z) for index in range(len(self.heads))]
        pure = (self.w_tau, self.A) if self.mode == 'pure' else (None, None)
        return next_state(self.mode, heads, seconds, *pure)

    def _head(self, index: int, z: Tensor) -> Tensor:
        name, mask = self.heads[index], self.sparsity_mask
        head = self._modules[name]
        if mask is None or index >= self.masked_heads:
            return head(z)
        if isinstance(head, MaskedLinear):
            return head(z, mask)
        if intact(head, nn.Linear.forward):
            return functional.linear(z, head.weight * mask, head.bias)
        raise ValueError(
            f'{name} is masked by the wiring, which a {type(head).__name__} in its place knows '
            f'nothing of: parametrise its weight instead (torch.nn.utils.parametrize), or use a '
            'CfC without a wiring'
        )

    def scan(self, x: Tensor, state: Tensor, elapsed: Tensor) -> Tensor:
        shape = self._kernel_shape()
        if shape is None or not kernels.serves(x, state, elapsed, *self.parameters()):
            return super().scan(x, state, elapsed)
        p, elapsed = self.equations_at(elapsed, len(x)), elapsed.expand(x.shape[:2])
        backbone = p.backbone[0] if p.backbone else None
        heads, no_gate = (p.heads, p.heads_bias), self.mode == 'no_gate'
        plain = partial(cfc_states, self.mode, p.activation)
        return kernels.cfc_sequence(x, state, elapsed, heads, backbone, shape, no_gate, plain)

    def _kernel_shape(self) -> tuple[float, float] | None:
        """Scale and slope of the activation where a kernel has these equations, else None."""
        other = self.mode in ('pure', 'elastance')
        if other or self._must_call() or len(self.backbone) > 2:
            return None
        return KERNEL_ACTIVATIONS.get(type(self.backbone[1])) if self.backbone else (1.0, 1.0)

    def equations_at(self, elapsed: Tensor, steps: int) -> CfCEquations:
        """The equations for so many steps, simpler where one elapsed time [] serves for all."""
        fixed = elapsed.dim() == 0 and steps > 1 and self.heads == GATED_HEADS
        return self.equations().at_fixed_rate(elapsed) if fixed else self.equations()

    def readout(self, states: Tensor) -> Tensor:
        return states

    def parameter_masks(self) -> dict[str, Tensor]:
        if self.sparsity_mask is None:
            return {}
        masked = self.heads[: self.masked_heads]
        return {f'{head}.weight': self.sparsity_mask for head in masked}


class WiredCfCCell(LiquidCell):
    """CfC neurons in the layers of a wiring, one `CfCCell` without backbone for each layer.

    Each layer hears the new state of the layer before it and its own old state.

    Args:
        input_size: number of inputs.
        wiring: layers and synapses.
        mode: a name in `MODES`.
        strict: False masks ff1 and ff2 between layers, as the reference does, and leaves
            recurrence within a layer and the time gates full. True lets no weight pass where the
            wiring has no synapse; a neuron then hears, besides its synapses, only itself.
    """

    _modules: dict[str, Any]  # a `CfCCell` for each layer

    def __init__(self, input_size: int, wiring: Wiring, mode: str, strict: bool):
        super().__init__()
        self.wiring = wiring.build(input_size)
        self.input_size = wiring.sensory_adjacency.shape[0]
        self.state_size = wiring.units
        self.output_size = wiring.output_size
        self.strict = bool(strict)
        _refuse_other_paths(wiring)
        self.layer_sizes = [len(neurons) for neurons in wiring.layers.values()]
        synapses = np.abs(wiring.sensory_adjacency)
        sources: range | slice = slice(None)
        for index, neurons in enumerate(wiring.layers.values()):
            size = len(neurons)
            recurrent = np.ones((size, size), dtype=np.int32)
            if strict:
                recurrent = np.abs(wiring.adjacency[np.ix_(neurons, neurons)])
                np.fill_diagonal(recurrent, 1)
            mask = np.concatenate([synapses[sources][:, neurons], recurrent])
            cell = CfCCell(len(mask) - size, size, mode, mask=mask, mask_gates=strict)
            self.add_module(f'layer_{index}', cell)
            synapses, sources = np.abs(wiring.adjacency), neurons

    @property
    def weight(self) -> Tensor:
        return self._modules['layer_0'].weight

    @property
    def layers(self) -> list[CfCCell]:
        """The cells in the order in which a signal passes them."""
        return [self._modules[f'layer_{index}'] for index in range(len(self.layer_sizes))]

    def altered(self) -> str | None:
        for index, layer in enumerate(self.layers):
            if hooked(layer):
                return f'layer_{index}'
            if (name := layer.altered()) is not None:
                return f'layer_{index}.{name}'
        return None

    def stepper(self, x: Tensor, elapsed: Tensor) -> Step:
        layers = [layer.advancer(elapsed, len(x)) for layer in self.layers]
        xs, seconds = x.unbind(), each_step(elapsed, x)

        def step(t: int, state: Tensor) -> Tensor:
            heard, after = xs[t], []
            for advance, before in zip(layers, state.split(self.layer_sizes, -1), strict=True):
                heard = advance(heard, before, seconds[t])
                after.append(heard)
            return torch.cat(after, dim=-1)

        return step

    def scan(self, x: Tensor, state: Tensor, elapsed: Tensor) -> Tensor:
        # A layer needs no later step of the layer before it, so each scans the whole sequence.
        states = []
        for cell, before in zip(self.layers, state.split(self.layer_sizes, -1), strict=True):
            x = cell(x, before, elapsed)
            states.append(x)
        return torch.cat(states, dim=-1)

    def readout(self, states: Tensor) -> Tensor:
        motor_layer = states.split(self.layer_sizes, -1)[-1]
        return motor_layer[..., : self.output_size]

    def parameter_masks(self) -> dict[str, Tensor]:
        return {
            f'layer_{index}.{name}': mask
            for index, layer in enumerate(self.layers)
            for name, mask in layer.parameter_masks().items()
        }


def _refuse_other_paths(wiring: Wiring) -> None:
    layer_of = np.empty(wiring.units, dtype=int)
    for index, neurons in enumerate(wiring.layers.values()):
        layer_of[neurons] = index
    for kind, adjacency, source_layer in (
        ('input', wiring.sensory_adjacency, np.full(len(wiring.sensory_adjacency), -1)),
        ('neuron', wiring.adjacency, layer_of),
    ):
        sources, targets = np.nonzero(adjacency)
        ahead = layer_of[targets] - source_layer[sources]
        wrong = np.flatnonzero((ahead != 1) & (ahead != 0))
        if len(wrong):
            raise ValueError(
                'in a wired CfC inputs reach the first layer, and each layer itself and the next; '
                f'this wiring has a synapse from {kind} {sources[wrong[0]]} to neuron '
                f'{targets[wrong[0]]}: use an LTC, or other layers'
            )


class CfC(LiquidLayer):
    """A layer of closed-form continuous-time neurons.

    The state after an elapsed time is written down directly: a gate that depends on the elapsed
    time blends a near and a far target, all three being functions of inputs and state. See
    docs/cells.md.

        >>> rnn = CfC(20, AutoNCP(32, 2))
        >>> outputs, state = rnn(torch.randn(4, 50, 20), elapsed=0.05)  # 50 steps of 50 ms

    With a wiring the state holds its layers in order: inter, command, motor neurons.

    Args:
        input_size: number of inputs.
        units: a wiring, or a number of neurons that share a backbone network.
        return_sequences, batch_first, mixed_memory: see `LiquidLayer`.
        mode: 'default', 'pure' (the approximate solution itself), 'no_gate' (adds the far target
            instead of blending) or 'elastance' (a learnt share of the gate's speed).
        strict_wiring: let no weight pass where the wiring has no synapse; see `WiredCfCCell`.
        proj_size: learn a linear map of the outputs to this size.
        activation: of the backbone (default 'lecun_tanh'), a name in `ACTIVATIONS`.
        backbone_units, backbone_layers: size of the backbone (default 128 and 1).
    """

    rnn_cell: CfCCell | WiredCfCCell

    def __init__(
        self,
        input_size: int,
        units: Wiring | int,
        *,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        mode: str = 'default',
        strict_wiring: bool = False,
        proj_size: int | None = None,
        activation: str | None = None,
        backbone_units: int | None = None,
        backbone_layers: int | None = None,
    ):
        cell: CfCCell | WiredCfCCell
        if isinstance(units, Wiring):
            if (activation, backbone_units, backbone_layers) != (None, None, None):
                raise ValueError(
                    'a wired CfC has no backbone: leave out activation, backbone_units and '
                    'backbone_layers, or give a number of units instead of a wiring'
                )
            cell = WiredCfCCell(input_size, units, mode, strict_wiring)
        else:
            if strict_wiring:
                raise ValueError('strict_wiring needs a wiring, got a number of units')
            cell = CfCCell(
                input_size,
                number_of_units(units),
                mode,
                activation='lecun_tanh' if activation is None else activation,
                backbone_units=128 if backbone_units is None else backbone_units,
                backbone_layers=1 if backbone_layers is None else backbone_layers,
            )
        super().__init__(cell, return_sequences, batch_first, mixed_memory)
        self.wiring = units if isinstance(units, Wiring) else None
        self.fc: nn.Module = nn.Identity()
        if proj_size is not None:
            proj_size = whole_number('proj_size', proj_size)
            self.fc = nn.Linear(self.output_size, proj_size)
            self.output_size = proj_size

    def _readout(self, states: Tensor) -> Tensor:
        return self.fc(self.rnn_cell.readout(states))

    def altered(self) -> str | None:
        kept = intact(self.fc, nn.Linear.forward, nn.Identity.forward)
        return super().altered() if kept else 'fc'
