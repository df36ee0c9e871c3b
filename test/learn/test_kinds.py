# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every kind of input from a recording to a bundle: it is found, learnt from and run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from support import recordings as rec
from support.compiled_cells import some_inputs

from liquid_control.bags.reader import BagReader
from liquid_control.bags.writer import BagWriter
from liquid_control.contract.inputs import KINDS, InputSpec
from liquid_control.learn.data.dataset import build
from liquid_control.learn.data.infer import infer_signals
from liquid_control.learn.data.sequences import whole
from liquid_control.learn.export.rebuild import load_network
from liquid_control.learn.train.recipe import Fit, Network, Recipe, Timing
from liquid_control.learn.train.trainer import train

SECOND_NS = 1_000_000_000
PERIOD_NS = 50_000_000


def write_kinds(path: Path, inputs: dict[str, InputSpec], seconds: float = 3.0) -> Path:
    """Made-up values of every input at its rate, and a command that follows a sine."""
    rng = np.random.default_rng(3)
    messages: list[tuple[int, str, str, bytes]] = []
    for name, spec in inputs.items():
        topics = {source.role: source for source in spec.sources(name)}
        period_ns = round(SECOND_NS / spec.rate)
        for at in range(0, round(seconds * SECOND_NS), period_ns):
            stamp_ns = rec.START_NS + at
            for role, (msgtype, data) in spec.write(spec.made_up(rng), stamp_ns).items():
                messages.append((stamp_ns, f'/{topics[role].topics()[msgtype]}', msgtype, data))
    with BagWriter(path) as bag:
        bag.add_topic(rec.COMMAND, rec.TYPES[rec.COMMAND])
        for stamp_ns, topic, msgtype, data in sorted(messages, key=lambda entry: entry[0]):
            bag.add_topic(topic, msgtype)
            bag.write(topic, data, stamp_ns)
        for at in range(0, round(seconds * SECOND_NS), PERIOD_NS):
            entry = rec.command_entry(rec.START_NS + at, 1.0, float(np.sin(at / 3e8)))
            bag.write_message(entry.topic, entry.values, entry.stamp_ns)
    return path


ROVER = some_inputs('scan', 'goal', 'velocity')
DRONE = some_inputs('image', 'imu')
PEOPLE = some_inputs('moving', 'goal')


@pytest.mark.parametrize('inputs', [ROVER, DRONE, PEOPLE], ids=['rover', 'drone', 'people'])
def test_a_recording_becomes_a_bundle_whatever_it_sees(
    tmp_path: Path, inputs: dict[str, InputSpec]
) -> None:
    bag = write_kinds(tmp_path / 'bag', inputs)
    wanted = {name: spec.kind for name, spec in inputs.items()}
    signals = infer_signals([bag], inputs=wanted)
    assert {name: spec.kind for name, spec in signals.inputs.items()} == wanted
    recipe = Recipe(
        signals=signals,
        network=Network(neurons=8),
        timing=Timing(steps=8),
        fit=Fit(epochs=1, batch_size=8, min_steps=1),
        holdout=0.0,
    )
    contract = train(
        [bag],
        recipe,
        tmp_path / 'policy',
        store=tmp_path / 'store',
        runs=tmp_path / 'runs',
        console=Console(quiet=True),
    )
    assert contract is not None
    assert contract.inputs == signals.inputs
    assert max(contract.provenance['parity']['max_abs_error'].values()) < 1e-4
    assert load_network(tmp_path / 'policy').config.inputs == signals.inputs


def test_what_is_written_of_any_kind_is_what_is_learnt_from(tmp_path: Path) -> None:
    inputs = {
        name: replace(spec, rate=20.0) for name, spec in some_inputs('imu', 'scan', 'goal').items()
    }
    joints = KINDS['joints'](rate=20.0, max_age=0.2, joints=('elbow', 'wrist'))  # type: ignore[call-arg]
    inputs['joints'] = joints
    bag = write_kinds(tmp_path / 'bag', inputs, seconds=1.0)
    signals = replace(infer_signals([bag]), inputs=inputs)
    (episode,) = build([bag], signals, tmp_path / 'store', Console(quiet=True))
    rng = np.random.default_rng(3)
    steps = whole(episode, PERIOD_NS)
    for name, spec in inputs.items():
        written = np.stack([spec.made_up(rng) for _ in range(20)])
        if name == 'goal':  # the bearing is that of a direction, whatever its length was
            continue
        found = steps.inputs[name][: len(written)].numpy()
        np.testing.assert_allclose(found, written[: len(found)], atol=1e-5, err_msg=name)
    bearing = steps.inputs['goal'][:, 1:3]
    torch.testing.assert_close(bearing.norm(dim=1), torch.ones(len(bearing)))


def test_without_a_word_the_first_bag_decides_what_is_seen(tmp_path: Path) -> None:
    bag = write_kinds(tmp_path / 'bag', {**ROVER, **some_inputs('imu')}, seconds=1.0)
    told: list[str] = []
    found = infer_signals([bag], on_status=told.append)
    # Odometry is where the robot is for the goal; its speed is what an imitator would copy.
    assert list(found.inputs) == ['imu', 'goal', 'scan']
    assert 'scan: /scan, 10 Hz' in told
    assert 'not used: velocity (/odom), moving (/scan), speed (/odom); --inputs chooses' in told
    scan = found.inputs['scan']
    assert (scan.width, scan.elements()[0].high) == (10, pytest.approx(5.0))
    with BagReader(bag) as reader:
        assert '/goal_pose' in reader.topics


def test_two_cameras_are_chosen_by_their_names(tmp_path: Path) -> None:
    camera = some_inputs('image')['image']
    bag = write_kinds(tmp_path / 'bag', {'left': camera, 'right': camera}, seconds=1.0)
    found = infer_signals([bag], inputs={'left': 'image', 'right': 'image'})
    (episode,) = build([bag], found, tmp_path / 'store', Console(quiet=True))
    assert episode.topics['left'] == '/left/image_raw'
    seen = whole(episode, PERIOD_NS).inputs
    assert seen['left'].shape == seen['right'].shape
    assert not torch.equal(seen['left'], seen['right'])
