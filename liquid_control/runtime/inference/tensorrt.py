# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Building TensorRT engines before anything waits for them, in a process of their own.

Building takes from seconds to many minutes, says nothing, and before ONNX Runtime 1.31 holds
Python's interpreter lock all the while: a robot that swapped its policy would not tick. So a child
builds, and this process says how long it has been at it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import onnxruntime as ort

from liquid_control.common.errors import LiquidControlError, ProviderError
from liquid_control.contract.bundle import Bundle, load_bundle
from liquid_control.runtime.inference.child import child_command
from liquid_control.runtime.inference.providers import (
    CPU,
    CUDA,
    MANIFEST,
    TENSORRT,
    EngineKey,
    ProviderOptions,
    provider_arguments,
)
from liquid_control.runtime.inference.session import (
    BundleGraph,
    GraphSession,
    graphs_of,
    open_session,
)

OnStatus = Callable[[str], None]

PROGRESS_INTERVAL = 5.0  # s
_LAST_WORDS = 1000  # characters of the child's output in an error
_COLOURS = re.compile(r'\x1b\[[0-9;]*m')


def build_engines(bundle: Bundle, options: ProviderOptions, on_status: OnStatus) -> list[Path]:
    """Build the TensorRT engine of every graph that has none yet; returns their directories.

    Raises:
        ProviderError: an engine cannot be built.
    """
    available = ort.get_available_providers()
    if TENSORRT not in available:
        raise ProviderError(
            f'this ONNX Runtime was built for {", ".join(available)}, not for TensorRT: install '
            'the onnxruntime-gpu for your device, see docs/jetson.md'
        )
    return [
        find_engine(graph, options) or build_engine(bundle.path, graph, options, on_status)
        for graph in graphs_of(bundle).values()
    ]


def find_engine(graph: BundleGraph, options: ProviderOptions) -> Path | None:
    """The directory of a graph's engine for this machine, None where none was built."""
    directory = EngineKey.of(graph.data, options).directory(options.cache)
    return directory if (directory / MANIFEST).is_file() else None


def build_engine(
    bundle: Path, graph: BundleGraph, options: ProviderOptions, on_status: OnStatus
) -> Path:
    """Build a graph's engine for this machine; returns its directory.

    Args:
        bundle: directory of the graph's bundle.
        on_status: told what is built, and how long it has taken so far.

    Raises:
        ProviderError: it cannot be built.
    """
    key = EngineKey.of(graph.data, options)
    directory = key.directory(options.cache)
    what = f'TensorRT engine of {graph.where} for {key.device or "this GPU"}'
    what += ', half precision' if options.fp16 else ''
    options.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix='.building-', dir=options.cache))
    try:
        on_status(f'building the {what}; this takes up to some minutes, once')
        started = time.monotonic()
        _build(bundle, graph, options, partial, lambda text: on_status(f'{what}: {text}'))
        seconds = time.monotonic() - started
        manifest = {**asdict(key), 'seconds': round(seconds, 1)}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + '\n')
        _put_in_place(partial, directory)
        on_status(f'{what}: built in {seconds:.0f} s')
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return directory


def _build(
    bundle: Path, graph: BundleGraph, options: ProviderOptions, partial: Path, on_status: OnStatus
) -> None:
    arguments = {'bundle': str(bundle), 'file': graph.file, 'directory': str(partial)}
    arguments['sha256'] = hashlib.sha256(graph.data).hexdigest()
    command = child_command(__name__, json.dumps({**arguments, **asdict(options)}))
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    status = child.wait(PROGRESS_INTERVAL)
                    break
                except subprocess.TimeoutExpired:
                    on_status(f'{time.monotonic() - started:.0f} s')
        finally:
            child.kill()
            child.wait()
        output.seek(0)
        words = _COLOURS.sub('', output.read().decode(errors='replace'))
    if status != 0:
        reason = ' '.join(words.split())[-_LAST_WORDS:]
        raise ProviderError(f'no TensorRT engine could be built: {reason}')


def _put_in_place(partial: Path, directory: Path) -> None:
    """Somebody else may have built the same at the same time: then theirs is as good."""
    if directory.exists() and not (directory / MANIFEST).exists():
        shutil.rmtree(directory)
    try:
        os.rename(partial, directory)
    except OSError:
        if not (directory / MANIFEST).is_file():
            raise


def main() -> int:
    """The child: one graph, one engine."""
    arguments = json.loads(sys.argv[1])
    path, file = arguments.pop('bundle'), arguments.pop('file')
    directory, expected = arguments.pop('directory'), arguments.pop('sha256')
    try:
        graph = graphs_of(load_bundle(path))[file]
        if hashlib.sha256(graph.data).hexdigest() != expected:
            raise ProviderError(f'{graph.where} was changed just now; try again')
        providers = provider_arguments(
            [TENSORRT, CUDA, CPU], ProviderOptions(**arguments), Path(directory)
        )
        session = open_session(graph, providers)
        if TENSORRT not in session.get_providers():
            raise ProviderError('ONNX Runtime could not load TensorRT')
        # Engines of some graphs are only built when they run.
        GraphSession(session, graph).warm_up()
        if not any(Path(directory).glob('*.engine')):
            raise ProviderError(f'TensorRT took no part of {file}')
    except LiquidControlError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
