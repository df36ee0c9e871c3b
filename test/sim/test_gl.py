# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Rendering where there is no EGL: the OSMesa wheel steps in, or the message says what to do."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import subprocess
import sys

import pytest

RENDER = """
from liquid_control.sim import gl
from liquid_control.sim.car import command as car_command
from liquid_control.sim.robots import CarSimulator, simulate_car
gl._egl_works = lambda: False  # as on a machine without libegl1
with simulate_car(3) as simulator:
    frame, *_ = (s for s in simulator.step(car_command(), 40_000_000) if s.sensor == 'image')
print(gl.backend(), frame.value.std())
"""

WITHOUT_WHEEL = """
from liquid_control.sim import gl
gl._egl_works = gl._load_osmesa_wheel = lambda: False
gl._loads = lambda *names: False
gl.main()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != 'MUJOCO_GL'}
    return subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, timeout=120
    )


def has_osmesa() -> bool:
    try:
        importlib.metadata.distribution('lavavu-osmesa')
    except importlib.metadata.PackageNotFoundError:
        try:
            ctypes.CDLL('libOSMesa.so.8')
        except OSError:
            return False
    return True


@pytest.mark.skipif(not has_osmesa(), reason='neither libosmesa6 nor lavavu-osmesa is installed')
def test_osmesa_renders_where_egl_is_missing() -> None:
    done = run(RENDER)
    assert done.returncode == 0, done.stderr
    backend, deviation = done.stdout.split()
    assert backend == 'osmesa'
    assert float(deviation) > 10


def test_no_opengl_at_all_is_explained_in_one_line() -> None:
    done = run(WITHOUT_WHEEL)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert 'apt-get install libegl1' in done.stderr
    assert 'pip install --no-deps lavavu-osmesa' in done.stderr


def test_this_machine_renders_with_a_backend_that_it_names() -> None:
    done = run('from liquid_control.sim import gl; gl.main()')
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().split()[-1] in ('egl', 'osmesa')
