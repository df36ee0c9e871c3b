# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What only the network itself knows: its neurons' names, wiring and time constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from liquid_control.evaluate.explain.drive import Drive, Floats
from liquid_control.nn.cfc import WiredCfCCell
from liquid_control.nn.time_constants import time_constants


@dataclass(frozen=True)
class Inside:
    """Of a network, for the numbers of its state.

    Attributes:
        names: of each.
        wiring: which neurons a synapse joins; None where all hear all.
        neurons: index in the state -> neuron of the wiring.
        taus: time constants at every tick, s, [T, units]; None where the cell has none.
        note: why something is not known; '' where nothing is missing.
    """

    names: tuple[str, ...]
    wiring: Any = None
    neurons: tuple[int, ...] = ()
    taus: Floats | None = None
    note: str = ''


def unknown(size: int, note: str = '') -> Inside:
    """Where the network cannot be rebuilt; note: why."""
    return Inside(tuple(f'neuron {index}' for index in range(size)), note=note)


def look_inside(network: Any, drive: Drive) -> Inside:
    """Names, wiring and time constants.

    Args:
        network: a PolicyNetwork.
    """
    layer, size = network.cell, drive.states.shape[1]
    units, wiring = layer.state_size, layer.wiring
    names, neurons = list(unknown(units).names), tuple(range(units))
    if wiring is not None:
        places = {
            neuron: f'{name} {index}'
            for name, ids in wiring.layers.items()
            for index, neuron in enumerate(ids)
        }
        if isinstance(layer.rnn_cell, WiredCfCCell):
            neurons = tuple(neuron for ids in wiring.layers.values() for neuron in ids)
        names = [places[neuron] for neuron in neurons]
    names += [f'memory {index}' for index in range(size - units)]
    taus = _time_constants(network, drive)
    note = '' if taus is not None else f'{network.config.cell}: neurons without a time constant'
    return Inside(tuple(names), wiring, neurons, taus, note)


def _time_constants(network: Any, drive: Drive) -> Floats | None:
    with torch.no_grad():
        inputs = {name: torch.from_numpy(values) for name, values in drive.inputs.items()}
        seen = network.core_inputs(inputs)
        before = np.concatenate([np.zeros_like(drive.states[:1]), drive.states[:-1]])
        elapsed = torch.from_numpy(drive.elapsed.astype(np.float32))
        taus = time_constants(network.cell, seen, torch.from_numpy(before), elapsed)
    if taus is None:
        return None
    return np.asarray(taus.numpy(), np.float64)
