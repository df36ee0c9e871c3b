# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One control step, batch 1, one thread: our compiled core against everything it could be.

For each size and cell, in turns and in one process, with equal weights: the reference's layer
(`ncps`) in eager torch; the reference exported plainly to ONNX Runtime; our layer in eager torch;
our graph in ONNX Runtime; the arithmetic floor, the same equations as a loop in C. ONNX Runtime
is called two ways: `run`, as everyone does, and bound to fixed buffers, as our runtime does.

The midpoint solver of new policies, which the reference does not have, runs against the
reference's own.

Then one control tick and one camera frame of the runtime's `Policy` against the same network in
eager torch, images cut and resized in both.

    python benchmarks/step.py [--rounds 40] [--sizes 19/32,64/64]
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import ncps.torch
import ncps.wirings
import numpy as np
import onnxruntime as ort
import torch
from rich.console import Console
from rich.table import Table
from script import run_script
from step_floor import build, floor_of
from torch import Tensor, nn

from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.inputs import ImageSpec, ImuSpec, InputSpec
from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.export.exporter import export_bundle
from liquid_control.nn import LTC, NCP, AutoNCP, CfC
from liquid_control.nn.onnx_export.core import layer_step, readout
from liquid_control.nn.onnx_export.graph import FLOAT, Graph
from liquid_control.nn.policy import NetworkConfig, PolicyNetwork
from liquid_control.nn.solvers import POLICY_SOLVER, POLICY_UNFOLDS
from liquid_control.runtime.inference.policy import Policy

SIZES = '19/32,32/64,64/64,64/256,128/128,256/256,512/256'
ELAPSED = 0.05
FLOOR_STEPS = 10
# Calls of one candidate in a row before the next has its turn: enough to be warm again.
CALLS = 10

Call = Callable[[], object]
Layers = tuple[nn.Module, LTC | CfC]


def make_layers(cell: str, units: int, inputs: int) -> Layers:
    """The reference's layer and ours with its weights."""
    torch.manual_seed(units)
    if units == 19:  # the published driving network
        arguments = (12, 6, 1, 6, 4, 10, 6)
        their_wiring, our_wiring = ncps.wirings.NCP(*arguments), NCP(*arguments)
    else:
        their_wiring, our_wiring = ncps.wirings.AutoNCP(units, 1), AutoNCP(units, 1)
    theirs: nn.Module
    ours: LTC | CfC
    if cell == 'cfc':
        theirs, ours = ncps.torch.CfC(inputs, units), CfC(inputs, units)
    elif cell == 'cfc wired':
        theirs, ours = ncps.torch.CfC(inputs, their_wiring), CfC(inputs, our_wiring)
    else:
        theirs = ncps.torch.LTC(inputs, their_wiring)
        midpoint = cell == 'ltc midpoint'
        solver = {'solver': POLICY_SOLVER, 'unfolds': POLICY_UNFOLDS} if midpoint else {}
        ours = LTC(inputs, our_wiring, **solver)
    ours.load_state_dict(theirs.state_dict())
    return theirs.eval(), ours.eval()


def session(model: bytes, **changes: bool) -> ort.InferenceSession:
    """One thread, otherwise as ONNX Runtime comes."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for name, value in changes.items():
        setattr(options, name, value)
    return ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])


def plain_export(layer: nn.Module, x: Tensor, state: Tensor) -> bytes:
    """The reference's cell traced by torch's own exporter."""

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = layer.rnn_cell

        def forward(self, x: Tensor, elapsed: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            return self.cell(x, state, elapsed)

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            Step().eval(),
            (x, torch.full((1, 1), ELAPSED), state),
            file,
            dynamo=False,
            opset_version=17,
            input_names=['x', 'elapsed', 'state'],
            output_names=['output', 'next_state'],
        )
    return file.getvalue()


def our_export(layer: LTC | CfC) -> bytes:
    """The graph that a bundle's core holds, without scaling of inputs and commands."""
    sizes = {'x': layer.input_size, 'elapsed': 1, 'state': layer.state_size}
    graph = Graph({name: ((1, size), FLOAT) for name, size in sizes.items()})
    state = layer_step(graph, layer, ['x'], 'state', 'elapsed')
    weight, bias = readout(layer)
    if np.array_equal(weight, np.eye(layer.state_size)) and not bias.any():
        output = graph.add('Identity', state)
    else:
        output = graph.linear(state, weight, bias)
    outputs = {
        'output': (output, (1, layer.output_size)),
        'next_state': (state, (1, layer.state_size)),
    }
    return graph.model('step', outputs).SerializeToString()


