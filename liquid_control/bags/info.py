# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a recording holds, for people: topics, rates, gaps, formats, and what is wrong with it.

Every message is met once, so that what is said is true of all of them; of images the first is
looked at. Whatever is wrong ends up in the description, not in an error.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.bags import input_topics
from liquid_control.bags.bag_files import BagFiles, data_files, find_files, open_part
from liquid_control.bags.errors import BagError
from liquid_control.bags.parts import Part
from liquid_control.bags.reader import BagMessage, BagReader, describe_channel
from liquid_control.bags.topics import ODOM_TYPES, candidates
from liquid_control.common.errors import LiquidControlError
from liquid_control.common.files import reason
from liquid_control.contract.inputs import KINDS

ROLES = ('command', 'odom', 'mode', 'override')

# Longer than this many usual intervals, and than a second, is a gap; a minute is a jump.
_GAP_INTERVALS = 10
_GAP_NS = 1_000_000_000
_JUMP_NS = 60_000_000_000
# Recorded and stamped so far apart: by two clocks.
_CLOCKS_NS = 1_000_000_000


@dataclass(frozen=True)
class FileInfo:
    """One file of a recording; where it cannot be read, `problem` says why."""

    name: str
    size: int
    storage: str = ''
    compression: str = ''
    message_count: int = 0
    problem: str = ''


@dataclass
class TopicInfo:
    """One topic.

    Attributes:
        kind: Type of the messages, or what else they are.
        message_count: As read.
        rate: Hz, by the usual interval of the stamps; None where there is none.
        duration: From first to last stamp, s.
        longest_gap: s.
        what: Format of its images.
        role: What it could be used as; with a question mark where others could too.
        problems: What is odd about it.
    """

    topic: str
    kind: str
    message_count: int = 0
    rate: float | None = None
    duration: float = 0.0
    longest_gap: float = 0.0
    what: str = ''
    role: str = ''
    problems: list[str] = field(default_factory=list)


@dataclass
class BagInfo:
    """A recording."""

    path: Path
    files: list[FileInfo] = field(default_factory=list)
    topics: list[TopicInfo] = field(default_factory=list)
    start_ns: int = 0
    end_ns: int = 0
    ros_distro: str = ''
    problems: list[str] = field(default_factory=list)


def inspect_bag(path: Path) -> BagInfo:
    """Describe a recording.

    Raises:
        BagError: There is none.
        OSError: It cannot be reached.
    """
    found = _find(path)
    info = BagInfo(path, problems=list(found.problems))
    info.ros_distro = str(found.metadata.get('ros_distro', '') or '')
    if found.missing:
        info.problems.append(f'metadata.yaml names what is not there: {", ".join(found.missing)}')
    parts = _open(found.files, info)
    if not parts:
        return info
    info.topics += _others(parts)
    try:
        with BagReader(path, parts=parts) as reader:
            info.problems += reader.problems
            info.start_ns, info.end_ns = reader.start_ns, reader.end_ns
            info.topics = _topics(reader, info.problems) + info.topics
    except LiquidControlError as error:
        info.problems.append(str(error))
    declared = found.metadata.get('message_count')
    read = sum(topic.message_count for topic in info.topics)
    if isinstance(declared, int) and declared != read:
        info.problems.append(f'metadata.yaml tells of {declared} messages, {read} are there')
    return info


def _find(path: Path) -> BagFiles:
    try:
        return find_files(path)
    except BagError as error:
        try:
            files = data_files(path)
        except BagError:
            raise error from None
        return BagFiles(path, files, problems=[str(error)])


def _open(files: Iterable[Path], info: BagInfo) -> list[Part]:
    parts = []
    for file in files:
        try:
            size = file.stat().st_size
            part = open_part(file)
        except (LiquidControlError, OSError) as error:
            words = reason(error) if isinstance(error, OSError) else str(error)
            info.files.append(FileInfo(file.name, 0, problem=words))
            continue
        except Exception as error:  # damage can make the libraries raise anything
            info.files.append(FileInfo(file.name, 0, problem=str(error) or type(error).__name__))
            continue
        parts.append(part)
        count = sum(channel.message_count for channel in part.channels.values())
        info.files.append(
            FileInfo(
                file.name, size, part.storage, part.compression, count, '; '.join(part.problems)
            )
        )
    return parts


