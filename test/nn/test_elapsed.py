# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Elapsed times and shapes: what the reference gets wrong, and the forms a layer takes."""

from __future__ import annotations

import ncps.torch
import numpy as np
import pytest
import torch
from support.ncps_pairs import irregular_seconds, make_pair

from liquid_control.nn import LTC, AutoNCP, CfC, kernels

kinds = pytest.mark.parametrize('kind', [LTC, CfC])


def one_by_one(layer, x, elapsed):
    """Outputs of each sequence run alone, one step at a time, with plain numbers as seconds."""
    outputs = []
    for sequence, seconds in zip(x, elapsed, strict=True):
        state, steps = None, []
        for features, dt in zip(sequence, seconds, strict=True):
            output, state = layer.step(features[None], state, dt.item())
            steps.append(output[0])
        outputs.append(torch.stack(steps))
    return torch.stack(outputs)


@kinds
@pytest.mark.parametrize('trailing', [(), (1,)])
@torch.no_grad()
def test_each_sequence_of_a_batch_has_its_own_elapsed_times(kind, trailing):
    """The reference fails on a batch, and is silently wrong where its size equals the units."""
    pair = make_pair(kind, 5, 4, seed=1).to(torch.float64)
    for batch, runs in ((3, False), (4, True)):
        x = torch.randn(batch, 6, 5, dtype=torch.float64)
        elapsed = irregular_seconds(batch, 6, seed=2)
        alone = one_by_one(pair.ours, x, elapsed)

        if runs:
            wrong, _ = pair.theirs(x, timespans=elapsed.reshape(batch, 6, *trailing))
            assert (wrong - alone).abs().max() > 1e-3
        else:
            with pytest.raises(RuntimeError, match='size of tensor'):
                pair.theirs(x, timespans=elapsed.reshape(batch, 6, *trailing))

        outputs, _ = pair.ours(x, elapsed=elapsed.reshape(batch, 6, *trailing))
        torch.testing.assert_close(outputs, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize('solver', ['fused', 'exponential_midpoint', 'euler', 'rk4'])
@pytest.mark.parametrize('plain', [False, True])
@torch.no_grad()
def test_no_elapsed_time_leaves_ltc_neurons_exactly_as_they_are(solver, plain):
    """The reference divides by zero."""
    layer = LTC(5, AutoNCP(12, 2), solver=solver)
    x, state = torch.randn(3, 4, 5), torch.randn(3, 12)
    if plain:
        with kernels.plain_torch():
            outputs, after = layer(x, state, elapsed=0.0)
    else:
        outputs, after = layer(x, state, elapsed=0.0)
    assert torch.equal(after, state)
    assert torch.isfinite(outputs).all()


@torch.no_grad()
def test_no_elapsed_time_is_nan_in_the_reference():
    theirs = ncps.torch.LTC(5, 4)
    _, state = theirs(torch.randn(1, 2, 5), torch.zeros(1, 4), timespans=torch.zeros(1, 2))
    assert torch.isnan(state).all()


@kinds
@torch.no_grad()
def test_all_forms_of_elapsed_time_mean_the_same(kind):
    layer = kind(5, AutoNCP(12, 2))
    x = torch.randn(3, 4, 5)
    expected, expected_state = layer(x, elapsed=torch.full((3, 4), 0.05))
    forms = [0.05, torch.tensor(0.05), torch.full((3,), 0.05), torch.full((3, 4, 1), 0.05)]
    for form in forms:
        outputs, state = layer(x, elapsed=form)
        torch.testing.assert_close(outputs, expected)
        torch.testing.assert_close(state, expected_state)
    torch.testing.assert_close(layer(x)[0], layer(x, elapsed=1.0)[0])


@kinds
@pytest.mark.parametrize('wrong', [-3.0, float('nan'), float('inf'), 1e39], ids=str)
def test_what_is_no_time_is_refused_in_every_form(kind, wrong):
    layer, x = kind(5, 4), torch.randn(3, 4, 5)
    stream = torch.full((3, 4), 0.1, dtype=torch.float64)
    stream[1, 2] = wrong
    forms = [stream, stream[..., None], stream[:, 2], stream[1, 2], stream.numpy(), wrong]
    forms += [stream.tolist(), stream.clone().requires_grad_()]
    for form in forms:
        with pytest.raises(ValueError, match='elapsed must be finite and not negative, got '):
            layer(x, elapsed=form)
    for form in (wrong, stream[:, 2]):
        with pytest.raises(ValueError, match='elapsed must be finite and not negative, got '):
            layer.step(x[:, 0], elapsed=form)


@kinds
@pytest.mark.parametrize('wrong', [-3.0, float('nan'), float('inf')], ids=str)
def test_what_is_no_time_becomes_nan_where_its_value_is_not_at_hand(kind, wrong):
    layer, x = kind(5, 4), torch.randn(3, 4, 5)
    stream = torch.full((3, 4), 0.1)
    stream[1, 2] = wrong
    torch.compiler.reset()
    ways = [
        torch.compile(layer, backend='eager'),
        torch.func.vmap(lambda x, state, seconds: layer(x, state, seconds)),
    ]
    for run in ways:
        outputs, _ = run(x, torch.zeros(3, 4), stream)
        assert outputs[1, 2:].isnan().all()
        assert outputs[1, :2].isfinite().all()
        assert outputs[::2].isfinite().all()


@kinds
@torch.no_grad()
def test_one_time_for_each_sequence_applies_to_all_its_steps(kind):
    layer = kind(5, 4)
    x, elapsed = torch.randn(3, 3, 5), torch.tensor([0.01, 0.1, 1.0])
    outputs, _ = layer(x, elapsed=elapsed)
    expected, _ = layer(x, elapsed=elapsed[:, None].expand(3, 3))
    torch.testing.assert_close(outputs, expected)


@kinds
@torch.no_grad()
def test_time_first_and_single_sequences_give_the_same_numbers(kind):
    units = AutoNCP(12, 2)
    layer = kind(5, units)
    x, elapsed = torch.randn(3, 4, 5), irregular_seconds(3, 4, seed=0).float()
    outputs, state = layer(x, elapsed=elapsed)

    time_first = kind(5, units, batch_first=False)
    time_first.load_state_dict(layer.state_dict())
    transposed, same_state = time_first(x.transpose(0, 1), elapsed=elapsed.T)
    torch.testing.assert_close(transposed.transpose(0, 1), outputs)
    torch.testing.assert_close(same_state, state)

    single, single_state = layer(x[1], torch.zeros(12), elapsed=elapsed[1])
    torch.testing.assert_close(single, outputs[1])
    torch.testing.assert_close(single_state, state[1])


@kinds
@pytest.mark.parametrize('mixed_memory', [False, True])
@torch.no_grad()
def test_a_sequence_in_pieces_and_in_steps_equals_the_whole(kind, mixed_memory):
    layer = kind(5, AutoNCP(12, 2), mixed_memory=mixed_memory)
    x, elapsed = torch.randn(3, 9, 5), irregular_seconds(3, 9, seed=0).float()
    whole, _ = layer(x, elapsed=elapsed)

    first, state = layer(x[:, :4], elapsed=elapsed[:, :4])
    second, _ = layer(x[:, 4:], state, elapsed=elapsed[:, 4:])
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)

    state, steps = None, []
    for t in range(9):
        output, state = layer.step(x[:, t], state, elapsed[:, t])
        steps.append(output)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole)


