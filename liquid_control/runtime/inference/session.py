# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One graph in ONNX Runtime, checked against the contract and bound to memory that stays."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from liquid_control.common.errors import BundleError
from liquid_control.contract.bundle import CORE_FILE, Bundle, layout
from liquid_control.runtime.inference.providers import CPU

Array = NDArray[np.float32]
Signature = Mapping[str, tuple[tuple[int, ...], type[np.generic]]]

WARM_UP_RUNS = 5

# Until this version no other Python thread ran while a graph was loaded: no control tick either.
LOADING_HOLDS_INTERPRETER = tuple(map(int, ort.__version__.split('.')[:2])) < (1, 31)
STATE, NEXT_STATE = 'state', 'next_state'
FEATURES = 'features'  # of an encoder, its only output

_DTYPES: dict[str, type[np.generic]] = {'tensor(float)': np.float32, 'tensor(uint8)': np.uint8}


@dataclass(frozen=True)
class BundleGraph:
    """A graph of a bundle and what its contract says of it."""

    file: str
    where: str
    """How messages name it."""
    data: bytes
    inputs: Signature
    outputs: Signature
    tensors: Mapping[str, str] = field(default_factory=dict)
    """Input -> its name in the file, where that is another."""
    encoded: frozenset[str] = frozenset()
    """Inputs that are the features of an encoder."""

    def tensor(self, name: str) -> str:
        """An input's or output's name in the file."""
        return self.tensors.get(name, name)


def graphs_of(bundle: Bundle) -> dict[str, BundleGraph]:
    """The graphs of a bundle by file name, the encoders first."""
    encoders = {graph.file: graph for graph in encoders_of(bundle).values()}
    return {**encoders, CORE_FILE: core_of(bundle)}


def encoders_of(bundle: Bundle) -> dict[str, BundleGraph]:
    """The encoder of each image input."""
    files = layout(bundle.contract).encoders
    return {
        name: BundleGraph(
            file=files[name],
            where=str(bundle.path / files[name]),
            data=bundle.encoders[name],
            inputs={'image': ((1, image.height, image.width, 3), np.uint8)},
            outputs={FEATURES: ((1, image.features), np.float32)},
        )
        for name, image in bundle.contract.images.items()
    }


def core_of(bundle: Bundle) -> BundleGraph:
    """The graph that runs at every tick."""
    contract = bundle.contract
    return BundleGraph(
        file=CORE_FILE,
        where=str(bundle.path / CORE_FILE),
        data=bundle.core,
        inputs={name: (shape, np.float32) for name, shape in contract.core_inputs().items()},
        outputs={name: (shape, np.float32) for name, shape in contract.core_outputs().items()},
        tensors=layout(contract).tensors,
        encoded=frozenset(contract.images),
    )


