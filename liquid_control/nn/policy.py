# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The policy network: inputs of a contract in, commands in SI units out, a liquid core between.

It splits where a bundle splits: an image's encoder runs once for each of its frames, the core once
for each control step. All scaling lies inside, so whoever runs the network handles SI units only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from liquid_control.common.errors import ConfigError
from liquid_control.contract.contract import CommandSpec, NetworkSpec
from liquid_control.contract.inputs import ImageSpec, InputSpec
from liquid_control.nn.cells import CELLS
from liquid_control.nn.encoder import (
    BEFORE_KEYPOINTS,
    CHANNELS,
    ENCODERS,
    KEYPOINTS,
    ImageEncoder,
    ScanEncoder,
)
from liquid_control.nn.ncp import MIN_HIDDEN, MIN_SPARSITY
from liquid_control.nn.solvers import POLICY_UNFOLDS
from liquid_control.nn.wiring import Wiring

WIRINGS = ('auto-ncp',)

Encoder = TypeVar('Encoder', ImageEncoder, ScanEncoder)

# Convolutions of an encoder: keypoints leave before the last of them, and each halves the image.
MIN_CHANNELS, MAX_CHANNELS = BEFORE_KEYPOINTS + 1, 8

# A network is built as it is described, by a recipe or by somebody else's bundle: memory grows
# with the square of these. And what a generator takes for a seed.
MAX_SIZE, MAX_SEED, MAX_STACK, MAX_MEMBERS = 4096, 2**32 - 1, 64, 32

# A new network's commands reach this many deviations of the recorded ones from their mean, by a
# gain within these bounds.
REACH, GAINS = 3.0, (0.1, 1.5)


@dataclass(frozen=True)
class Network:
    """Shape of a network; with its inputs and commands, everything that rebuilds it.

    Attributes:
        cell: one of `liquid_control.nn.cells.CELLS`.
        encoder: of every image, one of `liquid_control.nn.encoder.ENCODERS`.
        channels: of the encoder's maps, one convolution each.
        keypoints: channels whose places the encoder 'keypoints' looks for.
        neurons: of the liquid core.
        wiring: one of `WIRINGS`.
        sparsity: share of the possible synapses that the wiring leaves out.
        wiring_seed: draws the wiring.
        solver: of a cell that has an equation to solve; '' takes the cell's own choice.
        unfolds: solver steps in each control step.
        stack: control steps that a feed-forward network sees at once.
        dropout: in the encoder, while training.
        members: networks of this shape, trained apart, whose commands are averaged.
    """

    cell: str = 'cfc'
    encoder: str = 'dense'
    channels: tuple[int, ...] = CHANNELS
    keypoints: int = KEYPOINTS
    neurons: int = 32
    wiring: str = 'auto-ncp'
    sparsity: float = 0.5
    wiring_seed: int = 22222
    solver: str = ''
    unfolds: int = POLICY_UNFOLDS
    stack: int = 4
    dropout: float = 0.0
    members: int = 1

    def __post_init__(self) -> None:
        for name, known in (
            ('cell', tuple(CELLS)),
            ('encoder', ENCODERS),
            ('wiring', WIRINGS),
        ):
            if (found := getattr(self, name)) not in known:
                raise ConfigError(f'{name} must be one of {", ".join(known)}, found {found!r}')
        solvers = CELLS[self.cell].solvers
        if solvers and self.solver and self.solver not in solvers:
            raise ConfigError(
                f'solver of {self.cell} must be one of {", ".join(solvers)}, found {self.solver!r}'
            )
        if not MIN_CHANNELS <= len(self.channels) <= MAX_CHANNELS or not all(
            1 <= channels <= MAX_SIZE for channels in self.channels
        ):
            raise ConfigError(
                f'channels must be {MIN_CHANNELS} to {MAX_CHANNELS} numbers within 1..{MAX_SIZE}, '
                f'found {list(self.channels)}'
            )
        for name, least, most in (
            ('keypoints', 1, MAX_SIZE),
            ('neurons', 4, MAX_SIZE),
            ('wiring_seed', 0, MAX_SEED),
            ('unfolds', 1, MAX_SIZE),
            ('stack', 1, MAX_STACK),
            ('members', 1, MAX_MEMBERS),
        ):
            if not least <= (found := getattr(self, name)) <= most:
                raise ConfigError(f'{name} must be within {least}..{most}, found {found}')
        for name in ('sparsity', 'dropout'):
            if not 0 <= (found := getattr(self, name)) < 1:
                raise ConfigError(f'{name} must be at least 0 and below 1, found {found}')


