# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The policy network: what goes in, what comes out, and that its parts agree with the whole."""

import pytest
import torch
from support.compiled_cells import some_inputs

from liquid_control.common.errors import ConfigError
from liquid_control.contract.contract import CommandSpec
from liquid_control.nn.cells import CELLS
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork

CAR = (
    CommandSpec('steering_angle', 'rad', -0.5, 0.5),
    CommandSpec('speed', 'm/s', 0.0, 3.0),
)
SIZE = (24, 48)


def network(cell: str, **changes: object) -> PolicyNetwork:
    torch.manual_seed(1)
    options: dict = {'inputs': some_inputs('image', 'imu'), 'neurons': 16, **changes}
    return PolicyNetwork(NetworkConfig(commands=CAR, cell=cell, **options)).eval()


def drive(batch: int, steps: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, steps, *SIZE, 3)
    return {
        'image': torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
        'imu': torch.randn(batch, steps, 6, generator=generator),
        'elapsed': torch.rand(batch, steps, generator=generator) * 0.08 + 0.02,
    }


@pytest.mark.parametrize('cell', CELLS)
def test_steps_one_by_one_give_the_commands_of_the_sequence(cell: str) -> None:
    policy, inputs = network(cell), drive(3, 12)
    with torch.no_grad():
        whole, last = policy(inputs, inputs['elapsed'])
        state = torch.zeros(3, policy.state_size)
        for step in range(12):
            seen = {name: values[:, step] for name, values in inputs.items()}
            seen['image'] = policy.encoders['image'](seen['image'])
            command, state = policy.core(seen, seen['elapsed'][:, None], state)
            torch.testing.assert_close(command, whole[:, step], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, last, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('cell', CELLS)
def test_commands_stay_within_their_range_whatever_comes_in(cell: str) -> None:
    policy, inputs = network(cell), drive(2, 8)
    with torch.no_grad():
        commands, state = policy({**inputs, 'imu': inputs['imu'] * 1e6}, inputs['elapsed'])
    assert torch.isfinite(state).all()
    assert (commands >= policy.low).all()
    assert (commands <= policy.high).all()


def test_exposure_and_brightness_of_the_whole_image_do_not_change_the_features() -> None:
    encoder = network('cfc').encoders['image']
    image = torch.rand(1, *SIZE, 3) * 100 + 20
    with torch.no_grad():
        torch.testing.assert_close(encoder(image), encoder(image * 1.8 + 10), atol=2e-3, rtol=0.0)


def test_a_black_image_gives_finite_features_and_gradients() -> None:
    policy = network('cfc')
    black = torch.zeros(1, *SIZE, 3, requires_grad=True)
    policy.encoders['image'](black).sum().backward()
    assert torch.isfinite(black.grad).all()


@pytest.mark.parametrize('cell', ['cfc', 'ltc'])
def test_the_elapsed_time_changes_what_the_core_does(cell: str) -> None:
    policy, inputs = network(cell), drive(1, 6)
    with torch.no_grad():
        slow, _ = policy(inputs, inputs['elapsed'] * 4)
        fast, _ = policy(inputs, inputs['elapsed'])
    assert (slow - fast).abs().max() > 1e-4


def test_a_scan_is_encoded_at_the_front_of_the_core() -> None:
    policy = network('cfc', inputs=some_inputs('velocity', 'scan', 'goal'))
    inputs = {'velocity': torch.zeros(2, 5, 6), 'goal': torch.ones(2, 5, 3)}
    free = torch.full((2, 5, 20), 5.0)
    near = free.clone()
    near[..., 3] = 0.3
    elapsed = drive(2, 5)['elapsed']
    with torch.no_grad():
        (there, state), (not_there, _) = (
            policy({**inputs, 'scan': scan}, elapsed) for scan in (near, free)
        )
        features = policy.encoders['scan'](free)
    assert (there - not_there).abs().max() > 1e-3
    assert state.shape == (2, policy.state_size)
    assert features.abs().max() < 1
    # Encoders first, then the vectors in their order: as the exported graph has it.
    seen = policy.core_inputs({**inputs, 'scan': free})
    torch.testing.assert_close(seen[..., :7], features)
    torch.testing.assert_close(seen[..., -3], torch.tanh(torch.ones(2, 5) / 5.0))


def test_two_cameras_have_encoders_of_their_own() -> None:
    camera = some_inputs('image')['image']
    policy = network('cfc', inputs={'left': camera, 'right': camera})
    images = drive(1, 3)['image']
    names = {name.split('.')[1] for name in policy.state_dict() if name.startswith('encoders.')}
    assert names == {'left', 'right'}
    elapsed = torch.full((1, 3), 0.05)
    with torch.no_grad():
        one, _ = policy({'left': images, 'right': images.flip(1)}, elapsed)
        other, _ = policy({'left': images.flip(1), 'right': images}, elapsed)
    assert not torch.equal(one, other)


def test_an_input_that_torch_could_not_name_is_refused() -> None:
    camera = some_inputs('image')['image']
    with pytest.raises(ConfigError, match='cannot be called half'):
        network('cfc', inputs={'half': camera})


def test_the_contract_entry_counts_what_is_there() -> None:
    policy = network('ltc', neurons=19)
    spec = policy.spec()
    assert spec.neurons == spec.state_size == 19
    cell = policy.cell.rnn_cell
    expected = cell.sparsity_mask.sum() + cell.sensory_sparsity_mask.sum()
    assert spec.synapses == int(expected)
    assert spec.parameters == sum(p.numel() for p in policy.parameters())
