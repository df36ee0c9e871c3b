"""One drive as training sees it: signals with their stamps, and who drove when."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags.errors import BagError
from liquid_control.learn.signals import Signals
from liquid_control.learn.stretches import Stamps, Stretch, Values, clipped
from liquid_control.runtime.contract import IMU_SIZE

# Files of an episode's directory; what the first says is repeated in the dataset's manifest.
FACTS_FILE = 'episode.json'
SIGNALS_FILE = 'signals.npz'
IMAGES_FILE = 'images.u8'


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
        stretches: who drove, from `start_ns` to `end_ns` without a gap.
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
    stretches: tuple[Stretch, ...]
    start_ns: int
    end_ns: int

    @property
    def duration(self) -> float:
        """s."""
        return (self.end_ns - self.start_ns) / 1e9

    def within(self, start_ns: int, end_ns: int) -> Episode:
        """The same episode, between two stamps only."""
        start_ns, end_ns = max(start_ns, self.start_ns), min(end_ns, self.end_ns)
        stretches = clipped(self.stretches, start_ns, end_ns)
        return replace(self, start_ns=start_ns, end_ns=end_ns, stretches=stretches)

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
        return self.within(int(self.image_ns[first]), last_ns)


def open_episode(folder: Path, signals: Signals) -> Episode:
    """Open a directory that `liquid_control.learn.ingest` wrote for these signals."""
    facts = json.loads((folder / FACTS_FILE).read_text())
    with np.load(folder / SIGNALS_FILE) as file:
        arrays = {name: file[name] for name in file.files}
    image = signals.image
    frames: NDArray[np.uint8] = np.zeros((0, 1, 1, 3), np.uint8)
    if image is not None:
        shape = (facts['counts']['image'], image.height, image.width, 3)
        frames = np.memmap(folder / IMAGES_FILE, np.uint8, 'r', shape=shape)
    return Episode(
        name=facts['bag'],
        digest=facts['digest'],
        images=frames,
        image_rows=arrays['image'].astype(np.int64),
        image_ns=arrays['image_ns'],
        imu=arrays['imu'].reshape(-1, IMU_SIZE),
        imu_ns=arrays['imu_ns'],
        speed=arrays['speed'].reshape(-1, 1),
        speed_ns=arrays['speed_ns'],
        commands=arrays['command'],
        command_ns=arrays['command_ns'],
        stretches=tuple(Stretch(**stretch) for stretch in facts['stretches']),
        start_ns=facts['start_ns'],
        end_ns=facts['end_ns'],
    )
