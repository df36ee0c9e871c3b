# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensembles: one bundle that commands the mean of several networks, each trained on its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.compiled_cells import session, some_inputs
from support.exports import COMMANDS, INPUTS, make_network, make_steps, write
from support.stripe_drives import RECIPE

from liquid_control.common.errors import BundleError, ConfigError
from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.cells import bounds
from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.export.exporter import precision_of
from liquid_control.learn.export.parity import run_bundle, run_network
from liquid_control.learn.export.rebuild import load_network, load_policy
from liquid_control.learn.train.imitation import Imitation
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.weights import load_weights
from liquid_control.nn.ensemble import Ensemble
from liquid_control.nn.onnx_export.core import core_model
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork
from liquid_control.runtime.inference.attention import Attention


def ensemble(members: int = 3, **changes: object) -> Ensemble:
    torch.manual_seed(0)
    options: dict = {'neurons': 12, 'inputs': INPUTS, **changes}
    return Ensemble(NetworkConfig(commands=COMMANDS, members=members, **options))


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('bundles') / 'three'
    write(path, ensemble(), precision='float16')
    return path


def test_a_bundle_of_several_networks_commands_their_mean(bundle: Path) -> None:
    members, steps = ensemble().eval().members, make_steps(90)
    alone = [run_network(member, steps) for member in members]
    found = run_bundle(bundle, steps)
    assert np.abs(alone[0] - alone[1]).max() > 0.01, 'members of their own'
    np.testing.assert_allclose(found, np.mean(alone, axis=0), atol=2e-3)
    spec = load_bundle(bundle).contract.network
    assert spec.members == 3
    assert spec.parameters == 3 * members[0].spec().parameters
    assert 'members 3' in (bundle / 'README.md').read_text()


@pytest.mark.parametrize('cell', ['cfc', 'ltc-mixed-memory'])
def test_a_step_is_the_mean_of_the_steps_of_the_members_whatever_they_see(cell: str) -> None:
    inputs = some_inputs('image', 'scan', 'imu', 'speed')
    policy = ensemble(2, cell=cell, inputs=inputs)
    rng = np.random.default_rng(0)
    sizes = {name: len(spec.elements()) for name, spec in inputs.items()}
    sizes |= {'image': 2 * inputs['image'].features, 'state': policy.state_size, 'elapsed': 1}
    feeds = {name: rng.random((1, size), np.float32) for name, size in sizes.items()}
    halves = {name: np.split(feeds[name], 2, axis=1) for name in ('image', 'state')}
    wanted = [
        session(core_model(member)).run(
            None, {**feeds, **{name: parts[index] for name, parts in halves.items()}}
        )
        for index, member in enumerate(policy.members)
    ]
    command, state = session(core_model(policy)).run(None, feeds)
    np.testing.assert_allclose(command, np.mean([each[0] for each in wanted], axis=0), atol=1e-6)
    np.testing.assert_allclose(state, np.hstack([each[1] for each in wanted]), atol=1e-6)


def test_an_ensemble_of_one_is_its_network_bit_for_bit() -> None:
    one, network = ensemble(1), make_network()
    assert core_model(one).SerializeToString() == core_model(network).SerializeToString()
    assert one.spec() == network.spec()


def test_a_bundle_gives_its_networks_back_and_nobody_looks_into_the_mean(bundle: Path) -> None:
    steps, policy = make_steps(), load_policy(bundle)
    assert policy.config == ensemble().config
    assert precision_of(load_bundle(bundle).contract) == 'float16', 'to go on in'
    np.testing.assert_array_equal(
        run_network(policy, steps), run_network(ensemble().eval(), steps)
    )
    with pytest.raises(BundleError, match=r'must be a single network .* the mean of 3; name'):
        load_network(bundle)
    with pytest.raises(BundleError, match='must be a single network'):
        bounds.study([bundle], load_network)


def test_an_ensemble_starts_from_one_network_or_from_another_ensemble(
    bundle: Path, tmp_path: Path
) -> None:
    network, two, four = make_network(seed=5), ensemble(2), ensemble(4)
    write(tmp_path / 'one', network)
    assert load_weights(two, tmp_path / 'one') == ['image', 'core']
    assert load_weights(four, bundle) == ['image', 'core']
    three = ensemble().members
    for member, source in zip(
        (*two.members, *four.members), (network, network, *three, three[0]), strict=True
    ):
        for mine, theirs in zip(member.parameters(), source.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_attention_is_the_mean_of_what_the_members_look_at(bundle: Path, tmp_path: Path) -> None:
    pixels = make_steps().inputs['image'][7].numpy()
    masks = []
    for index, member in enumerate(ensemble().members):
        write(tmp_path / str(index), member)
        masks.append(Attention(load_bundle(tmp_path / str(index)), 'image').look(pixels))
    mean = np.mean(masks, axis=0)
    expected = (mean - mean.min()) / (mean.max() - mean.min())
    found = Attention(load_bundle(bundle), 'image').look(pixels)
    np.testing.assert_allclose(found, expected, atol=0.02)


def learnt(network: PolicyNetwork | Ensemble, recipe: Recipe, batch: Steps) -> None:
    """Gradients as a training step leaves them."""
    module = Imitation(network, recipe, [0.01, 0.1])
    module.all_gather = lambda value: value  # type: ignore[method-assign]
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    module.training_step(batch, 0).backward()
    module.configure_gradient_clipping(module.configure_optimizers()[0][0])


def test_a_member_learns_from_its_own_windows_as_if_it_were_alone() -> None:
    recipe = replace(RECIPE, fit=replace(RECIPE.fit, clip=0.01))
    steps = make_steps(32)
    windows = [steps.share(index, 4) for index in range(4)]
    policy = ensemble(2)
    learnt(policy, recipe, Steps.stack(windows))
    for index, member in enumerate(ensemble(2).members):
        learnt(member, recipe, Steps.stack(windows[2 * index : 2 * index + 2]))
        pairs = zip(policy.members[index].parameters(), member.parameters(), strict=True)
        for mine, alone in pairs:
            torch.testing.assert_close(mine.grad, alone.grad)


def test_no_members_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'members must be within 1..32, found 0'):
        ensemble(0)
