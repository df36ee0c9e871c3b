# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Wirings: the reference's synapses bit for bit, drawn once, described, saved and drawn."""

from __future__ import annotations

import matplotlib
import ncps.wirings
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

matplotlib.use('Agg')

import matplotlib.pyplot as plt

from liquid_control.nn import LTC, NCP, AutoNCP, CfC, FixedWiring, FullyConnected, Random, Wiring

seeds = st.integers(0, 2**31 - 1)
inputs = st.integers(1, 40)


def assert_same_synapses(ours: Wiring, theirs: ncps.wirings.Wiring, input_size: int) -> None:
    ours.build(input_size)
    theirs.build(input_size)
    np.testing.assert_array_equal(ours.adjacency, theirs.adjacency_matrix)
    np.testing.assert_array_equal(ours.sensory_adjacency, theirs.sensory_adjacency_matrix)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), input_size=inputs, seed=seeds)
def test_ncp_equals_the_reference(data, input_size, seed):
    inter, command, motor = (data.draw(st.integers(1, 14)) for _ in range(3))
    arguments = (
        inter,
        command,
        motor,
        data.draw(st.integers(1, inter)),
        data.draw(st.integers(1, command)),
        data.draw(st.integers(0, 20)),
        data.draw(st.integers(1, command)),
        seed,
    )
    assert_same_synapses(NCP(*arguments), ncps.wirings.NCP(*arguments), input_size)


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    input_size=inputs,
    units=st.integers(4, 64),
    sparsity=st.floats(0.1, 1.0),
    seed=seeds,
)
def test_autoncp_equals_the_reference(data, input_size, units, sparsity, seed):
    outputs = data.draw(st.integers(1, units - 3))
    theirs = ncps.wirings.AutoNCP(units, outputs, sparsity, seed)
    assert_same_synapses(AutoNCP(units, outputs, sparsity, seed), theirs, input_size)


@settings(max_examples=20, deadline=None)
@given(
    input_size=inputs,
    units=st.integers(1, 24),
    sparsity=st.floats(0.0, 0.99),
    self_connections=st.booleans(),
    seed=seeds,
)
def test_random_and_full_equal_the_reference(input_size, units, sparsity, self_connections, seed):
    assert_same_synapses(
        Random(units, sparsity=sparsity, seed=seed),
        ncps.wirings.Random(units, None, sparsity, seed),
        input_size,
    )
    assert_same_synapses(
        FullyConnected(units, self_connections=self_connections, seed=seed),
        ncps.wirings.FullyConnected(units, None, seed, self_connections),
        input_size,
    )


def test_the_published_driving_network_has_253_synapses():
    wiring = NCP(12, 6, 1, 6, 4, 10, 6).build(32)
    assert wiring.units == 19
    assert wiring.synapse_count + wiring.sensory_synapse_count == 253
    assert (wiring.sensory_synapse_count, wiring.synapse_count) == (192, 61)


def test_the_published_driving_network_has_1069_parameters():
    """Four for each synapse, three for each neuron; the paper's 1,065 is one synapse fewer."""
    bare = LTC(32, NCP(12, 6, 1, 6, 4, 10, 6), input_mapping=None, output_mapping=None)
    assert bare.active_parameter_count == 4 * 253 + 3 * 19 == 1069
    mapped = LTC(32, NCP(12, 6, 1, 6, 4, 10, 6))
    assert mapped.active_parameter_count == 1069 + 2 * 32 + 2 * 1


def test_parameters_without_effect_are_not_counted():
    """Counted again by what a change does to the outputs."""
    torch.manual_seed(0)
    for layer in (
        LTC(3, NCP(4, 3, 1, 2, 2, 2, 2)),
        CfC(3, NCP(4, 3, 1, 2, 2, 2, 2)),
        CfC(3, NCP(4, 3, 1, 2, 2, 2, 2), strict_wiring=True, mode='no_gate'),
        CfC(3, 4, mode='pure'),
    ):
        _, state = layer.double()(torch.randn(8, 5, 3).double())
        weights = list(layer.parameters())
        acting = sum(
            (gradient != 0).sum()
            for gradient in torch.autograd.grad(state.square().sum(), weights, allow_unused=True)
            if gradient is not None
        )
        unread = sum(
            weight.numel() for name, weight in layer.named_parameters() if 'output_' in name
        )
        assert layer.active_parameter_count == acting + unread


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        (AutoNCP(19, 1), ncps.wirings.AutoNCP(19, 1)),
        (FullyConnected(5), ncps.wirings.FullyConnected(5)),
        (Random(9, sparsity=0.5), ncps.wirings.Random(9, sparsity_level=0.5)),
    ],
)
def test_building_twice_changes_nothing_where_the_reference_draws_again(ours, theirs):
    ours.build(8)
    once = ours.adjacency.copy(), ours.sensory_adjacency.copy()
    assert ours.build(8) is ours
    np.testing.assert_array_equal(ours.adjacency, once[0])
    np.testing.assert_array_equal(ours.sensory_adjacency, once[1])

    theirs.build(8)
    before = theirs.sensory_adjacency_matrix.copy()
    theirs.build(8)
    assert not np.array_equal(theirs.sensory_adjacency_matrix, before)


