"""Where the package keeps its files: the source tree, or the installed share."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from liquid_control.runtime.bundle import shipped_models
from liquid_control.runtime.errors import ConfigError


def share_directories() -> list[Path]:
    """The source tree this code lies in, then the installed share, as far as they exist."""
    source = shipped_models().parent
    folders = [source] if (source / 'config').is_dir() else []
    with contextlib.suppress(PackageNotFoundError, OSError):
        folders.append(Path(get_package_share_directory('liquid_control')))
    return folders


def models_directories() -> list[Path]:
    """Folders that may hold policy bundles by name."""
    return [folder / 'models' for folder in share_directories()]


def robot_file(name: str) -> Path:
    """A robot file by path, or by name in config/robots.

    Raises:
        ConfigError: nowhere found; the message lists the names that exist.
    """
    if Path(name).is_file():
        return Path(name)
    folders = [folder / 'config' / 'robots' for folder in share_directories()]
    for folder in folders:
        if (folder / f'{name}.yaml').is_file():
            return folder / f'{name}.yaml'
    known = sorted({file.stem for folder in folders for file in folder.glob('*.yaml')})
    raise ConfigError(
        f'no robot {name!r}: it is neither a file nor one of {", ".join(known) or "config/robots"}'
    )
