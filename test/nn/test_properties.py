# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the equations promise, for any input and any elapsed time."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.compiled_cells import some_inputs

from liquid_control.contract.contract import CommandSpec
from liquid_control.nn import LTC, NCP, AutoNCP, CfC, kernels
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork
from liquid_control.nn.solvers import POLICY_SOLVER, POLICY_UNFOLDS

BOUNDED_SOLVERS = ('fused', 'exponential_midpoint')
seeds = st.integers(0, 10_000)
magnitudes = st.sampled_from([0.1, 1.0, 30.0, 1e6])
# From no time at all to three years, over many orders of magnitude.
seconds = st.one_of(st.just(0.0), st.floats(-6, 8).map(lambda power: 10.0**power))


def random_layer(kind: type, seed: int, scale: float, **options: object) -> LTC | CfC:
    """A layer with weights well away from their start."""
    torch.manual_seed(seed)
    layer = kind(6, AutoNCP(14, 2, seed=seed), **options)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(scale * torch.randn_like(weight))
    return layer


def reversal_bounds(layer: LTC, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Least and greatest potential of each neuron: of its leak, its synapses, and its own."""
    cell = layer.rnn_cell
    levels = [state, cell.vleak.expand_as(state), torch.zeros_like(state)]  # 0: the 1e-8 leak
    for erev, mask in (
        (cell.erev, cell.sparsity_mask),
        (cell.sensory_erev, cell.sensory_sparsity_mask),
    ):
        for sign in (-1, 1):
            # Without a synapse the own leak potential stands in, which changes nothing.
            reached = torch.where(mask > 0, erev, cell.vleak)
            levels.append((sign * (sign * reached).amax(0)).expand_as(state))
    stacked = torch.stack(levels)
    return stacked.amin(0), stacked.amax(0)


@pytest.mark.parametrize('solver', BOUNDED_SOLVERS)
@settings(max_examples=40, deadline=None)
@given(seed=seeds, dt=seconds, magnitude=magnitudes, plain=st.booleans())
@torch.no_grad()
def test_ltc_potentials_stay_between_leak_and_reversal_potentials(
    solver, seed, dt, magnitude, plain
):
    """Theorem 2 of the LTC paper, for the solvers that are convex combinations."""
    layer = random_layer(LTC, seed, 1.0, solver=solver, unfolds=1 + seed % 6)
    state = torch.randn(4, 14)
    low, high = reversal_bounds(layer, state)
    x = magnitude * torch.randn(8, 4, 6)
    with kernels.plain_torch() if plain else nullcontext():
        states = layer.rnn_cell.scan(x, state, torch.tensor(dt))
    slack = 1e-5 * (1 + torch.maximum(low.abs(), high.abs()))
    assert torch.isfinite(states).all()
    assert (states >= low - slack).all()
    assert (states <= high + slack).all()


@pytest.mark.parametrize(('mode', 'bound'), [('default', 1.0), ('no_gate', 2.0)])
@pytest.mark.parametrize('strict', [False, True])
@settings(max_examples=20, deadline=None)
@given(seed=seeds, dt=seconds, magnitude=magnitudes)
@torch.no_grad()
def test_cfc_states_stay_within_what_tanh_allows(mode, bound, strict, seed, dt, magnitude):
    layer = random_layer(CfC, seed, 1.0, mode=mode, strict_wiring=strict)
    x, state = magnitude * torch.randn(8, 4, 6), torch.zeros(4, layer.state_size)
    for elapsed in (torch.tensor(dt), torch.full((8, 4), dt)):
        states = layer.rnn_cell.scan(x, state, elapsed)
        assert torch.isfinite(states).all()
        assert (states.abs() <= bound + 1e-6).all()


@settings(max_examples=5, deadline=None)
@given(seed=seeds)
@torch.no_grad()
def test_splitting_an_elapsed_time_converges_to_the_exact_solution(seed):
    layers = {
        solver: random_layer(LTC, seed, 0.1, solver=solver, unfolds=1).double()
        for solver in ('fused', 'exponential_midpoint', 'euler', 'rk4')
    }
    x, state = torch.rand(2, 1, 6).double() * 2 - 1, torch.rand(2, 14).double() * 2 - 1
    elapsed = 0.5

    def split(solver: str, parts: int) -> torch.Tensor:
        _, after = layers[solver](x.expand(2, parts, 6), state, elapsed / parts)
        return after

    exact = split('rk4', 512)
    for solver, order in (('fused', 1), ('exponential_midpoint', 2), ('euler', 1), ('rk4', 4)):
        coarse, fine = ((split(solver, parts) - exact).abs().max() for parts in (64, 128))
        assert fine < 1e-2
        if coarse > 1e-12:  # below is rounding
            halved = torch.log2(coarse / fine)
            assert order - 0.3 < halved < order + 0.5, f'{solver}: order {halved:.2f}'


@pytest.mark.parametrize('rate', [10, 20, 50, 100])
@torch.no_grad()
def test_the_solver_of_new_policies_is_nearer_the_solution_for_less_work(rate):
    """`evaluate solvers` in small, on the networks that policies begin as."""
    assert 2 * POLICY_UNFOLDS < 6, 'evaluations of the midpoint solver and of six fused unfolds'

    def cell(seed: int, solver: str, unfolds: int) -> LTC:
        torch.manual_seed(seed)
        config = NetworkConfig(
            commands=(CommandSpec('speed', 'm/s', 0.0, 1.0),),
            cell='ltc',
            neurons=19,
            inputs=some_inputs('imu'),
            wiring_seed=seed,
            solver=solver,
            unfolds=unfolds,
        )
        return PolicyNetwork(config).cell.double()

    errors: dict[str, list[torch.Tensor]] = {'policy': [], 'reference': []}
    for seed in range(8):
        x, state = torch.rand(16, 6).double() * 2 - 1, torch.rand(16, 19).double() * 2 - 1
        truth = cell(seed, 'rk4', 200).step(x, state, 1 / rate)[1]
        for name, options in (
            ('policy', (POLICY_SOLVER, POLICY_UNFOLDS)),
            ('reference', ('fused', 6)),
        ):
            found = cell(seed, *options).step(x, state, 1 / rate)[1]
            errors[name].append((found - truth).abs().amax(dim=1))
    medians = {name: torch.cat(found).median() for name, found in errors.items()}
    assert medians['policy'] < 0.5 * medians['reference']


@torch.no_grad()
def test_more_unfolds_equal_more_and_shorter_steps():
    torch.manual_seed(0)
    x, state = torch.randn(2, 1, 6).double(), torch.randn(2, 14).double()
    for solver in ('fused', 'exponential_midpoint', 'euler', 'rk4'):
        many = random_layer(LTC, 1, 0.1, solver=solver, unfolds=4).double()
        one = random_layer(LTC, 1, 0.1, solver=solver, unfolds=1).double()
        _, unfolded = many(x, state, elapsed=0.2)
        _, stepped = one(x.expand(2, 4, 6), state, elapsed=0.05)
        torch.testing.assert_close(unfolded, stepped, rtol=0, atol=1e-12)


@pytest.mark.parametrize('kind', [LTC, CfC])
def test_nothing_passes_where_the_wiring_has_no_synapse(kind):
    """The gradient of each neuron's next state by each source is zero off the wiring."""
    wiring = NCP(7, 4, 2, 3, 2, 3, 2, seed=5)
    options = {'strict_wiring': True} if kind is CfC else {'unfolds': 1}
    layer = kind(6, wiring, **options).double()
    order = np.arange(wiring.units)
    if kind is CfC:
        order = np.concatenate([list(ids) for ids in wiring.layers.values()])
        # Layers pass new states on within a step: cut that path, to see single synapses.
        layers = layer.rnn_cell.layers

        def next_state(x: torch.Tensor, old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
            parts = zip(old.split([7, 4, 2], -1), new.split([7, 4, 2], -1), strict=True)
            before, heard = x, []
            for cell, (own, fresh) in zip(layers, parts, strict=True):
                heard.append(cell.scan(before[None], own, torch.ones(1, 1).double())[-1])
                before = fresh
            return torch.cat(heard, -1)
    else:

        def next_state(x: torch.Tensor, old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
            return layer.step(x, old, 0.1)[1]

    inputs = [torch.randn(1, size).double() for size in (6, 13, 13)]
    by_input, by_old, by_new = (
        jacobian[0, :, 0].T != 0
        for jacobian in torch.autograd.functional.jacobian(next_state, tuple(inputs))
    )
    np.testing.assert_array_equal(by_input.numpy(), wiring.sensory_adjacency[:, order] != 0)
    synapses = (wiring.adjacency != 0)[np.ix_(order, order)]
    heard = (by_old | by_new).numpy()
    np.testing.assert_array_equal(
        heard | np.eye(13, dtype=bool), synapses | np.eye(13, dtype=bool)
    )
