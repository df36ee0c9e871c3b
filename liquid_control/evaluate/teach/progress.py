# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How far a lesson is: kept in its folder, so that it goes on after an interruption."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from liquid_control.common.errors import ConfigError
from liquid_control.common.files import write_atomically

FILE = 'lesson.json'


@dataclass
class LessonProgress:
    """Of one lesson."""

    seed: int
    """Of the track."""
    wanted: int
    """Laps by hand before the next training."""
    episodes: dict[str, int] = field(default_factory=dict)
    """What a person drove: path from the lesson's folder -> whole laps in it."""
    left_out: int = 0
    """Laps by hand that left the road: nothing is learnt from them."""
    waits: list[float] = field(default_factory=list)
    """From a last lap by hand until its policy was ready, for each training, s."""
    reason: str = ''
    """Why the last policy did not drive its laps."""

    @property
    def laps(self) -> int:
        """Driven by hand so far."""
        return sum(self.episodes.values())

    def save(self, folder: Path) -> None:
        """Write it. Raises OSError."""
        write_atomically(folder / FILE, json.dumps(asdict(self), indent=2) + '\n')


def open_progress(folder: Path, seed: int, laps: int) -> LessonProgress:
    """What a folder holds, or a lesson that begins in an empty one.

    Raises:
        ConfigError: the folder holds something else, or a lesson on another track.
        OSError: it cannot be read.
    """
    file = folder / FILE
    if not file.exists():
        if any(folder.iterdir()):
            raise ConfigError(f'{folder} is not empty and holds no {FILE}: name another directory')
        return LessonProgress(seed, laps)
    try:
        progress = LessonProgress(**json.loads(file.read_text()))
        whole = all(isinstance(each, int) for each in (progress.seed, progress.laps))
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f'{file} is damaged: begin a new lesson') from error
    if not whole or progress.seed != seed:
        raise ConfigError(
            f'{folder} holds a lesson on track {progress.seed}: go on with --seed '
            f'{progress.seed}, or name another directory'
        )
    return progress
