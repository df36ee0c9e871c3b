# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""`liquid-control drive`: simulator, policy node and recorder as processes, and a report.

The robot does its task under simulated time, paced to real time; what is told of the drive is read
from its recording.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from liquid_control.common.assets import SIMULATED, find_bundle, policy_of
from liquid_control.common.errors import ConfigError, LiquidControlError
from liquid_control.common.files import make_directory
from liquid_control.common.jobs import terminated_as_interrupted
from liquid_control.common.packages import explained
from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.closed_loop.courses import Course, open_course, robot_of
from liquid_control.evaluate.closed_loop.domains import isolated_environment
from liquid_control.evaluate.closed_loop.processes import Children, ProcessError
from liquid_control.evaluate.closed_loop.record import AUTONOMOUS, read_drive, summary
from liquid_control.evaluate.errors import DriveError
from liquid_control.rollout.tasks import task_kind
from liquid_control.sim.difficulty import read_strength

SIMULATOR, POLICY, RECORDER = 'simulator_node', 'policy_node', 'recorder_node'
VIEW = 'view_node'
PORT = 8080
"""Of the page, as config/view.yaml has it."""

_START_TIMEOUT = 60.0  # s of wall time for a node to answer; imports are slow on a busy machine
_LOOK_AROUND = 2.0  # s of wall time; nodes make themselves known every second (config/fastdds.xml)
_STOP_TIMEOUT = 10.0  # s of wall time for the robot to come to rest
_SILENCE = 15.0  # s of wall time without news of the robot


@dataclass(frozen=True)
class DriveOptions:
    """One drive."""

    policy: str
    """Bundle: a directory, or a shipped name; '': the one shipped for the robot."""
    seed: int
    """Of the world."""
    laps: int
    """Of the car."""
    rate: float
    """Control rate, Hz; 0: the one that the policy was trained at."""
    out: Path | None = None
    """Directory to make; out/drive/<stamp> where None."""
    view: bool = False
    """Serve the page, from which a person may stop, take over and engage again."""
    robot: str = ''
    """'': the one that the policy commands; the car where there is no policy either."""
    port: int = PORT
    """Of the page."""
    difficulty: tuple[str, ...] = ()
    """Of the world, as NAME=STRENGTH; presets too."""

    def __post_init__(self) -> None:
        if self.laps < 1:
            raise ConfigError(f'--laps must be >= 1, found {self.laps}')
        if self.rate and not 1 <= self.rate <= 1000:
            raise ConfigError(f'--rate must be within 1..1000 Hz, found {self.rate:g}')
        if self.seed < 0:
            raise ConfigError(f'--seed must be >= 0, found {self.seed}')
        if self.robot and self.robot not in SIMULATED:
            raise ConfigError(
                f'--robot must be one of {", ".join(SIMULATED)}, found {self.robot!r}'
            )


@dataclass(frozen=True)
class DriveOutcome:
    """How a drive ended."""

    reason: str
    """Why it counts as failed; '' when the robot has done its task."""
    real_time_factor: float


def drive(options: DriveOptions, console: Console) -> str:
    """Drive, report, and return why the drive counts as failed, '' when it does not.

    Raises:
        LiquidControlError: the drive could not begin or its recording could not be read.
    """
    for package in ('rclpy', 'liquid_control.msg', 'mujoco', *(['nicegui'] * options.view)):
        if importlib.util.find_spec(package) is None:
            raise explained(ModuleNotFoundError(name=package))
    bundle = find_bundle(options.policy or policy_of(options.robot or 'car')).resolve()
    robot = robot_of(load_bundle(bundle).contract.command_names)
    if options.robot not in ('', robot):
        raise ConfigError(
            f'--robot is {options.robot}, policy {bundle.name} commands the {robot}: leave '
            '--robot out, or name a policy of that robot'
        )
    kind = task_kind(robot)
    strength = read_strength(options.difficulty, kind.difficulties, kind.presets)
    course = open_course(
        robot, options.seed, options.laps, patient=options.view, difficulty=strength
    )
    if options.view:
        require_free(options.port)
    environment = isolated_environment()
    if os.environ.get('ROS_DOMAIN_ID'):  # else the domain is nobody else's
        require_no_other(environment)
    try:
        out = make_directory(str(options.out or 'out/drive/{stamp}')).resolve()
        if any(out.iterdir()):
            raise ConfigError(f'{out} is not empty: name another directory')
        parameters = out / 'parameters.yaml'
        parameters.write_text(
            yaml.safe_dump(_parameters(options, robot, bundle, out / 'recording'))
        )
    except OSError as error:
        raise DriveError(f'cannot write to {error.filename}: {error.strerror}') from error
    with terminated_as_interrupted(), Children(out / 'log', environment) as children:
        outcome = _run(options, course, children, parameters, environment, console)
    try:
        _report(options.seed, course, outcome, out, console)
    except (LiquidControlError, OSError) as error:
        if not outcome.reason:
            raise DriveError(f'no report: {error}') from error
        return f'{outcome.reason}; no report: {error}'
    return outcome.reason


def address(port: int) -> str:
    """Of the page."""
    return f'http://localhost:{port}/'


def require_free(port: int) -> None:
    """Refuse a port that has a page already: at once, not when all processes are up."""
    try:
        socket.create_server(('127.0.0.1', port)).close()
    except OSError as error:
        raise ConfigError(
            f'the page cannot be served on port {port}: {error.strerror}; '
            'end what serves there, or choose another with --port'
        ) from error


