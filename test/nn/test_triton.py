# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Triton's kernels: on a GPU where there is one, elsewhere in Triton's interpreter on the CPU."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from functools import partial

import pytest
import torch

from liquid_control.nn import LTC, AutoNCP
from liquid_control.nn.kernels import SOLVERS, plain_torch
from liquid_control.nn.kernels.cuda import LtcSequenceOnCuda, launch_options
from liquid_control.nn.ltc import ltc_states

ARCHITECTURES = (87, 90)  # Jetson Orin, H100


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


@pytest.mark.skipif(importlib.util.find_spec('triton') is None, reason='no Triton')
@pytest.mark.skipif(platform.machine() != 'x86_64', reason='ptxas of this machine may differ')
def test_kernels_compile_to_machine_code_without_a_gpu(tmp_path):
    run = subprocess.run(
        [sys.executable, __file__, 'compile'],
        env=os.environ | {'TRITON_CACHE_DIR': str(tmp_path)},  # nothing from an earlier run
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [
        f'sm_{arch}:{kernel}:{solver}:{units}'
        for arch in ARCHITECTURES
        for solver in SOLVERS
        for units in (19, 256)
        for kernel in ('forward', 'backward')
    ]


def compile_kernels() -> None:
    from triton import compile as compile_for
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from liquid_control.nn.kernels import triton_ltc

    for arch in ARCHITECTURES:
        for name, solver in SOLVERS.items():
            for units in (19, 256):
                constants = launch_options(units, solver)
                warps = constants.pop('num_warps')
                for kernel in (triton_ltc.forward, triton_ltc.backward):
                    types = dict.fromkeys(kernel.arg_names, '*fp32')
                    types |= dict.fromkeys(('steps', 'batch', 'n', 'unfolds'), 'i32')
                    types |= dict.fromkeys(constants, 'constexpr')
                    source = ASTSource(kernel, types, constants)
                    target = GPUTarget('cuda', arch, 32)
                    compiled = compile_for(source, target, {'num_warps': warps})
                    assert compiled.asm['cubin'][:4] == b'\x7fELF'
                    print(f'sm_{arch}:{kernel.__name__}:{name}:{units}')


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

    plain = partial(ltc_states, solver, cell.unfolds)
    given = cell.map_inputs(x), state, elapsed, *cell.effective_parameters().weights
    states = LtcSequenceOnCuda.apply(SOLVERS[solver], cell.unfolds, True, plain, *given)
    found = [states, *torch.autograd.grad((states * weights).sum(), leaves, allow_unused=True)]

    for ours, theirs in zip(found, expected, strict=True):
        if theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    print(f'{solver}:{units}')


def main() -> None:
    if sys.argv[1:] == ['compile']:
        return compile_kernels()
    torch.set_default_dtype(torch.float64)
    for name in SOLVERS:
        for size in (5, 20):
            compare(name, size, 'cuda' if torch.cuda.is_available() else 'cpu')


if __name__ == '__main__':
    main()
