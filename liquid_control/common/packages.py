# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Packages of others that are missing here: one line that says what to install.

The robot does without torch, a training server without ROS, and neither needs all that is used
somewhere. What starts a program imports it within `needed_by`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from liquid_control.common.errors import LiquidControlError

_ROS = 'source ROS 2 and the workspace in which liquid_control was built (install/setup.bash)'

# By the name that is imported: the name that is installed, and the extra of ours that has it.
_INSTALLED = {
    'cv2': ('opencv-python-headless', ''),
    'yaml': ('PyYAML', ''),
    'torch': ('torch', 'train'),
    'lightning': ('lightning', 'train'),
    'tensorboard': ('tensorboard', 'train'),
    'onnx': ('onnx', 'train'),
    'mujoco': ('mujoco', 'sim'),
    'ray': ('ray', 'ray'),
    'cryptography': ('cryptography', 'sign'),
    'nicegui': ('nicegui', 'view'),
    'fastapi': ('nicegui', 'view'),
    'starlette': ('nicegui', 'view'),
    'uvicorn': ('nicegui', 'view'),
}


class MissingPackageError(LiquidControlError):
    """A package that is needed for this is not installed, or cannot be loaded."""


def explained(error: ImportError) -> MissingPackageError:
    """What to install, for an import that failed.

    Raises:
        ImportError: the error given, where it is a defect of this package.
    """
    name = error.name or ''
    package = name.partition('.')[0]
    if package.endswith('_msgs') or package in ('rclpy', 'ament_index_python', 'std_srvs'):
        return MissingPackageError(f'{package} is not there: {_ROS}')
    if name.startswith('liquid_control.msg'):
        return MissingPackageError(f'the messages of liquid_control are not there: {_ROS}')
    if package in ('', 'liquid_control'):
        raise error
    if not isinstance(error, ModuleNotFoundError):
        return MissingPackageError(f'{package} is installed, but cannot be loaded: {error}')
    project, extra = _INSTALLED.get(package, (package, ''))
    source = f'.[{extra}]' if extra else '.'
    return MissingPackageError(
        f'{package} is not installed for {sys.executable}: pip install {project}, or in the '
        f"source tree pip install '{source}'; on a robot as README.md says there"
    )


@contextmanager
def needed_by(program: str) -> Iterator[None]:
    """Imports without which a program ends, with one line on stderr and exit status 1."""
    try:
        yield
    except ImportError as error:
        print(f'{program}: {explained(error)}', file=sys.stderr)
        raise SystemExit(1) from error
