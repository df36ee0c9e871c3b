"""`liquid-control drive`: simulator, policy node and recorder as processes, and a report.

The car drives its laps under simulated time, paced to real time; what is told of the drive is read
from its recording.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from liquid_control.common.assets import find_bundle
from liquid_control.common.errors import ConfigError, LiquidControlError
from liquid_control.common.files import make_directory
from liquid_control.common.packages import explained
from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.closed_loop.domains import isolated_environment
from liquid_control.evaluate.closed_loop.processes import Children, ProcessError
from liquid_control.evaluate.closed_loop.record import AUTONOMOUS, read_drive, summary
from liquid_control.evaluate.errors import DriveError
from liquid_control.sim.track import generate_track

SIMULATOR, POLICY, RECORDER = 'simulator_node', 'policy_node', 'recorder_node'
VIEW = 'view_node'
ADDRESS = 'http://localhost:8080/'
"""Of the page, as config/view.yaml has it."""

_START_TIMEOUT = 60.0  # s of wall time for a node to answer; imports are slow on a busy machine
_LOOK_AROUND = 2.0  # s of wall time; nodes make themselves known every second (config/fastdds.xml)
_STOP_TIMEOUT = 10.0  # s of wall time for the car to come to rest
_SILENCE = 15.0  # s of wall time without news of the car
_SLOWEST = 0.3  # m/s; a car slower than this on average does not finish


@dataclass(frozen=True)
class DriveOptions:
    """One drive."""

    policy: str
    """Bundle: a directory, or a shipped name."""
    seed: int
    """Of the track."""
    laps: int
    rate: float
    """Control rate, Hz."""
    out: Path | None = None
    """Directory to make; out/drive/<stamp> where None."""
    view: bool = False
    """Serve the page, from which a person may stop, take over and engage again."""

    def __post_init__(self) -> None:
        if self.laps < 1:
            raise ConfigError(f'--laps must be >= 1, found {self.laps}')
        if not 1 <= self.rate <= 1000:
            raise ConfigError(f'--rate must be within 1..1000 Hz, found {self.rate:g}')
        if self.seed < 0:
            raise ConfigError(f'--seed must be >= 0, found {self.seed}')


@dataclass(frozen=True)
class DriveOutcome:
    """How a drive ended."""

    reason: str
    """Why it counts as failed; '' when the car finished its laps on the road."""
    real_time_factor: float


def drive(options: DriveOptions, console: Console) -> str:
    """Drive, report, and return why the drive counts as failed, '' when it does not.

    Raises:
        LiquidControlError: the drive could not begin or its recording could not be read.
    """
    for package in ('rclpy', 'liquid_control.msg', 'mujoco', *(['nicegui'] * options.view)):
        if importlib.util.find_spec(package) is None:
            raise explained(ModuleNotFoundError(name=package))
    bundle = find_bundle(options.policy).resolve()
    load_bundle(bundle)
    environment = isolated_environment()
    if os.environ.get('ROS_DOMAIN_ID'):  # else the domain is nobody else's
        _require_no_other(environment)
    try:
        out = make_directory(str(options.out or 'out/drive/{stamp}')).resolve()
        if any(out.iterdir()):
            raise ConfigError(f'{out} is not empty: name another directory')
        parameters = out / 'parameters.yaml'
        parameters.write_text(yaml.safe_dump(_parameters(options, bundle, out / 'recording')))
    except OSError as error:
        raise DriveError(f'cannot write to {error.filename}: {error.strerror}') from error
    with _terminated_as_interrupted(), Children(out / 'log', environment) as children:
        outcome = _run(options, children, parameters, environment, console)
    try:
        _report(options, outcome, out, console)
    except (LiquidControlError, OSError) as error:
        if not outcome.reason:
            raise DriveError(f'no report: {error}') from error
        return f'{outcome.reason}; no report: {error}'
    return outcome.reason


def _require_no_other(environment: dict[str, str]) -> None:
    """Refuse a ROS domain that has a drive, however it was started."""
    os.environ.update(environment)
    from liquid_control.evaluate.closed_loop.monitor import nodes_present

    found = nodes_present({f'/{name}' for name in (SIMULATOR, POLICY, RECORDER)}, _LOOK_AROUND)
    if found:
        raise DriveError(
            f'ROS domain {environment["ROS_DOMAIN_ID"]} has {", ".join(found)} already: end them, '
            'or unset ROS_DOMAIN_ID and this drive takes a free domain'
        )


def _parameters(options: DriveOptions, bundle: Path, recordings: Path) -> dict[str, Any]:
    nodes: dict[str, dict[str, Any]] = {
        SIMULATOR: {'seed': options.seed},
        POLICY: {
            'use_sim_time': True,
            'policy': str(bundle),
            'control_rate': float(options.rate),
        },
        RECORDER: {
            'use_sim_time': True,
            'output_directory': str(recordings),
            'robot': 'simulated_car',
            # A person who stops and goes on does not end the recording.
            **({'start_on': 'activate'} if options.view else {}),
        },
        **({VIEW: {'use_sim_time': True}} if options.view else {}),
    }
    return {name: {'ros__parameters': values} for name, values in nodes.items()}


def _run(
    options: DriveOptions,
    children: Children,
    parameters: Path,
    environment: dict[str, str],
    console: Console,
) -> DriveOutcome:
    """Start everything, drive, and bring the car to rest."""
    arguments = ['--ros-args', '--params-file', str(parameters)]
    remap = ['-r', 'image_raw:=/camera/image_raw']
    if options.view:
        children.start(VIEW, 'liquid_control.nodes.view.node', [*arguments, *remap])
        console.print(f'the page: {ADDRESS}')
    # They end in this order: the car brakes and the bag is closed while time still passes.
    children.start(POLICY, 'liquid_control.nodes.policy.node', [*arguments, *remap])
    children.start(RECORDER, 'liquid_control.nodes.recorder.node', arguments)
    children.start(SIMULATOR, 'liquid_control.nodes.simulator.node', arguments)
    # Importing ROS takes its time; by now the processes do so too.
    from liquid_control.evaluate.closed_loop.monitor import monitoring

    track = generate_track(options.seed)
    os.environ.update(environment)
    with monitoring(children, track) as monitor:
        with console.status('starting the simulator ...') as status:
            monitor.wait(lambda: monitor.status is not None, _START_TIMEOUT, 'no odometry came')
            status.update('starting the recorder ...')
            monitor.activate(RECORDER, _START_TIMEOUT)
            status.update('loading the policy ...')
            monitor.activate(POLICY, _START_TIMEOUT)
            monitor.engage(_START_TIMEOUT)
        outcome = _follow(options, monitor, track.length, console)
        # The drive is over; whatever goes wrong now does not change how it went.
        with suppress(ProcessError):
            monitor.disengage(_STOP_TIMEOUT)
        return outcome


def _follow(options: DriveOptions, monitor: Any, lap: float, console: Console) -> DriveOutcome:
    """Show the drive until it ends, one way or another."""
    monitor.restart_judge()
    started = time.monotonic()
    reason = None
    with Live(console=console, transient=True, refresh_per_second=5) as line:
        while reason is None:
            try:
                monitor.look()
            except ProcessError as error:
                reason = str(error)
            reason = reason or _verdict(options, monitor, lap)
            line.update(_progress(options, monitor, lap))
    simulated = monitor.status.stamp_ns / 1e9 if monitor.status is not None else 0.0
    return DriveOutcome(reason, simulated / (time.monotonic() - started))


def _verdict(options: DriveOptions, monitor: Any, lap: float) -> str | None:
    """Why the drive is over: '' when the car has finished, None when it goes on."""
    status = monitor.status
    if monitor.silence > _SILENCE:
        return f'no odometry came for {_SILENCE:.0f} s'
    if status is None:
        return None
    if status.departures:
        return (
            f'the car left the road {status.place.station:.1f} m into lap '
            f'{len(status.lap_times) + 1}'
        )
    if len(status.lap_times) >= options.laps:
        return ''
    if options.view:
        return None  # a person may stop it, drive, and engage again; Ctrl-C ends it
    if monitor.mode != AUTONOMOUS:
        return f'the policy node stopped the car: {monitor.reason}'
    if status.stamp_ns / 1e9 > options.laps * lap / _SLOWEST:
        return f'the car did not finish at {_SLOWEST} m/s or more'
    return None


def _progress(options: DriveOptions, monitor: Any, lap: float) -> Text:
    status = monitor.status
    if status is None:
        return Text('no odometry yet')
    number = min(len(status.lap_times) + 1, options.laps)
    share = min(max(status.progress / lap - (number - 1), 0.0), 1.0)
    return Text.assemble(
        (f'lap {number}/{options.laps}', 'bold'),
        f' {share:4.0%}   {status.motion.speed:4.2f} m/s   '
        f'{100 * status.place.offset:+5.1f} cm from the centre   '
        f'control {monitor.control_rate:5.2f} Hz',
    )


def _report(options: DriveOptions, outcome: DriveOutcome, out: Path, console: Console) -> None:
    """Write summary, pictures and page from the recording; print the table."""
    from liquid_control.evaluate.report.drive_report import rows, write_report

    episodes = sorted((out / 'recording').glob('episode_*'))
    if not episodes:
        raise ProcessError(f'nothing was recorded; see {out}/log/{RECORDER}.log')
    record = read_drive(episodes[-1], options.seed)
    figures = summary(
        record, seed=options.seed, real_time_factor=outcome.real_time_factor, folder=out
    )
    (out / 'summary.json').write_text(json.dumps(figures, indent=2) + '\n')
    page = out / 'report.html'
    write_report(
        record,
        figures,
        reason=outcome.reason.replace(f'{out}/', ''),  # a page is given away: no absolute paths
        page=page,
        trajectory=out / 'trajectory.png',
    )
    table = Table(title=f'{figures["policy"]} on track {options.seed}', show_header=False)
    for name, value in rows(figures):
        table.add_row(name, value)
    console.print(table)
    console.print(f'report: {page}', soft_wrap=True, highlight=False)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a drive like Ctrl-C: with everything put away."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
