# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The graphs of a bundle, running on the first provider that does what the CPU does.

ONNX Runtime falls back to the CPU without a word: a provider in its list may lack its libraries, a
build may have no code for this GPU, a node may be left behind. So nothing is believed here before
it has run: a provider is in use when it ran the nodes and its commands are those of the CPU.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from liquid_control.common.errors import ProviderError
from liquid_control.common.image import Pixels
from liquid_control.contract.bundle import Bundle
from liquid_control.runtime.inference.device import DeviceSession, Placement, read_placement
from liquid_control.runtime.inference.providers import (
    CPU,
    CUDA,
    PROVIDERS,
    TENSORRT,
    ProviderOptions,
    provider_arguments,
    select_providers,
)
from liquid_control.runtime.inference.session import (
    FEATURES,
    Array,
    BundleGraph,
    GraphSession,
    core_of,
    encoders_of,
    open_session,
)
from liquid_control.runtime.inference.tensorrt import build_engine, find_engine

OnStatus = Callable[[str], None]

log: OnStatus = logging.getLogger(__name__).info

# Largest difference between a GPU's command and the CPU's, as a share of the command's range: well
# above rounding (TF32 included), well below what other weights would give.
AGREEMENT = {'float32': 0.005, 'float16': 0.03}
AGREEMENT_STEPS = 16


def memory_of(provider: str, options: ProviderOptions) -> tuple[str, int] | None:
    """The memory a provider computes in, by ONNX Runtime's name; None for this process's own."""
    return ('cuda', options.device_id) if provider in (CUDA, TENSORRT) else None


