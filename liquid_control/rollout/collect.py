# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Expert drives as rosbag2 recordings: the topics that a robot records, faster than life.

One bag for each seed, `seed_0007/` and so on, with the robot's sensors (a camera as JPEG) and
the expert's commands; see `liquid_control.rollout.messages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from liquid_control.bags.writer import BagWriter
from liquid_control.common.errors import ConfigError
from liquid_control.common.jobs import CancelledError, IsCancelled
from liquid_control.rollout import messages
from liquid_control.rollout.recording import record_missing, recording
from liquid_control.rollout.tasks import Task, open_task, task_kind
from liquid_control.sim.difficulty import check_strength
from liquid_control.sim.simulator import EVALUATION_SEEDS, HELD_OUT_SEEDS, SELECTION_SEEDS


def check_seed(seed: int) -> None:
    """Raise ConfigError for a seed whose world must not become training data."""
    if seed < 0:
        raise ConfigError(f'a seed must be >= 0, found {seed}')
    if seed in HELD_OUT_SEEDS + SELECTION_SEEDS or seed in EVALUATION_SEEDS:
        raise ConfigError(
            f'seed {seed} is held out for judging policies and must not become training '
            f'data: choose others than {HELD_OUT_SEEDS + SELECTION_SEEDS} and '
            f'{EVALUATION_SEEDS.start} to {EVALUATION_SEEDS.stop - 1}'
        )


@dataclass(frozen=True)
class PlannedDrive:
    """One recording to make.

    seconds: simulated duration
    disturb: start where recoveries are to be shown, and push the robot around on the way
    randomise: False takes all difficulty out of the world
    difficulty: strengths of what is harder, or easier, than randomise says
    """

    seed: int
    seconds: float = 40.0
    disturb: bool = True
    randomise: bool = True
    robot: str = 'car'
    difficulty: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = task_kind(self.robot)
        check_strength(self.difficulty, kind.difficulties)
        if held := [name for name in kind.held_out if self.difficulty.get(name)]:
            raise ConfigError(
                f'difficulty {held[0]} is held out for judging policies and must not become '
                'training data: leave it out'
            )
        if self.seconds <= 0.0:
            raise ConfigError(f'seconds must be > 0, found {self.seconds}')
        check_seed(self.seed)

    @property
    def name(self) -> str:
        """Name of the bag's directory."""
        return f'seed_{self.seed:04d}'

    @property
    def custom_data(self) -> dict[str, str]:
        """What metadata.yaml says about the drive."""
        plain = {key: str(value) for key, value in asdict(self).items()}
        if not self.difficulty:
            del plain['difficulty']  # bags of a world as ever are those of every version
        return plain


def collect(
    seeds: Sequence[int],
    out_dir: Path | str,
    *,
    seconds: float | None = None,
    disturb: bool = True,
    randomise: bool = True,
    robot: str = 'car',
    difficulty: Mapping[str, float] = MappingProxyType({}),
    workers: int = 2,
) -> list[Path]:
    """Record an expert drive for each seed; return the bags' directories in the order of seeds.

    Bags that are already there are kept, so that an interrupted collection goes on where it
    stopped; Ctrl-C leaves the finished bags alone.

    Args:
        out_dir: where the bags' directories are made.
        seconds: simulated duration of each drive; None: what is usual for the robot.
        disturb, randomise, robot, difficulty: see `PlannedDrive`.
        workers: processes.

    Raises:
        ConfigError: a seed is held out for evaluation, or a bag in `out_dir` was recorded with
            other settings.
        RenderingError: this machine cannot render.
    """
    seconds = task_kind(robot).seconds if seconds is None else seconds
    harder = dict(sorted(difficulty.items()))
    drives = [PlannedDrive(seed, seconds, disturb, randomise, robot, harder) for seed in seeds]
    return record_missing(_work, drives, Path(out_dir), title='expert drives', workers=workers)


def record(
    drive: PlannedDrive, out_dir: Path, *, is_cancelled: IsCancelled = lambda: False
) -> Path:
    """Record one drive; return its bag's directory. An unfinished one in its place is replaced.

    Raises:
        CancelledError: `is_cancelled` returned True on the way; nothing is left of the bag.
    """
    path = out_dir / drive.name
    easy = dict.fromkeys(task_kind(drive.robot).difficulties, 0.0)
    difficulty = {**({} if drive.randomise else easy), **drive.difficulty}
    with (
        open_task(drive.robot, drive.seed, difficulty) as task,
        recording(path, drive.custom_data) as writer,
    ):
        for topic, msgtype in messages.types_of(task.simulator).items():
            writer.add_topic(topic, msgtype)
        for _ in _drive(drive, task, writer):
            if is_cancelled():
                raise CancelledError
    return path


def _drive(drive: PlannedDrive, task: Task, writer: BagWriter) -> Iterator[None]:
    """Record the drive, one command period at a time."""
    if drive.disturb:
        task.begin(np.random.default_rng([drive.seed, 7]))
    simulator, period_ns = task.simulator, 10**9 // task_kind(drive.robot).command_rate
    while simulator.time_ns < drive.seconds * 1e9 and not task.over:
        stamp_ns = simulator.time_ns
        command = task.expert()
        actuated = task.disturbed(command) if drive.disturb else command
        answer = messages.encode_command(command, stamp_ns)
        writer.write(messages.COMMAND_TOPIC, answer, stamp_ns)
        for sample in simulator.step(actuated, period_ns):
            message = messages.encode(sample)
            writer.write(message.topic, message.data, sample.stamp_ns)
        yield


def _work(out_dir: Path, drive: PlannedDrive, is_cancelled: IsCancelled) -> Path:
    return record(drive, out_dir, is_cancelled=is_cancelled)