def bound(model: bytes, feeds: dict[str, np.ndarray]) -> tuple[Call, np.ndarray]:
    """A call on fixed buffers, as our runtime does it, and the buffer of the new state."""
    sess = session(model, enable_mem_reuse=False)
    binding = sess.io_binding()
    buffers = {node.name: np.zeros(node.shape, np.float32) for node in sess.get_outputs()}
    for name, array in feeds.items():
        binding.bind_input(name, 'cpu', 0, np.float32, array.shape, array.ctypes.data)
    for name, array in buffers.items():
        binding.bind_output(name, 'cpu', 0, np.float32, array.shape, array.ctypes.data)
    # The default argument keeps the buffers alive.
    return lambda _=(feeds, buffers): sess.run_with_iobinding(binding), buffers['next_state']


def step_candidates(cell: str, units: int, inputs: int, library: object) -> dict[str, Call]:
    """Ways to compute one step, checked to compute the same; scaled to one step by `measure`."""
    theirs, ours = make_layers(cell, units, inputs)
    rng = np.random.default_rng(units)
    feeds = {
        'x': rng.normal(size=(1, inputs)).astype(np.float32),
        'elapsed': np.full((1, 1), ELAPSED, np.float32),
        'state': rng.uniform(-0.3, 0.3, (1, units)).astype(np.float32),
    }
    x, elapsed, state = (torch.from_numpy(array.copy()) for array in feeds.values())
    expected = ours.step(x, state, elapsed)[1].detach().numpy()

    calls: dict[str, Call] = {}
    states: dict[str, np.ndarray] = {}

    def add_graph(prefix: str, model: bytes) -> None:
        sess = session(model)
        calls[f'{prefix}run'] = lambda: sess.run(None, feeds)
        call, states[f'{prefix}bound'] = bound(model, feeds)
        calls[f'{prefix}bound'] = call
        call()

    calls['ncps eager'] = lambda: theirs(x[None], state, elapsed)
    add_graph('ncps ', plain_export(theirs, x, state))
    if cell == 'ltc midpoint':  # the reference has its own solver only
        del states['ncps bound']
    calls['eager'] = lambda: ours.step(x, state, elapsed)
    add_graph('', our_export(ours))
    if library is not None:
        floor, floor_state = floor_of(library, ours), feeds['state'].copy()
        floor(1, feeds['x'], ELAPSED, floor_state)
        states['floor'] = floor_state
        calls['floor'] = lambda: floor(FLOOR_STEPS, feeds['x'], ELAPSED, floor_state)
    for name, found in states.items():
        assert np.abs(found - expected).max() < 1e-4, f'{name} computes something else'
    return calls


def policy_candidates(cell: str, folder: Path) -> dict[str, dict[str, Call]]:
    """Control tick and camera frame of a 32-neuron policy, in our runtime and in eager torch."""
    torch.manual_seed(0)
    commands = (
        CommandSpec('steering_angle', 'rad', -0.4, 0.4),
        CommandSpec('speed', 'm/s', 0.0, 3.0),
    )
    inputs: dict[str, InputSpec] = {
        'image': ImageSpec(
            width=96,
            height=48,
            source_width=160,
            source_height=120,
            crop=(0, 40, 160, 80),
            rate=30.0,
            max_age=0.3,
            features=32,
        ),
        'imu': ImuSpec(rate=200.0, max_age=0.1),
    }
    network = PolicyNetwork(
        NetworkConfig(inputs=inputs, commands=commands, cell=cell, neurons=32)
    ).eval()
    rng = np.random.default_rng(0)
    count = 64
    steps = Steps(
        inputs={
            'image': torch.from_numpy(rng.integers(0, 256, (count, 48, 96, 3), dtype=np.uint8)),
            'imu': torch.from_numpy(rng.normal(size=(count, 6)).astype(np.float32)),
        },
        elapsed=torch.full((count,), ELAPSED),
        commands=torch.zeros(count, 2),
        weights=torch.ones(count),
    )
    export_bundle(
        network,
        name=cell,
        path=folder / cell,
        control_rate=20.0,
        elapsed_range=(0.005, 0.25),
        steps=steps,
    )
    policy = Policy.load(folder / cell)
    image = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    seen = {'image': policy.encode('image', image), 'imu': steps.inputs['imu'][0].numpy()}
    tensors = {name: torch.from_numpy(values)[None] for name, values in seen.items()}
    elapsed = torch.full((1, 1), ELAPSED)
    state = torch.zeros(1, network.state_size)

    def eager_frame() -> Tensor:
        pixels = policy.preprocess['image'](image)
        return network.encoders['image'](torch.from_numpy(pixels)[None])

    return {
        f'tick {cell}': {
            'eager': lambda: network.core(tensors, elapsed, state),
            'bound': lambda: policy.step(seen, ELAPSED),
        },
        f'frame {cell}': {'eager': eager_frame, 'bound': lambda: policy.encode('image', image)},
    }


