# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The compiled kernels: built on first use or shipped with the package, never required.

With a C++ compiler they are built for the processor at hand and kept in the user's cache. A wheel
brings a library along (setup.py), so machines without a compiler have them too.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
SOURCES = ('ltc.cpp', 'cfc.cpp')
# No -ffast-math: a NaN must stay visible.
FLAGS = (
    '-std=c++17', '-O3', '-march=native', '-fno-math-errno', '-fno-trapping-math', '-Wno-psabi',
    '-shared', '-fPIC',
)  # fmt: skip
# Of the processor, by what setup.py compiles for; others go with every machine of that kind.
SHIPPED_NEEDS = {'x86_64': {'avx2', 'fma', 'bmi2'}}


@functools.cache
def library() -> ctypes.CDLL | None:
    """The kernels, or None where there are none to be had; the log says why, once."""
    reasons = []
    for find in (_compiled, _shipped):
        try:
            return ctypes.CDLL(str(find()))
        # A RuntimeError: there is no home folder to keep anything in.
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            reasons.append(str(error))
    log.warning(
        'training runs on plain torch, several times slower: no compiled kernels (%s). They need '
        'a C++ compiler such as g++, and a cache folder (XDG_CACHE_HOME) that can be written.',
        '; '.join(reasons),
    )
    return None


def _compiled() -> Path:
    compiler = shlex.split(os.environ.get('CXX', 'c++'))
    # Another source, compiler or processor makes another file, so nothing stale is ever loaded.
    key = hashlib.sha256(f'{compiler} {FLAGS} {_processor()}'.encode())
    key.update(_sources())
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'liquid_control'
    name = f'kernels-{key.hexdigest()[:16]}'
    if (found := _whole(cache, name)) is not None:
        return found
    if not compiler or shutil.which(compiler[0]) is None:
        raise FileNotFoundError(f'{compiler} not found')
    cache.mkdir(parents=True, exist_ok=True)
    # A warning, because whoever waits sees those without asking for them.
    log.warning(
        'compiling the kernels of the liquid cells for this processor, once: 5 to 30 s (%s)', cache
    )
    started = time.monotonic()
    # Built aside and moved into place: processes that start together never see half a file.
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        built = Path(scratch) / f'{name}.so'
        sources = [str(FOLDER / source) for source in SOURCES]
        done = subprocess.run(
            [*compiler, *FLAGS, *sources, '-o', str(built)], capture_output=True, text=True
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if 'error' in line]
            raise OSError(f'{compiler[0]} failed: {(errors or ["no message"])[0]}')
        _sync(built)
        target = built.replace(cache / f'{name}-{_checksum(built)}.so')
        _sync(cache)
    log.info('compiled %s in %.1f s', target, time.monotonic() - started)
    return target


def _whole(cache: Path, name: str) -> Path | None:
    """The library of this name as it was built; loading half a file can end the process."""
    for found in cache.glob(f'{name}-*.so'):
        if found.stem == f'{name}-{_checksum(found)}':
            return found
        log.warning('%s is damaged: taking it away', found)
        found.unlink(missing_ok=True)
    return None


def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _sync(path: Path) -> None:
    """Onto the disk, as far as a power cut is concerned."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _shipped() -> Path:
    # The name says which sources it is of: one left behind by others would misread our structures.
    name = f'prebuilt_{hashlib.sha256(_sources()).hexdigest()[:16]}'
    found = next(FOLDER.glob(f'{name}.*'), None)
    if found is None:
        raise FileNotFoundError('the package brought none along')
    missing = SHIPPED_NEEDS.get(platform.machine(), set()) - set(_processor().split())
    if missing:
        raise OSError(f'those of the package need a processor with {", ".join(sorted(missing))}')
    return found


def _sources() -> bytes:
    return b''.join(source.read_bytes() for source in sorted(FOLDER.glob('*.?pp')))


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(('flags', 'Features'))), '')
