# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Run graphs or a policy in the ONNX Runtime that the process finds, and print what comes out.

    python old_onnxruntime.py graphs FOLDER
    python old_onnxruntime.py policy BUNDLE

Uses what a robot has: no torch, no onnx.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.inference.providers import CPU
from liquid_control.runtime.inference.session import BundleGraph, open_session


def run_graphs(folder: Path) -> dict[str, list[float]]:
    """Outputs of every graph of a folder, in the runtime's sessions, by name without suffix."""
    found = {}
    for path in folder.glob('*.onnx'):
        data = path.read_bytes()
        plain = ort.InferenceSession(data, providers=[CPU])
        signatures = signature(plain.get_inputs()), signature(plain.get_outputs())
        graph = BundleGraph(path.name, path.name, data, *signatures)
        found[path.stem] = run(open_session(graph, [(CPU, {})]))
    return found


def signature(entries: list) -> dict[str, tuple[tuple[int, ...], type]]:
    return {
        entry.name: (
            tuple(entry.shape),
            np.uint8 if entry.type == 'tensor(uint8)' else np.float32,
        )
        for entry in entries
    }


def run(graph: ort.InferenceSession) -> list[float]:
    """All outputs of ten runs with inputs drawn from a seed, the state carried from run to run."""
    rng = np.random.default_rng(0)
    outputs: list[float] = []
    state = None
    for _ in range(10):
        inputs = {}
        for entry in graph.get_inputs():
            if entry.type == 'tensor(uint8)':
                inputs[entry.name] = rng.integers(0, 256, entry.shape, dtype=np.uint8)
            elif entry.name == 'state' and state is not None:
                inputs[entry.name] = state
            else:
                inputs[entry.name] = rng.uniform(0, 0.5, entry.shape).astype(np.float32)
        values = graph.run(None, inputs)
        state = values[-1]
        outputs += [float(number) for value in values for number in value.flat]
    return outputs


def drive(bundle: Path) -> list[float]:
    """Commands of a policy over ten images."""
    policy = Policy.load(bundle)
    rng = np.random.default_rng(0)
    commands: list[float] = []
    for _ in range(10):
        inputs = {}
        for name, spec in policy.contract.inputs.items():
            inputs[name] = spec.made_up(rng)
            if name in policy.preprocess:
                inputs[name] = policy.encode_input(name, inputs[name])
        commands += [float(value) for value in policy.step(inputs, 0.05)]
    return commands


if __name__ == '__main__':
    what, path = sys.argv[1], Path(sys.argv[2])
    found = run_graphs(path) if what == 'graphs' else drive(path)
    print(json.dumps({'version': ort.__version__, 'found': found}))
