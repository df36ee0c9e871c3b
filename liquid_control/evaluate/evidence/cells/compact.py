# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How small policies are: numbers, synapses, bytes, multiplications, time and energy of a step."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import onnx

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.cells.compiled import CompiledStep
from liquid_control.evaluate.evidence.study import (
    EvidenceError,
    Measured,
    Piece,
    Report,
    Study,
    Table,
    names_of,
)

# What Linux counts of the energy of a processor, µJ; not on every machine, not for everybody.
ENERGY = Path('/sys/class/powercap/intel-rapl:0/energy_uj')
ENERGY_SECONDS = 5.0
MULTIPLYING = ('Gemm', 'MatMul', 'Conv', 'Mul')


def study(
    bundles: list[Path], *, scores: dict[str, str] | None = None, quick: bool = False
) -> Study:
    """Sizes of policies; all are timed alone.

    Args:
        scores: name of a policy -> what to show beside it; see `read_scores`.
    """
    pieces: list[Piece] = [
        {
            'policy': str(path),
            'digest': load_bundle(path).digest,
            'score': (scores or {}).get(name),
            'steps': 500 if quick else 5000,
        }
        for path, name in names_of(bundles).items()
    ]
    return Study('compact', measure, [], summarise, alone=pieces)


def read_scores(path: Path) -> dict[str, str]:
    """Policy -> score, from a CSV file with these two columns.

    Raises:
        EvidenceError: it has others, or cannot be read.
    """
    try:
        with path.open(newline='') as file:
            return {row['policy']: row['score'] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise EvidenceError(
            f'{path}: expected a CSV file with the columns policy and score '
            f'({type(error).__name__}: {error})'
        ) from error


def measure(piece: Piece) -> Measured:
    """One bundle; see the module docstring."""
    bundle = load_bundle(piece['policy'])
    network = bundle.contract.network
    graphs = {path.name: path.read_bytes() for path in sorted(bundle.path.glob('*.onnx'))}
    core = graphs.pop('core.onnx')
    step, energy = _step(core, piece['steps'])
    return {
        'cell': network.cell,
        'neurons': network.neurons,
        'synapses': network.synapses,
        'state': network.state_size,
        'parameters': network.parameters,
        'bytes': len(core) + sum(map(len, graphs.values())),
        'core_bytes': len(core),
        'core_multiplications': multiplications(core),
        'encoder_multiplications': sum(multiplications(graph) for graph in graphs.values()),
        'core_us': step,
        'core_joules': energy,
    }


def multiplications(model: bytes) -> int:
    """Multiplications of a graph, as its shapes tell; those of constants are none."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for entry in (*graph.input, *graph.value_info, *graph.output):
        shapes[entry.name] = tuple(d.dim_value for d in entry.type.tensor_type.shape.dim)
    count = 0
    for node in graph.node:
        if node.op_type not in MULTIPLYING:
            continue
        output = int(np.prod(shapes[node.output[0]]))
        if node.op_type == 'Conv':
            count += output * int(np.prod(shapes[node.input[1]][1:]))
        elif node.op_type == 'Mul':
            count += output
        else:
            inner = shapes[node.input[0]][-1]
            count += output * int(inner)
    return count


def _step(core: bytes, count: int) -> tuple[float, float | None]:
    """Median time of a step, µs, and its energy, J, where the machine counts that."""
    compiled = CompiledStep(core, 0.05)
    return compiled.time(count), _energy(compiled)


def _energy(step: CompiledStep) -> float | None:
    """Of one step: what the processor takes for many, less what it takes for waiting as long."""
    if _counter() is None:
        return None
    before, steps, end = _counter(), 0, time.monotonic() + ENERGY_SECONDS
    while time.monotonic() < end:
        step.run()
        steps += 1
    busy = _counter()
    time.sleep(ENERGY_SECONDS)
    idle = _counter()
    if before is None or busy is None or idle is None or not before <= busy <= idle:
        return None  # the counter has turned over
    return max(0.0, (busy - before) - (idle - busy)) / steps


def _counter() -> float | None:
    try:
        return int(ENERGY.read_text()) / 1e6
    except (OSError, ValueError):
        return None


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """One row for each policy, the smallest first."""
    entries = sorted(found, key=lambda entry: entry[1]['core_bytes'])
    rows = []
    for piece, measured in entries:
        row = {
            'policy': piece['name'],
            'cell': measured['cell'],
            'neurons': measured['neurons'],
            'state': measured['state'],
            'synapses': measured['synapses'] or None,
            'parameters': measured['parameters'],
            'bytes': measured['bytes'],
            'core bytes': measured['core_bytes'],
            'multiplications: core': measured['core_multiplications'],
            'encoder': measured['encoder_multiplications'],
            'core step, µs': measured['core_us'],
            'core step, J': measured['core_joules'],
        }
        if any(entry['score'] for entry, _ in entries):
            row['score'] = piece['score']
        rows.append(row)
    caption = 'Bytes: of the graphs. Step: the core alone in ONNX Runtime, one thread.'
    if not any(measured['core_joules'] for _, measured in entries):
        caption += ' This machine counts no energy that may be read.'
    smallest, first = entries[0]
    verdict = (
        f'smallest core: {smallest["name"]}, {first["core_bytes"]:,} bytes, '
        f'{first["core_multiplications"]:,} multiplications a step'
    )
    told = ('cell', 'neurons', 'parameters', 'core step, µs')
    scores = {row['policy']: {name: row[name] for name in told} for row in rows}
    table = Table('sizes', 'Sizes of policies', rows, caption)
    return Report('Compactness', verdict, [table], scores=scores)
