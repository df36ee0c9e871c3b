# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""An off-screen OpenGL context without a display: EGL, else OSMesa, else a clear error.

EGL uses a GPU or the system's software renderer. Where it is missing, the OSMesa library of the
system or of the PyPI wheel `lavavu-osmesa` renders in software. `MUJOCO_GL=egl` or `=osmesa`
forces one of the two. A context belongs to the thread that made it, which keeps it.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import importlib.metadata
import os
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from liquid_control.common.errors import LiquidControlError

BACKENDS = ('egl', 'osmesa')

_own = threading.local()

_PLATFORM_DEVICE = 0x313F  # EGL_PLATFORM_DEVICE_EXT


class RenderingError(LiquidControlError):
    """No way to render was found on this machine."""


def thread_context() -> Any:
    """Return this thread's one context, made when it is first asked for.

    What is compiled for it, shaders above all, serves every world that the thread renders; it is
    freed when the thread or the program ends.

    Raises:
        RenderingError: neither EGL nor OSMesa works; the message names what to install.
    """
    context = getattr(_own, 'context', None)
    if context is None:
        module = importlib.import_module(f'mujoco.{backend()}')
        # Of a window that nothing is drawn to: MuJoCo has buffers of its own.
        context = _own.context = module.GLContext(16, 16)
        if threading.current_thread() is threading.main_thread():
            atexit.register(context.free)  # the end of the interpreter is too late for drivers
    return context


def make_current() -> None:
    """Have OpenGL draw with this thread's context, whoever else has drawn in the meantime."""
    context, ask = thread_context(), _ask_current()
    if ask is None:
        context.make_current()
    elif not (mine := getattr(_own, 'current', None)) or ask() != mine:
        context.make_current()  # through PyOpenGL, which takes as long as a physics step
        _own.current = ask()


@lru_cache(maxsize=1)
def _ask_current() -> Callable[[], int | None] | None:
    """EGL's own function that says which context draws in this thread; None without EGL."""
    if backend() != 'egl':
        return None
    ask = ctypes.CDLL('libEGL.so.1').eglGetCurrentContext
    ask.restype = ctypes.c_void_p
    return ask


@lru_cache(maxsize=1)
def backend() -> str:
    """Choose 'egl' or 'osmesa' for this process; PyOpenGL allows no second choice.

    Raises:
        RenderingError: neither works.
    """
    forced = os.environ.get('MUJOCO_GL', '').strip().lower()
    wanted = (forced,) if forced in BACKENDS else BACKENDS
    for name in wanted:
        if name == 'egl' and _egl_works():
            return name
        if name == 'osmesa' and (_loads('libOSMesa.so.8', 'libOSMesa.so') or _load_osmesa_wheel()):
            return name
    raise RenderingError(
        f'no off-screen OpenGL found (tried {", ".join(wanted)}): install EGL with '
        '"apt-get install libegl1 libegl-mesa0 libopengl0 libgl1-mesa-dri" '
        'or OSMesa with "pip install --no-deps lavavu-osmesa"'
    )


def _egl_works() -> bool:
    """Whether some EGL device initialises; asked without PyOpenGL, which would then be bound."""
    if not _loads('libOpenGL.so.0', 'libGL.so.1'):
        return False
    try:
        egl = ctypes.CDLL('libEGL.so.1')
        egl.eglGetProcAddress.restype = ctypes.c_void_p
        query_address = egl.eglGetProcAddress(b'eglQueryDevicesEXT')
        display_address = egl.eglGetProcAddress(b'eglGetPlatformDisplayEXT')
    except (OSError, AttributeError):
        return False
    if not query_address or not display_address:
        return False

    pointer, integer = ctypes.c_void_p, ctypes.c_int32
    query_devices = ctypes.CFUNCTYPE(integer, integer, pointer, pointer)(query_address)
    get_display = ctypes.CFUNCTYPE(pointer, integer, pointer, pointer)(display_address)
    devices, count = (pointer * 16)(), integer()
    if not query_devices(len(devices), devices, ctypes.byref(count)):
        return False
    for device in devices[: count.value]:
        display = get_display(_PLATFORM_DEVICE, device, None)
        if display and egl.eglInitialize(pointer(display), None, None):
            return True
    return False


def _loads(*names: str) -> bool:
    """Whether the dynamic linker finds one of the libraries."""
    for name in names:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def _load_osmesa_wheel() -> bool:
    """Make the OSMesa of the wheel `lavavu-osmesa` the library that PyOpenGL finds."""
    try:
        files = importlib.metadata.files('lavavu-osmesa') or []
    except importlib.metadata.PackageNotFoundError:
        return False
    waiting = [str(file.locate()) for file in files if 'lavavu_osmesa.libs' in str(file)]
    osmesa: ctypes.CDLL | None = None
    # The wheel's libraries need one another but name no search path: load them in whatever order
    # works, so that each finds those before it.
    while waiting:
        failed = []
        for path in waiting:
            try:
                library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
            except OSError:
                failed.append(path)
                continue
            if 'libOSMesa' in path:
                osmesa = library
        if len(failed) == len(waiting):
            break
        waiting = failed
    if osmesa is None:
        return False
    _bind_pyopengl(osmesa)
    return True


def _bind_pyopengl(osmesa: ctypes.CDLL) -> None:
    """Have PyOpenGL resolve its OSMesa platform now, to a library that is already loaded."""
    os.environ['PYOPENGL_PLATFORM'] = 'osmesa'
    loader: Any = ctypes.cdll
    load = loader._dlltype

    def load_or_reuse(name: str | None, *args: Any, **kwargs: Any) -> Any:
        if name is not None and 'OSMesa' in str(name):
            return osmesa
        return load(name, *args, **kwargs)

    loader._dlltype = load_or_reuse
    try:
        importlib.import_module('OpenGL.platform').PLATFORM.GL  # noqa: B018  (a lazy property)
    finally:
        loader._dlltype = load


def main() -> None:
    """Say which backend this machine has; exit status 1 if none."""
    try:
        print(f'off-screen rendering: {backend()}')
    except RenderingError as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
