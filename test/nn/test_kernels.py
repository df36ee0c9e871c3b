# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The compiled kernels: the numbers and gradients of plain torch, whatever comes in."""

from __future__ import annotations

import copy
import ctypes
import random
import sys
from contextlib import nullcontext

import ncps.torch
import ncps.wirings
import pytest
import torch
from support.layer_runs import LAYERS, assert_equal, draw, needs_compiler, run
from torch import Tensor, nn

from liquid_control.nn import LTC, AutoNCP, CfC, FullyConnected, cfc
from liquid_control.nn.kernels import plain_torch, serves


@needs_compiler
@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('kind', LAYERS)
def test_numbers_and_gradients_are_those_of_plain_torch(kind, seed):
    sizes = random.Random(f'{kind} {seed}')
    inputs, units = sizes.randint(1, 40), sizes.randint(1, 40)
    batch, steps = sizes.choice([1, 3, 8, 17, 40]), sizes.choice([1, 2, 16, 35])
    torch.manual_seed(seed)
    layer = LAYERS[kind](inputs, units).double()
    layer.batch_first = bool(seed % 2)
    sequence = draw(layer, seed, batch, steps)
    with plain_torch():
        expected = run(layer, sequence)

    assert_equal(run(layer, sequence), expected, 1e-10)

    single = tuple(t.detach().float().requires_grad_() for t in sequence)
    found = run(layer.float(), single)
    with plain_torch():
        rounded = run(layer, single)
    for ours, theirs, exact in zip(found, rounded, expected, strict=True):
        # Sums that cancel cannot be that exact in single precision; then no worse than torch.
        allowed = 1e-5 * exact.abs().max() + 4 * (theirs - exact).abs().max()
        assert (ours - exact).abs().max() <= allowed


@needs_compiler
@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('kind', LAYERS)
def test_the_kernel_is_what_runs(kind, autocast):
    layer, x = LAYERS[kind](3, 4), torch.randn(2, 5, 3)
    with pytest.MonkeyPatch.context() as patch:
        for cell in ('ltc.LTCCell', 'cfc.CfCCell'):
            patch.setattr(f'liquid_control.nn.{cell}.stepper', None)
        expected, _ = layer(x)
        with torch.autocast('cpu', enabled=autocast):
            half = torch.bfloat16 if autocast else torch.float32
            outputs, _ = layer(x.to(half), torch.zeros(2, layer.state_size, dtype=half))
    torch.testing.assert_close(outputs, expected, rtol=0, atol=2e-2)
    assert outputs.dtype == torch.float32


@needs_compiler
@pytest.mark.parametrize('kind', LAYERS)
def test_gradients_are_the_slopes_of_the_outputs(kind):
    torch.manual_seed(0)
    layer = LAYERS[kind](2, 2).double()
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def outputs(*tensors: Tensor) -> Tensor:
        weights = dict(zip(names, tensors[3:], strict=True))
        return torch.func.functional_call(layer, weights, tensors[:3])[0]

    x, state, elapsed = draw(layer, 1, 2, 3)
    sequence = x, state, (elapsed.detach() + 0.1).requires_grad_()  # slopes need room below
    assert torch.autograd.gradcheck(outputs, (*sequence, *parameters), fast_mode=True)


@needs_compiler
@pytest.mark.parametrize('kind', LAYERS)
def test_threads_change_nothing(kind):
    layer = LAYERS[kind](30, 30).float()
    sequence = tuple(t.detach().float().requires_grad_() for t in draw(layer, 0, 70, 20))
    one = run(layer, sequence)
    torch.set_num_threads(2)
    try:
        two, again = run(layer, sequence), run(layer, sequence)
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(two, again, strict=True))
    # The order of sums in torch's own products may depend on the number of threads.
    assert_equal(two, one, 1e-6)
    if kind.startswith('ltc'):
        assert torch.equal(two[0], one[0])


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere one thread does the work')
def test_the_threads_of_torch_are_within_reach():
    assert hasattr(ctypes.CDLL(None), 'GOMP_parallel')


