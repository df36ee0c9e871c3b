# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bags that are there when they are finished, and not before: collections go on after a kill."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from liquid_control.bags.metadata import FILE_NAME as METADATA
from liquid_control.bags.writer import BagWriter
from liquid_control.common.errors import ConfigError


@contextmanager
def recording(path: Path, custom_data: Mapping[str, str]) -> Iterator[BagWriter]:
    """Write a bag in place of an unfinished one; nothing is left of it when the block fails.

    Args:
        custom_data: what metadata.yaml says of the drive: all that decides what it holds.
    """
    shutil.rmtree(path, ignore_errors=True)
    writer = BagWriter(path, custom_data=custom_data)
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
