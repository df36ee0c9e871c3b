"""The policy network: camera, IMU and speed in, commands in SI units out, a liquid core between.

It splits where a bundle splits: `encoder` runs once for each camera frame, `core` once for each
control step. All scaling lies inside, so whoever runs the network handles SI units only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from liquid_control.common.errors import ConfigError
from liquid_control.contract.contract import IMU_SIZE, CommandSpec, NetworkSpec
from liquid_control.nn.cells import CELLS
from liquid_control.nn.encoder import (
    BEFORE_KEYPOINTS,
    CHANNELS,
    ENCODERS,
    KEYPOINTS,
    ImageEncoder,
)
from liquid_control.nn.solvers import POLICY_UNFOLDS
from liquid_control.nn.wiring import Wiring

WIRINGS = ('auto-ncp',)

# Convolutions of an encoder: keypoints leave before the last of them, and each halves the picture.
MIN_CHANNELS, MAX_CHANNELS = BEFORE_KEYPOINTS + 1, 8

# A network is built as it is described, by a recipe or by somebody else's bundle: memory grows
# with the square of these. And what a generator takes for a seed.
MAX_SIZE, MAX_SEED, MAX_STACK = 4096, 2**32 - 1, 64

# One unit of an input as the core sees it, before tanh: what a small robot meets in normal driving
# lies in the straight part of the curve, a hard bump is squeezed instead of drowning the camera.
ACCELERATION_UNIT = 10.0  # m/s^2
ANGULAR_VELOCITY_UNIT = 2.0  # rad/s
SPEED_UNIT = 10.0  # m/s

# A new network's commands reach this many deviations of the recorded ones from their mean, by a
# gain within these bounds.
REACH, GAINS = 3.0, (0.1, 1.5)


@dataclass(frozen=True)
class Network:
    """Shape of a network; with its inputs and commands, everything that rebuilds it.

    Attributes:
        cell: one of `liquid_control.nn.cells.CELLS`.
        encoder: one of `liquid_control.nn.encoder.ENCODERS`.
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
        commands: names and ranges of the commands, in order.
        image_size: height and width of the encoder's input in pixels; None without a camera.
        features: outputs of the encoder; only with a camera.
        imu, speed: whether the core sees them.
    """

    commands: tuple[CommandSpec, ...]
    image_size: tuple[int, int] | None = None
    features: int = 32
    imu: bool = False
    speed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.solver:
            object.__setattr__(self, 'solver', next(iter(CELLS[self.cell].solvers), ''))
        if self.input_size == 0:
            raise ValueError('a policy needs at least one of image, imu and speed')

    def shape(self) -> dict[str, Any]:
        """The fields of `Network` that have a say in this one, as plain data."""
        cell = CELLS[self.cell]
        idle: set[str] = set() if cell.solvers else {'solver', 'unfolds'}
        if not cell.wired:
            idle |= {'wiring', 'sparsity', 'wiring_seed'}
        if not cell.stacked:
            idle.add('stack')
        if self.image_size is None:
            idle |= {'encoder', 'channels', 'dropout'}
        if self.image_size is None or self.encoder != 'keypoints':
            idle.add('keypoints')
        values = {e.name: getattr(self, e.name) for e in fields(Network) if e.name not in idle}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @property
    def input_size(self) -> int:
        """Inputs of the core: features, then IMU, then speed, as far as they are used."""
        features = self.features if self.image_size is not None else 0
        return features + IMU_SIZE * self.imu + 1 * self.speed


class PolicyNetwork(nn.Module):
    """Encoder and liquid core.

    Attributes:
        config: what it was made from.
        encoder: uint8 [B, H, W, 3] RGB -> features [B, F]; None without a camera.
        cell: the core, a liquid layer or one that it is compared with.
        state_size: numbers that go from step to step.
    """

    low: Tensor
    high: Tensor

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.encoder: ImageEncoder | None = None
        if config.image_size is not None:
            self.encoder = ImageEncoder(
                *config.image_size,
                config.features,
                config.dropout,
                config.encoder,
                channels=config.channels,
                keypoints=config.keypoints,
            )
        self.cell = CELLS[config.cell].make(config)
        self.state_size = self.cell.packed_size
        # Motor neurons of a CfC stay within (-1, 1): the gain lets a command reach its limits.
        self.gain = nn.Parameter(torch.full((len(config.commands),), GAINS[1]))
        self.bias = nn.Parameter(torch.zeros(len(config.commands)))
        self.register_buffer('low', torch.tensor([entry.min for entry in config.commands]))
        self.register_buffer('high', torch.tensor([entry.max for entry in config.commands]))

    def forward(
        self,
        images: Tensor | None,
        imu: Tensor | None,
        speed: Tensor | None,
        elapsed: Tensor,
        state: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run over sequences of T control steps.

        Args:
            images: newest frame at each step, uint8 [B, T, H, W, 3] RGB; None without a camera.
            imu: linear acceleration (m/s^2) and angular velocity (rad/s), [B, T, 6]; None unused.
            speed: m/s, [B, T, 1]; None unused.
            elapsed: s since the step before, [B, T].
            state: [B, S] before the first step; None starts from zeros.

        Returns:
            Commands [B, T, C] in their units, and the state [B, S] after the last step.
        """
        features = None
        if self.encoder is not None and images is not None:
            features = self.encoder(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        inputs = self.core_inputs(features, imu, speed)
        outputs, after = self.cell(inputs, self.cell.unpack(state), elapsed)
        return self.commands(outputs), self.cell.pack(after)

    def core(
        self,
        features: Tensor | None,
        imu: Tensor | None,
        speed: Tensor | None,
        elapsed: Tensor,
        state: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """One control step: [B, F], [B, 6], [B, 1], [B, 1], [B, S] -> commands [B, C], state."""
        inputs = self.core_inputs(features, imu, speed)
        outputs, after = self.cell.step(inputs, self.cell.unpack(state), elapsed)
        return self.commands(outputs), self.cell.pack(after)

    def core_inputs(
        self, features: Tensor | None, imu: Tensor | None, speed: Tensor | None
    ) -> Tensor:
        """What the liquid layer sees, [..., input_size], every entry within (-1, 1)."""
        parts = []
        if self.encoder is not None:
            parts.append(_given(features, 'features'))
        if self.config.imu:
            acceleration, rotation = _given(imu, 'imu').split(3, dim=-1)
            parts.append(torch.tanh(acceleration / ACCELERATION_UNIT))
            parts.append(torch.tanh(rotation / ANGULAR_VELOCITY_UNIT))
        if self.config.speed:
            parts.append(torch.tanh(_given(speed, 'speed') / SPEED_UNIT))
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


def _given(tensor: Tensor | None, name: str) -> Tensor:
    if tensor is None:
        raise ValueError(f'this network needs {name}, got None')
    return tensor