@needs_compiler
@pytest.mark.parametrize('kind', LAYERS)
def test_elapsed_times_of_every_shape(kind):
    layer = LAYERS[kind](3, 4).double()
    x = torch.randn(5, 6, 3, dtype=torch.float64)
    for elapsed in (0.3, torch.rand(5), torch.rand(5, 6), torch.rand(5, 6, 1), None):
        with plain_torch():
            expected = layer(x, elapsed=elapsed)
        assert_equal(list(layer(x, elapsed=elapsed)), list(expected), 1e-10)


@needs_compiler
@pytest.mark.parametrize('plain', [False, True])
@pytest.mark.parametrize('kind', LAYERS)
def test_one_number_is_the_same_as_that_time_at_every_step(kind, plain):
    layer = LAYERS[kind](3, 4).double()
    x, state, _ = draw(layer, 0, 5, 6)
    number = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    same = torch.full((5, 6), 0.3, dtype=torch.float64, requires_grad=True)
    with plain_torch() if plain else nullcontext():
        found, expected = run(layer, (x, state, number)), run(layer, (x, state, same))
    outputs, _, _, _, by_elapsed, *_ = expected
    expected[4] = by_elapsed.sum()
    assert_equal(found, expected, 1e-10)
    assert layer(x[:0], elapsed=0.3)[0].shape == (0, *outputs.shape[1:])


