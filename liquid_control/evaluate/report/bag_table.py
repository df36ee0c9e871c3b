# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A recording's description on the terminal."""

from __future__ import annotations

from datetime import datetime, timezone

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liquid_control.bags.info import BagInfo, TopicInfo
from liquid_control.common.plain_text import printable

_NUMBERS = ('messages', 'Hz', 's', 'longest gap, s')


def print_info(info: BagInfo, console: Console) -> None:
    """Print what a recording holds, then what is wrong with it."""
    console.print(_text(f'{info.path}: {_summary(info)}'), soft_wrap=True)
    for file in info.files:
        words = [file.storage, file.compression, f'{file.size / 1e6:.1f} MB']
        words += [f'{file.message_count} messages'] if file.storage else []
        words += [file.problem]
        console.print(_text(f'  {file.name}: {", ".join(filter(None, words))}'), soft_wrap=True)
    if info.topics:
        console.print(_table(info.topics))
    doubts = sorted({topic.role for topic in info.topics if topic.role.endswith('?')})
    lines = [*info.problems]
    lines += [f'{topic.topic}: {line}' for topic in info.topics for line in topic.problems]
    lines += [
        f'several topics could be the {d[:-1]}: name one with --topic {d[:-1]}=TOPIC'
        for d in doubts
    ]
    for line in lines:
        console.print(_text(f'! {line}'), soft_wrap=True)


def _summary(info: BagInfo) -> str:
    if not info.topics:
        return 'nothing can be read'
    messages = sum(topic.message_count for topic in info.topics)
    words = f'{messages} messages on {len(info.topics)} topics'
    if info.end_ns or info.start_ns:
        words += f', {(info.end_ns - info.start_ns) / 1e9:.1f} s from {_date(info.start_ns)}'
    return f'{words}, ROS {info.ros_distro}' if info.ros_distro else words


def _date(stamp_ns: int) -> str:
    try:
        date = datetime.fromtimestamp(stamp_ns // 1_000_000_000, tz=timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f'{stamp_ns} ns'
    return date.strftime('%Y-%m-%d %H:%M:%S UTC')


def _table(topics: list[TopicInfo]) -> Table:
    table = Table(box=SIMPLE)
    for heading in ('topic', 'type', *_NUMBERS, 'format', 'use'):
        numeric = heading in _NUMBERS
        table.add_column(heading, justify='right' if numeric else 'left', overflow='fold')
    for topic in topics:
        rate = '' if topic.rate is None else f'{topic.rate:.1f}'
        times = [f'{topic.duration:.1f}', f'{topic.longest_gap:.2f}'] if topic.rate else ['', '']
        kind = topic.kind.replace('/msg/', '/')
        cells = [topic.topic, kind, str(topic.message_count), rate, *times]
        table.add_row(*map(_text, [*cells, topic.what, topic.role]))
    return table


def _text(words: str) -> Text:
    """Text of others: no markup, and nothing that a terminal would obey."""
    return Text(printable(words))