def _others(parts: list[Part]) -> list[TopicInfo]:
    """Topics that carry no ROS messages."""
    found: dict[str, TopicInfo] = {}
    for part in parts:
        for channel in part.channels.values():
            if channel.encoding not in ('cdr', 'ros1') or not channel.msgtype:
                entry = found.setdefault(
                    channel.topic, TopicInfo(channel.topic, describe_channel(channel))
                )
                entry.message_count += channel.message_count
                entry.what = 'not ROS'
    return [found[topic] for topic in sorted(found)]


def _topics(reader: BagReader, problems: list[str]) -> list[TopicInfo]:
    roles = _roles(reader.filled)
    infos = {
        topic: TopicInfo(topic, kind, role=roles.get(topic, ''))
        for topic, kind in reader.topics.items()
    }
    stamps = {topic: array('q') for topic in infos}
    logs = {topic: array('q') for topic in infos}
    try:
        for message in reader.messages():
            if not stamps[message.topic]:
                _look(message, infos[message.topic])
            stamps[message.topic].append(message.stamp_ns)
            logs[message.topic].append(message.log_ns)
    except LiquidControlError as error:
        problems.append(str(error))
    for topic, info in infos.items():
        info.message_count = len(stamps[topic])
        expected = reader.message_counts[topic]
        if info.message_count < expected:
            info.problems.append(f'{expected - info.message_count} messages cannot be read')
        if info.message_count:
            _times(info, np.array(stamps[topic]), np.array(logs[topic]))
    return list(infos.values())


def _look(message: BagMessage, info: TopicInfo) -> None:
    """Decode one message."""
    try:
        value: Any = message.value
    except LiquidControlError as error:
        info.problems.append(str(error))
        return
    if message.msgtype == 'sensor_msgs/msg/Image':
        info.what = f'{value.encoding} {value.width}x{value.height}'
    elif message.msgtype == 'sensor_msgs/msg/CompressedImage':
        info.what = str(value.format)


def _times(info: TopicInfo, stamps: Any, logs: Any) -> None:
    """Rate, gaps and oddities of a topic's stamps (ns)."""
    info.duration = (int(stamps.max()) - int(stamps.min())) / 1e9
    if (np.abs(stamps.astype(float) - logs) > _CLOCKS_NS).any():
        apart = float(np.median(stamps.astype(float) - logs)) / 1e9
        many = int((np.abs(stamps.astype(float) - logs) > _CLOCKS_NS).sum())
        info.problems.append(
            f'{many} stamps are not by the clock of the recording (usually {apart:+.1f} s)'
        )
    if len(stamps) < 2:
        return
    steps = np.diff(stamps.astype(float))
    new = steps[steps != 0]  # a repeated stamp measures nothing
    usual = float(np.median(new)) if len(new) else 0.0
    if 0 < len(new) < len(steps):
        info.problems.append(f'{len(steps) - len(new)} stamps are repeated')
    if usual > 0:
        info.rate = 1e9 / usual
    elif (steps == 0).all():
        info.problems.append('all stamps are the same')
        return
    back = steps[steps < 0]
    if len(back):
        info.problems.append(f'{len(back)} stamps go back, by {-back.min() / 1e9:.3f} s at most')
    ordered = np.sort(stamps)
    waits = np.diff(ordered.astype(float))
    info.longest_gap = float(waits.max()) / 1e9
    gaps = np.flatnonzero(waits > max(_GAP_NS, _GAP_INTERVALS * usual))
    if len(gaps):
        first = gaps[0]
        after = (int(ordered[first]) - int(ordered[0])) / 1e9
        jump = ', or a jump of the clock' if waits[first] > _JUMP_NS else ''
        more = f'; {len(gaps) - 1} more gaps' if len(gaps) > 1 else ''
        info.problems.append(f'gap of {waits[first] / 1e9:.1f} s after {after:.1f} s{jump}{more}')


def _roles(topics: dict[str, str]) -> dict[str, str]:
    """What each topic could be used as."""
    parts = {role: candidates(topics, role) for role in ROLES}
    for kind, spec in KINDS.items():
        for source in spec.usual_sources(kind):
            if source.types != ODOM_TYPES:  # of which several kinds are read
                parts[kind] = input_topics.candidates(topics, source)
    return {
        topic: role if len(found) == 1 else f'{role}?'
        for role, found in parts.items()
        for topic in found
    }
