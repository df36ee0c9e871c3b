# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Export: what is written drives as the network does, and what does not is never written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support.compiled_cells import some_inputs
from support.exports import IMAGE, INPUTS, PROVENANCE, make_network, make_steps, write
from support.stripe_drives import RECIPE

from liquid_control.contract.bundle import load_bundle
from liquid_control.learn.export import exporter as export
from liquid_control.learn.export import parity
from liquid_control.learn.export.exporter import CARD_FILE, ExportError
from liquid_control.learn.export.parity import ParityError, run_bundle, run_network
from liquid_control.learn.train.trainer import train
from liquid_control.learn.train.weights import load_weights
from liquid_control.nn.onnx_export.core import core_model

torch.set_num_threads(1)


@pytest.mark.parametrize('cell', ['cfc', 'ltc', 'cfc-dense'])
def test_a_bundle_drives_as_its_network_does(tmp_path: Path, cell: str) -> None:
    network = make_network(cell)
    contract = write(tmp_path / 'stripe', network)
    # Other steps than those it was judged on.
    steps = make_steps(90)
    expected = run_network(network, steps)
    found = run_bundle(tmp_path / 'stripe', steps)
    assert np.ptp(expected, axis=0).min() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5)
    errors = contract.provenance['parity']['max_abs_error']
    assert set(errors) == {'steering_angle', 'speed'}
    assert max(errors.values()) < 1e-5


def test_the_contract_on_disk_is_the_one_returned_and_holds_the_provenance(tmp_path: Path) -> None:
    contract = write(tmp_path / 'stripe')
    bundle = load_bundle(tmp_path / 'stripe')
    assert bundle.contract == contract
    assert contract.opset == onnx.load_from_string(bundle.core).opset_import[0].version
    assert PROVENANCE.items() <= contract.provenance.items()
    assert contract.provenance['parity']['steps'] == 60


def test_the_card_says_where_the_policy_comes_from_and_how_good_it_is(tmp_path: Path) -> None:
    write(tmp_path / 'stripe')
    card = (tmp_path / 'stripe' / CARD_FILE).read_text()
    for fact in ('Follows a stripe.', PROVENANCE['command'], 'c0ffee', '0.125', 'max_abs_error'):
        assert fact in card
    assert '0.005 to 0.25 s' in card


def test_the_same_network_gives_the_same_bundle(tmp_path: Path) -> None:
    write(tmp_path / 'one', make_network())
    write(tmp_path / 'two', make_network())
    assert load_bundle(tmp_path / 'one').digest == load_bundle(tmp_path / 'two').digest


def test_graphs_that_disagree_with_torch_are_refused_and_the_old_bundle_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'stripe'
    write(path)
    before = load_bundle(path).digest
    stranger = make_network(seed=5)
    monkeypatch.setattr(export, 'core_model', lambda network: core_model(stranger))
    with pytest.raises(ParityError, match=r'steering_angle .* differs from torch'):
        write(path)
    assert load_bundle(path).digest == before
    assert [entry.name for entry in tmp_path.iterdir()] == ['stripe']


def test_a_network_that_diverged_is_refused(tmp_path: Path) -> None:
    network = make_network('ltc')
    with torch.no_grad():
        network.gain.fill_(float('nan'))
    with pytest.raises(ParityError, match='diverged'):
        write(tmp_path / 'stripe', network)
    assert not list(tmp_path.iterdir())


def test_a_bundle_beyond_its_size_is_refused(tmp_path: Path) -> None:
    image = replace(IMAGE, width=192, height=96, features=200)
    network = make_network(inputs={**INPUTS, 'image': image})
    with pytest.raises(ExportError, match='smaller image'):
        write(tmp_path / 'stripe', network, steps=make_steps(4, 96, 192))
    assert not list(tmp_path.iterdir())


def test_a_new_bundle_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / 'stripe'
    old = write(path)
    (tmp_path / '.stripe.partial').mkdir()  # an export that was killed
    new = write(path, make_network(seed=3))
    assert load_bundle(path).contract == new
    assert new.hashes != old.hashes
    assert [entry.name for entry in tmp_path.iterdir()] == ['stripe']