@needs_compiler
@pytest.mark.parametrize('kind', ['cfc', 'cfc wired'])
def test_one_number_makes_one_head_of_the_gates_two(kind, monkeypatch):
    heads = []
    run_kernel = cfc.kernels.cfc_sequence

    def spy(x, state, elapsed, given, *rest):
        heads.append(len(given[0]) // state.shape[1])
        return run_kernel(x, state, elapsed, given, *rest)

    monkeypatch.setattr(cfc.kernels, 'cfc_sequence', spy)
    layer, x = LAYERS[kind](3, 4), torch.randn(2, 5, 3)
    layer(x, elapsed=0.1), layer(x[0], elapsed=torch.tensor(0.1))
    assert set(heads) == {3}
    heads.clear()
    layer(x, elapsed=torch.full((2, 5), 0.1))
    assert set(heads) == {4}


@needs_compiler
@pytest.mark.parametrize('kind', LAYERS)
def test_a_time_shown_to_all_steps_gets_the_gradient_of_each(kind):
    layer, x = LAYERS[kind](3, 4).double(), torch.randn(2, 5, 3, dtype=torch.float64)
    shown = torch.tensor(0.1, dtype=torch.float64).expand(2, 5).detach().requires_grad_()
    copied = shown.detach().clone().requires_grad_()
    found, expected = (
        torch.autograd.grad(layer(x, elapsed=times)[0].sum(), times)[0]
        for times in (shown, copied)
    )
    assert_equal([found], [expected], 1e-10)


@pytest.mark.parametrize('kind', LAYERS)
def test_a_layer_compiles_as_one_graph(kind):
    layer, x = LAYERS[kind](3, 4), torch.randn(2, 5, 3)
    torch.compiler.reset()
    whole = torch.compile(layer, backend='eager', fullgraph=True)
    torch.testing.assert_close(whole(x, None, 0.1)[0], layer(x, None, 0.1)[0])


@needs_compiler
@pytest.mark.parametrize('kind', LAYERS)
def test_views_and_single_sequences_are_taken_as_they_are(kind):
    layer = LAYERS[kind](3, 4).double()
    x = torch.randn(9, 8, 2, 5, dtype=torch.float64)[::2, 1::3, 1, 1:4]
    state = torch.randn(layer.state_size, 5, dtype=torch.float64).T
    elapsed = torch.rand(3, 5, dtype=torch.float64).T
    expected, after = layer(x.contiguous(), state.contiguous(), elapsed.contiguous())
    assert_equal(list(layer(x, state, elapsed)), [expected, after], 1e-14)
    alone = layer(x[1], state[1], elapsed[1])
    assert_equal(list(alone), [expected[1], after[1]], 1e-14)


@needs_compiler
@pytest.mark.parametrize('kind', LAYERS)
@pytest.mark.parametrize('wanted', ['inputs', 'state', 'elapsed', 'parameters', 'nothing'])
def test_only_what_asks_for_gradients_gets_them(kind, wanted):
    layer = LAYERS[kind](3, 4).double()
    sequence = draw(layer, 0, 3, 5)
    expected = run(layer, sequence)
    gradients = dict(zip(('inputs', 'state', 'elapsed'), expected[2:5], strict=True))
    frozen = [t.detach() for t in sequence]
    layer.requires_grad_(wanted == 'parameters')
    if wanted in gradients:
        frozen[list(gradients).index(wanted)].requires_grad_()

    outputs, _ = layer(*frozen)

    assert_equal([outputs], expected[:1], 0.0)
    assert outputs.requires_grad == (wanted != 'nothing')
    if wanted == 'parameters':
        assert_equal(run(layer, tuple(frozen)), [*expected[:2], *expected[5:]], 0.0)
    elif wanted in gradients:
        assert_equal(run(layer, tuple(frozen)), [*expected[:2], gradients[wanted]], 0.0)


@needs_compiler
@pytest.mark.parametrize('kind', LAYERS)
def test_no_grad_and_inference_mode_give_the_same_numbers(kind):
    layer = LAYERS[kind](3, 4)
    x = torch.randn(19, 37, 3)
    with torch.no_grad():
        quick = layer(x)[0]
    assert torch.equal(quick, layer(x)[0])
    with torch.inference_mode():
        assert torch.equal(quick, copy.deepcopy(layer)(x)[0])


@needs_compiler
@pytest.mark.parametrize('kind', [kind for kind in LAYERS if kind.startswith('ltc')])
def test_no_elapsed_time_leaves_the_potentials_as_they_are(kind):
    layer = LAYERS[kind](3, 4)
    state = torch.randn(2, layer.state_size)
    assert torch.equal(layer(torch.randn(2, 6, 3), state, elapsed=0.0)[1], state)


@needs_compiler
@pytest.mark.parametrize('bits', [0x7FC00000, 0x7FC00001, 0x7F8001FF, -0x3FFE00])
@pytest.mark.parametrize('kind', LAYERS)
def test_a_number_that_is_none_stays_visible(kind, bits):
    layer = LAYERS[kind](3, 4)
    x = torch.randn(2, 6, 3)
    x[1, 2] = torch.tensor(bits, dtype=torch.int32).view(torch.float32)
    assert x[1, 2].isnan().all()
    outputs, state = layer(x)
    assert state[1].isnan().any()
    assert not outputs[0].isnan().any()


@needs_compiler
def test_synapses_follow_a_mask_that_changes():
    layer = LTC(3, FullyConnected(5)).double()
    sequence = draw(layer, 0, 2, 4)
    before = layer(*sequence)[0]
    layer.rnn_cell.sparsity_mask.fill_(0.0)
    with plain_torch():
        expected = run(layer, sequence)
    found = run(layer, sequence)
    assert not torch.equal(found[0], before)
    assert_equal(found, expected, 1e-10)


@needs_compiler
def test_transforms_of_torch_get_plain_torch():
    layer = LTC(2, 3)
    x = torch.randn(1, 2, 2)
    assert serves(x)
    assert not serves(x.half())
    jacobian = torch.func.jacrev(lambda inputs: layer(inputs)[0])(x)
    assert_equal(
        [jacobian], [torch.autograd.functional.jacobian(lambda inputs: layer(inputs)[0], x)], 1e-5
    )


@needs_compiler
@pytest.mark.parametrize(('neurons', 'inputs'), [(19, 32), (64, 64), (64, 256)])
@pytest.mark.parametrize('cell', ['LTC', 'CfC', 'CfC dense'])
def test_less_is_kept_for_the_backward_pass_than_in_the_reference(cell, neurons, inputs):
    def kept(layer: nn.Module) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            outputs, _ = layer(torch.randn(32, 16, inputs))
        assert outputs.requires_grad
        return sum(sizes.values())

    kind = cell.split()[0]
    ours, theirs = AutoNCP(neurons, 4), ncps.wirings.AutoNCP(neurons, 4)
    if cell == 'CfC dense':
        ours = theirs = neurons
    reference = getattr(ncps.torch, kind)(inputs, theirs)
    assert kept({'LTC': LTC, 'CfC': CfC}[kind](inputs, ours)) < kept(reference)
