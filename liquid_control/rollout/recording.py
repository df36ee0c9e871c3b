# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bags that are there when they are finished, and not before: collections go on after a kill."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import yaml
from rich.console import Console

from liquid_control.bags.metadata import FILE_NAME as METADATA
from liquid_control.bags.writer import BagWriter
from liquid_control.common.errors import ConfigError
from liquid_control.common.jobs import IsCancelled, run_all


class RecordedDrive(Protocol):
    """A drive that is to be recorded."""

    @property
    def name(self) -> str:
        """Of the bag's directory."""

    @property
    def custom_data(self) -> dict[str, str]:
        """What metadata.yaml says of the drive: all that decides what it holds."""


Drive = TypeVar('Drive', bound=RecordedDrive)


def record_missing(
    record: Callable[[Path, Drive, IsCancelled], object],
    drives: Sequence[Drive],
    out_dir: Path,
    *,
    title: str,
    workers: int,
    console: Console | None = None,
) -> list[Path]:
    """Record the drives that `out_dir` has not yet; return all bags in the order of drives.

    Args:
        record: makes the bag of one drive in that directory; can be pickled.
        title: of the progress bar.
        workers: processes.

    Raises:
        ConfigError: a bag in `out_dir` was recorded with other settings.
    """
    missing = [
        drive for drive in drives if not is_recorded(out_dir / drive.name, drive.custom_data)
    ]
    run_all(
        partial(record, out_dir),
        missing,
        title=title,
        workers=workers,
        done=len(drives) - len(missing),
        console=console,
    )
    return [out_dir / drive.name for drive in drives]


@contextmanager
def recording(path: Path, custom_data: Mapping[str, str]) -> Iterator[BagWriter]:
    """Write a bag in place of an unfinished one; nothing is left of it when the block fails.

    Args:
        custom_data: what metadata.yaml says of the drive: all that decides what it holds.
    """
    shutil.rmtree(path, ignore_errors=True)
    # An unfinished drive is worth nothing, and a finished one is known by its bytes.
    writer = BagWriter(path, custom_data=custom_data, flush_seconds=None)
    try:
        yield writer
        writer.close()
    except BaseException:
        # Only a finished drive may look like one: see is_recorded.
        shutil.rmtree(path, ignore_errors=True)
        raise


def is_recorded(path: Path, custom_data: Mapping[str, str]) -> bool:
    """Whether the bag is there and finished: metadata.yaml is written last.

    Raises:
        ConfigError: there is one, but of a drive with other settings.
    """
    file = path / METADATA
    if not file.is_file():
        return False
    found = yaml.safe_load(file.read_text())['rosbag2_bagfile_information'].get('custom_data')
    if found != custom_data:
        raise ConfigError(
            f'{path} was recorded with {found}, wanted {dict(custom_data)}: '
            'name another directory or remove it'
        )
    return True