@torch.inference_mode()
def measure(calls: dict[str, Call], rounds: int) -> dict[str, np.ndarray]:
    """Microseconds of every call, [rounds, CALLS], the candidates taken in turns."""
    times = {name: np.zeros((rounds + 2, CALLS)) for name in calls}
    gc.disable()
    for turn in range(rounds + 2):
        for name, call in calls.items():
            for index in range(CALLS):
                begin = time.perf_counter_ns()
                call()
                times[name][turn, index] = time.perf_counter_ns() - begin
    gc.enable()
    # The first turns warm up.
    return {
        name: found[2:] * 1e-3 / (FLOOR_STEPS if name == 'floor' else 1)
        for name, found in times.items()
    }


def ratio(slow: np.ndarray, fast: np.ndarray) -> float:
    """Of medians within a turn, the median over turns: a busy moment slows both alike."""
    return float(np.median(np.median(slow, axis=1) / np.median(fast, axis=1)))


# Heading -> numerator and denominator: how many times faster the second is.
RATIOS = {
    'ncps eager : bound': ('ncps eager', 'bound'),
    'ncps run : bound': ('ncps run', 'bound'),
    'ncps run : run': ('ncps run', 'run'),
    'ncps bound : bound': ('ncps bound', 'bound'),
    'eager : bound': ('eager', 'bound'),
    'bound : floor': ('bound', 'floor'),
}
COLUMNS = ('ncps eager', 'ncps run', 'ncps bound', 'eager', 'run', 'bound', 'floor')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--sizes', default=SIZES, help='neurons/inputs, separated by commas')
    options = parser.parse_args()
    torch.set_num_threads(1)
    library = build()
    sizes = [tuple(map(int, size.split('/'))) for size in options.sizes.split(',')]
    cases: dict[str, dict[str, Call]] = {}
    for cell in ('ltc', 'ltc midpoint', 'cfc wired', 'cfc'):
        for units, inputs in sizes:
            cases[f'{cell} {units}/{inputs}'] = step_candidates(cell, units, inputs, library)
    with tempfile.TemporaryDirectory() as folder:
        for cell in ('cfc', 'ltc'):
            cases |= policy_candidates(cell, Path(folder))

    table = Table(title=f'one step, us: median (p99); ONNX Runtime {ort.__version__}')
    for heading in ('', *COLUMNS, *RATIOS):
        table.add_column(heading, justify='right' if heading else 'left')
    rows = []
    for name, calls in cases.items():
        found = measure(calls, options.rounds)
        summary = {
            key: {'median': float(np.median(times)), 'p99': float(np.quantile(times, 0.99))}
            for key, times in found.items()
        }
        ratios = {
            heading: ratio(found[slow], found[fast])
            for heading, (slow, fast) in RATIOS.items()
            if slow in found and fast in found
        }
        rows.append({'case': name, 'us': summary, 'ratios': ratios})
        table.add_row(
            name,
            *(
                f'{summary[c]["median"]:.1f} ({summary[c]["p99"]:.0f})' if c in summary else ''
                for c in COLUMNS
            ),
            *(f'{ratios[h]:.2f}' if h in ratios else '' for h in RATIOS),
        )
    Console(width=210).print(table)
    if library is None:
        print('no C compiler found: no floor')
    out = Path('out/bench/step.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    run_script(main)
