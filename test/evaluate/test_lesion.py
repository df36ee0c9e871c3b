# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Lesions: what is silent says what it always said, and the rest is as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from support.studies import Here, doubles

from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.inputs import read_inputs
from liquid_control.evaluate.evidence.lesion import lesion
from liquid_control.evaluate.evidence.lesion.silence import (
    order,
    silenced,
    synapses,
    wiring_of,
)
from liquid_control.evaluate.evidence.study import EvidenceError, Study, run
from liquid_control.learn.export.rebuild import load_network
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork

BUNDLE = Path(__file__).parents[2] / 'models' / 'track_cfc'


def small(cell: str) -> PolicyNetwork:
    torch.manual_seed(0)
    document = {name: {'kind': 'imu', 'rate': 100, 'max_age': 0.1} for name in ('imu', 'other')}
    inputs = read_inputs(document, where='test', error=ValueError)
    commands = (CommandSpec('steering_angle', 'rad', -0.4, 0.4), CommandSpec('speed', 'm/s', 0, 2))
    config = NetworkConfig(cell=cell, neurons=12, inputs=inputs, commands=commands)
    return PolicyNetwork(config).eval()


@pytest.mark.parametrize('cell', ['cfc', 'cfc-elastance', 'ltc'])
def test_only_what_is_silent_stops_mattering(cell: str) -> None:
    network = small(cell)
    wiring = wiring_of(network)
    inputs, rng = len(wiring.sensory_adjacency), np.random.default_rng(0)
    means = 0.3 * rng.standard_normal(inputs + wiring.units)
    command = wiring.layers['command'][0]

    def step(found: PolicyNetwork, potential: float) -> torch.Tensor:
        state = torch.zeros(1, wiring.units)
        state[0, order(network).index(command)] = potential
        seen, seconds = torch.full((1, inputs), 0.2), torch.full((1, 1), 0.05)
        with torch.no_grad():
            outputs, _ = found.cell.step(seen, found.cell.unpack(state), seconds)
            return found.commands(outputs)

    # Silent: at its mean it says what it said before, and elsewhere still the same.
    silent = silenced(network, means, neurons=[command])
    heard = abs(step(network, 0.9) - step(network, -0.9)).max()
    still = abs(step(silent, 0.9) - step(silent, -0.9)).max()
    assert still < (0.5 if cell == 'ltc' else 1e-6) * heard  # an LTC's own leak goes on
    nothing = silenced(network, means)
    assert torch.equal(step(nothing, 0.4), step(network, 0.4))
    # All that leads to the motor neurons silent: commands stay what they are.
    frozen = silenced(network, means, neurons=list(range(wiring.output_size)))
    assert torch.equal(step(frozen, 0.9), step(frozen, -0.9))


def test_the_synapses_are_those_of_the_wiring() -> None:
    network = load_network(BUNDLE)
    wiring = wiring_of(network)
    assert len(synapses(wiring)) == network.spec().synapses
    inside = lesion.groups(wiring)['recurrence']
    assert len(inside) == sum(len(neurons) ** 2 for neurons in wiring.layers.values())
    with pytest.raises(EvidenceError, match=r'lesions need a wired cell .*found gru'):
        wiring_of(small('gru'))


def test_what_follows_is_measured_after_what_it_follows_from(tmp_path: Path) -> None:
    first = doubles(1, 2)
    study = Study(
        'doubles',
        first.measure,
        first.pieces,
        first.summarise,
        then=lambda found: [{'number': sum(measured['double'] for _, measured in found)}],
    )
    report = run(study, tmp_path, pool=Here(), console=Console(quiet=True))
    assert [row['double'] for row in report.tables[0].rows] == [2, 4, 12]


def test_the_strongest_neurons_are_driven_without_and_the_weakest_go_first() -> None:
    study = lesion.study([BUNDLE], load_network, quick=True)
    wiring = wiring_of(load_network(BUNDLE))
    rng = np.random.default_rng(0)
    inputs = len(wiring.sensory_adjacency)
    pairs = [pair for pair in synapses(wiring) if pair[0] >= inputs]
    neurons = rng.random((wiring.units, 2))
    strongest = wiring.layers['command'][3]
    neurons[strongest] = 5.0
    measured = {
        'means': [0.0] * (inputs + wiring.units),
        'neurons': neurons.tolist(),
        'synapses': rng.random((len(pairs), 2)).tolist(),
        'pairs': pairs,
        'groups': {'recurrence': [0.5, 0.1]},
        'correlation': [0.5] * wiring.units,
        'activity': [0.1] * wiring.units,
    }
    found = [(piece, measured) for piece in study.pieces]
    assert study.then is not None
    pieces = study.then(found)
    assert {'nothing', 'neuron command 3'} < {piece.get('lesion') for piece in pieces}
    orders = {piece['of']: piece['order'] for piece in pieces if piece['what'] == 'redundancy'}
    assert orders['neurons'][-1] == strongest
    assert not set(orders['neurons']) & set(range(wiring.output_size))
    drives = [
        (piece, {'failed': piece['lesion'] != 'nothing', 'offset': 0.02})
        if piece['what'] == 'drive'
        else (piece, {'threshold': '0.5', 'value': 0.5, 'drives': 3})
        for piece in pieces
    ]
    report = study.summarise([*found, *drives])
    assert report.verdict == 'track_cfc: steering angle hangs most on command 3'
    rows = {table.name: table.rows for table in report.tables}
    assert rows['command_neurons'][0]['neuron'] == 'command 3'
    assert {row['silenced']: row['succeeded'][0] for row in rows['drives']}['nothing'] == '1'
    assert 'from the target, m' not in rows['drives'][0]
    assert set(report.figures) == {'wiring_track_cfc'}
    flown = [(piece, {'failed': False, 'offset': None, 'away': 2.0}) for piece, _ in drives[:1]]
    (row,) = next(t.rows for t in study.summarise([*found, *flown]).tables if t.name == 'drives')
    assert row['from the target, m'].startswith('2 ')
    assert 'offset, m' not in row


def test_more_worlds_than_there_are_for_judging_are_refused() -> None:
    with pytest.raises(EvidenceError, match='1000 worlds for judging'):
        lesion.study([BUNDLE], load_network, seed=10)
