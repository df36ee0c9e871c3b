# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Makes a killed recording a finished bag again, having proved that it reads back.

The recording may be somebody else's: nothing is written through a link, nothing into a file that
has another name elsewhere or that is being written, and where a repair fails all is as before.
"""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from liquid_control.bags.bag_files import data_files, read_metadata
from liquid_control.bags.errors import BagError, EmptyPartError
from liquid_control.bags.in_use import open_for_writing
from liquid_control.bags.mcap_part import McapPart
from liquid_control.bags.metadata import FILE_NAME, BagSummary
from liquid_control.bags.reader import BagReader
from liquid_control.bags.recovery import Recovered, is_finished, scan, write_ending
from liquid_control.bags.unpacking import check_size
from liquid_control.common.files import write_atomically


@dataclass(frozen=True)
class RepairReport:
    """What a repair found and did.

    Attributes:
        message_counts: Messages by topic, as read back from the repaired bag.
        repaired_files: Names of the files that lacked their ending or held damaged chunks.
        lost_bytes: Size of torn or damaged chunks that could not be saved.
        empty_files: Files without a whole message, set aside with the suffix `.empty`.
        unreadable: Of `message_counts`, those that cannot be decoded: they lack a definition, or
            were written so.
    """

    path: Path
    message_counts: dict[str, int]
    repaired_files: list[str]
    lost_bytes: int
    empty_files: list[str]
    unreadable: dict[str, int] = field(default_factory=dict)


def repair(path: Path | str) -> RepairReport:
    """Restore index and metadata.yaml of a rosbag2 MCAP bag, in place, having read it all.

    Every chunk's checksum is verified and every message decoded. A bag that is whole stays as it
    is.

    Args:
        path: Directory of the bag.

    Raises:
        BagError: Nothing can be saved, the files are not the recording's own or are being
            written, or the disk refuses; all is as it was.
    """
    path = Path(path)
    files = _files(path)
    with ExitStack() as stack:
        streams = {file: stack.enter_context(open_for_writing(file)) for file in files}
        recovered, empty = _scan(files)
        if not recovered:
            raise BagError(f'{path} cannot be repaired: no file of it holds a whole message')
        counts, unreadable = _read(path, recovered)
        broken = [f for f in recovered if f.damaged_chunks or not is_finished(f.path)]
        old = _old_metadata(path)
        done = _Changes(path)
        try:
            for found in broken:
                done.finish(found, streams[found.path])
            for file in empty:
                done.set_aside(file)
            if (
                broken
                or empty
                or old.get('relative_file_paths') != [f.file.name for f in recovered]
            ):
                done.describe(_summary(recovered, old))
            with BagReader(path) as bag:
                _check_counts(path, bag, recovered)
        except BaseException as error:
            done.undo()
            if isinstance(error, OSError):
                raise BagError(
                    f'{path} cannot be repaired: {error.strerror}; it is as it was'
                ) from error
            raise
    names = [found.path.name for found in broken]
    lost_bytes = sum(found.lost_bytes for found in recovered)
    return RepairReport(path, counts, names, lost_bytes, [f.name for f in empty], unreadable)


class _Changes:
    """What a repair has changed, so that it can be undone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._endings: list[tuple[BinaryIO, int, bytes]] = []
        self._aside: list[Path] = []
        self._metadata: bytes | None = None
        self._described = False

    def finish(self, found: Recovered, stream: BinaryIO) -> None:
        """Give a file its ending."""
        size = stream.seek(0, os.SEEK_END)
        check_size(f'the torn end of {found.path}', size - found.end)
        stream.seek(found.end)
        self._endings.append((stream, found.end, stream.read(size - found.end)))
        write_ending(found, stream)

    def set_aside(self, file: Path) -> None:
        """Rename a file that holds nothing."""
        target = file.with_name(f'{file.name}.empty')
        if os.path.lexists(target):
            raise BagError(f'{target} exists already: rename it, then repair again')
        file.rename(target)
        self._aside.append(file)

    def describe(self, summary: BagSummary) -> None:
        """Write metadata.yaml."""
        with suppress(OSError):
            self._metadata = (self._path / FILE_NAME).read_bytes()
        self._described = True
        summary.write(self._path)

    def undo(self) -> None:
        """Put back what was there, as far as the disk lets us."""
        for stream, end, tail in self._endings:
            with suppress(OSError):
                stream.seek(end)
                stream.write(tail)
                stream.truncate()
                stream.flush()
        for file in self._aside:
            with suppress(OSError):
                file.with_name(f'{file.name}.empty').rename(file)
        if self._described:
            with suppress(OSError):
                if self._metadata is None:
                    (self._path / FILE_NAME).unlink(missing_ok=True)
                else:
                    write_atomically(self._path / FILE_NAME, self._metadata)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        raise BagError(f'{path} is no directory: name the directory of a rosbag2 MCAP bag')
    try:
        files = data_files(path)
    except BagError:
        files = []
    others = [file.name for file in files if file.suffix != '.mcap']
    if others:
        raise BagError(
            f'{path} holds {", ".join(others)}: only plain .mcap files can be repaired; what is '
            'whole of the others is read as it is'
        )
    if not files:
        raise BagError(f'{path} has no .mcap files: name the directory of a rosbag2 MCAP bag')
    return sorted(files, key=lambda file: (len(file.name), file.name))


def _scan(files: Sequence[Path]) -> tuple[list[Recovered], list[Path]]:
    recovered, empty = [], []
    for file in files:
        try:
            recovered.append(scan(file))
        except EmptyPartError:
            empty.append(file)
    return recovered, empty


def _read(path: Path, recovered: list[Recovered]) -> tuple[dict[str, int], dict[str, int]]:
    """Decode every message that will be in the bag; return how many, and how many could not be."""
    counts: Counter[str] = Counter()
    unreadable: Counter[str] = Counter()
    with BagReader(path, parts=[McapPart(found.path, found) for found in recovered]) as bag:
        for message in bag.messages():
            counts[message.topic] += 1
            try:
                _ = message.value
            except BagError:
                unreadable[message.topic] += 1
        _check_counts(path, bag, recovered, counts)
    return dict(counts), dict(unreadable)


def _check_counts(
    path: Path, bag: BagReader, recovered: list[Recovered], counts: Counter[str] | None = None
) -> None:
    expected = _counts(recovered)
    found = bag.message_counts if counts is None else counts
    wrong = {
        name: (expected[name], found[name]) for name in bag.topics if expected[name] != found[name]
    }
    if wrong:
        raise BagError(f'{path} does not read back as written; (expected, found): {wrong}')


def _old_metadata(path: Path) -> dict[str, Any]:
    try:
        return read_metadata(path / FILE_NAME)
    except (BagError, OSError):
        return {}


def _summary(recovered: list[Recovered], old: dict[str, Any]) -> BagSummary:
    counts = _counts(recovered)
    topics = {topic.name: topic for found in recovered for topic in found.topics}
    custom = old.get('custom_data')
    return BagSummary(
        [replace(topic, message_count=counts[name]) for name, topic in topics.items()],
        [found.file for found in recovered],
        {str(k): str(v) for k, v in custom.items()} if isinstance(custom, dict) else {},
    )


def _counts(recovered: list[Recovered]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for found in recovered:
        for topic in found.topics:
            counts[topic.name] += topic.message_count
    return counts
