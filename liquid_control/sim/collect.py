"""Expert drives as rosbag2 recordings: the topics that a robot records, faster than life.

One bag for each seed, `seed_0007/` and so on, with the camera (JPEG), the IMU, the odometry and
the expert's commands; see `liquid_control.sim.messages`.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import yaml
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from liquid_control.bags.metadata import FILE_NAME as METADATA
from liquid_control.bags.writer import BagWriter
from liquid_control.runtime.errors import ConfigError
from liquid_control.sim import messages
from liquid_control.sim.disturbance import (
    MAX_START_HEADING_ERROR,
    MAX_START_OFFSET,
    Disturbance,
)
from liquid_control.sim.expert import Expert
from liquid_control.sim.simulator import HELD_OUT_SEEDS, IMU_RATE, Simulator

COMMAND_RATE = 50
"""Hz: finer than any control rate, so that every tick finds a command for its own pose."""

_PERIOD_NS = 10**9 // COMMAND_RATE


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
        if self.seed < 0:
            raise ConfigError(f'a seed must be >= 0, found {self.seed}')
        if self.seed in HELD_OUT_SEEDS:
            raise ConfigError(
                f'seed {self.seed} is held out for judging policies and must not become training '
                f'data: choose others than {HELD_OUT_SEEDS}'
            )

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
    missing = [drive for drive in drives if not _is_recorded(drive, out_dir)]
    # Spawned, not forked: OpenGL and threads do not survive a fork.
    processes = multiprocessing.get_context('spawn')
    cancelled = processes.Event()
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, TimeRemainingColumn()) as progress,
        ProcessPoolExecutor(
            workers, processes, initializer=_begin_worker, initargs=(cancelled,)
        ) as pool,
    ):
        task = progress.add_task('expert drives', total=len(drives))
        progress.advance(task, len(drives) - len(missing))
        try:
            for done in as_completed([pool.submit(_work, drive, out_dir) for drive in missing]):
                done.result()
                progress.advance(task)
        except BaseException:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [out_dir / drive.name for drive in drives]


class CancelledError(Exception):
    """A drive was broken off because its recording is no longer wanted."""


def record(
    drive: Drive, out_dir: Path, *, is_cancelled: Callable[[], bool] = lambda: False
) -> Path:
    """Record one drive; return its bag's directory. An unfinished one in its place is replaced.

    Raises:
        CancelledError: `is_cancelled` returned True on the way; nothing is left of the bag.
    """
    path = out_dir / drive.name
    shutil.rmtree(path, ignore_errors=True)
    with Simulator(drive.seed, randomise=drive.randomise) as simulator:
        writer = BagWriter(path, custom_data=drive.custom_data)
        try:
            for topic, msgtype in messages.TYPES.items():
                writer.add_topic(topic, msgtype)
            for _ in _drive(drive, simulator, writer):
                if is_cancelled():
                    raise CancelledError
            writer.close()
        except BaseException:
            # Only a finished drive may look like one: see _is_recorded.
            shutil.rmtree(path, ignore_errors=True)
            raise
    return path


def _drive(drive: Drive, simulator: Simulator, writer: BagWriter) -> Iterator[None]:
    """Record the drive, one command period at a time."""
    rng = np.random.default_rng([drive.seed, 7])
    expert, disturbance = Expert(simulator.track), Disturbance(rng)
    if drive.disturb:
        simulator.reset(
            station=rng.uniform(0.0, simulator.track.length),
            offset=rng.uniform(-MAX_START_OFFSET, MAX_START_OFFSET),
            heading_error=rng.uniform(-MAX_START_HEADING_ERROR, MAX_START_HEADING_ERROR),
        )
    while simulator.time_ns < drive.seconds * 1e9:
        stamp_ns = simulator.time_ns
        command = actuated = expert.command(simulator.motion)
        writer.write_message(messages.COMMAND_TOPIC, messages.describe_command(command), stamp_ns)
        if drive.disturb:
            actuated = disturbance.apply(command, simulator.status.place, stamp_ns)
        for observation in simulator.step(actuated, _PERIOD_NS):
            topic, values = messages.describe(observation, IMU_RATE)
            writer.write_message(topic, values, observation.stamp_ns)
        yield


def _is_recorded(drive: Drive, out_dir: Path) -> bool:
    """Whether the drive's bag is there and finished: metadata.yaml is written last.

    Raises:
        ConfigError: there is one, but of a drive with other settings.
    """
    path = out_dir / drive.name / METADATA
    if not path.is_file():
        return False
    found = yaml.safe_load(path.read_text())['rosbag2_bagfile_information'].get('custom_data')
    if found != drive.custom_data:
        raise ConfigError(
            f'{path.parent} was recorded with {found}, wanted {drive.custom_data}: '
            'name another directory or remove it'
        )
    return True


_cancelled: Event
"""Set by the parent when the worker process shall break off."""


def _begin_worker(cancelled: Event) -> None:
    """Leave Ctrl-C to the parent, which then cancels."""
    global _cancelled
    _cancelled = cancelled
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(drive: Drive, out_dir: Path) -> None:
    if not _cancelled.is_set():
        with suppress(CancelledError):
            record(drive, out_dir, is_cancelled=_cancelled.is_set)
