# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Certified bounds: they hold what mpmath holds, a search finds nothing beyond, nor too little."""

from __future__ import annotations

from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from support.exports import make_network

from liquid_control.evaluate.evidence import intervals as iv
from liquid_control.evaluate.evidence.cells import bounds
from liquid_control.evaluate.evidence.study import EvidenceError
from liquid_control.nn.cells import CELLS

ELAPSED = (0.005, 0.25)
WIDTH = 2e-5
"""How much wider than exact intervals ours may be: the rounding of float32."""


def drawn(rng: np.random.Generator, shape: tuple[int, ...], least: float = -3.0) -> iv.Box:
    low = rng.uniform(least, 3, shape)
    return iv.box(low, low + rng.uniform(0, 1, shape) * rng.integers(0, 2, shape))


def exact(box: iv.Box) -> list[mpmath.ctx_iv.ivmpf]:
    ends = zip(box.low.ravel().tolist(), box.high.ravel().tolist(), strict=True)
    return [mpmath.iv.mpf(end) for end in ends]


UNARY = {
    'sigmoid': (iv.sigmoid, lambda x: 1 / (1 + mpmath.iv.exp(-x))),
    'tanh': (iv.tanh, lambda x: 1 - 2 / (mpmath.iv.exp(2 * x) + 1)),
    'decayed': (iv.decayed, lambda x: 1 - mpmath.iv.exp(-x)),
    'scaled': (lambda x: iv.scaled(x, -1.5, 0.25), lambda x: -x * 1.5 + 0.25),
}
BINARY = {
    'add': (iv.add, lambda x, y: x + y),
    'product': (iv.product, lambda x, y: x * y),
    'quotient': (iv.quotient, lambda x, y: x / y),
}


def compare(found: iv.Box, expected: list[mpmath.ctx_iv.ivmpf]) -> None:
    for low, high, wanted in zip(found.low.ravel(), found.high.ravel(), expected, strict=True):
        size = 1 + abs(float(wanted.a)) + abs(float(wanted.b))
        assert low <= float(wanted.a) <= low + WIDTH * size
        assert high - WIDTH * size <= float(wanted.b) <= high


@pytest.mark.parametrize('name', UNARY)
def test_functions_hold_what_mpmath_holds_and_hardly_more(name: str) -> None:
    ours, theirs = UNARY[name]
    x = drawn(np.random.default_rng(1), (200,), least=0.0 if name == 'decayed' else -3.0)
    compare(ours(x), [theirs(value) for value in exact(x)])


@pytest.mark.parametrize('name', BINARY)
def test_operations_hold_what_mpmath_holds_and_hardly_more(name: str) -> None:
    ours, theirs = BINARY[name]
    rng = np.random.default_rng(2)
    x, y = drawn(rng, (200,)), drawn(rng, (200,), least=0.1)
    compare(ours(x, y), [theirs(a, b) for a, b in zip(exact(x), exact(y), strict=True)])


def test_an_affine_map_holds_what_mpmath_holds() -> None:
    rng = np.random.default_rng(3)
    x, weight, bias = drawn(rng, (5,)), rng.normal(size=(5, 7)), rng.normal(size=7)
    values = exact(x)
    expected = [
        sum((value * float(w) for value, w in zip(values, column, strict=True)), mpmath.iv.mpf(b))
        for column, b in zip(weight.T, bias.tolist(), strict=True)
    ]
    compare(iv.affine(x, weight, bias), expected)


def test_means_and_blends_hold_every_point_and_reach_their_ends() -> None:
    rng = np.random.default_rng(4)
    weights, values = drawn(rng, (6, 3), least=0.1), rng.normal(size=(6, 3))
    mean = iv.weighted_mean(weights, values)
    x, y, share = drawn(rng, (3,)), drawn(rng, (3,)), iv.box([0.1, 0.2, 0.9], [0.3, 0.2, 1.0])
    mixed = iv.blend(x, y, share)

    def inside(box: iv.Box) -> np.ndarray:
        point = rng.uniform(box.low, box.high, (4000, *box.low.shape))
        ends = np.where(rng.random(point.shape) < 0.5, box.low, box.high)
        return np.concatenate([point, ends])

    w, a, b, s = (inside(box) for box in (weights, x, y, share))
    for found, points in (
        (mean, (w * values).sum(1) / w.sum(1)),
        (mixed, a + (b - a) * s),
    ):
        assert found.contains(points).all()
        width = found.high - found.low
        assert (points.max(0) > found.high - 0.2 * width - 1e-4).all()
        assert (points.min(0) < found.low + 0.2 * width + 1e-4).all()


def test_derivatives_are_those_of_torch_at_a_point() -> None:
    network = make_network('ltc', neurons=8).eval()
    rng = np.random.default_rng(5)
    u, s = rng.uniform(-1, 1, 14), rng.uniform(-1, 1, 8)
    inputs, state = iv.variables(iv.box(u), iv.box(s))
    after = bounds.layer_step(network.cell, inputs, state, iv.box([0.05]))

    def step(u: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return network.cell.step(u[None], s[None], 0.05)[1][0]

    point = torch.tensor(u, dtype=torch.float32), torch.tensor(s, dtype=torch.float32)
    exactly = torch.cat(torch.autograd.functional.jacobian(step, point), dim=1).T.numpy()
    np.testing.assert_allclose(after.slope[0], exactly, atol=1e-4)
    np.testing.assert_allclose(after.slope[1], exactly, atol=1e-4)


@pytest.mark.parametrize('cell', CELLS)
def test_no_search_finds_a_step_beyond_the_bounds(cell: str) -> None:
    network = make_network(cell, neurons=8).eval()
    found = bounds.certify(network, ELAPSED)
    tried = bounds.search(network, found, ELAPSED, count=40_000)
    assert (tried.violations, tried.changes) == (0, 0)
    assert tried.tried >= 40_000
    assert (found.states is None) == (cell == 'neural-ode')


@pytest.mark.parametrize('cell', ['cfc', 'ltc'])
def test_a_wrong_bound_is_found(cell: str) -> None:
    network = make_network(cell, neurons=8).eval()
    found = bounds.certify(network, ELAPSED)
    middle = (found.commands.low + found.commands.high) / 2
    half = 0.6 * (found.commands.high - found.commands.low) / 2
    wrong = replace(found, commands=iv.box(middle - half, middle + half))
    assert bounds.search(network, wrong, ELAPSED, count=20_000).violations > 0
    wrong = replace(found, command_rate=found.command_rate * 1e-6)
    assert bounds.search(network, wrong, ELAPSED, count=20_000).changes > 0


def test_states_are_bounded_at_least_as_tightly_as_by_the_theorem() -> None:
    network = make_network('ltc', neurons=8).eval()
    states = bounds.certify(network, ELAPSED).states
    low, high = bounds.theorem(network.cell.rnn_cell)
    assert (states.low >= low - 1e-4).all()
    assert (states.high <= high + 1e-4).all()
    assert (states.high - states.low).sum() < 0.95 * (high - low).sum()


def test_a_solver_of_which_nothing_is_known_is_refused() -> None:
    network = make_network('ltc', neurons=8, solver='rk4').eval()
    with pytest.raises(EvidenceError, match='the solver rk4: choose'):
        bounds.certify(network, ELAPSED)
