# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the package ships beside its code: policies, robot files, recipes, parameter files.

One rule finds them. Going up from this file, the first folder that holds `config/robots`, or has a
`share/liquid_control` that does. That is the source tree, what colcon installed (apart, merged or
as links) or what pip installed (virtual environment, user, `--target`); and since the rule starts
at the code, code and files are always of one version. No environment variable has a say.

Whatever a user names is a path, in which `~` is the home directory, or the name of something
shipped.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from liquid_control.common.errors import BundleError, ConfigError

CONTRACT_FILE = 'policy.yaml'  # what makes a directory a policy bundle


SIMULATED = {'car': 'track_cfc', 'quadrotor': 'quadrotor_cfc', 'rover': 'rover_cfc'}
"""The simulated robots, and the shipped policy of each."""


@cache
def shipped_folder() -> Path:
    """The folder that holds `config`, `launch` and `models`.

    Raises:
        ConfigError: the installation is not whole.
    """
    for above in Path(__file__).absolute().parents:
        for folder in (above, above / 'share' / 'liquid_control'):
            if (folder / 'config' / 'robots').is_dir():
                return folder
    raise ConfigError(
        f'liquid_control in {Path(__file__).absolute().parents[1]} has neither config/ nor '
        'share/liquid_control/config beside it: install the package again, whole'
    )


def config_file(name: str) -> Path:
    """A shipped file of config/, such as `policy.yaml`."""
    return shipped_folder() / 'config' / name


def policy_of(robot: str) -> str:
    """The shipped policy of a simulated robot.

    Raises:
        ConfigError: there is no such robot.
    """
    if robot not in SIMULATED:
        raise ConfigError(f'the robot must be one of {", ".join(SIMULATED)}, found {robot!r}')
    return SIMULATED[robot]


def user_path(name: str) -> Path:
    """A path as a user writes it, `~` included."""
    return Path(os.path.expanduser(name))  # unlike Path's own, never raises


def find_bundle(name: str, *folders: Path) -> Path:
    """The directory of a policy bundle given by path, or by name in one of the folders.

    Without folders the shipped bundles are meant.

    Raises:
        BundleError: nowhere found; the message lists the names that exist.
    """
    folders = folders or (shipped_folder() / 'models',)
    for place in (user_path(name), *(folder / name for folder in folders)):
        if _is_file(place / CONTRACT_FILE):
            return place
    known = _names(file.parent for folder in folders for file in folder.glob(f'*/{CONTRACT_FILE}'))
    raise BundleError(
        f'no policy bundle {name[:200]!r}: it is neither a directory with {CONTRACT_FILE} nor one '
        f'of {known}'
    )


def robot_file(name: str) -> Path:
    """A robot file by path, or by name in config/robots.

    Raises:
        ConfigError: nowhere found; the message lists the names that exist.
    """
    return _config_file('robot', name, 'robots')


def recipe_file(name: str) -> Path:
    """A recipe by path, or by name in config/training.

    Raises:
        ConfigError: nowhere found; the message lists the names that exist.
    """
    return _config_file('recipe', name, 'training')


def _config_file(kind: str, name: str, folder: str) -> Path:
    for place in (user_path(name), config_file(folder) / f'{name}.yaml'):
        if _is_file(place):
            return place
    known = _names(file.with_suffix('') for file in config_file(folder).glob('*.yaml'))
    raise ConfigError(f'no {kind} {name[:200]!r}: it is neither a file nor one of {known}')


def _names(paths: Iterable[Path]) -> str:
    return ', '.join(sorted({path.name for path in paths})) or '(none installed)'


def _is_file(path: Path) -> bool:
    with contextlib.suppress(OSError):  # a name too long for a file
        return path.is_file()
    return False
