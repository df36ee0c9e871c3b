# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which files make up a recording: by the one list of suffixes and by metadata.yaml.

Whatever lies in a directory may come from somebody else: only regular files are opened, and
metadata.yaml may not be larger than any recorder writes it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from mcap.writer import MCAP0_MAGIC as MAGIC

from liquid_control.bags.errors import BagError, EmptyPartError
from liquid_control.bags.mcap_part import McapPart
from liquid_control.bags.metadata import FILE_NAME
from liquid_control.bags.parts import Part
from liquid_control.bags.ros1_part import MAGIC as ROS1_MAGIC
from liquid_control.bags.ros1_part import Ros1Part
from liquid_control.bags.sqlite_part import MAGIC as SQLITE_MAGIC
from liquid_control.bags.sqlite_part import SqlitePart
from liquid_control.bags.unpacking import ZSTD_MAGIC, max_unpacked, unpack_file
from liquid_control.common.files import FileError, open_regular, read_bounded

_PLAIN = ('.mcap', '.db3', '.bag', '.bag.active')
_COMPRESSED = '.zstd'
_MAX_METADATA = 1 << 20  # five thousand files
_MAX_SHOWN = 8
_Loader: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
# Of metadata; rosbag2 writes six.
_DEEPEST = 50


@dataclass(frozen=True)
class BagFiles:
    """The files of a recording, in the order they were written.

    Attributes:
        metadata: What metadata.yaml says, empty where there is none or it is damaged.
        missing: Names of files that metadata.yaml names and that are not there.
        problems: What else is wrong with the directory.
    """

    path: Path
    files: Sequence[Path]
    metadata: dict[str, Any] = field(default_factory=dict)
    missing: Sequence[str] = ()
    problems: Sequence[str] = ()


def is_data_file(path: Path) -> bool:
    """Whether a file's name says that it holds messages."""
    return path.name.removesuffix(_COMPRESSED).endswith(_PLAIN)


def data_files(path: Path) -> list[Path]:
    """All files of a recording that hold messages, by name.

    Raises:
        BagError: There are none.
    """
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if is_data_file(file))
    if not files or not files[0].exists():
        raise BagError(f'{path} is no bag: name a bag directory, or an .mcap, .db3 or .bag file')
    return files


def find_files(path: Path) -> BagFiles:
    """The files that make up a recording.

    Raises:
        BagError: There are none, or metadata.yaml is damaged.
    """
    if not path.exists():
        raise BagError(f'{path} does not exist: name a bag directory, or an .mcap or .db3 file')
    if not path.is_dir():
        return BagFiles(path, [path])
    found = sorted((file for file in path.iterdir() if is_data_file(file)), key=_split_number)
    if not (path / FILE_NAME).exists():
        return _without_metadata(path, found)
    content = read_metadata(path / FILE_NAME)
    names = list(dict.fromkeys(Path(name).name for name in content['relative_file_paths']))
    problems = []
    if len(names) < len(content['relative_file_paths']):
        problems.append(f'{FILE_NAME} names a file twice')
    unlisted = [file.name for file in found if file.name not in names]
    if unlisted:
        problems.append(f'{FILE_NAME} does not name {_listed(unlisted)}, which is not read')
    missing = [name for name in names if not (path / name).exists()]
    files = [path / name for name in names if name not in missing]
    return BagFiles(path, files, content, missing, problems)


def read_metadata(path: Path) -> dict[str, Any]:
    """What a metadata.yaml says about its recording.

    Raises:
        BagError: It is damaged, larger than any recorder writes it, or no regular file.
    """
    try:
        text = read_bounded(path, max(_MAX_METADATA, max_unpacked(0)))
        _check_depth(text)
        content = yaml.load(text, _Loader)
        information = content['rosbag2_bagfile_information']
        if not all(isinstance(name, str) for name in information['relative_file_paths']):
            raise TypeError('relative_file_paths must be names of files')
    except FileError as error:
        raise BagError(f'{error}: delete it to read the recording without it') from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BagError(
            f'{path} is damaged ({type(error).__name__}: {str(error)[:200]}): delete it to read '
            'the recording without it'
        ) from error
    assert isinstance(information, dict)
    return information


def _check_depth(text: str | bytes) -> None:
    """Refuse what libyaml's composer, which calls itself, would end the process over."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise yaml.YAMLError(f'nested more than {_DEEPEST} deep')
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def open_part_file(path: Path) -> BinaryIO:
    """The bytes of one file of a recording; raises BagError where it is a pipe or device."""
    try:
        return open_regular(path)
    except FileError as error:
        raise BagError(str(error)) from error


def open_part(path: Path) -> Part:
    """Open one file of a recording, by what is in it and not by its name.

    Raises:
        EmptyPartError: It holds no whole message.
        BagError: It is none, or damaged beyond reading.
    """
    with open_part_file(path) as stream:
        head = stream.read(16)
    if head.startswith(ZSTD_MAGIC):
        return _unpacked(path)
    if head == SQLITE_MAGIC:
        return SqlitePart(path)
    if head.startswith(ROS1_MAGIC):
        return Ros1Part(path)
    if head.startswith(b'#ROSBAG'):
        raise BagError(f'{path} is a ROS 1 bag of another format than 2.0')
    if head.startswith(MAGIC):
        return McapPart(path)
    # What a crash leaves of a file just begun: nothing, a torn word, or room without data.
    torn = MAGIC.startswith(head) or not any(head)
    raise (EmptyPartError if torn else BagError)(
        f'{path} is not an MCAP file, nor a sqlite3 or ROS 1 bag: it has the first bytes of none'
    )


def _unpacked(path: Path) -> Part:
    """Unpack a compressed file into a directory that is gone when the part is closed."""
    folder = tempfile.TemporaryDirectory(prefix='liquid_control_')
    try:
        target = Path(folder.name) / path.name.removesuffix(_COMPRESSED)
        unpack_file(path, target)
        part = open_part(target)
        close = part.close

        def close_both() -> None:
            close()
            folder.cleanup()

        part.path, part.close = path, close_both  # type: ignore[method-assign]
        part.compression = 'zstd (whole file)'
        return part
    except BaseException:
        folder.cleanup()
        raise


def _without_metadata(path: Path, found: list[Path]) -> BagFiles:
    old = [file for file in found if '.bag' in file.suffixes]
    if len(old) > 1:
        raise BagError(
            f'{path} holds {len(old)} ROS 1 bags: name one of {_listed([f.name for f in old])}'
        )
    if found:
        problems = [] if old else [f'has no {FILE_NAME}: its writer was killed, or it was lost']
        return BagFiles(path, found, problems=problems)
    inside = sorted(
        folder.name
        for folder in path.iterdir()
        if folder.is_dir()
        and any(f.name == FILE_NAME or is_data_file(f) for f in folder.iterdir())
    )
    if inside:
        raise BagError(f'{path} is no bag but holds {len(inside)}: name {_listed(inside)}')
    raise BagError(f'{path} is no bag: it has neither {FILE_NAME} nor .mcap or .db3 files')


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAX_SHOWN
    return ', '.join(names[:_MAX_SHOWN]) + (f' and {more} more' if more > 0 else '')


def _split_number(path: Path) -> tuple[int, str]:
    number = re.search(r'_(\d+)$', Path(path.name.removesuffix(_COMPRESSED)).stem)
    return (int(number[1]) if number else 0, path.name)