def require_no_other(environment: dict[str, str]) -> None:
    """Refuse a ROS domain that has a drive, however it was started."""
    os.environ.update(environment)
    from liquid_control.evaluate.closed_loop.monitor import nodes_present

    found = nodes_present({f'/{name}' for name in (SIMULATOR, POLICY, RECORDER)}, _LOOK_AROUND)
    if found:
        raise DriveError(
            f'ROS domain {environment["ROS_DOMAIN_ID"]} has {", ".join(found)} already: end them, '
            'or unset ROS_DOMAIN_ID and this drive takes a free domain'
        )


def _parameters(
    options: DriveOptions, robot: str, bundle: Path, recordings: Path
) -> dict[str, Any]:
    nodes: dict[str, dict[str, Any]] = {
        SIMULATOR: {
            'robot': robot,
            'seed': options.seed,
            **({'difficulty': list(options.difficulty)} if options.difficulty else {}),
        },
        POLICY: {
            'use_sim_time': True,
            'policy': str(bundle),
            'robot': f'simulated_{robot}',
            'control_rate': float(options.rate),
        },
        RECORDER: {
            'use_sim_time': True,
            'output_directory': str(recordings),
            'robot': f'simulated_{robot}',
            # A person who stops and goes on does not end the recording.
            **({'start_on': 'activate'} if options.view else {}),
        },
        **({VIEW: {'use_sim_time': True, 'port': options.port}} if options.view else {}),
    }
    return {name: {'ros__parameters': values} for name, values in nodes.items()}


def _run(
    options: DriveOptions,
    course: Course,
    children: Children,
    parameters: Path,
    environment: dict[str, str],
    console: Console,
) -> DriveOutcome:
    """Start everything, drive, and bring the robot to rest."""
    arguments = ['--ros-args', '--params-file', str(parameters)]
    remap = ['-r', 'image_raw:=/camera/image_raw']
    if options.view:
        children.start(VIEW, 'liquid_control.nodes.view.node', [*arguments, *remap])
        console.print(f'the page: {address(options.port)}', highlight=False)
    # They end in this order: the robot brakes and the bag is closed while time still passes.
    children.start(POLICY, 'liquid_control.nodes.policy.node', [*arguments, *remap])
    children.start(RECORDER, 'liquid_control.nodes.recorder.node', arguments)
    children.start(SIMULATOR, 'liquid_control.nodes.simulator.node', arguments)
    # Importing ROS takes its time; by now the processes do so too.
    from liquid_control.evaluate.closed_loop.monitor import DriveMonitor, monitoring

    os.environ.update(environment)
    with monitoring(DriveMonitor, children, course) as monitor:
        with console.status('starting the simulator ...') as status:
            monitor.wait(lambda: monitor.status is not None, _START_TIMEOUT, 'no odometry came')
            status.update('starting the recorder ...')
            monitor.activate(RECORDER, _START_TIMEOUT)
            status.update('loading the policy ...')
            monitor.activate(POLICY, _START_TIMEOUT)
            monitor.engage(_START_TIMEOUT)
        outcome = _follow(course, monitor, options.view, console)
        # The drive is over; whatever goes wrong now does not change how it went.
        with suppress(ProcessError):
            monitor.disengage(_STOP_TIMEOUT)
        return outcome


def _follow(course: Course, monitor: Any, view: bool, console: Console) -> DriveOutcome:
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
            reason = reason or _verdict(course, monitor, view)
            line.update(_progress(course, monitor))
    return DriveOutcome(reason, monitor.simulated / (time.monotonic() - started))


def _verdict(course: Course, monitor: Any, view: bool) -> str | None:
    """Why the drive is over: '' when the robot has done its task, None when it goes on."""
    if monitor.silence > _SILENCE:
        return f'no odometry came for {_SILENCE:.0f} s'
    if monitor.status is None:
        return None
    verdict = course.verdict(monitor.status)
    if view:
        return verdict  # a person may stop it, drive, and engage again; Ctrl-C ends it
    if verdict is None and monitor.mode != AUTONOMOUS:
        return f'the policy node stopped the {course.robot}: {monitor.reason}'
    return verdict


def _progress(course: Course, monitor: Any) -> Text:
    if monitor.status is None:
        return Text('no odometry yet')
    head, rest = course.progress(monitor.status)
    return Text.assemble((head, 'bold'), f'{rest}   control {monitor.control_rate:5.2f} Hz')


def _report(seed: int, course: Course, outcome: DriveOutcome, out: Path, console: Console) -> None:
    """Write summary, figures and page from the recording; print the table."""
    from liquid_control.evaluate.report.drive_report import rows, write_report

    episodes = sorted((out / 'recording').glob('episode_*'))
    if not episodes:
        raise ProcessError(f'nothing was recorded; see {out}/log/{RECORDER}.log')
    record = read_drive(episodes[-1], course)
    figures = summary(record, seed=seed, real_time_factor=outcome.real_time_factor, folder=out)
    (out / 'summary.json').write_text(json.dumps(figures, indent=2) + '\n')
    page = out / 'report.html'
    write_report(
        record,
        figures,
        reason=outcome.reason.replace(f'{out}/', ''),  # a page is given away: no absolute paths
        page=page,
        trajectory=out / 'trajectory.png',
    )
    table = Table(title=f'{figures["policy"]} on {course.name}', show_header=False)
    for name, value in rows(course, figures):
        table.add_row(name, value)
    console.print(table)
    console.print(f'report: {page}', soft_wrap=True, highlight=False)
