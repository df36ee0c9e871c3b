# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic floor of a control step: the same equations as one compiled loop in C.

LTC neurons compute only the synapses that exist; CfC neurons, whose weights are mostly dense, all.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from liquid_control.nn import LTC, CfC
from liquid_control.nn.cfc import CfCCell, WiredCfCCell
from liquid_control.nn.ltc import LEAST_CONDUCTANCE

FLAGS = ['-O3', '-march=native', '-ffast-math', '-shared', '-fPIC']
INT, FLOATS, INTS = ctypes.c_int, ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_int)

Array = NDArray[np.float32]
Steps = Callable[[int, Array, float, Array], None]
"""steps, inputs, elapsed seconds, state (changed in place)"""


class _Synapses(ctypes.Structure):
    _fields_ = [
        ('targets', INT),
        ('count', INT),
        ('source', INTS),
        ('start', INTS),
        ('slope', FLOATS),
        ('offset', FLOATS),
        ('current', FLOATS),
        ('conductance', FLOATS),
        ('opened', FLOATS),
    ]


class _CfC(ctypes.Structure):
    _fields_ = [
        ('inputs', INT),
        ('units', INT),
        ('hidden', INT),
        ('backbone', FLOATS),
        ('backbone_bias', FLOATS),
        ('heads', FLOATS),
        ('heads_bias', FLOATS),
        ('work', FLOATS),
    ]


def build() -> ctypes.CDLL | None:
    """The compiled loops; None on a machine without a C compiler."""
    compiler = shutil.which('cc') or shutil.which('gcc')
    if compiler is None:
        return None
    source = Path(__file__).with_name('step_floor.c')
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, 'floor.so')
        subprocess.run([compiler, *FLAGS, str(source), '-o', str(library), '-lm'], check=True)
        return ctypes.CDLL(str(library))


def floor_of(library: ctypes.CDLL, layer: LTC | CfC) -> Steps:
    """The layer's step as a C loop."""
    keep: list[NDArray[np.generic]] = []
    if isinstance(layer, LTC):
        return _ltc(library, layer, keep)
    cell = layer.rnn_cell
    groups = cell.layers if isinstance(cell, WiredCfCCell) else [cell]
    cells = (_CfC * len(groups))(*(_cfc_group(group, keep) for group in groups))

    def run(steps: int, x: Array, elapsed: float, state: Array) -> None:
        library.cfc_steps(
            steps, len(groups), cells, _floats(x), ctypes.c_float(elapsed), _floats(state)
        )

    run.keep = keep  # type: ignore[attr-defined]
    return run


def _ltc(library: ctypes.CDLL, layer: LTC, keep: list[NDArray[np.generic]]) -> Steps:
    cell = layer.rnn_cell
    p = cell.effective_parameters()._asdict()
    p = {name: value.detach().double().numpy() for name, value in p.items()}
    corners = torch.stack([torch.zeros(cell.input_size), torch.ones(cell.input_size)])
    shift, end = cell.map_inputs(corners).detach().double().numpy()
    rate = 1.0 / (cell.unfolds * p['cm'])
    sensory = _synapses(
        p['sensory_w'] * rate,
        p['sensory_erev'],
        p['sensory_sigma'] * (end - shift)[:, None],
        p['sensory_sigma'] * (shift[:, None] - p['sensory_mu']),
        keep,
    )
    recurrent = _synapses(p['w'] * rate, p['erev'], p['sigma'], -p['sigma'] * p['mu'], keep)
    leak_n = _kept(p['gleak'] * p['vleak'] * rate, keep)
    leak_d = _kept((p['gleak'] + LEAST_CONDUCTANCE) * rate, keep)
    work = _kept(np.zeros(5 * layer.state_size), keep)
    midpoint = int(cell.solver == 'exponential_midpoint')

    def run(steps: int, x: Array, elapsed: float, state: Array) -> None:
        library.ltc_steps(
            steps,
            cell.unfolds,
            midpoint,
            ctypes.byref(sensory),
            ctypes.byref(recurrent),
            _floats(leak_n),
            _floats(leak_d),
            _floats(x),
            ctypes.c_float(elapsed),
            _floats(state),
            _floats(work),
        )

    run.keep = keep  # type: ignore[attr-defined]
    return run


def _synapses(
    w: NDArray[np.float64],
    erev: NDArray[np.float64],
    slope: NDArray[np.float64],
    offset: NDArray[np.float64],
    keep: list[NDArray[np.generic]],
) -> _Synapses:
    targets, sources = np.nonzero(w.T)
    start = np.searchsorted(targets, np.arange(w.shape[1] + 1))
    matrices = (slope, offset, w * erev, w)
    values = [_kept(matrix[sources, targets], keep) for matrix in matrices]
    opened = _kept(np.zeros(len(sources)), keep)
    indices = [_kept(array, keep, np.int32) for array in (sources, start)]
    return _Synapses(
        w.shape[1],
        len(sources),
        *(array.ctypes.data_as(INTS) for array in indices),
        *(_floats(array) for array in (*values, opened)),
    )


def _cfc_group(cell: CfCCell, keep: list[NDArray[np.generic]]) -> _CfC:
    p = cell.equations()
    matrices = [*(p.backbone[0] if p.backbone else (torch.zeros(0, 0), torch.zeros(0)))]
    matrices += [p.heads, p.heads_bias]
    arrays = [_kept(matrix.detach().numpy().T, keep) for matrix in matrices]
    hidden = len(arrays[1])
    work = _kept(np.zeros(cell.input_size + 5 * cell.state_size + hidden), keep)
    return _CfC(
        cell.input_size, cell.state_size, hidden, *(_floats(array) for array in (*arrays, work))
    )


def _kept(
    values: NDArray[np.generic],
    keep: list[NDArray[np.generic]],
    dtype: type[np.generic] = np.float32,
) -> NDArray[np.generic]:
    """A contiguous copy that lives as long as `keep`."""
    keep.append(np.array(values, dtype=dtype, order='C'))
    return keep[-1]


def _floats(array: NDArray[np.generic]) -> ctypes._Pointer[ctypes.c_float]:
    return array.ctypes.data_as(FLOATS)