DEFAULT_NETWORK = Network()


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Network):
    """What a policy network is made of: its shape, its inputs and its commands.

    Attributes:
        inputs: by name; what a kind says of itself decides how it is scaled and encoded.
        commands: names and ranges of the commands, in order.
    """

    inputs: Mapping[str, InputSpec]
    commands: tuple[CommandSpec, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.solver:
            object.__setattr__(self, 'solver', next(iter(CELLS[self.cell].solvers), ''))
        if not self.inputs:
            raise ConfigError('a policy needs at least one input')
        if CELLS[self.cell].wired:
            self._check_wiring()
        for name, spec in self.inputs.items():
            if spec.encoder and hasattr(nn.ModuleDict(), name):
                raise ConfigError(f'an input cannot be called {name}: torch uses that name')

    def _check_wiring(self) -> None:
        """A motor neuron for each command, and others before them."""
        least = len(self.commands) + MIN_HIDDEN
        if self.neurons < least:
            raise ConfigError(
                f'neurons of {self.cell} must be at least {least} for {len(self.commands)} '
                f'commands, found {self.neurons}'
            )
        if self.sparsity < MIN_SPARSITY:
            raise ConfigError(
                f'sparsity must be at least {MIN_SPARSITY:g}, found {self.sparsity:g}'
            )

    def encoded(self, encoder: str) -> dict[str, InputSpec]:
        """The inputs that go through this kind of encoder; '': straight into the core."""
        return {name: spec for name, spec in self.inputs.items() if spec.encoder == encoder}

    def shape(self) -> dict[str, Any]:
        """The fields of `Network` that have a say in this one, as plain data."""
        cell = CELLS[self.cell]
        idle: set[str] = set() if cell.solvers else {'solver', 'unfolds'}
        if not cell.wired:
            idle |= {'wiring', 'sparsity', 'wiring_seed'}
        if not cell.stacked:
            idle.add('stack')
        if not self.encoded('image'):
            idle |= {'encoder', 'channels', 'dropout'}
        if not self.encoded('image') or self.encoder != 'keypoints':
            idle.add('keypoints')
        if self.members == 1:
            idle.add('members')
        values = {e.name: getattr(self, e.name) for e in fields(Network) if e.name not in idle}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def bundle_inputs(self) -> dict[str, InputSpec]:
        """The inputs as a bundle has them: its encoders give the features of all members."""
        return {
            name: replace(spec, features=spec.features * self.members)
            if isinstance(spec, ImageSpec)
            else spec
            for name, spec in self.inputs.items()
        }

    @property
    def input_size(self) -> int:
        """Width of what the core of a member sees."""
        return sum(spec.core_width for spec in self.inputs.values())


class PolicyNetwork(nn.Module):
    """Encoders and core.

    Attributes:
        config: what it was made from.
        encoders: by the name of their input. An image's, uint8 [B, H, W, 3] RGB -> features
            [B, F], is a graph of its own in a bundle; a scan's, [..., W] -> [..., F], a part of
            the core.
        cell: the core, a liquid layer or one that it is compared with.
        state_size: numbers that go from step to step.
    """

    low: Tensor
    high: Tensor
    scale: Tensor

    def __init__(self, config: NetworkConfig):
        if config.members != 1:
            raise ValueError(f'one network has one member, not {config.members}: see make_policy')
        super().__init__()
        self.config = config
        self.images, self.scans, self.vectors = (
            tuple(config.encoded(encoder)) for encoder in ('image', 'scan', '')
        )
        self.encoders = nn.ModuleDict(
            {name: _encoder(config, name) for name in (*self.images, *self.scans)}
        )
        self.cell = CELLS[config.cell].make(config)
        self.state_size = self.cell.packed_size
        # Motor neurons of a CfC stay within (-1, 1): the gain lets a command reach its limits.
        self.gain = nn.Parameter(torch.full((len(config.commands),), GAINS[1]))
        self.bias = nn.Parameter(torch.zeros(len(config.commands)))
        self.register_buffer('low', torch.tensor([entry.min for entry in config.commands]))
        self.register_buffer('high', torch.tensor([entry.max for entry in config.commands]))
        # One unit of each entry of the vectors as the core sees it.
        scales = [
            element.scale for name in self.vectors for element in config.inputs[name].elements()
        ]
        self.register_buffer('scale', torch.tensor(scales), persistent=False)

    @property
    def members(self) -> tuple[PolicyNetwork, ...]:
        """Itself: one network is an ensemble of one."""
        return (self,)

    def forward(
        self, inputs: Mapping[str, Tensor], elapsed: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run over sequences of T control steps.

        Args:
            inputs: newest value of each input at each step: of an image its pixels, uint8
                [B, T, H, W, 3] RGB, of others their numbers in SI units, [B, T, W].
            elapsed: s since the step before, [B, T].
            state: [B, S] before the first step; None starts from zeros.

        Returns:
            Commands [B, T, C] in their units, and the state [B, S] after the last step.
        """
        features = {
            name: self.encoders[name](inputs[name].flatten(0, 1)).unflatten(0, elapsed.shape)
            for name in self.images
        }
        seen = self.core_inputs({**inputs, **features})
        outputs, after = self.cell(seen, self.cell.unpack(state), elapsed)
        return self.commands(outputs), self.cell.pack(after)

    def core(
        self, inputs: Mapping[str, Tensor], elapsed: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One control step.

        Args:
            inputs: of an image its features, [B, F], of others their numbers, [B, W].
            elapsed: s, [B, 1].
            state: [B, S].

        Returns:
            Commands [B, C] and the next state [B, S].
        """
        seen = self.core_inputs(inputs)
        outputs, after = self.cell.step(seen, self.cell.unpack(state), elapsed)
        return self.commands(outputs), self.cell.pack(after)

    def core_inputs(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What the core sees, [..., input_size], every entry within (-1, 1).

        First what comes from encoders, of images, then of scans; then the vectors.
        """
        parts = [inputs[name] for name in self.images]
        parts += [self.encoders[name](inputs[name]) for name in self.scans]
        if self.vectors:
            vectors = torch.cat([inputs[name] for name in self.vectors], dim=-1)
            parts.append(torch.tanh(vectors / self.scale))
        return torch.cat(parts, dim=-1)

    def commands(self, outputs: Tensor) -> Tensor:
        """Motor neurons [..., C] -> commands in their units, always within their range."""
        share = torch.tanh(outputs * self.gain + self.bias)
        return self.low + (self.high - self.low) * (share + 1) / 2

    @torch.no_grad()
    def start_at(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        """Begin with commands around their means, as far from them as they go, in their units."""
        middle = self._share(torch.tensor(mean, dtype=torch.float32)).clamp(-0.95, 0.95)
        spread = torch.tensor(deviation, dtype=torch.float32) * 2 / (self.high - self.low)
        self.bias.copy_(torch.atanh(middle))
        self.gain.copy_((REACH * spread / (1 - middle.square())).clamp(*GAINS))

    @torch.no_grad()
    def hold(self, index: int, value: float) -> None:
        """Give one command, whatever comes in."""
        self.gain[index] = 0.0
        self.bias[index] = torch.atanh(self._share(torch.tensor(value))[index])

    def _share(self, commands: Tensor) -> Tensor:
        """Commands [C] as shares of half their range, just off its ends."""
        return ((commands - self.low) * 2 / (self.high - self.low) - 1).clamp(-0.999, 0.999)

    def image_encoder(self, name: str) -> ImageEncoder:
        """That of an image, as it was made."""
        return _as_made(self.encoders[name], ImageEncoder)

    def scan_encoder(self, name: str) -> ScanEncoder:
        """That of a scan, as it was made."""
        return _as_made(self.encoders[name], ScanEncoder)

    def spec(self) -> NetworkSpec:
        """What the bundle's contract says of the network."""
        wiring: Wiring | None = self.cell.wiring
        config = self.config
        solver = 'closed form' if config.cell.startswith('cfc') else ''
        if CELLS[config.cell].solvers:
            solver = f'{config.solver}, {config.unfolds} unfolds'
        return NetworkSpec(
            cell={'cfc': 'cfc-wired'}.get(config.cell, config.cell),
            neurons=config.neurons,
            synapses=0 if wiring is None else wiring.synapse_count + wiring.sensory_synapse_count,
            parameters=sum(parameter.numel() for parameter in self.parameters()),
            state_size=self.state_size,
            solver=solver,
            config=config.shape(),
        )


def _as_made(encoder: nn.Module, kind: type[Encoder]) -> Encoder:
    if not isinstance(encoder, kind):
        raise ValueError(f'an encoder is a {type(encoder).__name__}, not a {kind.__name__}')
    return encoder


def _encoder(config: NetworkConfig, name: str) -> ImageEncoder | ScanEncoder:
    spec: Any = config.inputs[name]
    if spec.encoder == 'scan':
        elements = spec.elements()
        return ScanEncoder(len(elements), elements[0].scale, spec.features)
    return ImageEncoder(
        spec.height,
        spec.width,
        spec.features,
        config.dropout,
        config.encoder,
        channels=config.channels,
        keypoints=config.keypoints,
    )