def open_session(
    graph: BundleGraph,
    providers: Sequence[tuple[str, dict[str, str]]],
    *,
    threads: int = 1,
    profile: Path | None = None,
) -> Any:
    """An ONNX Runtime session whose inputs and outputs are the contract's.

    Args:
        profile: where to note which provider runs which node; None notes nothing.

    Raises:
        BundleError: the graph does not load or disagrees with the contract.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning pool would take the cores that the sensors need.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    # Never guess: a file may be readable as both of ONNX Runtime's formats.
    options.add_session_config_entry('session.load_model_format', 'ONNX')
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    # A buffer for every value. To plan its reuse costs a small graph 8 % of its time, and ONNX
    # Runtime 1.16 plans wrongly for some: it then computes with numbers already overwritten.
    options.enable_mem_reuse = False
    if any(name != CPU for name, _ in providers):
        _preload()
    try:
        # What ONNX Runtime's Python does when a provider fails is ours to decide.
        session = ort.InferenceSession(
            graph.data, options, providers=list(providers), enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime raises many unrelated types
        raise BundleError(f'{graph.where} cannot be loaded by ONNX Runtime: {error}') from error
    inputs = {graph.tensor(name): what for name, what in graph.inputs.items()}
    _check_signature(graph.where, 'inputs', session.get_inputs(), inputs)
    _check_signature(graph.where, 'outputs', session.get_outputs(), graph.outputs)
    return session


class GraphSession:
    """A graph in host memory: `write` inputs, `run`, `read` outputs.

    Binding numpy memory to the session leaves nothing to convert or allocate in a call. The state
    of a recurrent graph is carried from one run to the next.
    """

    def __init__(self, session: Any, graph: BundleGraph) -> None:
        self._session = session
        self._graph = graph
        self._where = graph.where
        self.names = frozenset(graph.inputs)
        self._inputs = {
            name: np.zeros(shape, kind) for name, (shape, kind) in graph.inputs.items()
        }
        self._outputs = {
            name: np.zeros(shape, kind) for name, (shape, kind) in graph.outputs.items()
        }
        # Without the batch axis, and once: indexing an array costs as much as copying a small one.
        self._rows: dict[str, Array] = {
            name: buffer[0] for name, buffer in (self._inputs | self._outputs).items()
        }
        self._state = self._rows.get(STATE)
        self._bind()

    def _bind(self) -> None:
        self._binding = self._session.io_binding()
        for name, buffer in self._inputs.items():
            tensor = self._graph.tensor(name)
            self._binding.bind_input(
                tensor, 'cpu', 0, buffer.dtype.type, buffer.shape, buffer.ctypes.data
            )
        for name, buffer in self._outputs.items():
            self._to_host(self._binding, name, buffer)

    @staticmethod
    def _to_host(binding: Any, name: str, buffer: NDArray[Any]) -> None:
        """Have each run write an output to a numpy array."""
        binding.bind_output(name, 'cpu', 0, buffer.dtype.type, buffer.shape, buffer.ctypes.data)

    def write(self, name: str, value: Any) -> None:
        """Set an input for the runs to come; `value` is without the batch axis."""
        self._rows[name][...] = value

    def run(self) -> None:
        """Compute the outputs, and carry the state."""
        self._session.run_with_iobinding(self._binding)
        if self._state is not None:
            self._state[...] = self._rows[NEXT_STATE]

    def read(self, name: str) -> Array:
        """A copy of an output, without the batch axis."""
        output: Array = self._rows[name].copy()
        return output

    @property
    def state(self) -> Array:
        """Recurrent state before the next run, [state_size]; set it to go on from elsewhere."""
        return self._rows[STATE]

    @state.setter
    def state(self, values: Array) -> None:
        self._rows[STATE][...] = values

    def warm_up(self) -> None:
        """Run a few times on zeros, so that the first real run is as fast as the others.

        Raises:
            BundleError: the graph loads but does not run.
        """
        try:
            for _ in range(WARM_UP_RUNS):
                self.run()
        except Exception as error:  # ONNX Runtime raises many unrelated types
            raise BundleError(f'{self._where} cannot be run: {error}') from error
        if STATE in self.names:
            self.state = np.zeros_like(self._rows[STATE])


def _preload() -> None:
    """Find CUDA's libraries where pip put them; new versions of ONNX Runtime can."""
    preload = getattr(ort, 'preload_dlls', None)
    if preload is not None:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it did not find
            preload()


def _check_signature(where: str, side: str, found: Sequence[Any], expected: Signature) -> None:
    """Names, shapes and types of a graph's inputs or outputs must be the contract's."""
    actual = {node.name: (tuple(node.shape), _DTYPES.get(node.type)) for node in found}
    if actual != dict(expected):
        raise BundleError(
            f'{where}: {side} disagree with policy.yaml: expected {_describe(expected)}, '
            f'found {_describe(actual)}; export the bundle again'
        )


def _describe(signature: Mapping[str, tuple[tuple[Any, ...], type[np.generic] | None]]) -> str:
    return ', '.join(
        f'{name} {dtype.__name__ if dtype else "?"}{list(shape)}'
        for name, (shape, dtype) in sorted(signature.items())
    )