@kinds
@pytest.mark.parametrize('batch_first', [False, True])
@torch.no_grad()
def test_without_return_sequences_only_the_last_output_comes_out(kind, batch_first):
    units = AutoNCP(12, 2)
    every = kind(5, units, batch_first=batch_first)
    last = kind(5, units, batch_first=batch_first, return_sequences=False)
    last.load_state_dict(every.state_dict())
    x = torch.randn(3, 4, 5)
    outputs, _ = every(x)
    torch.testing.assert_close(last(x)[0], outputs[:, -1] if batch_first else outputs[-1])
    torch.testing.assert_close(last(x[1])[0], every(x[1])[0][-1])


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda n, x: n(x[..., :4]), r'inputs must be \[batch, time, 5\]'),
        (lambda n, x: n(x, torch.zeros(2, 12)), r'state must be \[batch, units\] = \[3, 12\]'),
        (lambda n, x: n(x, (torch.zeros(3, 12),) * 2), 'one tensor, got 2 of them'),
        (
            lambda n, x: n(x, elapsed=torch.zeros(4)),
            r'\[\[3\], \[3, 4\], \[3, 4, 1\]\], got \[4\]',
        ),
        (lambda n, x: n.step(x), r'a step takes inputs \[batch, 5\]'),
        (lambda n, x: n.step(x[:, 0], elapsed=torch.zeros(2)), r'got \[2\]'),
        (lambda n, x: n(x[:, :0]), 'of at least one step'),
        (lambda n, x: n(x.double()), 'inputs must be torch.float32'),
        (lambda n, x: n(x, torch.zeros(3, 12).double()), 'the state must be torch.float32'),
        (lambda n, x: n(x, torch.zeros(3, 12, device='meta')), 'on cpu; got .* on meta'),
        (lambda n, x: n(x, elapsed=-0.1), 'finite and not negative, got -0.1 s'),
        (lambda n, x: n(x, elapsed=np.float32('nan')), 'finite and not negative, got nan s'),
        (lambda n, x: n(x, elapsed=1e39), r'got 1e\+39 s in torch.float32'),
        (lambda n, x: n(x, elapsed=1j), 'elapsed must be seconds, as numbers, got 1j'),
        (lambda n, x: n(x, elapsed='soon'), "elapsed must be seconds, as numbers, got 'soon'"),
        (lambda n, x: n(x, elapsed=torch.ones(3) * 1j), 'as real numbers, got torch.complex64'),
        (lambda n, x: n(x, elapsed=np.ones(3) * 1j), 'as real numbers, got torch.complex128'),
    ],
)
def test_wrong_shapes_are_refused_with_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call(LTC(5, AutoNCP(12, 2)), torch.randn(3, 4, 5))


