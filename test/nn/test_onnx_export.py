# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Compiled steps: ONNX Runtime gives what torch gives, for every cell, size and elapsed time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto
from support.compiled_cells import (
    LAYERS,
    compile_layer,
    images,
    make,
    models,
    network,
    session,
    some_inputs,
)

from liquid_control.nn import LTC, AutoNCP
from liquid_control.nn.encoder import ENCODERS, ImageEncoder, Keypoints
from liquid_control.nn.onnx_export.core import core_model
from liquid_control.nn.onnx_export.encoder import encoder_model
from liquid_control.nn.onnx_export.quantize import quantize_encoder
from liquid_control.nn.solvers import COMPILED, SOLVERS

# Nodes of a step of the published wiring; the time of a small step is the number of its nodes.
NODE_BUDGET = {
    'ltc published ncp': 46,
    'midpoint published ncp': 27,
    'wired cfc': 27,
    'cfc': 12,
}


def irregular(steps: int, inputs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [T, inputs] and elapsed times [T] from nothing to half a second."""
    rng = np.random.default_rng(seed)
    elapsed = rng.uniform(0.0, 0.5, steps)
    elapsed[::7] = 0.0
    return rng.normal(size=(steps, inputs)).astype(np.float32), elapsed.astype(np.float32)


@pytest.mark.parametrize('name', LAYERS)
def test_a_compiled_step_is_the_step_of_torch(name: str) -> None:
    layer = make(name)
    compiled = session(compile_layer(layer))
    xs, elapsed = irregular(64, layer.input_size)
    with torch.no_grad():
        expected, last = layer(torch.from_numpy(xs), None, torch.from_numpy(elapsed))
    state = np.zeros((1, layer.packed_size), np.float32)
    for x, seconds, wanted in zip(xs, elapsed, expected.numpy(), strict=True):
        feeds = {'x': x[None], 'elapsed': np.full((1, 1), seconds), 'state': state}
        output, state = compiled.run(None, feeds)
        np.testing.assert_allclose(output[0], wanted, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(state[0], layer.pack(last).numpy(), atol=1e-5, rtol=1e-5)


def test_small_circuits_are_products_and_large_ones_matrices() -> None:
    small, large = (
        {node.op_type for node in compile_layer(make(name)).graph.node}
        for name in ('ltc published ncp', 'ltc fully connected')
    )
    assert 'ReduceSum' not in small
    assert 'ReduceSum' in large


def test_a_large_wired_cfc_multiplies_no_zeros_to_save_nodes() -> None:
    small, large = (
        {node.op_type for node in compile_layer(make(name)).graph.node}
        for name in ('wired cfc', 'wired cfc large')
    )
    assert 'Split' not in small
    assert 'Split' in large


@pytest.mark.parametrize('name', NODE_BUDGET)
def test_a_small_step_keeps_its_budget_of_nodes(name: str) -> None:
    assert len(compile_layer(make(name)).graph.node) <= NODE_BUDGET[name]


@pytest.mark.parametrize('name', ['ltc published ncp', 'midpoint published ncp'])
def test_no_time_elapsed_leaves_ltc_neurons_as_they_are(name: str) -> None:
    layer = make(name)
    state = np.linspace(-1, 1, layer.state_size, dtype=np.float32)[None]
    feeds = {'x': np.ones((1, layer.input_size), np.float32), 'elapsed': np.zeros((1, 1))}
    feeds = {key: value.astype(np.float32) for key, value in feeds.items()}
    _, after = session(compile_layer(layer)).run(None, {**feeds, 'state': state})
    np.testing.assert_allclose(after, state, atol=1e-6)


def test_what_has_no_compiled_form_is_named() -> None:
    for solver in SOLVERS:
        layer = LTC(4, AutoNCP(8, 1), solver=solver)
        if solver in COMPILED:
            compile_layer(layer)
        else:
            with pytest.raises(ValueError, match=solver):
                compile_layer(layer)
    encoder = ImageEncoder(24, 48, 9)
    encoder.project.append(torch.nn.Linear(9, 9, bias=False))
    with pytest.raises(ValueError, match='Linear without a bias'):
        encoder_model(encoder, 24, 48)


@pytest.mark.parametrize('cell', ['ltc', 'cfc', 'cfc-dense'])
def test_ten_thousand_steps_neither_overflow_nor_drift(cell: str) -> None:
    policy, count = network(cell), 10_000
    sensors, elapsed = irregular(count, 7, seed=3)
    imu, speed = sensors[:, :6] * 10, sensors[:, 6:] * 3
    imu[5000:5100] = 1e6  # a broken IMU for a while
    with torch.no_grad():
        inputs = policy.core_inputs(
            {'imu': torch.from_numpy(imu), 'speed': torch.from_numpy(speed)}
        )
        outputs, last = policy.cell(inputs[None], None, torch.from_numpy(elapsed)[None])
        expected = policy.commands(outputs)[0].numpy()
    core = session(core_model(policy))
    state = np.zeros((1, policy.state_size), np.float32)
    found = []
    for step in range(count):
        feeds = {'imu': imu[step, None], 'speed': speed[step, None], 'state': state}
        command, state = core.run(None, {**feeds, 'elapsed': elapsed[step, None, None]})
        found.append(command[0])
    error = np.abs(np.stack(found) - expected).max(axis=1)
    assert np.isfinite(error).all()
    assert error.max() < 1e-4
    # No drift: the last thousand steps agree as well as the first.
    assert error[-1000:].max() < 2 * error[:1000].max() + 1e-6
    np.testing.assert_allclose(state, last.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    'kinds', [('imu',), ('image', 'speed'), ('scan', 'goal', 'velocity'), ('imu', 'scan', 'image')]
)
@pytest.mark.parametrize('cell', ['ltc', 'cfc', 'cfc-dense'])
def test_a_core_takes_the_inputs_that_the_network_has(cell: str, kinds: tuple[str, ...]) -> None:
    inputs = some_inputs(*kinds)
    policy = network(cell, inputs=inputs)
    core = session(core_model(policy))
    sizes = {name: len(spec.elements()) or spec.features for name, spec in inputs.items()}
    sizes |= {'elapsed': 1, 'state': 19}
    assert {node.name: node.shape for node in core.get_inputs()} == {
        name: [1, size] for name, size in sizes.items()
    }
    assert {node.name: node.shape for node in core.get_outputs()} == {
        'command': [1, 2],
        'next_state': [1, 19],
    }
    rng = np.random.default_rng(4)
    feeds = {name: rng.uniform(0, 5, (1, n)).astype(np.float32) for name, n in sizes.items()}
    tensors = {name: torch.from_numpy(array) for name, array in feeds.items()}
    with torch.no_grad():
        expected = policy.core(tensors, tensors['elapsed'], tensors['state'])
    for found, wanted in zip(core.run(None, feeds), expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize('kind', ENCODERS)
@pytest.mark.parametrize(('form', 'tolerance'), [('float32', 1e-5), ('float16', 5e-3)])
def test_a_compiled_encoder_sees_what_torch_sees(kind: str, form: str, tolerance: float) -> None:
    _, expected, found = encoded(form, kind)
    assert np.abs(expected).max() > 0.2
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_keypoints_are_where_the_maps_answer() -> None:
    maps = torch.zeros(1, 2, 3, 5)
    maps[0, 0, 0, 4], maps[0, 1, 2, 0] = 50.0, 50.0
    places = Keypoints(3, 5)(maps)
    np.testing.assert_allclose(places.numpy(), [[1.0, -1.0, -1.0, 1.0]], atol=1e-6)


def test_an_int8_encoder_sees_about_the_same() -> None:
    _, expected, found = encoded('int8')
    # Of the last two, flat ones, the normalised features are rounding, blown up.
    error = (found - expected)[:-2]
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert np.sqrt(np.mean(expected[:-2] ** 2)) > 0.3


def encoded(form: str, kind: str = 'dense') -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, their features by torch, and by a compiled encoder of that precision."""
    torch.manual_seed(6)
    encoder = ImageEncoder(24, 48, 9, kind=kind).eval()
    model = encoder_model(encoder, 24, 48, half=form == 'float16')
    seen = images(16)
    if form == 'int8':
        model = quantize_encoder(model, seen)
    compiled = session(model)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(seen)).numpy()
    found = [compiled.run(None, {'image': image[None]})[0][0] for image in seen]
    return seen, expected, np.stack(found)


def test_graphs_are_of_the_standard_and_whole() -> None:
    for name, model in models().items():
        assert model.ir_version <= 9, name
        domains = {entry.domain: entry.version for entry in model.opset_import}
        assert domains == {'': 17}, name
        assert all(
            tensor.data_location == TensorProto.DEFAULT for tensor in model.graph.initializer
        ), name
