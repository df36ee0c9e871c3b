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

from liquid_control.runtime.policy import Policy


def run_graphs(folder: Path) -> dict[str, list[float]]:
    """Outputs of every graph of a folder, by its name without suffix."""
    options = ort.SessionOptions()
    options.enable_mem_reuse = False  # as the runtime's sessions
    return {
        path.stem: run(
            ort.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
        )
        for path in folder.glob('*.onnx')
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
    """Commands of a policy over ten pictures."""
    policy = Policy.load(bundle)
    image, rng = policy.contract.image, np.random.default_rng(0)
    commands: list[float] = []
    for _ in range(10):
        picture = rng.integers(
            0, 256, (image.source_height, image.source_width, 3), dtype=np.uint8
        )
        sensors = {'features': policy.encode(picture)}
        if policy.contract.imu is not None:
            sensors['imu'] = rng.normal(size=6).astype(np.float32)
        commands += [float(value) for value in policy.step(elapsed=0.05, **sensors)]
    return commands


if __name__ == '__main__':
    what, path = sys.argv[1], Path(sys.argv[2])
    found = run_graphs(path) if what == 'graphs' else drive(path)
    print(json.dumps({'version': ort.__version__, 'found': found}))
