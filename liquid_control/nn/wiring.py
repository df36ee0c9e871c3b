# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Wirings: which neurons a synapse joins, and whether it excites or inhibits.

A wiring is drawn once for a number of inputs (`build`) and never changes afterwards. The same
arguments and seed give the same synapses as `ncps` 1.0.1, bit for bit, so weights trained there
mean the same here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.nn.options import whole_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Adjacency = NDArray[np.int32]

# Two synapses in three excite, in wirings that do not say otherwise.
POLARITIES = np.array([-1, 1, 1], dtype=np.int32)


class Wiring:
    """Neurons, the layers they form, and the signed adjacency matrices between them.

    Neurons are numbered with the motor neurons (the outputs) first. `adjacency[source, target]`
    is +1 (excitatory), -1 (inhibitory) or 0 (no synapse).

    Attributes:
        units: number of neurons, without the inputs.
        output_size: number of motor neurons: neurons 0 to output_size - 1.
        layers: name and neurons of each layer, in the order in which a signal passes them. The
            last layer holds the motor neurons.
        input_size: number of inputs (sensory neurons); None until `build`.
    """

    def __init__(self, units: int, output_size: int, layers: dict[str, range] | None = None):
        units, output_size = whole_number('units', units), whole_number('output_size', output_size)
        if not 1 <= output_size <= units:
            raise ValueError(f'output_size must be within 1..{units} (units), got {output_size}')
        self.units = units
        self.output_size = output_size
        self.layers = {'recurrent': range(units)} if layers is None else layers
        for name, neurons in self.layers.items():
            if not isinstance(neurons, range):
                raise TypeError(f'layer {name!r} must be a range of neurons, got {neurons!r}')
        if sorted(i for neurons in self.layers.values() for i in neurons) != list(range(units)):
            raise ValueError(f'each of the {units} neurons must be in one layer, got {layers}')
        last = list(self.layers.values())[-1]
        if len(self.layers) > 1 and list(last) != list(range(output_size)):
            raise ValueError(
                f'the last layer must hold the motor neurons 0 to {output_size - 1}, got {last}'
            )
        self.input_size: int | None = None
        self._adjacency: Adjacency | None = None
        self._sensory_adjacency: Adjacency | None = None

    def _draw(self, input_size: int) -> tuple[Adjacency, Adjacency]:
        """Sensory [input_size, units] and recurrent [units, units] adjacency; no side effects."""
        raise NotImplementedError

    def build(self, input_size: int) -> Wiring:
        """Draw the synapses for `input_size` inputs; doing it again changes nothing.

        Raises:
            ValueError: the wiring was built for another number of inputs.
        """
        if self.input_size is None:
            input_size = whole_number('input_size', input_size)
            self._sensory_adjacency, self._adjacency = self._draw(input_size)
            self._sensory_adjacency.flags.writeable = False
            self._adjacency.flags.writeable = False
            self.input_size = input_size
        elif self.input_size != input_size:
            raise ValueError(
                f'this wiring was built for {self.input_size} inputs and cannot serve '
                f'{input_size}: make a new wiring with the same arguments'
            )
        return self

    @property
    def adjacency(self) -> Adjacency:
        """Polarity of the synapses between neurons, [source, target], read-only."""
        return self._built(self._adjacency)

    @property
    def sensory_adjacency(self) -> Adjacency:
        """Polarity of the synapses from the inputs, [input, target neuron], read-only."""
        return self._built(self._sensory_adjacency)

    def _built(self, matrix: Adjacency | None) -> Adjacency:
        if matrix is None:
            raise ValueError('the wiring has no synapses yet: call build(input_size) first')
        return matrix

    @property
    def synapse_count(self) -> int:
        """Synapses between neurons."""
        return int(np.count_nonzero(self.adjacency))

    @property
    def sensory_synapse_count(self) -> int:
        """Synapses from the inputs to neurons."""
        return int(np.count_nonzero(self.sensory_adjacency))

    def neuron_type(self, neuron: int) -> str:
        """'motor' for an output, otherwise the name of the neuron's layer."""
        if neuron < self.output_size:
            return 'motor'
        return next(name for name, neurons in self.layers.items() if neuron in neurons)

    def draw(self, ax: Axes | None = None) -> Axes:
        """Draw the wiring, layer by layer from left to right; needs matplotlib."""
        from liquid_control.nn.draw import draw_wiring

        return draw_wiring(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Plain data from which `FixedWiring.from_dict` makes the same wiring again."""
        return {
            'output_size': self.output_size,
            'layers': {str(name): _bounds(neurons) for name, neurons in self.layers.items()},
            'adjacency': self.adjacency.tolist(),
            'sensory_adjacency': self.sensory_adjacency.tolist(),
        }

    def __repr__(self) -> str:
        layers = ', '.join(f'{name}={len(ids)}' for name, ids in self.layers.items())
        built = 'not built'
        if self.input_size is not None:
            count = self.synapse_count + self.sensory_synapse_count
            built = f'inputs={self.input_size}, synapses={count}'
        return f'{type(self).__name__}({layers}, outputs={self.output_size}, {built})'


def _bounds(neurons: range) -> list[int]:
    """Arguments of `range`; the step only where neurons of layers alternate."""
    return [neurons.start, neurons.stop, neurons.step][: 2 if neurons.step == 1 else 3]


class FixedWiring(Wiring):
    """A wiring given by its matrices: a known circuit, or one that was saved.

    Args:
        adjacency: polarities [units, units].
        sensory_adjacency: polarities [inputs, units].
        output_size: number of motor neurons.
        layers: as in `Wiring`; None makes one layer of all neurons.
    """

    def __init__(
        self,
        adjacency: Adjacency,
        sensory_adjacency: Adjacency,
        output_size: int,
        layers: dict[str, range] | None = None,
    ):
        adjacency, sensory = np.array(adjacency), np.array(sensory_adjacency)
        if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
            raise ValueError(f'adjacency must be [units, units], got shape {adjacency.shape}')
        if sensory.ndim != 2 or sensory.shape[1] != adjacency.shape[1]:
            raise ValueError(
                f'sensory_adjacency must be [inputs, {adjacency.shape[1]}], got {sensory.shape}'
            )
        if not (np.isin(adjacency, (-1, 0, 1)).all() and np.isin(sensory, (-1, 0, 1)).all()):
            raise ValueError('adjacency matrices hold polarities: only -1, 0 and 1')
        super().__init__(adjacency.shape[0], output_size, layers)
        self._matrices = sensory.astype(np.int32), adjacency.astype(np.int32)
        self.build(sensory.shape[0])

    def _draw(self, input_size: int) -> tuple[Adjacency, Adjacency]:
        return self._matrices

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FixedWiring:
        """The wiring that `to_dict` described."""
        return cls(
            data['adjacency'],
            data['sensory_adjacency'],
            data['output_size'],
            {name: range(*bounds) for name, bounds in data['layers'].items()},
        )


class FullyConnected(Wiring):
    """Every neuron to every neuron and every input to every neuron, polarities drawn from a seed.

    Args:
        units: number of neurons.
        output_size: number of motor neurons; None makes every neuron one.
        self_connections: whether a neuron also has a synapse onto itself.
        seed: of the polarities.
    """

    def __init__(
        self,
        units: int,
        output_size: int | None = None,
        *,
        self_connections: bool = True,
        seed: int = 1111,
    ):
        super().__init__(units, units if output_size is None else output_size)
        self.self_connections = bool(self_connections)
        self.seed = whole_number('seed', seed, least=0)

    def _draw(self, input_size: int) -> tuple[Adjacency, Adjacency]:
        rng = np.random.default_rng(self.seed)
        exists = np.ones((self.units, self.units), dtype=bool)
        if not self.self_connections:
            np.fill_diagonal(exists, False)
        adjacency = np.zeros((self.units, self.units), dtype=np.int32)
        adjacency[exists] = rng.choice(POLARITIES, size=int(exists.sum()))
        sensory = rng.choice(POLARITIES, size=(input_size, self.units))
        return sensory, adjacency


class Random(Wiring):
    """A share of all possible synapses, drawn from a seed.

    Args:
        units: number of neurons.
        output_size: number of motor neurons; None makes every neuron one.
        sparsity: share of the possible synapses that is left out, within [0, 1).
        seed: of places and polarities.
    """

    def __init__(
        self,
        units: int,
        output_size: int | None = None,
        *,
        sparsity: float = 0.0,
        seed: int = 1111,
    ):
        super().__init__(units, units if output_size is None else output_size)
        if not 0.0 <= sparsity < 1.0:
            raise ValueError(f'sparsity must be within [0, 1), got {sparsity}')
        self.sparsity = float(sparsity)
        self.seed = whole_number('seed', seed, least=0)

    def _draw(self, input_size: int) -> tuple[Adjacency, Adjacency]:
        rng = np.random.default_rng(self.seed)
        # The reference draws each sensory polarity twice and keeps the second.
        adjacency = self._sample(rng, self.units, draws=1)
        return self._sample(rng, input_size, draws=2), adjacency

    def _sample(self, rng: np.random.Generator, sources: int, draws: int) -> Adjacency:
        places = sources * self.units
        count = int(np.round(places * (1 - self.sparsity)))
        chosen = rng.choice(places, size=count, replace=False)
        matrix = np.zeros(places, dtype=np.int32)
        matrix[chosen] = rng.choice(POLARITIES, size=(count, draws))[:, -1]
        return matrix.reshape(sources, self.units)
