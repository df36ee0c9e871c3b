# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A lesson: laps by hand, training, laps of the policy; and one more by hand where it fails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from liquid_control.evaluate.closed_loop.courses.track import TrackCourse
from liquid_control.evaluate.closed_loop.record import AUTONOMOUS, MANUAL, read_drive
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.teach.progress import LessonProgress
from liquid_control.evaluate.teach.training import Training

if TYPE_CHECKING:
    from liquid_control.evaluate.teach.monitor import TeachMonitor
    from liquid_control.evaluate.teach.teach import TeachOptions

RECIPE = 'teach'

_MEANWHILE = 0.1  # simulated seconds per second while it trains: the nodes would take a core
_STOP_TIMEOUT = 10.0  # s of wall time
_BEYOND = 0.5  # m; what is recorded begins a tick after what is judged: whole laps in it, too
_LEFT_OUT = 'You left the road: drive back by hand, and that lap again, slower if need be'
_FOREVER = float('inf')  # a person takes the time that a person takes


class Lesson:
    """See the module docstring.

    Args:
        monitor: of the running nodes.
        course: the track.
        folder: of the lesson; lesson.json, recordings, policies and the report lie there.
    """

    def __init__(
        self,
        monitor: TeachMonitor,
        course: TrackCourse,
        options: TeachOptions,
        progress: LessonProgress,
        folder: Path,
        console: Console,
    ) -> None:
        self._monitor, self._course, self._options = monitor, course, options
        self._progress, self._folder, self._console = progress, folder, console

    def run(self) -> None:
        """Until a policy has driven its laps. Raises LiquidControlError where it cannot go on."""
        progress = self._progress
        while True:
            while progress.laps < progress.wanted:
                self._drive_lap()
            policy = self._learn()
            recording = self._let_drive()
            self._report(policy, recording)
            if not progress.reason:
                return
            self._say(progress.reason)
            progress.wanted = progress.laps + 1
            progress.save(self._folder)

    def _drive_lap(self) -> None:
        """Record one of the laps that are missing; one that leaves the road does not count."""
        monitor, progress = self._monitor, self._progress
        missing = progress.wanted - progress.laps
        asked = f'Drive {missing} {"more " * bool(progress.laps)}lap{"s" * (missing > 1)} by hand'
        if progress.reason:
            asked = f'{progress.reason}. {asked}, and it learns from all of them'
        self._say(asked)
        monitor.tell(asked)
        monitor.wait(self._driven_on_road, _FOREVER, 'nobody drove')
        name = str(monitor.record().relative_to(self._folder))
        monitor.restart_judge()

        def over(laps: int) -> str | None:
            if monitor.mode == AUTONOMOUS:
                # It would be the shipped policy's driving, or that of the one that failed.
                monitor.disengage(_STOP_TIMEOUT)
                monitor.tell('No policy, please: this lap is to be yours')
            return 'left the road' if monitor.status.departures else None

        if self._follow(1, lambda: asked, over, before=progress.laps):
            monitor.discard_recording()
            progress.left_out += 1
            progress.save(self._folder)
            self._say('You left the road: nothing is learnt from this lap')
            monitor.tell(_LEFT_OUT)
            monitor.wait(self._driven_on_road, _FOREVER, 'nobody drove back')
            return
        monitor.stop_recording()
        progress.episodes[name] = 1
        progress.save(self._folder)

    def _driven_on_road(self) -> bool:
        status = self._monitor.status
        on_road = status is not None and status.place.on_road
        return self._monitor.mode == MANUAL and on_road

    def _learn(self) -> Path:
        """Learn from all that was driven by hand, and put the policy in charge; returns it."""
        progress = self._progress
        policy = self._folder / 'policies' / f'laps_{progress.laps}'
        began = time.monotonic()
        if not policy.exists():
            self._train(policy)
            self._monitor.use(policy)
            progress.waits.append(round(time.monotonic() - began, 1))
            progress.save(self._folder)
            self._say(f'trained: ready {progress.waits[-1]:.0f} s after the last lap by hand')
        else:
            self._monitor.use(policy)
        return policy

    def _train(self, policy: Path) -> None:
        monitor = self._monitor
        episodes = [str(self._folder / name) for name in self._progress.episodes]
        changes = [part for change in self._options.changes for part in ('--set', change)]
        arguments = [*episodes, '--out', str(policy), '--recipe', RECIPE, *changes]
        text, began, said = 'Let go: it learns from what you drove', time.monotonic(), ''
        slowed = False
        self._say(text)
        with Training(arguments, self._folder) as training:
            while training.running:
                monitor.look()
                if not slowed and monitor.mode != MANUAL:
                    slowed = True
                    monitor.pace(_MEANWHILE)
                seconds = time.monotonic() - began
                so_far = f'{seconds:.0f} s, in slow motion'
                monitor.tell(text, training.share, so_far=so_far, at=training.line)
                if said != (said := training.line):
                    self._say(f'  {said}')
            training.require_success()
        monitor.pace(self._options.pace)

    def _let_drive(self) -> Path:
        """Wait until a person engages the policy, and watch its laps; returns the recording."""
        monitor, progress = self._monitor, self._progress
        if not monitor.status.place.on_road:
            back = 'Your policy is ready, the car is beside the road: drive it back by hand'
            self._say(back)
            monitor.tell(back)
            monitor.wait(lambda: monitor.status.place.on_road, _FOREVER, 'it stayed outside')
        asked = 'Your policy is ready: press space (ENGAGE), and it drives'
        self._say(asked)
        waited = f'{progress.waits[-1]:.0f} s after your last lap' if progress.waits else ''
        monitor.tell(asked, ready=waited)
        recording = monitor.record()
        monitor.wait(lambda: monitor.mode == AUTONOMOUS, _FOREVER, 'nobody engaged it')
        monitor.restart_judge()
        progress.reason = self._follow(self._options.laps, self._driving, self._failure)
        if progress.reason:
            monitor.tell(progress.reason)
        else:
            monitor.tell('Your policy has driven its laps', 1.0)
        monitor.disengage(_STOP_TIMEOUT)
        monitor.stop_recording()
        progress.save(self._folder)
        return recording

    def _failure(self, laps: int) -> str | None:
        """Why the policy's drive is over, None while it goes on or waits to be engaged again."""
        monitor, status = self._monitor, self._monitor.status
        if status.departures or not status.place.on_road:  # it may have begun beside it
            return f'It left the road {status.place.station:.0f} m from the start'
        return 'You took over' if monitor.mode == MANUAL else None

    def _driving(self) -> str:
        """What to say of the policy's drive."""
        if self._monitor.mode == AUTONOMOUS:
            return 'Your policy drives'
        return f'It was stopped ({self._monitor.reason}): press space (ENGAGE), and it goes on'

    def _follow(
        self,
        laps: int,
        text: Callable[[], str],
        over: Callable[[int], str | None],
        before: int = 0,
    ) -> str:
        """Until the laps are driven ('') or `over` gives a reason to end before.

        Args:
            text: what to say meanwhile.
            before: laps that were driven already.
        """
        monitor = self._monitor
        while True:
            monitor.look()
            if (status := monitor.status) is None:
                continue
            driven, length = len(status.lap_times), laps * self._course.track.length
            reason = over(driven)
            if status.progress >= length + _BEYOND:
                return ''
            if reason is not None and driven < laps:
                return reason
            share = min(max(status.progress / length, 0.0), 1.0)
            times = ', '.join(f'{seconds:.1f} s' for seconds in status.lap_times)
            lap = f'{before + min(driven + 1, laps)} of {before + laps}'
            monitor.tell(text(), round(share, 2), lap=lap, lap_times=times)

    def _report(self, policy: Path, recording: Path) -> None:
        """Write the page that compares person and policy, and print the table."""
        from liquid_control.evaluate.report.teach_report import rows, summary, write_report

        progress, folder = self._progress, self._folder
        by_hand = [folder / name for name in progress.episodes]
        you = [read_drive(path, self._course, mode=MANUAL) for path in by_hand]
        try:
            it = read_drive(recording, self._course)
        except ReplayError as error:  # it was over before a tick was recorded
            self._say(f'no report: {error}')
            return
        figures: dict[str, Any] = summary(
            you, it, progress.waits, progress.left_out, policy, folder
        )
        (folder / 'summary.json').write_text(json.dumps(figures, indent=2) + '\n')
        page = folder / 'report.html'
        write_report(you, it, figures, reason=progress.reason, page=page)
        table = Table('', 'you', 'your policy')
        for row in rows(figures):
            table.add_row(*row)
        self._console.print(table)
        self._say(f'report: {page}')

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)
