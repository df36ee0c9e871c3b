# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Solvers of an LTC: error, memory and time of training, time of a step, and where they break.

Random networks of 19 neurons (NCP wiring) and 32 inputs; inputs and states uniform within
[-1, 1]. Once as `LTC` makes them, with time constants of about a second, and once as they begin in
a new policy, with those of a robot.
"""

from __future__ import annotations

import statistics
import time
import weakref
from importlib.util import find_spec
from typing import Any

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from liquid_control.evaluate.evidence.cells.compiled import CompiledStep
from liquid_control.evaluate.evidence.study import Measured, Piece, Report, Study, Table, grouped
from liquid_control.evaluate.report.figures import STYLE
from liquid_control.nn import LTC, AutoNCP
from liquid_control.nn.cells import suit_to_robot
from liquid_control.nn.kernels import plain_torch
from liquid_control.nn.onnx_export.core import layer_step
from liquid_control.nn.onnx_export.graph import FLOAT, Graph
from liquid_control.nn.solvers import COMPILED, TOLERANCE

INPUTS, UNITS, OUTPUTS = 32, 19, 1
STATES, NETWORKS = 32, 24
BATCH, STEPS, QUICK_STEPS = 32, 32, 4
TRAINED_ELAPSED = 0.05
STEPS_OF_REFERENCE = 0.001
CANDIDATES = (
    ('fused', 1),
    ('fused', 6),
    ('exponential_midpoint', 1),
    ('exponential_midpoint', 2),
    ('exponential_midpoint', 3),
    ('euler', 6),
    ('rk4', 1),
    ('rk4', 6),
    ('dopri5', 1),
    ('dopri5_adjoint', 1),
)
ELAPSED = {'layer': (1 / 30, 1 / 4, 1.0), 'policy': (1 / 100, 1 / 20, 1 / 10)}
# The longest step that is tried for stability, s.
LONGEST, HALVINGS, ENDURED = 100.0, 16, 40


def candidates() -> tuple[tuple[str, int], ...]:
    """Those that can be run here: Dormand and Prince's need torchdiffeq."""
    there = find_spec('torchdiffeq') is not None
    return tuple(entry for entry in CANDIDATES if there or not entry[0].startswith('dopri5'))


def make(kind: str, solver: str, unfolds: int, seed: int) -> LTC:
    """A random network of a seed."""
    torch.manual_seed(seed)
    wiring = AutoNCP(UNITS, OUTPUTS, seed=seed)
    layer = LTC(INPUTS, wiring, solver=solver, unfolds=unfolds)
    if kind == 'policy':
        suit_to_robot(layer.rnn_cell)
    return layer


def study(*, networks: int = NETWORKS, seed: int = 0, quick: bool = False) -> Study:
    """Networks of so many seeds, and timings of one."""
    networks = 1 if quick else networks
    pieces: list[Piece] = [
        {'what': 'error', 'kind': kind, 'elapsed': elapsed, 'seed': seed + index}
        for kind, times in ELAPSED.items()
        for elapsed in times
        for index in range(networks)
    ]
    chosen: list[Piece] = [
        {'solver': solver, 'unfolds': unfolds} for solver, unfolds in candidates()
    ]
    pieces += [
        {'what': 'stability', 'kind': kind, **entry, 'seed': seed + index}
        for kind in ELAPSED
        for entry in chosen
        for index in range(1 if quick else 8)
        if not entry['solver'].startswith('dopri5')
    ]
    pieces += [
        {'what': 'memory', **entry, 'seed': seed, 'steps': steps}
        for entry in chosen
        for steps in ((2, 4) if quick else (16, STEPS, 2 * STEPS))
    ]
    timed = [
        {
            'what': 'time',
            **entry,
            'seed': seed,
            'rounds': 1 if quick else 5,
            'steps': QUICK_STEPS if quick else STEPS,
        }
        for entry in chosen
    ]
    return Study('solvers', measure, pieces, summarise, alone=timed)


def measure(piece: Piece) -> Measured:
    """One piece; see `study`."""
    what = piece['what']
    if what == 'error':
        return _errors(piece['kind'], piece['elapsed'], piece['seed'])
    kind, solver, unfolds = piece.get('kind', 'policy'), piece['solver'], piece['unfolds']
    layer = make(kind, solver, unfolds, piece['seed'])
    if what == 'stability':
        return {'longest': _longest_step(layer, piece['seed'])}
    if what == 'memory':
        return {'bytes': training_memory(layer, piece['steps'])}
    return _times(layer, piece['rounds'], piece['steps'])


