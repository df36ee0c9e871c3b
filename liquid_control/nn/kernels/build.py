"""The compiled kernels: built on first use, kept in the user's cache, never required."""

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

SOURCES = ('ltc.cpp', 'cfc.cpp')
# No -ffast-math: a NaN must stay visible.
FLAGS = (
    '-std=c++17', '-O3', '-march=native', '-fno-math-errno', '-fno-trapping-math', '-fopenmp',
    '-Wno-psabi', '-shared', '-fPIC',
)  # fmt: skip


@functools.cache
def library() -> ctypes.CDLL | None:
    """The kernels, or None where they cannot be compiled; the log says why, once."""
    try:
        return ctypes.CDLL(str(_compiled()))
    except (OSError, subprocess.SubprocessError) as error:
        log.warning(
            'training runs on plain torch, several times slower: the kernels could not be built '
            '(%s). Install a C++ compiler such as g++ to have them.',
            error,
        )
        return None


def _compiled() -> Path:
    compiler = shlex.split(os.environ.get('CXX', 'c++'))
    if not compiler or shutil.which(compiler[0]) is None:
        raise FileNotFoundError(f'{compiler} not found')
    folder = Path(__file__).parent
    # Another source, compiler or processor makes another file, so nothing stale is ever loaded.
    key = hashlib.sha256(f'{compiler} {FLAGS} {_processor()}'.encode())
    for source in sorted(folder.glob('*.?pp')):
        key.update(source.read_bytes())
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'liquid_control'
    target = cache / f'kernels-{key.hexdigest()[:16]}.so'
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    # Built aside and moved into place: processes that start together never see half a file.
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        built = Path(scratch) / target.name
        sources = [str(folder / source) for source in SOURCES]
        done = subprocess.run(
            [*compiler, *FLAGS, *sources, '-o', str(built)], capture_output=True, text=True
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if 'error' in line]
            raise OSError(f'{compiler[0]} failed: {(errors or ["no message"])[0]}')
        built.replace(target)
    log.info('compiled %s in %.1f s', target, time.monotonic() - started)
    return target


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(('flags', 'Features'))), '')
