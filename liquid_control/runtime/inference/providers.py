# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's execution providers: choosing them, their options, where engines are cached."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import onnxruntime as ort

from liquid_control.common.errors import ConfigError, ProviderError
from liquid_control.runtime.inference.cuda import find_device, tensorrt_version

PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}
CPU, CUDA, TENSORRT = PROVIDERS['cpu'], PROVIDERS['cuda'], PROVIDERS['tensorrt']

# Written into a directory of engines when they are complete.
MANIFEST = 'engine.json'


@dataclass(frozen=True)
class ProviderOptions:
    """What the GPU providers are told."""

    device_id: int = 0
    """CUDA device number."""
    fp16: bool = False
    """TensorRT may compute in half precision."""
    engine_cache: str = ''
    """Directory of built TensorRT engines; '' is `~/.cache/liquid_control/engines`."""

    def __post_init__(self) -> None:
        if self.device_id < 0:
            raise ConfigError(f'device_id must be 0 or more, found {self.device_id}')

    @property
    def cache(self) -> Path:
        if self.engine_cache:
            return Path(os.path.expanduser(self.engine_cache))
        home = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
        return Path(os.path.expanduser(home)) / 'liquid_control' / 'engines'


@dataclass(frozen=True)
class EngineKey:
    """Everything a TensorRT engine depends on.

    ONNX Runtime names cached engines after the graph's structure, not its weights: two policies
    that differ in their training alone would share an engine, and one would drive with the
    other's weights. TensorRT or a GPU of another version may refuse an engine, or not. So each
    combination has a directory of its own.
    """

    graph: str
    """sha256 of the graph."""
    device: str
    capability: str
    tensorrt: str
    onnxruntime: str
    fp16: bool

    @classmethod
    def of(cls, graph: bytes, options: ProviderOptions) -> EngineKey:
        """The key of a graph on this machine."""
        device = find_device(options.device_id)
        return cls(
            graph=hashlib.sha256(graph).hexdigest(),
            device=device.name if device else '',
            capability=device.capability if device else '',
            tensorrt=tensorrt_version(),
            onnxruntime=ort.__version__,
            fp16=options.fp16,
        )

    def directory(self, cache: Path) -> Path:
        """Where its engine lies in a cache; complete if it holds a `MANIFEST`."""
        key = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return cache / f'{self.graph[:16]}-{key[:16]}'


def select_providers(requested: Sequence[str], available: Sequence[str]) -> list[str]:
    """The requested providers that this build of ONNX Runtime has, by its names, the CPU last.

    Raises:
        ProviderError: a requested name is unknown.
    """
    unknown = [name for name in requested if name not in PROVIDERS]
    if unknown or not requested:
        raise ProviderError(
            f'providers must be a list of {", ".join(PROVIDERS)}, found {list(requested)}'
        )
    chosen = [PROVIDERS[name] for name in requested if PROVIDERS[name] in available]
    before_cpu = chosen[: chosen.index(CPU)] if CPU in chosen else chosen
    return list(dict.fromkeys([*before_cpu, CPU]))


def provider_arguments(
    chosen: Sequence[str], options: ProviderOptions, engines: Path | None
) -> list[tuple[str, dict[str, str]]]:
    """What `ort.InferenceSession` takes as `providers`.

    Args:
        chosen: by ONNX Runtime's names, in order.
        engines: directory of this graph's TensorRT engine; needed where TensorRT is chosen.
    """
    device = {'device_id': str(options.device_id)}
    arguments: dict[str, dict[str, str]] = {CPU: {}, CUDA: device}
    if TENSORRT in chosen:
        if engines is None:
            raise ValueError('TensorRT needs a directory for its engine')
        # Spelled as every version since 1.16 reads it.
        arguments[TENSORRT] = {
            **device,
            'trt_fp16_enable': str(options.fp16),
            'trt_engine_cache_enable': 'True',
            'trt_engine_cache_path': str(engines),
            'trt_timing_cache_enable': 'True',
        }
    return [(name, arguments[name]) for name in chosen]
