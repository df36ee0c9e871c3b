"""Triton's kernels: on a GPU where there is one, elsewhere in Triton's interpreter on the CPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from liquid_control.nn import LTC, AutoNCP
from liquid_control.nn.kernels import SOLVERS, plain_torch
from liquid_control.nn.kernels.cuda import LtcSequenceOnCuda
from liquid_control.nn.ltc import LEAST_CONDUCTANCE


@pytest.mark.skipif(importlib.util.find_spec('triton') is None, reason='no Triton')
def test_numbers_and_gradients_are_those_of_plain_torch():
    environment = dict(os.environ)
    if not torch.cuda.is_available():
        environment['TRITON_INTERPRET'] = '1'  # read when triton is imported: a process of its own
    run = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [f'{solver}:{units}' for solver in SOLVERS for units in (5, 20)]


def compare(solver: str, units: int, device: str) -> None:
    torch.manual_seed(units)
    cell = LTC(3, AutoNCP(units, 2), solver=solver, unfolds=2).rnn_cell.to(device)
    shapes = (2, 2, 3), (2, units), (2, 2)
    x, state, elapsed = (torch.rand(shape, device=device).requires_grad_() for shape in shapes)
    leaves = (x, state, elapsed, *cell.parameters())
    weights = torch.randn(2, 2, units, device=device)
    with plain_torch():
        states = cell.scan(x, state, elapsed)
    expected = [states, *torch.autograd.grad((states * weights).sum(), leaves, allow_unused=True)]

    p = cell.effective_parameters()
    states = LtcSequenceOnCuda.apply(
        *(SOLVERS[solver], cell.unfolds, True, cell.map_inputs(x), state, elapsed),
        *(p.cm, p.gleak + LEAST_CONDUCTANCE, p.gleak * p.vleak, p.mu, p.sigma, p.w, p.erev),
        *(p.sensory_mu, p.sensory_sigma, p.sensory_w, p.sensory_erev),
    )
    found = [states, *torch.autograd.grad((states * weights).sum(), leaves, allow_unused=True)]

    for ours, theirs in zip(found, expected, strict=True):
        if theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    print(f'{solver}:{units}')


if __name__ == '__main__':
    torch.set_default_dtype(torch.float64)
    for name in SOLVERS:
        for size in (5, 20):
            compare(name, size, 'cuda' if torch.cuda.is_available() else 'cpu')
