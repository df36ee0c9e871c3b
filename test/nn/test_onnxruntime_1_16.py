# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The oldest ONNX Runtime that is supported, JetPack's 1.16, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import old_onnxruntime
from support.compiled_cells import LAYERS, compile_layer, make, models, session

OLD = Path(sys.prefix) / 'onnxruntime-1.16'  # put there by `make test`
ROOT = Path(__file__).parents[2]
POLICIES = sorted(path.parent for path in (ROOT / 'models').glob('*/policy.yaml'))

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason='there is no ONNX Runtime 1.16 for this Python'
)


def test_graphs_give_the_same_numbers(tmp_path: Path) -> None:
    graphs = {name: compile_layer(make(name)) for name in LAYERS} | models()
    expected = {}
    for index, (name, model) in enumerate(graphs.items()):
        (tmp_path / f'{index}.onnx').write_bytes(model.SerializeToString())
        expected[name] = old_onnxruntime.run(session(model))

    found = in_old_runtime('graphs', tmp_path)

    for index, name in enumerate(graphs):
        # Sums of int8 are rounded in another order there: half of what int8 loses against float32.
        atol = 0.1 if name == 'int8 encoder' else 1e-5
        np.testing.assert_allclose(found[str(index)], expected[name], atol=atol, err_msg=name)


@pytest.mark.parametrize('bundle', POLICIES, ids=lambda bundle: bundle.name)
def test_policies_drive_the_same(bundle: Path) -> None:
    expected = old_onnxruntime.drive(bundle)
    np.testing.assert_allclose(in_old_runtime('policy', bundle), expected, atol=1e-5)


def in_old_runtime(what: str, path: Path) -> dict[str, list[float]] | list[float]:
    assert OLD.is_dir(), f'{OLD} is missing: make test installs it'
    paths = [str(OLD), str(ROOT), os.environ.get('PYTHONPATH', '')]
    run = subprocess.run(
        [sys.executable, old_onnxruntime.__file__, what, str(path)],
        env=os.environ | {'PYTHONPATH': os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer['version'].startswith('1.16.')
    return answer['found']
