"""The dataset store: bags decoded once, kept as arrays that are mapped into memory.

Each bag becomes one directory, named by a digest of its data and of what was taken from it:
pictures cut and resized by the runtime's own `Preprocessor`, IMU, speed and commands with their
stamps. A bag seen before is not read again, under whatever name it comes; an interrupted run goes
on with the bags that are missing. `manifest.json` lists what the store holds.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from liquid_control.bags import samples
from liquid_control.bags.errors import BagError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.topics import TopicRoles, guess_topics
from liquid_control.learn.recipe import Signals
from liquid_control.runtime.contract import IMU_SIZE
from liquid_control.runtime.errors import ImageError
from liquid_control.runtime.image import Preprocessor

# Raised when what is stored changes, so that older stores are rebuilt.
STORE_VERSION = 1

Stamps = NDArray[np.int64]
Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Episode:
    """One bag's signals, each with its stamps (ns), sorted; unused ones have no samples.

    Attributes:
        name: of the bag.
        digest: sha256 of the bag's data.
        images: uint8 [N, H, W, 3] RGB, mapped from disk in the order of their arrival.
        image_rows: index into `images`, in the order of the stamps `image_ns`.
        imu: linear acceleration (m/s^2), angular velocity (rad/s), [M, 6]; stamps `imu_ns`.
        speed: m/s, [K, 1]; stamps `speed_ns`.
        commands: [L, C] in the commands' units, NaN where unknown; stamps `command_ns`.
        start_ns, end_ns: the part to learn from: every input used has arrived before the start.
    """

    name: str
    digest: str
    images: NDArray[np.uint8]
    image_rows: NDArray[np.int64]
    image_ns: Stamps
    imu: Values
    imu_ns: Stamps
    speed: Values
    speed_ns: Stamps
    commands: Values
    command_ns: Stamps
    start_ns: int
    end_ns: int

    @property
    def duration(self) -> float:
        """s."""
        return (self.end_ns - self.start_ns) / 1e9

    def cut(self, frames: tuple[int, int] | None) -> Episode:
        """The same episode from one frame until just before another.

        Raises:
            BagError: the episode has no such frames.
        """
        if frames is None:
            return self
        first, end = frames
        if not 0 <= first < end or first >= len(self.image_ns):
            raise BagError(
                f'{self.name}: frames {first} to {end} were asked for, it has {len(self.image_ns)}'
            )
        last_ns = int(self.image_ns[min(end, len(self.image_ns)) - 1])
        return replace(
            self,
            start_ns=max(self.start_ns, int(self.image_ns[first])),
            end_ns=min(self.end_ns, last_ns),
        )


def build(bags: Sequence[Path], signals: Signals, store: Path, console: Console) -> list[Episode]:
    """Take the signals of all bags into the store, those that it has not, and open them.

    Raises:
        BagError, TopicError, ImageError: a bag cannot be learnt from; those before it are kept.
    """
    store.mkdir(parents=True, exist_ok=True)
    episodes: dict[str, Episode] = {}
    for bag in track(bags, 'Reading bags', console=console, transient=True):
        digest = bag_digest(bag)
        folder = store / _key(digest, signals)
        if not folder.exists():
            ingest(bag, digest, signals, folder)
        episodes.setdefault(digest, _open(folder, signals))
    _write_manifest(store)
    return list(episodes.values())


def bag_digest(bag: Path) -> str:
    """sha256 of a bag's data files, the same wherever the bag lies and whatever it is called."""
    files = [bag]
    if bag.is_dir():
        files = sorted(f for f in bag.iterdir() if f.suffix in ('.mcap', '.db3', '.bag'))
    if not files or not files[0].exists():
        raise BagError(f'{bag} is no bag: name a bag directory, or an .mcap, .db3 or .bag file')
    total = hashlib.sha256()
    for path in files:
        with path.open('rb') as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def ingest(bag: Path, digest: str, signals: Signals, folder: Path) -> None:
    """Write one bag's signals to `folder`, which appears only when it is complete.

    Raises:
        BagError, TopicError, ImageError: the bag cannot be learnt from.
    """
    partial = folder.with_suffix('.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _ingest(bag, digest, signals, partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _ingest(bag: Path, digest: str, signals: Signals, folder: Path) -> None:
    with BagReader(bag) as reader:
        roles = _roles(reader, signals)
        streams = _read_streams(reader, roles, signals, folder / 'images.u8')
    arrays = {name: _sorted(stamps, values) for name, (stamps, values) in streams.items()}
    saved: dict[str, Any] = {name: values for name, (_, values) in arrays.items()}
    saved |= {f'{name}_ns': stamps for name, (stamps, _) in arrays.items()}
    np.savez(folder / 'signals.npz', **saved)
    start_ns, end_ns = _span(bag, arrays, signals)
    entry = {
        'bag': bag.name,
        'digest': digest,
        'start_ns': start_ns,
        'end_ns': end_ns,
        'counts': {name: len(stamps) for name, (stamps, _) in arrays.items()},
    }
    (folder / 'episode.json').write_text(json.dumps(entry, indent=2))


def _roles(reader: BagReader, signals: Signals) -> TopicRoles:
    roles = guess_topics(reader.topics, **asdict(signals.topics))
    needed = {
        'image': signals.image is not None and roles.image is None,
        'imu': signals.imu is not None and roles.imu is None,
        'odom': signals.speed is not None and roles.odom is None,
        'command': roles.command is None,
    }
    missing = [role for role, lacks in needed.items() if lacks]
    if missing:
        raise BagError(
            f'{reader.path} has no topic for {", ".join(missing)}; it has '
            f'{", ".join(f"{name} ({kind})" for name, kind in sorted(reader.topics.items()))}'
        )
    return roles


def _read_streams(
    reader: BagReader, roles: TopicRoles, signals: Signals, images: Path
) -> dict[str, tuple[list[int], list[Any]]]:
    """Stamps and values of every signal; of pictures, the values are their place in the file."""
    names = [entry.name for entry in signals.commands]
    preprocess = Preprocessor(signals.image) if signals.image is not None else None
    streams: dict[str, tuple[list[int], list[Any]]] = {
        name: ([], []) for name in ('image', 'imu', 'speed', 'command')
    }
    topics = {roles.command: 'command'}
    if signals.image is not None:
        topics[roles.image] = 'image'
    if signals.imu is not None:
        topics[roles.imu] = 'imu'
    if signals.speed is not None:
        topics[roles.odom] = 'speed'
    with images.open('wb') as file:
        for message in reader.messages([topic for topic in topics if topic]):
            kind = topics[message.topic]
            value: Any
            if kind == 'image' and preprocess is not None:
                try:
                    preprocess(samples.picture(reader, message)).tofile(file)
                except ImageError as error:
                    raise ImageError(f'{reader.path}, {message.topic}: {error}') from error
                value = len(streams[kind][0])
            elif kind == 'imu':
                value = samples.imu(reader, message)
                if not np.isfinite(value).all():
                    continue  # as live: refused, the one before it grows older
            elif kind == 'speed':
                value = [samples.speed(reader, message)]
            else:
                value = samples.command(message, names, signals.wheelbase)
            stamps, values = streams[kind]
            stamps.append(message.stamp_ns)
            values.append(value)
    return streams


def _sorted(stamps: list[int], values: list[Any]) -> tuple[Stamps, NDArray[Any]]:
    """In the order of the stamps; of samples with the same stamp the first is kept."""
    unique, order = np.unique(np.asarray(stamps, np.int64), return_index=True)
    array = np.asarray(values)
    dtype = np.int64 if array.dtype.kind == 'i' else np.float32
    return unique, array.astype(dtype)[order]


def _span(
    bag: Path, arrays: dict[str, tuple[Stamps, NDArray[Any]]], signals: Signals
) -> tuple[int, int]:
    used = {
        'image': signals.image is not None,
        'imu': signals.imu is not None,
        'speed': signals.speed is not None,
        'command': True,
    }
    for name, wanted in used.items():
        if wanted and len(arrays[name][0]) < 2:
            raise BagError(f'{bag} holds no {name} messages to learn from')
    spans = [arrays[name][0] for name, wanted in used.items() if wanted]
    start_ns, end_ns = max(int(s[0]) for s in spans), min(int(s[-1]) for s in spans)
    if start_ns >= end_ns:
        raise BagError(
            f'{bag}: pictures, sensors and commands do not overlap in time; were they recorded '
            'with the same clock?'
        )
    return start_ns, end_ns


def _open(folder: Path, signals: Signals) -> Episode:
    entry = json.loads((folder / 'episode.json').read_text())
    with np.load(folder / 'signals.npz') as file:
        arrays = {name: file[name] for name in file.files}
    image = signals.image
    frames: NDArray[np.uint8] = np.zeros((0, 1, 1, 3), np.uint8)
    if image is not None:
        shape = (entry['counts']['image'], image.height, image.width, 3)
        frames = np.memmap(folder / 'images.u8', np.uint8, 'r', shape=shape)
    return Episode(
        name=entry['bag'],
        digest=entry['digest'],
        images=frames,
        image_rows=arrays['image'].astype(np.int64),
        image_ns=arrays['image_ns'],
        imu=arrays['imu'].reshape(-1, IMU_SIZE),
        imu_ns=arrays['imu_ns'],
        speed=arrays['speed'].reshape(-1, 1),
        speed_ns=arrays['speed_ns'],
        commands=arrays['command'],
        command_ns=arrays['command_ns'],
        start_ns=entry['start_ns'],
        end_ns=entry['end_ns'],
    )


def _key(digest: str, signals: Signals) -> str:
    """Name of a bag's directory: what was read and how."""
    image = None
    if signals.image is not None:
        spec = signals.image
        source = (spec.source_width, spec.source_height)
        image = (spec.width, spec.height, source, spec.crop)
    how = (
        STORE_VERSION,
        digest,
        image,
        signals.imu is not None,
        signals.speed is not None,
        [entry.name for entry in signals.commands],
        signals.wheelbase,
        asdict(signals.topics),
    )
    return hashlib.sha256(json.dumps(how).encode()).hexdigest()[:24]


def _write_manifest(store: Path) -> None:
    entries = {
        path.parent.name: json.loads(path.read_text())
        for path in sorted(store.glob('*/episode.json'))
        if path.parent.suffix != '.partial'
    }
    temporary = store / 'manifest.json.partial'
    temporary.write_text(json.dumps({'version': STORE_VERSION, 'episodes': entries}, indent=2))
    temporary.rename(store / 'manifest.json')