@pytest.mark.parametrize(('precision', 'share'), [('float16', 0.6), ('int8', 0.5)])
def test_a_smaller_encoder_states_its_loss(tmp_path: Path, precision: str, share: float) -> None:
    network = make_network()
    write(tmp_path / 'whole', network)
    contract = write(tmp_path / 'small', network, precision=precision)
    sizes = [len(load_bundle(tmp_path / n).encoders['image']) for n in ('whole', 'small')]
    assert sizes[1] < share * sizes[0]
    stated = contract.provenance['encoder']
    assert stated['precision'] == precision
    steps = make_steps()
    change = run_bundle(tmp_path / 'small', steps) - run_network(network, steps)
    rms = np.sqrt(np.square(change).mean(axis=0)) / [1.0, 3.0]
    np.testing.assert_allclose(list(stated['rms_loss_share_of_range'].values()), rms, rtol=1e-3)
    assert 0 < rms.max() < stated['limit']
    assert 'Encoder precision' in (tmp_path / 'small' / CARD_FILE).read_text()


def test_a_smaller_encoder_that_loses_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parity.LOSS_LIMITS, 'int8', 1e-9)
    with pytest.raises(ParityError, match=r'int8 changes .* at most .* is accepted'):
        write(tmp_path / 'stripe', precision='int8')
    assert not list(tmp_path.iterdir())


def test_training_can_go_on_from_the_bundle_alone(tmp_path: Path) -> None:
    network = make_network()
    write(tmp_path / 'stripe', network)
    other = make_network(seed=4)
    assert load_weights(other, tmp_path / 'stripe') == ['image', 'core']
    np.testing.assert_array_equal(
        run_network(other.eval(), make_steps()), run_network(network, make_steps())
    )


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match='float32, float16, int8, found int4'):
        write(tmp_path / 'stripe', precision='int4')
    assert not list(tmp_path.iterdir())


def test_an_unknown_precision_is_refused_before_training(tmp_path: Path) -> None:
    bag, out = tmp_path / 'bag', tmp_path / 'out'
    with pytest.raises(ExportError, match='found int4'):
        train([bag], RECIPE, out, precision='int4', store=tmp_path / 's', runs=tmp_path / 'r')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'kinds',
    [('imu',), ('scan', 'goal', 'velocity'), ('image', 'imu', 'scan', 'speed')],
    ids='-'.join,
)
def test_a_bundle_of_any_inputs_does_what_its_network_does(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    inputs = some_inputs(*kinds)
    rng = np.random.default_rng(2)
    seen = {
        name: torch.from_numpy(np.stack([spec.made_up(rng) for _ in range(40)]))
        for name, spec in inputs.items()
    }
    steps = replace(make_steps(40), inputs=seen)
    contract = write(tmp_path / 'any', make_network(inputs=inputs), steps=steps)
    assert contract.inputs == inputs
    assert max(contract.provenance['parity']['max_abs_error'].values()) < 1e-5
    bundle = load_bundle(tmp_path / 'any')
    assert bundle.encoders.keys() == contract.images.keys()
    for name in inputs:
        assert f'| {name} |' in (tmp_path / 'any' / CARD_FILE).read_text()


def test_each_of_two_cameras_has_an_encoder_file(tmp_path: Path) -> None:
    steps = make_steps()
    pixels = steps.inputs['image']
    network = make_network(inputs={'left': IMAGE, 'right': IMAGE})
    seen = {'left': pixels, 'right': pixels.flip(2)}
    contract = write(tmp_path / 'stereo', network, steps=replace(steps, inputs=seen))
    assert contract.hashes.keys() == {'core.onnx', 'encoder_left.onnx', 'encoder_right.onnx'}
    assert load_weights(make_network(inputs=contract.inputs, seed=1), tmp_path / 'stereo') == [
        'left',
        'right',
        'core',
    ]
