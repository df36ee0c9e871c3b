# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Point the ROS wheels' exported CMake targets at this interpreter's headers.

The wheels carry two include paths of the machine that built them (Python's and numpy's headers).
Runs once after installing; does nothing where ROS does not come from wheels.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

BUILD_PYTHON = re.compile(r'/opt/python/cp\d+-cp\d+/include/python[\d.]+')
BUILD_NUMPY = re.compile(
    r'/opt/python/cp\d+-cp\d+/lib/python[\d.]+/site-packages/numpy/_?core/include'
)


def relocate(prefix: Path) -> None:
    """Rewrite every CMake file below the prefix that names the build machine."""
    for folder in (prefix / 'share', prefix / 'lib' / 'cmake'):
        for file in folder.rglob('*.cmake'):
            text = file.read_text()
            moved = BUILD_NUMPY.sub(np.get_include(), text)
            moved = BUILD_PYTHON.sub(sysconfig.get_paths()['include'], moved)
            if moved != text:
                file.write_text(moved)


relocate(Path(sys.prefix))
