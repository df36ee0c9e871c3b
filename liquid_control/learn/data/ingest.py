# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One bag becomes one directory of arrays; it is there when it is whole, and not before."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from liquid_control.bags.bag_files import data_files, open_part_file
from liquid_control.bags.clock import PAUSE_NS
from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.refusals import seconds
from liquid_control.learn.data.episode import (
    FACTS_FILE,
    image_names,
    open_episode,
    pixels_file,
    save_series,
)
from liquid_control.learn.data.segments import Segment, Stamps, pushes, who_drove, with_recoveries
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.data.streams import Streams, read_streams

# Ending of directories being written; a killed run leaves them behind.
PARTIAL = '.partial'


def bag_digest(bag: Path) -> str:
    """sha256 of a bag's data files, the same wherever the bag lies and whatever it is called."""
    total = hashlib.sha256()
    for path in data_files(bag):
        with open_part_file(path) as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def ingest(
    bag: Path,
    digest: str,
    signals: Signals,
    folder: Path,
    on_image: Callable[[], None] = lambda: None,
) -> None:
    """Write one bag's signals to `folder`.

    Args:
        on_image: called for each image; what it raises ends the work and leaves nothing.

    Raises:
        BagError, TopicError, ImageError: the bag cannot be learnt from.
    """
    partial = Path(tempfile.mkdtemp(PARTIAL, f'{folder.name}.', folder.parent))
    try:
        _fill(partial, bag, digest, signals, on_image)
        # Where it stands already, another process was faster with a copy of the same bag.
        with suppress(FileExistsError):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fill(
    folder: Path, bag: Path, digest: str, signals: Signals, on_image: Callable[[], None]
) -> None:
    with BagReader(bag) as reader, ExitStack() as files:
        pixels = {
            name: files.enter_context((folder / pixels_file(name)).open('wb'))
            for name in image_names(signals.inputs)
        }
        streams = read_streams(reader, signals, pixels, on_image)
        problems = reader.problems
    save_series(folder, streams.used())
    used = [series.stamps for series in streams.used().values()]
    start_ns, end_ns = _span(bag, streams)
    segments = _segments(streams, signals, start_ns, end_ns)
    facts = {
        'bag': bag.name,
        'digest': digest,
        'start_ns': start_ns,
        'end_ns': end_ns,
        'counts': {name: len(series) for name, series in streams.used().items()},
        'segments': [segment._asdict() for segment in segments],
        'problems': problems,
        'topics': streams.topics,
        'outside': _outside(used, start_ns, end_ns),
        'refused': streams.refusals.report(),
        'jumps': [str(jump) for jump in streams.jumps],
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2))
    episode = open_episode(folder, signals)
    if not len(episode.usable):
        raise BagError(f'{bag}: nothing to learn from: {episode.why_nothing()}')


def _span(bag: Path, streams: Streams) -> tuple[int, int]:
    used = streams.used()
    for name, series in used.items():
        if len(series) < 2:
            topic = streams.topics[name]
            why = '; '.join(streams.refusals.lines(topic)) or f'messages: {len(series)}'
            if streams.refusals.count(topic, 'stamp'):
                why += (
                    '; every message needs the time at which it was measured, by the clock that '
                    'the others are stamped by'
                )
            raise BagError(
                f'{bag}: {topic} holds too few {name} messages to learn from, as the robot would '
                f'see them: {why}'
            )
    start_ns = max(int(series.stamps[0]) for series in used.values())
    end_ns = min(int(series.stamps[-1]) for series in used.values())
    if start_ns >= end_ns:
        spans = ', '.join(
            f'{streams.topics[name]} {seconds(int(series.stamps[0]))} to '
            f'{seconds(int(series.stamps[-1]))} s'
            for name, series in used.items()
        )
        raise BagError(
            f'{bag}: inputs and commands do not overlap in time: {spans}; were they '
            'stamped by the same clock?'
        )
    return start_ns, end_ns


def _outside(used: list[Stamps], start_ns: int, end_ns: int) -> float:
    """Time before the start and after the end in which something was recorded, s."""
    stamps = np.unique(np.concatenate([*used, [start_ns, end_ns]]))
    gaps = np.diff(stamps)
    outside = (stamps[1:] <= start_ns) | (stamps[:-1] >= end_ns)
    return float(gaps[outside & (gaps <= PAUSE_NS)].sum()) / 1e9


def _segments(
    streams: Streams, signals: Signals, start_ns: int, end_ns: int
) -> tuple[Segment, ...]:
    mode, command, motion = streams.mode, streams.command, streams.motion
    segments = who_drove(mode.stamps.tolist(), mode.values.tolist(), start_ns, end_ns)
    if 'steering_angle' not in signals.command_names or not len(motion):
        return segments
    told = command.values[:, signals.command_names.index('steering_angle')]
    pushed = pushes(command.stamps, told, motion.stamps, motion.values, signals.wheelbase)
    return with_recoveries(segments, pushed)
