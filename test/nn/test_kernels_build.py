# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the compiled kernels come from: built on first use, brought by a wheel, or not there."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.layer_runs import assert_equal, draw, needs_compiler, run

from liquid_control.nn import LTC, AutoNCP, CfC
from liquid_control.nn.kernels import build, plain_torch, serves


@pytest.fixture
def fresh_library(tmp_path, monkeypatch):
    """The library is looked for again, with an empty cache in `tmp_path`."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    build.library.cache_clear()
    yield
    build.library.cache_clear()


@pytest.fixture(scope='module')
def wheel_kernels(tmp_path_factory):
    """The kernels' folder as a wheel lays it out."""
    root, built = Path(__file__).parents[2], tmp_path_factory.mktemp('wheel')
    command = [sys.executable, 'setup.py', '--quiet', 'build_ext', '--build-lib', str(built)]
    command += ['--build-temp', str(built / 'objects')]
    subprocess.run(command, cwd=root, check=True)
    folder = built / 'liquid_control/nn/kernels'
    for source in build.FOLDER.glob('*.?pp'):
        shutil.copy(source, folder)
    return folder


@pytest.mark.parametrize('compiler', ['no-such-compiler', 'false'])
def test_without_a_working_compiler_plain_torch_runs_and_says_so_once(
    fresh_library, monkeypatch, caplog, compiler
):
    monkeypatch.setenv('CXX', compiler)
    layer, x = LTC(3, 4), torch.randn(2, 5, 3)
    with caplog.at_level(logging.INFO):
        outputs = [layer(x)[0] for _ in range(2)]
    with plain_torch():
        assert torch.equal(outputs[0], layer(x)[0])
    said = [record for record in caplog.records if 'compiling' not in record.getMessage()]
    assert [record.levelname for record in said] == ['WARNING']
    assert compiler in caplog.text
    assert 'C++ compiler' in caplog.text


@needs_compiler
@pytest.mark.parametrize('kind', [LTC, CfC])
def test_a_wheel_brings_kernels_along_for_a_machine_without_a_compiler(
    wheel_kernels, fresh_library, monkeypatch, caplog, kind
):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    monkeypatch.setattr(build, 'FOLDER', wheel_kernels)
    layer = kind(3, AutoNCP(9, 2)).double()
    sequence = draw(layer, 0, 3, 5)
    assert serves(sequence[0])
    found = run(layer, sequence)
    with plain_torch():
        assert_equal(found, run(layer, sequence), 1e-10)
    assert not caplog.records
    assert Path(build.library()._name).parent == wheel_kernels


@needs_compiler
def test_kernels_of_other_sources_or_another_processor_are_not_loaded(
    wheel_kernels, fresh_library, monkeypatch, tmp_path
):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    monkeypatch.setattr(build, 'FOLDER', wheel_kernels)
    monkeypatch.setattr(build, 'SHIPPED_NEEDS', {platform.machine(): {'a-later-instruction'}})
    assert build.library() is None

    monkeypatch.setattr(build, 'SHIPPED_NEEDS', {})
    shutil.copytree(wheel_kernels, tmp_path / 'kernels')
    monkeypatch.setattr(build, 'FOLDER', tmp_path / 'kernels')
    build.library.cache_clear()
    assert build.library() is not None
    (tmp_path / 'kernels/simd.hpp').write_text('// changed')
    build.library.cache_clear()
    assert build.library() is None


@needs_compiler
def test_the_library_is_compiled_once_and_found_again_even_without_a_compiler(
    fresh_library, monkeypatch, tmp_path, caplog
):
    with caplog.at_level(logging.INFO):
        first = build.library()
        build.library.cache_clear()
        monkeypatch.setattr(build.shutil, 'which', lambda name: None)
        second = build.library()
    assert first is not None
    assert second is not None
    assert [record.levelname for record in caplog.records] == ['WARNING', 'INFO']
    assert 'compiling the kernels' in caplog.records[0].getMessage()
    assert [path.suffix for path in (tmp_path / 'liquid_control').iterdir()] == ['.so']


@needs_compiler
def test_a_damaged_library_is_built_again(tmp_path):
    """In processes of their own: loading half a library ends the process that does it."""
    compiler = tmp_path / 'compiler'  # has the result at hand
    compiler.write_text(
        f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done; cp {build.library()._name} "$2"\n'
    )
    compiler.chmod(0o755)
    environment = os.environ | {'XDG_CACHE_HOME': str(tmp_path), 'CXX': str(compiler)}
    script = f'import runpy; print(runpy.run_path({build.__file__!r})["library"]()._name)'

    def run() -> tuple[Path, str]:
        done = subprocess.run(
            [sys.executable, '-c', script], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip()), done.stderr

    library, said = run()
    assert 'compiling' in said
    whole = library.read_bytes()
    flipped = bytes([*whole[:5000], whole[5000] ^ 1, *whole[5001:]])
    for damaged in (b'', whole[: len(whole) // 2], flipped):
        library.write_bytes(damaged)
        again, said = run()
        assert again == library
        assert library.read_bytes() == whole
        assert 'damaged' in said


def test_without_a_home_folder_nothing_is_compiled_and_the_log_says_why(
    fresh_library, monkeypatch, caplog
):
    def nowhere() -> Path:
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setattr(build.Path, 'home', nowhere)
    assert build.library() is None
    assert 'home directory' in caplog.text
