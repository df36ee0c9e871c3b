"""Expert drives as rosbag2 recordings: the topics that a robot records, faster than life.

One bag for each seed, `seed_0007/` and so on, with the camera (JPEG), the IMU, the odometry and
the expert's commands; see `liquid_control.rollout.messages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from liquid_control.bags.writer import BagWriter
from liquid_control.common.errors import ConfigError
from liquid_control.common.jobs import CancelledError, IsCancelled, run_all
from liquid_control.rollout import messages
from liquid_control.rollout.disturbance import (
    MAX_START_HEADING_ERROR,
    MAX_START_OFFSET,
    Disturbance,
)
from liquid_control.rollout.expert import Expert
from liquid_control.rollout.recording import is_recorded, recording
from liquid_control.sim.robots import IMU_RATE, CarSimulator, simulate_car
from liquid_control.sim.simulator import HELD_OUT_SEEDS, SELECTION_SEEDS
from liquid_control.sim.track_world import TrackWorld

COMMAND_RATE = 50
"""Hz: finer than any control rate, so that every tick finds a command for its own pose."""

_PERIOD_NS = 10**9 // COMMAND_RATE


def check_seed(seed: int) -> None:
    """Raise ConfigError for a seed whose world must not become training data."""
    if seed < 0:
        raise ConfigError(f'a seed must be >= 0, found {seed}')
    if seed in HELD_OUT_SEEDS + SELECTION_SEEDS:
        raise ConfigError(
            f'seed {seed} is held out for judging policies and must not become training '
            f'data: choose others than {HELD_OUT_SEEDS + SELECTION_SEEDS}'
        )


@dataclass(frozen=True)
class Drive:
    """One recording to make.

    seconds: simulated duration
    disturb: start off the centre line and push the car around on the way
    randomise: let the seed choose the look of the world
    """

    seed: int
    seconds: float = 40.0
    disturb: bool = True
    randomise: bool = True

    def __post_init__(self) -> None:
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
        return {key: str(value) for key, value in asdict(self).items()}


def collect(
    seeds: Sequence[int],
    out_dir: Path | str,
    *,
    seconds: float = 40.0,
    disturb: bool = True,
    randomise: bool = True,
    workers: int = 2,
) -> list[Path]:
    """Record an expert drive for each seed; return the bags' directories in the order of seeds.

    Bags that are already there are kept, so that an interrupted collection goes on where it
    stopped; Ctrl-C leaves the finished bags alone.

    Args:
        out_dir: where the bags' directories are made.
        seconds: simulated duration of each drive.
        disturb: show recoveries too: off-centre starts, pushes on the way.
        randomise: let each seed choose the look of its world.
        workers: processes.

    Raises:
        ConfigError: a seed is held out for evaluation, or a bag in `out_dir` was recorded with
            other settings.
        RenderingError: this machine cannot render.
    """
    drives = [Drive(seed, seconds, disturb, randomise) for seed in seeds]
    out_dir = Path(out_dir)
    missing = [
        drive for drive in drives if not is_recorded(out_dir / drive.name, drive.custom_data)
    ]
    run_all(
        partial(_work, out_dir),
        missing,
        title='expert drives',
        workers=workers,
        done=len(drives) - len(missing),
    )
    return [out_dir / drive.name for drive in drives]


def record(drive: Drive, out_dir: Path, *, is_cancelled: IsCancelled = lambda: False) -> Path:
    """Record one drive; return its bag's directory. An unfinished one in its place is replaced.

    Raises:
        CancelledError: `is_cancelled` returned True on the way; nothing is left of the bag.
    """
    path = out_dir / drive.name
    difficulty = None if drive.randomise else dict.fromkeys(TrackWorld.difficulties, 0.0)
    with (
        simulate_car(drive.seed, difficulty=difficulty) as simulator,
        recording(path, drive.custom_data) as writer,
    ):
        for topic, msgtype in messages.TYPES.items():
            writer.add_topic(topic, msgtype)
        for _ in _drive(drive, simulator, writer):
            if is_cancelled():
                raise CancelledError
    return path


def _drive(drive: Drive, simulator: CarSimulator, writer: BagWriter) -> Iterator[None]:
    """Record the drive, one command period at a time."""
    rng = np.random.default_rng([drive.seed, 7])
    expert, disturbance = Expert(simulator.world.track), Disturbance(rng)
    if drive.disturb:
        simulator.reset(
            simulator.world.pose_at(
                station=rng.uniform(0.0, simulator.world.track.length),
                offset=rng.uniform(-MAX_START_OFFSET, MAX_START_OFFSET),
                heading_error=rng.uniform(-MAX_START_HEADING_ERROR, MAX_START_HEADING_ERROR),
            )
        )
    while simulator.time_ns < drive.seconds * 1e9:
        stamp_ns = simulator.time_ns
        command = actuated = expert.command(simulator.motion)
        writer.write_message(messages.COMMAND_TOPIC, messages.describe_command(command), stamp_ns)
        if drive.disturb:
            actuated = disturbance.apply(command, simulator.status.place, stamp_ns)
        for sample in simulator.step(actuated, _PERIOD_NS):
            topic, values = messages.describe(sample, IMU_RATE)
            writer.write_message(topic, values, sample.stamp_ns)
        yield


def _work(out_dir: Path, drive: Drive, is_cancelled: IsCancelled) -> Path:
    return record(drive, out_dir, is_cancelled=is_cancelled)
