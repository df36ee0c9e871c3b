# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Neural circuit policy wirings: sensory, inter, command and motor neurons, as in a small worm.

Source: Lechner, Hasani et al., "Neural circuit policies enabling auditable autonomy", Nature
Machine Intelligence 2020, section "Methods", algorithm 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liquid_control.nn.options import whole_number
from liquid_control.nn.wiring import Adjacency, Wiring

Neurons = NDArray[np.integer]

MIN_SPARSITY = 0.1
MIN_HIDDEN = 3
"""Neurons of an `AutoNCP` that are not motor neurons."""


class NCP(Wiring):
    """A sparse circuit of three layers; only the command layer is recurrent.

    Each input excites or inhibits `sensory_fanout` inter neurons, each inter neuron
    `inter_fanout` command neurons; command neurons share `recurrent_command_synapses` synapses
    drawn with repetition; each motor neuron listens to `motor_fanin` command neurons. A neuron
    that nothing reached gets synapses of its own. Polarities are drawn evenly.

    `NCP(12, 6, 1, 6, 4, 10, 6)` with 32 inputs is the published driving network: 19 neurons,
    253 synapses.

    Args:
        inter_neurons, command_neurons, motor_neurons: sizes of the layers.
        sensory_fanout: at most `inter_neurons`.
        inter_fanout: at most `command_neurons`.
        recurrent_command_synapses: number of draws; a synapse drawn twice counts once.
        motor_fanin: at most `command_neurons`.
        seed: of places and polarities.
    """

    def __init__(
        self,
        inter_neurons: int,
        command_neurons: int,
        motor_neurons: int,
        sensory_fanout: int,
        inter_fanout: int,
        recurrent_command_synapses: int,
        motor_fanin: int,
        seed: int = 22222,
    ):
        inter = whole_number('inter_neurons', inter_neurons)
        command = whole_number('command_neurons', command_neurons)
        motor = whole_number('motor_neurons', motor_neurons)
        first_inter, units = motor + command, motor + command + inter
        layers = {
            'inter': range(first_inter, units),
            'command': range(motor, first_inter),
            'motor': range(motor),
        }
        super().__init__(units, motor, layers)
        self.sensory_fanout = _fan('sensory_fanout', sensory_fanout, inter, 'inter')
        self.inter_fanout = _fan('inter_fanout', inter_fanout, command, 'command')
        self.motor_fanin = _fan('motor_fanin', motor_fanin, command, 'command')
        self.recurrent_command_synapses = whole_number(
            'recurrent_command_synapses', recurrent_command_synapses, least=0
        )
        self.seed = whole_number('seed', seed, least=0)

    def _draw(self, input_size: int) -> tuple[Adjacency, Adjacency]:
        # The order of the draws is the reference's: any other order gives another network.
        rng = np.random.RandomState(self.seed)
        sensory = np.zeros((input_size, self.units), dtype=np.int32)
        adjacency = np.zeros((self.units, self.units), dtype=np.int32)
        inter, command, motor = (np.array(ids) for ids in self.layers.values())
        inputs = np.arange(input_size)

        _fan_out(rng, sensory, inputs, inter, self.sensory_fanout, input_size)
        _fan_out(rng, adjacency, inter, command, self.inter_fanout, len(command))
        for _ in range(self.recurrent_command_synapses):
            source, target = rng.choice(command), rng.choice(command)
            adjacency[source, target] = rng.choice([-1, 1])
        # Motor neurons choose their sources: the same draw on the transposed matrix.
        _fan_out(rng, adjacency.T, motor, command, self.motor_fanin, len(motor))
        return sensory, adjacency


def _fan(name: str, fan: object, limit: int, layer: str) -> int:
    number = whole_number(name, fan)
    if number > limit:
        raise ValueError(f'{name} must be within 1..{limit} ({layer} neurons), got {fan}')
    return number


def _fan_out(
    rng: np.random.RandomState,
    matrix: Adjacency,
    near: Neurons,
    far: Neurons,
    fan: int,
    most: int,
) -> None:
    """Join each `near` neuron to `fan` of the `far` ones; then each far one left over, likewise.

    A left-over neuron gets the mean fan of the far side, at least 1 and at most `most`.
    """
    for neuron in near:
        chosen = rng.choice(far, size=fan, replace=False)
        matrix[neuron, chosen] = rng.choice([-1, 1], size=fan)
    left_over = [neuron for neuron in far if not matrix[np.ix_(near, [neuron])].any()]
    mean_fan = int(np.clip(len(near) * fan // len(far), 1, most))
    for neuron in left_over:
        chosen = rng.choice(near, size=mean_fan, replace=False)
        matrix[chosen, neuron] = rng.choice([-1, 1], size=mean_fan)


class AutoNCP(NCP):
    """An NCP of a given size; the layers and fans follow from two numbers.

    Of the neurons that are not motor neurons, 40 % are command neurons and the rest inter
    neurons; each fan is the share `1 - sparsity` of the layer that it reaches.

    Args:
        units: number of neurons, more than output_size + 2.
        output_size: number of motor neurons.
        sparsity: share of the possible synapses that is left out, within [0.1, 1].
        seed: of places and polarities.
    """

    def __init__(self, units: int, output_size: int, sparsity: float = 0.5, seed: int = 22222):
        units, output_size = whole_number('units', units), whole_number('output_size', output_size)
        if units < output_size + MIN_HIDDEN:
            raise ValueError(
                f'units must be more than output_size + 2 = {output_size + 2}, got {units}'
            )
        if not MIN_SPARSITY <= sparsity <= 1.0:
            raise ValueError(f'sparsity must be within [{MIN_SPARSITY:g}, 1], got {sparsity}')
        self.sparsity = sparsity
        density = 1.0 - sparsity
        command = max(int(0.4 * (units - output_size)), 1)
        inter = units - output_size - command
        super().__init__(
            inter_neurons=inter,
            command_neurons=command,
            motor_neurons=output_size,
            sensory_fanout=max(int(inter * density), 1),
            inter_fanout=max(int(command * density), 1),
            recurrent_command_synapses=max(int(command * density * 2), 1),
            motor_fanin=max(int(command * density), 1),
            seed=seed,
        )
