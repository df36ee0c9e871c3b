# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Time constants against what the equations do."""

from __future__ import annotations

import pytest
import torch
from support.exports import make_network

from liquid_control.nn.cells import CELLS
from liquid_control.nn.time_constants import time_constants

STEPS = 16


@pytest.mark.parametrize('name', list(CELLS))
def test_every_cell_has_positive_time_constants_or_none(name: str) -> None:
    network = make_network(name)
    x = torch.randn(STEPS, network.config.input_size).tanh()
    packed = 0.5 * torch.randn(STEPS, network.state_size)
    found = time_constants(network.cell, x, packed, torch.full((STEPS,), 0.05))
    if name in ('lstm', 'gru', 'feed-forward', 'neural-ode'):
        assert found is None
        return
    assert found.shape == (STEPS, network.cell.state_size)
    assert found.isfinite().all()
    assert (found > 0).all()


@pytest.mark.parametrize('name', ['ltc', 'lrc', 'ct-rnn'])
def test_a_new_network_is_quick_enough_for_a_robot(name: str) -> None:
    """What is seen comes through all layers of a wiring within tenths of a second."""
    torch.manual_seed(0)
    network = make_network(name)
    x = torch.randn(STEPS, network.config.input_size).tanh()
    found = time_constants(
        network.cell, x, torch.zeros(STEPS, network.state_size), torch.full((STEPS,), 0.05)
    )
    layers = 1 if name == 'ct-rnn' else 3
    assert layers * found.median() < 0.3


def test_an_ltc_forgets_at_its_time_constant_within_the_bounds_of_the_theorem() -> None:
    torch.manual_seed(0)
    network = make_network('ltc')
    cell = network.cell.rnn_cell
    p = cell.effective_parameters()
    x = torch.randn(STEPS, network.config.input_size).tanh()
    v = 0.5 * torch.randn(STEPS, network.state_size)
    found = time_constants(network.cell, x, v, torch.full((STEPS,), 0.05))
    slowest = p.cm / p.gleak
    quickest = p.cm / (p.gleak + p.w.sum(dim=0) + p.sensory_w.sum(dim=0))
    assert ((found >= quickest - 1e-6) & (found <= slowest + 1e-6)).all()
    # Over a time that is short for every neuron, two states of one neuron approach each other
    # by the share elapsed / tau; neurons that hear themselves do more than that.
    elapsed, apart = 1e-4, 0.1
    deaf = p.w.diagonal() == 0
    before = network.cell.step(x, v, elapsed)[1]
    for neuron in deaf.nonzero().ravel().tolist():
        moved = v.clone()
        moved[:, neuron] += apart
        after = network.cell.step(x, moved, elapsed)[1]
        kept = (after - before)[:, neuron] / apart
        torch.testing.assert_close((1 - kept) / elapsed, 1 / found[:, neuron], rtol=0.05, atol=0.1)


def test_a_cfc_gate_moves_at_its_time_constant() -> None:
    torch.manual_seed(0)
    network = make_network('cfc-dense')
    cell = network.cell.rnn_cell
    x = torch.randn(STEPS, network.config.input_size).tanh()
    h = 0.5 * torch.randn(STEPS, network.state_size)
    found = time_constants(network.cell, x, h, torch.full((STEPS,), 0.05))
    # The state goes from `near` to `far` by a gate; its logit is linear in the elapsed time.
    states = [cell(x[None], h, torch.tensor(t))[0] for t in (0.1, 0.3)]
    z = torch.cat([x, h], dim=-1)
    for layer in cell.backbone:
        z = layer(z)
    near, far = torch.tanh(cell.ff1(z)), torch.tanh(cell.ff2(z))
    logits = [torch.logit((state - near) / (far - near)) for state in states]
    rates = (logits[1] - logits[0]) / 0.2
    wide = (far - near).abs() > 0.05
    torch.testing.assert_close(rates.abs()[wide], 1 / found[wide], rtol=0.02, atol=0.02)
