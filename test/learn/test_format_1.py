# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bundles of before inputs had names still drive, and are trained further, as what they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from support.exports import INPUTS, make_network, make_steps, write

from liquid_control.common.assets import CONTRACT_FILE
from liquid_control.common.errors import BundleError
from liquid_control.contract.bundle import CORE_FILE, load_bundle
from liquid_control.learn.export.parity import run_bundle, run_network
from liquid_control.learn.export.rebuild import load_network
from liquid_control.learn.train.weights import WEIGHTS_FILE


def to_format_1(path: Path) -> Path:
    """A bundle with a camera called `image` as it was written before."""
    core = onnx.load(path / CORE_FILE)
    for value in core.graph.input:
        value.name = 'features' if value.name == 'image' else value.name
    for node in core.graph.node:
        node.input[:] = ['features' if name == 'image' else name for name in node.input]
    onnx.save(core, path / CORE_FILE)
    (path / 'encoder_image.onnx').rename(path / 'encoder.onnx')
    document = yaml.safe_load((path / CONTRACT_FILE).read_text())
    for name, entry in document.pop('inputs').items():
        assert entry.pop('kind') == name
        later = ('topic', 'orientation', 'scale', 'acceleration_scale', 'angular_velocity_scale')
        document[name] = {k: v for k, v in entry.items() if k not in later}
    files = ('core.onnx', 'encoder.onnx')
    document['hashes'] = {
        file: hashlib.sha256((path / file).read_bytes()).hexdigest() for file in files
    }
    (path / CONTRACT_FILE).write_text(yaml.safe_dump({**document, 'format_version': 1}))
    with np.load(path / WEIGHTS_FILE) as file:
        arrays = {name.replace('encoders.image.', 'encoder.'): file[name] for name in file.files}
    np.savez(path / WEIGHTS_FILE, **arrays)
    return path


def test_a_bundle_of_format_1_sees_its_inputs_by_their_names(tmp_path: Path) -> None:
    network, steps = make_network(), make_steps()
    write(tmp_path / 'stripe', network)
    expected = run_bundle(tmp_path / 'stripe', steps)
    old = to_format_1(tmp_path / 'stripe')
    contract = load_bundle(old).contract
    assert contract.inputs == INPUTS
    np.testing.assert_array_equal(run_bundle(old, steps), expected)
    np.testing.assert_array_equal(
        run_network(load_network(old), steps), run_network(network, steps)
    )


def test_format_1_knew_no_other_inputs(tmp_path: Path) -> None:
    write(tmp_path / 'stripe')
    old = to_format_1(tmp_path / 'stripe')
    text = (old / CONTRACT_FILE).read_text()
    (old / CONTRACT_FILE).write_text(text + 'scan: {rate: 10.0, max_age: 0.2}\n')
    with pytest.raises(BundleError, match='scan'):
        load_bundle(old)
