# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The processes of a lesson: simulator, policy node, recorder and page, as in a drive.

Until there is a policy of one's own, the policy node only passes the hand's commands on.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from liquid_control.common.assets import find_bundle, policy_of
from liquid_control.common.errors import ConfigError
from liquid_control.common.files import make_directory
from liquid_control.common.jobs import terminated_as_interrupted
from liquid_control.common.packages import explained
from liquid_control.evaluate.closed_loop.courses.track import TrackCourse
from liquid_control.evaluate.closed_loop.domains import isolated_environment
from liquid_control.evaluate.closed_loop.drive import (
    POLICY,
    PORT,
    RECORDER,
    SIMULATOR,
    VIEW,
    address,
    require_free,
    require_no_other,
)
from liquid_control.evaluate.closed_loop.processes import Children
from liquid_control.evaluate.errors import DriveError
from liquid_control.evaluate.teach.progress import LessonProgress, open_progress

_START_TIMEOUT = 60.0  # s of wall time for a node to answer; imports are slow on a busy machine
_ARGUMENTS = ('--ros-args', '--params-file')
_CAMERA = ('-r', 'image_raw:=/camera/image_raw')


@dataclass(frozen=True)
class TeachOptions:
    """One lesson."""

    seed: int
    """Of the track."""
    laps: int
    """To drive by hand, and then by the policy."""
    out: Path | None = None
    """Directory to make, or of a lesson that goes on; out/teach/<stamp> where None."""
    port: int = PORT
    """Of the page."""
    pace: float = 1.0
    """Simulated seconds per second."""
    top_speed: float = 0.8
    """Of driving by hand, where the page begins, m/s."""
    changes: tuple[str, ...] = ()
    """Of the recipe `teach`, as `train --set` takes them."""

    def __post_init__(self) -> None:
        if not 1 <= self.laps <= 100:
            raise ConfigError(f'--laps must be within 1..100, found {self.laps}')
        if self.seed < 0:
            raise ConfigError(f'--seed must be >= 0, found {self.seed}')
        if not 0.3 <= self.pace <= 10:  # the watchdog takes a slower clock for one that stopped
            raise ConfigError(f'--pace must be within 0.3..10, found {self.pace:g}')
        if not 0.25 <= self.top_speed <= 2.5:  # of the simulated car
            raise ConfigError(f'--top-speed must be within 0.25..2.5, found {self.top_speed:g}')


def teach(options: TeachOptions, console: Console) -> None:
    """Give a lesson, until the person's own policy has driven its laps.

    Raises:
        LiquidControlError: the lesson could not begin, or what it needs has failed.
        KeyboardInterrupt: the person ends it; it can go on later.
    """
    for package in ('rclpy', 'liquid_control.msg', 'mujoco', 'nicegui', 'lightning'):
        if importlib.util.find_spec(package) is None:
            raise explained(ModuleNotFoundError(name=package))
    require_free(options.port)
    bundle = find_bundle(policy_of('car')).resolve()
    environment = isolated_environment()
    if os.environ.get('ROS_DOMAIN_ID'):  # else the domain is nobody else's
        require_no_other(environment)
    try:
        out = make_directory(str(options.out or 'out/teach/{stamp}')).resolve()
        progress = open_progress(out, options.seed, options.laps)
        progress.save(out)
        parameters = out / 'parameters.yaml'
        parameters.write_text(yaml.safe_dump(_parameters(options, bundle, out / 'recording')))
    except OSError as error:
        raise DriveError(f'cannot write to {error.filename}: {error.strerror}') from error
    with terminated_as_interrupted(), Children(out / 'log', environment) as children:
        try:
            _run(options, children, parameters, progress, out, environment, console)
        except KeyboardInterrupt:
            here = Path.cwd()
            shown = out.relative_to(here) if out.is_relative_to(here) else out
            console.print(f'to go on later: --out {shown}', soft_wrap=True, highlight=False)
            raise


def _parameters(options: TeachOptions, bundle: Path, recordings: Path) -> dict[str, Any]:
    timed = {'use_sim_time': True}
    nodes: dict[str, dict[str, Any]] = {
        SIMULATOR: {'seed': options.seed, 'real_time_factor': options.pace},
        POLICY: {**timed, 'policy': str(bundle), 'robot': 'simulated_car'},
        RECORDER: {
            **timed,
            'output_directory': str(recordings),
            'robot': 'simulated_car',
            'start_on': 'request',
        },
        VIEW: {**timed, 'port': options.port, 'top_speed': options.top_speed},
    }
    return {name: {'ros__parameters': values} for name, values in nodes.items()}


def _run(
    options: TeachOptions,
    children: Children,
    parameters: Path,
    progress: LessonProgress,
    out: Path,
    environment: dict[str, str],
    console: Console,
) -> None:
    arguments = [*_ARGUMENTS, str(parameters)]
    # They end in this order: the car brakes and the bag is closed while time still passes.
    children.start(VIEW, 'liquid_control.nodes.view.node', [*arguments, *_CAMERA])
    children.start(POLICY, 'liquid_control.nodes.policy.node', [*arguments, *_CAMERA])
    children.start(RECORDER, 'liquid_control.nodes.recorder.node', arguments)
    children.start(SIMULATOR, 'liquid_control.nodes.simulator.node', arguments)
    # Importing ROS takes its time; by now the processes do so too.
    from liquid_control.evaluate.closed_loop.monitor import monitoring
    from liquid_control.evaluate.teach.lesson import Lesson
    from liquid_control.evaluate.teach.monitor import TeachMonitor

    course = TrackCourse(options.seed, options.laps, patient=True)
    os.environ.update(environment)
    with monitoring(TeachMonitor, children, course) as monitor:
        with console.status('starting ...'):
            monitor.tell('starting ...')
            monitor.wait(lambda: monitor.status is not None, _START_TIMEOUT, 'no odometry came')
            monitor.activate(RECORDER, _START_TIMEOUT)
            monitor.activate(POLICY, _START_TIMEOUT)
        console.print(f'open {address(options.port)}', highlight=False)
        Lesson(monitor, course, options, progress, out, console).run()
