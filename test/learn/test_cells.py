# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every cell through the same recipe: trained, written as a bundle, replayed by the runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from support.exports import make_network, make_steps
from support.stripe_drives import RECIPE, write_drive

from liquid_control.bags.reader import BagReader
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import CommandSpec
from liquid_control.evaluate.replay.bag_replay import Options, replay_bag
from liquid_control.learn.train.trainer import train
from liquid_control.nn.cells import CELLS
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork
from liquid_control.runtime.inference.policy import Policy

# The others are trained in test_train.py and test_export.py.
OTHERS = [name for name in CELLS if name not in ('cfc', 'ltc', 'cfc-dense')]


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp('drive') / 'drive', seconds=2.0)


@pytest.mark.parametrize('cell', OTHERS)
def test_every_cell_is_trained_exported_and_replayed(
    drive: Path, tmp_path: Path, cell: str
) -> None:
    recipe = replace(
        RECIPE,
        holdout=0.0,
        network=replace(RECIPE.network, cell=cell, stack=3),
        timing=replace(RECIPE.timing, steps=4, settle=1),
        fit=replace(RECIPE.fit, epochs=1, passes=1.0),
    )
    train(
        [drive],
        recipe,
        tmp_path / 'policy',
        store=drive.parent / 'store',
        runs=tmp_path / 'runs',
        console=Console(quiet=True),
    )
    contract = load_bundle(tmp_path / 'policy').contract
    assert contract.network.cell == cell
    assert contract.network.config['cell'] == cell
    with BagReader(drive) as reader:
        replay = replay_bag(reader, Policy.load(tmp_path / 'policy'), Options())
    assert replay.left_out == 0
    assert np.isfinite(replay.trace.policy).all()
    assert np.ptp(replay.trace.policy, axis=0).min() > 1e-6


@pytest.mark.parametrize('cell', list(CELLS))
def test_a_new_network_forgets_where_it_began(cell: str) -> None:
    """What is seen for half a minute decides its state: it neither runs away nor stays apart."""
    network = make_network(cell)
    seen = torch.randn(1, 600, network.config.input_size).tanh().expand(2, -1, -1)
    begun = torch.stack([torch.zeros(network.state_size), 0.5 * torch.randn(network.state_size)])
    with torch.no_grad():
        _, state = network.cell(seen, network.cell.unpack(begun), 0.05)
    for part in state if isinstance(state, tuple) else (state,):
        assert part.abs().max() < 20
        torch.testing.assert_close(part[0], part[1], rtol=0.0, atol=1e-3)


def state_size(cell: str, **changes: object) -> int:
    return make_network(cell, **changes).spec().state_size


def test_the_contract_counts_all_that_goes_from_step_to_step() -> None:
    neurons, inputs = 12, 8 + 6
    assert state_size('gru') == state_size('ct-rnn') == state_size('neural-ode') == neurons
    assert state_size('lrc') == state_size('cfc-elastance') == neurons
    assert state_size('lstm') == 2 * neurons
    assert state_size('cfc-mixed-memory') == state_size('ltc-mixed-memory') == 2 * neurons
    assert state_size('feed-forward', stack=4) == neurons + 3 * (inputs + 1)


@pytest.mark.parametrize('cell', CELLS)
def test_every_cell_takes_notice_of_the_elapsed_time(cell: str) -> None:
    network, steps = make_network(cell).eval(), make_steps(6)
    with torch.no_grad():
        inputs = network.core_inputs(
            {'image': torch.randn(1, 6, 8), 'imu': steps.inputs['imu'][None]}
        )
        slow, fast = (network.cell(inputs, None, seconds)[0] for seconds in (0.2, 0.02))
    assert (slow - fast).abs().max() > 1e-4


def test_a_neural_ode_trained_with_its_own_steps_drives_with_fixed_ones() -> None:
    """Dormand and Prince's method in torch, four Runge-Kutta steps on the robot."""
    pytest.importorskip('torchdiffeq')
    from support.compiled_cells import session, some_inputs

    from liquid_control.nn.onnx_export.core import core_model

    torch.manual_seed(0)
    config = NetworkConfig(
        commands=(CommandSpec('steering_angle', 'rad', -0.5, 0.5),),
        cell='neural-ode',
        neurons=12,
        inputs=some_inputs('imu'),
        solver='dopri5',
        unfolds=4,
    )
    network = PolicyNetwork(config).eval()
    core = session(core_model(network))
    rng = np.random.default_rng(0)
    imu, elapsed = (rng.normal(size=(40, 6)), rng.uniform(0.0, 0.2, (40, 1)))
    state = np.zeros((1, 12), np.float32)
    given = []
    for reading, seconds in zip(imu.astype(np.float32), elapsed.astype(np.float32), strict=True):
        command, state = core.run(
            None, {'imu': reading[None], 'elapsed': seconds[None], 'state': state}
        )
        given.append(command[0])
    tensors = torch.from_numpy(imu).float()[None], torch.from_numpy(elapsed).float().T
    with torch.no_grad():
        expected, _ = network({'imu': tensors[0]}, tensors[1])
    np.testing.assert_allclose(np.stack(given), expected[0].numpy(), atol=1e-4)