@torch.no_grad()
def _errors(kind: str, elapsed: float, seed: int) -> Measured:
    """Largest error over the neurons, of each state: median and 99th percentile."""
    steps = max(100, round(elapsed / STEPS_OF_REFERENCE))
    x, state = _drawn(seed)
    truth, finer = (
        _after(make(kind, 'rk4', count, seed).double(), x, state, elapsed)
        for count in (steps, 2 * steps)
    )
    found: Measured = {'reference': float((truth - finer).abs().max())}
    for solver, unfolds in candidates():
        got = _after(make(kind, solver, unfolds, seed).double(), x, state, elapsed)
        error = (got - finer).abs().amax(dim=1)
        quantiles = error.quantile(torch.tensor([0.5, 0.99], dtype=error.dtype)).tolist()
        found[f'{solver} {unfolds}'] = quantiles
    return found


def _after(layer: LTC, x: Tensor, state: Tensor, elapsed: float) -> Tensor:
    """The state after a step."""
    return layer.pack(layer.step(x, state, elapsed)[1])


def _drawn(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(STATES, INPUTS + UNITS, dtype=torch.float64, generator=generator) * 2 - 1
    x, state = drawn.split((INPUTS, UNITS), dim=1)
    return x, state


@torch.no_grad()
def _longest_step(layer: LTC, seed: int) -> float:
    """The longest elapsed time, s, of steps that keep the states within their bounds."""
    layer = layer.double()
    x, start = _drawn(seed)
    p = layer.rnn_cell.effective_parameters()
    reversal = [p.erev * (p.w > 0), p.sensory_erev * (p.sensory_w > 0)]
    both = torch.cat([*reversal, p.vleak[None]])
    low = torch.minimum(both.amin(dim=0), start)
    high = torch.maximum(both.amax(dim=0), start)

    def endures(elapsed: float) -> bool:
        state = start
        for _ in range(ENDURED):
            state = _after(layer, x, state, elapsed)
            if not bool(((state >= low - 1e-6) & (state <= high + 1e-6)).all()):
                return False
        return True

    if endures(LONGEST):
        return LONGEST
    shortest, longest = 1e-5, LONGEST
    for _ in range(HALVINGS):
        middle = (shortest * longest) ** 0.5
        shortest, longest = (middle, longest) if endures(middle) else (shortest, middle)
    return shortest


class LiveMemory(TorchDispatchMode):
    """Bytes of all tensors that torch makes and has not let go; `peak` is the most at once."""

    def __init__(self) -> None:
        super().__init__()
        self.live, self.peak = 0, 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return result

    def _note(self, storage: Any) -> None:
        address, size = storage._cdata, storage.nbytes()
        if address in self._known and self._known[address]() is not None:
            return

        def forget(_: object) -> None:
            self.live -= size
            self._known.pop(address, None)

        self._known[address] = weakref.ref(storage, forget)
        self.live += size
        self.peak = max(self.peak, self.live)


def training_memory(layer: LTC, steps: int, batch: int = BATCH) -> int:
    """Most bytes at once in a forward and backward pass over a sequence, in plain torch."""
    x = torch.randn(batch, steps, INPUTS)
    memory = LiveMemory()
    with memory, plain_torch():
        layer(x, elapsed=TRAINED_ELAPSED)[0].square().sum().backward()
    return memory.peak


def _times(layer: LTC, rounds: int, steps: int) -> Measured:
    """Milliseconds of a training step; microseconds of a compiled step, where there is one."""
    x = torch.randn(BATCH, steps, INPUTS)
    times = []
    for turn in range(rounds + 1):
        begin = time.perf_counter()
        layer(x, elapsed=TRAINED_ELAPSED)[0].square().sum().backward()
        if turn:  # the first one warms up, and may compile a kernel
            times.append(1e3 * (time.perf_counter() - begin))
    found: Measured = {'training_ms': statistics.median(times)}
    if layer.rnn_cell.solver in COMPILED:
        found['step_us'] = _compiled_step(layer)
    return found


def _compiled_step(layer: LTC, count: int = 2000) -> float:
    sizes = {'x': layer.input_size, 'elapsed': 1, 'state': layer.packed_size}
    graph = Graph({name: ((1, size), FLOAT) for name, size in sizes.items()})
    state = layer_step(graph, layer, ['x'], 'state', 'elapsed')
    model = graph.model('step', {'next_state': (state, (1, layer.packed_size))})
    return CompiledStep(model.SerializeToString(), 0.05).time(count)


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """Table of every solver, and what is bought with which evaluations."""
    by_what = {
        what: [entry for entry in found if entry[0]['what'] == what]
        for what in ('error', 'stability', 'memory', 'time')
    }
    errors = grouped(by_what['error'], 'kind', 'elapsed')
    names = [f'{solver} {unfolds}' for solver, unfolds in candidates()]
    rows: list[dict[str, Any]] = []
    for kind, times in ELAPSED.items():
        for name in names:
            row: dict[str, Any] = {'solver': name, 'network': kind}
            for elapsed in times:
                measured = [entry[name][0] for entry in errors[kind, elapsed]]
                row[f'error after {elapsed:.3g} s'] = statistics.median(measured)
            longest = grouped(by_what['stability'], 'kind', 'solver', 'unfolds')
            solver, unfolds = name.split()
            steps = [entry['longest'] for entry in longest.get((kind, solver, int(unfolds)), [])]
            row['longest step, s'] = _longest_text(steps)
            rows.append(row)
    reference = max(entry['reference'] for _, entry in by_what['error'])
    networks = len(errors[next(iter(errors))])
    error_table = Table(
        'errors',
        'Error of the state, and the longest step that keeps it within its bounds',
        rows,
        f'Largest error over {UNITS} neurons, median over {STATES} states and {networks} random '
        f'networks, against RK4 with steps of {STEPS_OF_REFERENCE * 1e3:g} ms or less, which '
        f'differs from one with half the steps by {reference:.1e} at most. The number behind a '
        f'solver: parts of an elapsed time; dopri5 chooses its own within {TOLERANCE:g}. Longest: '
        f'smallest over the networks, {ENDURED} steps from every state.',
    )
    cost_table, growth = _costs(by_what['memory'], by_what['time'])
    best = min(
        (row for row in rows if row['network'] == 'policy' and row['longest step, s'] == 'any'),
        key=lambda row: row['error after 0.05 s'],
    )
    verdict = (
        f'of the solvers that keep the bounds at any step, {best["solver"]} is nearest at 20 Hz '
        f'({best["error after 0.05 s"]:.1e})'
    )
    figures = {'error_and_cost': _figure(rows, cost_table.rows, growth)}
    return Report('Solvers of an LTC', verdict, [error_table, cost_table], figures)


def _longest_text(steps: list[float]) -> Any:
    if not steps:
        return None
    return 'any' if min(steps) >= LONGEST else min(steps)


def _costs(
    memory: list[tuple[Piece, Measured]], times: list[tuple[Piece, Measured]]
) -> tuple[Table, dict[str, tuple[list[int], list[float]]]]:
    rows = []
    growth: dict[str, tuple[list[int], list[float]]] = {}
    for piece, measured in memory:
        name = f'{piece["solver"]} {piece["unfolds"]}'
        steps, sizes = growth.setdefault(name, ([], []))
        steps.append(piece['steps'])
        sizes.append(measured['bytes'] / 1e6)
    for piece, measured in times:
        name = f'{piece["solver"]} {piece["unfolds"]}'
        steps, sizes = growth[name]
        rows.append(
            {
                'solver': name,
                'training step, ms': measured['training_ms'],
                'compiled step, µs': measured.get('step_us'),
                **{f'memory of {n} steps, MB': mb for n, mb in zip(steps, sizes, strict=True)},
            }
        )
    caption = (
        f'A training step is forward and backward over {BATCH} sequences of '
        f'{times[0][0]["steps"]} steps, '
        'float32, one thread, in the kernels where a solver has one (fused, '
        'exponential_midpoint); memory is the most that torch holds at once in it, all solvers '
        'in plain torch. dopri5_adjoint solves backwards instead of remembering.'
    )
    return Table('costs', 'What training and a step cost', rows, caption), growth


@rc_context(STYLE)
def _figure(
    errors: list[dict[str, Any]],
    costs: list[dict[str, Any]],
    growth: dict[str, tuple[list[int], list[float]]],
) -> Figure:
    figure = Figure(figsize=(10, 4.2))
    left, right = figure.subplots(1, 2)
    times = {row['solver']: row['training step, ms'] for row in costs}
    for row in errors:
        if row['network'] == 'policy' and row['solver'] in times:
            error = row['error after 0.05 s']
            left.loglog(times[row['solver']], error, 'o')
            left.annotate(row['solver'], (times[row['solver']], error), fontsize=7)
    left.set_title('Error after 0.05 s against the time of a training step')
    left.set_xlabel('training step, ms')
    left.set_ylabel('error of the state')
    for name, (steps, sizes) in growth.items():
        right.plot(steps, sizes, marker='.', label=name)
    right.set_title('Memory of training')
    right.set_xlabel('steps of a sequence')
    right.set_ylabel('MB')
    right.legend(fontsize=7)
    return figure