class Backend:
    """The sessions of one bundle, warm."""

    encoders: dict[str, GraphSession]
    """Of the image inputs, by name."""
    core: GraphSession

    def __init__(
        self,
        bundle: Bundle,
        *,
        providers: Sequence[str] = ('cpu',),
        provider_required: bool = False,
        options: ProviderOptions | None = None,
        on_status: OnStatus = log,
        may_build: bool = True,
        threads: int = 1,
    ) -> None:
        """Load, check and warm up; a provider that fails leaves the place to the next.

        Args:
            providers: in order of preference, names of `PROVIDERS`.
            provider_required: refuse to run unless the first provider runs, and all of it.
            options: of the GPU providers.
            on_status: told what takes long.
            may_build: a TensorRT engine may be built, which takes minutes; else it must be there.
            threads: of each session; one is fastest for networks of this size.

        Raises:
            BundleError: a graph does not load or disagrees with the contract.
            ProviderError: the provider is unknown, or required and not in use.
        """
        self._bundle = bundle
        self._options = options or ProviderOptions()
        self._on_status = on_status
        self._may_build = may_build
        self._threads = threads
        self._names = tuple(bundle.contract.inputs)
        self._period = 1 / bundle.contract.control_rate
        self.placement: dict[str, Placement] = {}
        """Graph -> provider -> operators; empty on the CPU."""
        available = ort.get_available_providers()
        chosen = select_providers(providers, available)
        asked, problems = PROVIDERS[providers[0]], []
        if asked not in chosen:
            problems.append(f'this ONNX Runtime was built for {", ".join(available)} only')
        while True:
            try:
                self._open(chosen)
                break
            except Exception as error:  # whatever it is, the next one gets its turn
                if chosen[0] == CPU:
                    raise
                problems.append(f'{chosen[0]}: {error}')
                chosen = chosen[1:]
        self.provider = chosen[0]
        left_behind = self._left_behind()
        if left_behind:
            problems.append(left_behind)
        self.warning = ''
        if problems:
            self.warning = (
                f'asked for the provider {providers[0]}, running on {self.provider}: '
                f'{"; ".join(problems)}. See docs/jetson.md'
            )
            if provider_required:
                raise ProviderError(self.warning)

    def _open(self, chosen: Sequence[str]) -> None:
        """Sessions on the first of the providers.

        Raises:
            BundleError: the CPU cannot run the bundle.
            ProviderError: the first provider is not the one that ran, or computes other commands.
        """
        self.placement = {}
        self.encoders = {
            name: self._session(graph, chosen) for name, graph in encoders_of(self._bundle).items()
        }
        self.core = self._session(core_of(self._bundle), chosen)
        if chosen[0] != CPU:
            self._compare()

    def _session(self, graph: BundleGraph, chosen: Sequence[str]) -> GraphSession:
        memory = memory_of(chosen[0], self._options)
        if memory is None:
            session = GraphSession(open_session(graph, [(CPU, {})], threads=self._threads), graph)
            session.warm_up()
            return session
        engines = None
        if TENSORRT in chosen:
            engines = self._engines(graph)
        with tempfile.TemporaryDirectory(prefix='liquid_control-') as folder:
            found = open_session(
                graph,
                provider_arguments(chosen, self._options, engines),
                threads=self._threads,
                profile=Path(folder, 'profile'),
            )
            loaded = found.get_providers()
            if chosen[0] not in loaded:
                raise ProviderError(
                    f'not loaded; its libraries are missing or do not fit (loaded: '
                    f'{", ".join(loaded)}; the reason is on stderr)'
                )
            session = DeviceSession(found, graph, memory)
            session.warm_up()
            placement = read_placement(Path(found.end_profiling()))
        if chosen[0] not in placement:
            raise ProviderError(f'runs no node of {graph.file}')
        self.placement[graph.file] = placement
        return session

    def _engines(self, graph: BundleGraph) -> Path:
        directory = find_engine(graph, self._options)
        if directory is None and not self._may_build:
            raise ProviderError(
                f'no engine of {graph.where} was built yet; run `liquid-control build-engine '
                f'{self._bundle.path}` with the options of this node'
            )
        return directory or build_engine(self._bundle.path, graph, self._options, self._on_status)

    def _left_behind(self) -> str:
        """Nodes that a GPU provider left to the CPU, '' for none."""
        return '; '.join(
            f'{sum(operators.values())} nodes of {file} run on the CPU ({", ".join(operators)})'
            for file, placement in self.placement.items()
            for provider, operators in placement.items()
            if provider == CPU
        )

    def _compare(self) -> None:
        """Drive a little on made-up inputs, beside the CPU.

        Raises:
            ProviderError: the commands differ: a stale engine, a wrong kernel, too little
                precision.
        """
        reference = Backend(self._bundle, threads=self._threads)
        limit = AGREEMENT['float16' if self._options.fp16 else 'float32']
        span = np.array([spec.max - spec.min for spec in self._bundle.contract.commands])
        rng = np.random.default_rng(0)
        for _ in range(AGREEMENT_STEPS):
            inputs = self._made_up(rng)
            expected, found = (backend._on_made_up(inputs) for backend in (reference, self))
            error = float(np.max(np.abs(found - expected) / span))
            if not error <= limit:
                raise ProviderError(
                    f"commands differ from the CPU's by {error:.2g} of their range, at most "
                    f'{limit:g} is accepted; remove {self._options.cache} where engines are old'
                )
        self.core.state = np.zeros_like(self.core.state)

    def dry_run(self, rng: np.random.Generator) -> tuple[float, ...]:
        """One step on made-up inputs; processor time of each encoder and of the core, s."""
        inputs = self._made_up(rng)
        times = [time.thread_time_ns()]
        for name in self.encoders:
            inputs[name] = self.encode(name, inputs[name])
            times.append(time.thread_time_ns())
        self.step(inputs, self._period)
        times.append(time.thread_time_ns())
        return tuple(np.diff(times) / 1e9)

    def encode(self, name: str, pixels: Pixels) -> Array:
        """A prepared image of the image input `name` -> features [F]."""
        encoder = self.encoders[name]
        encoder.write('image', pixels)
        encoder.run()
        return encoder.read(FEATURES)

    def step(self, inputs: Mapping[str, Array], elapsed: float) -> Array:
        """One step of the core: see `Policy.step`."""
        core = self.core
        for name in self._names:
            value = inputs.get(name)
            if value is None:
                raise ValueError(f'policy {self._bundle.contract.name} needs the input {name}')
            core.write(name, value)
        core.write('elapsed', elapsed)
        core.run()
        return core.read('command')

    def _made_up(self, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        inputs = self._bundle.contract.inputs
        return {name: spec.made_up(rng) for name, spec in inputs.items()}

    def _on_made_up(self, inputs: Mapping[str, NDArray[Any]]) -> Array:
        encoded = {name: self.encode(name, inputs[name]) for name in self.encoders}
        return self.step({**inputs, **encoded}, self._period)