@pytest.mark.parametrize('kind', [LTC, CfC])
def test_a_layer_takes_a_wiring_or_a_number_of_neurons(kind):
    for number in (np.int64(5), torch.tensor(5)):
        assert type(kind(number, number).state_size) is int
    with pytest.raises(TypeError, match="a number of neurons, got 'auto'"):
        kind(3, 'auto')


@pytest.mark.parametrize(
    'options',
    [{'units': 0}, {'backbone_units': 0}, {'backbone_layers': -1}, {'proj_size': 0}],
    ids=str,
)
def test_a_cfc_of_no_size_is_refused(options):
    name = next(iter(options))
    with pytest.raises(ValueError, match=f'{name} must be at least'):
        CfC(3, **{'units': 4, **options})


@kinds
@pytest.mark.parametrize('size', [2.0, '2', None])
def test_a_size_that_is_no_whole_number_is_refused(kind, size):
    with pytest.raises(TypeError, match='input_size must be a whole number, got'):
        kind(size, 4)


@kinds
def test_what_is_no_tensor_is_refused(kind):
    layer, x = kind(5, 4), np.zeros((3, 4, 5), np.float32)
    packed = torch.nn.utils.rnn.pack_sequence([torch.zeros(4, 5)])
    for given in (x, x.tolist(), packed):
        with pytest.raises(TypeError, match='inputs must be torch tensors, got'):
            layer(given)
    dense = torch.from_numpy(x)
    for given in (dense.to_sparse(), torch.nested.nested_tensor(list(dense))):
        with pytest.raises(TypeError, match='inputs must be dense'):
            layer(given)
    for state in (np.zeros((3, 4)), (np.zeros((3, 4)),)):
        with pytest.raises(TypeError, match='state must be torch tensors, got ndarray'):
            layer(torch.from_numpy(x), state)
        with pytest.raises(TypeError, match='state must be torch tensors, got ndarray'):
            layer.step(torch.from_numpy(x[:, 0]), state)


@kinds
def test_inputs_on_another_device_are_refused(kind):
    with pytest.raises(ValueError, match=r'inputs must be on cpu, .* found on meta'):
        kind(5, 4)(torch.zeros(3, 4, 5, device='meta'))


@kinds
@pytest.mark.parametrize('steps', [1, 4])
def test_a_state_and_outputs_can_be_changed_in_place_without_the_other(kind, steps):
    """As where episodes end: states are set to zero, and the outputs are still wanted."""
    layer, x = kind(5, 4), torch.randn(3, steps, 5)
    with torch.no_grad():
        outputs, state = layer(x)
        kept = outputs.clone()
        state.zero_()
        assert torch.equal(outputs, kept)
        output, state = layer.step(x[:, 0])
        output.zero_()
        assert state.abs().max() > 0


@pytest.mark.parametrize('single', [False, True])
def test_the_state_of_mixed_memory_may_be_a_list(single):
    layer, x = CfC(3, 4, mixed_memory=True), torch.randn(2, 5, 3)
    x = x[0] if single else x
    _, state = layer(x)
    assert torch.equal(layer(x, list(state))[0], layer(x, state)[0])


def test_a_single_state_is_refused_with_mixed_memory():
    layer = CfC(5, 4, mixed_memory=True)
    with pytest.raises(ValueError, match='a pair'):
        layer(torch.randn(3, 4, 5), torch.zeros(3, 4))
