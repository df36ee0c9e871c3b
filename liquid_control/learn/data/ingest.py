"""One bag becomes one directory of arrays; it is there when it is whole, and not before."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from liquid_control.bags.bag_files import data_files, open_part_file
from liquid_control.bags.clock import PAUSE_NS
from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.refusals import seconds
from liquid_control.learn.data.episode import FACTS_FILE, IMAGES_FILE, SIGNALS_FILE, open_episode
from liquid_control.learn.data.segments import Segment, Stamps, pushes, who_drove, with_recoveries
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.data.streams import Series, Streams, read_streams

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
    on_picture: Callable[[], None] = lambda: None,
) -> None:
    """Write one bag's signals to `folder`.

    Args:
        on_picture: called for each picture; what it raises ends the work and leaves nothing.

    Raises:
        BagError, TopicError, ImageError: the bag cannot be learnt from.
    """
    partial = Path(tempfile.mkdtemp(PARTIAL, f'{folder.name}.', folder.parent))
    try:
        _fill(partial, bag, digest, signals, on_picture)
        # Where it stands already, another process was faster with a copy of the same bag.
        with suppress(FileExistsError):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fill(
    folder: Path, bag: Path, digest: str, signals: Signals, on_picture: Callable[[], None]
) -> None:
    with BagReader(bag) as reader, (folder / IMAGES_FILE).open('wb') as images:
        streams = read_streams(reader, signals, images, on_picture)
        problems = reader.problems
    kinds = ('image', 'imu', 'speed', 'command')
    saved = {kind: getattr(streams, kind).values for kind in kinds}
    saved |= {f'{kind}_ns': getattr(streams, kind).stamps for kind in kinds}
    np.savez(folder / SIGNALS_FILE, **saved, frame=streams.frame)
    used = [getattr(streams, kind).stamps for kind in streams.topics if kind in kinds]
    start_ns, end_ns = _span(bag, streams, signals)
    segments = _segments(streams, signals, start_ns, end_ns)
    facts = {
        'bag': bag.name,
        'digest': digest,
        'start_ns': start_ns,
        'end_ns': end_ns,
        'counts': {kind: len(getattr(streams, kind)) for kind in kinds},
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


def _span(bag: Path, streams: Streams, signals: Signals) -> tuple[int, int]:
    used: dict[str, Series] = {'command': streams.command}
    if signals.image is not None:
        used['image'] = streams.image
    if signals.imu is not None:
        used['imu'] = streams.imu
    if signals.speed is not None:
        used['speed'] = streams.speed
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
            f'{bag}: pictures, sensors and commands do not overlap in time: {spans}; were they '
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