def test_building_for_another_number_of_inputs_is_refused():
    wiring = AutoNCP(19, 1).build(8)
    with pytest.raises(ValueError, match='built for 8 inputs'):
        wiring.build(9)


def test_synapses_cannot_be_read_before_build_nor_written_after():
    wiring = AutoNCP(19, 1)
    with pytest.raises(ValueError, match='call build'):
        _ = wiring.adjacency
    wiring.build(4)
    with pytest.raises(ValueError, match='read-only'):
        wiring.adjacency[0, 0] = 1


def test_layers_are_in_the_order_of_the_signal_and_motor_neurons_come_first():
    wiring = NCP(12, 6, 2, 6, 4, 10, 6).build(3)
    assert wiring.layers == {'inter': range(8, 20), 'command': range(2, 8), 'motor': range(2)}
    types = [wiring.neuron_type(neuron) for neuron in range(wiring.units)]
    assert types == ['motor'] * 2 + ['command'] * 6 + ['inter'] * 12
    # Signals pass forward only, and only command neurons listen to each other.
    reached = {
        (wiring.neuron_type(source), wiring.neuron_type(target))
        for source, target in np.argwhere(wiring.adjacency)
    }
    assert reached == {('inter', 'command'), ('command', 'command'), ('command', 'motor')}


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: NCP(4, 4, 1, 5, 2, 2, 2), r'sensory_fanout must be within 1\.\.4'),
        (lambda: AutoNCP(4, 2), r'more than output_size \+ 2 = 4, got 4'),
        (lambda: AutoNCP(9, 2, sparsity=0.0), 'sparsity must be within'),
        (lambda: Random(9, sparsity=1.0), 'sparsity must be within'),
        (lambda: FullyConnected(3, 4), r'output_size must be within 1\.\.3'),
        (lambda: FixedWiring(np.full((2, 2), 3), np.ones((1, 2)), 1), 'only -1, 0 and 1'),
        (lambda: FixedWiring(np.ones((2, 2)), np.ones((1, 3)), 1), 'sensory_adjacency must be'),
    ],
)
def test_impossible_wirings_are_refused_with_the_reason(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize('wiring', [AutoNCP(19, 2, seed=4), Random(7, 3, sparsity=0.5)])
def test_a_wiring_survives_being_written_as_plain_data(wiring):
    wiring.build(6)
    again = FixedWiring.from_dict(wiring.to_dict())
    np.testing.assert_array_equal(again.adjacency, wiring.adjacency)
    np.testing.assert_array_equal(again.sensory_adjacency, wiring.sensory_adjacency)
    assert (again.layers, again.output_size) == (wiring.layers, wiring.output_size)


def test_a_drawing_has_a_mark_for_every_neuron_and_an_arrow_for_every_synapse():
    wiring = NCP(4, 3, 2, 2, 2, 5, 2).build(3)
    axes = wiring.draw()
    assert len(axes.patches) == wiring.synapse_count + wiring.sensory_synapse_count
    assert sum(len(marks.get_offsets()) for marks in axes.collections) == 3 + 9
    assert [text.get_text() for text in axes.texts] == [
        '3 sensory',
        '4 inter',
        '3 command',
        '2 motor',
    ]
    plt.close(axes.figure)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'adjacency': np.full((4, 4), 0.5)}, 'only -1, 0 and 1'),
        ({'layers': {'inter': range(2, 4), 'motor': range(1)}}, 'must be in one layer'),
        ({'layers': {'motor': range(2), 'inter': range(2, 4)}}, 'last layer must hold the motor'),
        ({'layers': {'inter': range(1, 4), 'motor': range(1)}}, 'last layer must hold the motor'),
    ],
)
def test_matrices_and_layers_that_make_no_wiring_are_refused(change, message):
    given = {
        'adjacency': np.zeros((4, 4)),
        'sensory_adjacency': np.ones((3, 4)),
        'output_size': 2,
        'layers': {'inter': range(2, 4), 'motor': range(2)},
    }
    with pytest.raises(ValueError, match=message):
        FixedWiring(**(given | change))


@pytest.mark.parametrize(
    ('adjacency', 'sensory', 'message'),
    [
        ([[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 1]], 'synapse from neuron 2 to neuron 0'),
        ([[0, 1, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 1]], 'synapse from neuron 0 to neuron 1'),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 1]], 'synapse from input 0 to neuron 1'),
    ],
)
def test_a_wired_cfc_refuses_synapses_that_it_would_drop(adjacency, sensory, message):
    layers = {'inter': range(2, 3), 'command': range(1, 2), 'motor': range(1)}
    wiring = FixedWiring(np.array(adjacency), np.array(sensory), 1, layers)
    LTC(1, wiring)
    with pytest.raises(ValueError, match=message):
        CfC(1, wiring)
