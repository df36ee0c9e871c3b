# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is told of a drive is what its recording holds."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support import drives
from support import recordings as rec
from support.browser import browsing

from liquid_control.evaluate.closed_loop.courses.track import TrackCourse
from liquid_control.evaluate.closed_loop.record import DriveRecord, read_drive, summary
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.report import page
from liquid_control.evaluate.report.drive_report import rows, write_report

HERE = Path.cwd()


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> DriveRecord:
    """18 s by the expert, who needs 16 s for a lap; ticks 5, 6 and 100 were missed."""
    path = tmp_path_factory.mktemp('drive') / 'recording'
    drives.record_drive(path, seed=101, seconds=18.0, missed=(5, 6, 100))
    return read_drive(path, TrackCourse(101, 1))


def test_figures_are_those_of_the_drive(drive: DriveRecord) -> None:
    figures = summary(drive, seed=101, real_time_factor=0.5, folder=HERE)
    assert figures['policy'] == 'expert'
    assert (figures['laps'], figures['off_track'], figures['seed']) == (1, 0, 101)
    assert figures['ticks'] == 18 * 20 - 3
    assert figures['missed'] == 3
    assert figures['rate_hz'] == pytest.approx(20 * (18 * 20 - 4) / (18 * 20 - 1), abs=1e-3)
    assert figures['limited'] == sum(1 for tick in range(20, 380) if tick % 10 == 0) - 1
    assert figures['real_time_factor'] == 0.5
    assert figures['core_ms'] == {'p50': 0.03, 'p99': 0.03}
    assert 0 < figures['lateness_ms']['p50'] < figures['lateness_ms']['p99'] < 2
    lap = figures['lap_times'][0]
    assert drive.course.track.length / 2.0 < lap < drive.course.track.length / 1.5
    assert figures['distance'] == pytest.approx(18 * figures['mean_speed'], rel=0.01)
    assert figures['mean_offset'] <= figures['max_offset'] < 0.1


def test_figures_name_the_recording_from_where_they_lie(drive: DriveRecord) -> None:
    folder = drive.recording.parent
    assert (
        summary(drive, seed=101, real_time_factor=1.0, folder=folder)['recording'] == 'recording'
    )


def test_only_what_the_policy_drove_counts(drive: DriveRecord) -> None:
    standing = 1.0  # before the drive
    assert drive.ticks.stamp_ns[0] == drives.START_NS + (standing + 0.05) * 1e9
    seconds = drive.seconds(drive.path_ns)
    assert seconds[0] >= 0
    assert seconds[-1] <= 18.0
    assert drive.ticks.sent.shape == (len(drive.ticks.stamp_ns), 2)
    assert drive.ticks.neurons.shape == (len(drive.ticks.stamp_ns), drives.NEURONS)
    assert len(drive.frames) == 6
    assert all(frame.shape == (120, 160, 3) for _, frame in drive.frames)
    assert np.all(np.diff([second for second, _ in drive.frames]) > 2)


def test_leaving_the_road_is_counted(tmp_path: Path) -> None:
    path = drives.record_drive(tmp_path / 'recording', seed=102, seconds=4.0, steer_off_at=2.0)
    figures = summary(
        read_drive(path, TrackCourse(102, 1)), seed=102, real_time_factor=1.0, folder=HERE
    )
    assert figures['off_track'] == 1
    assert figures['laps'] == 0
    assert figures['max_offset'] > 0.375


def test_recording_without_a_drive_is_refused(tmp_path: Path) -> None:
    path = drives.record_drive(tmp_path / 'recording', seed=101, seconds=0.0)
    with pytest.raises(ReplayError, match='the policy never drove in this recording'):
        read_drive(path, TrackCourse(101, 1))


def test_recording_without_a_policy_node_is_refused(tmp_path: Path) -> None:
    from liquid_control.bags.errors import TopicError

    path = rec.write_bag(tmp_path / 'bag', rec.drive_entries(0.2))
    with pytest.raises(TopicError, match='has no topic /policy_node/state'):
        read_drive(path, TrackCourse(101, 1))


class Page(HTMLParser):
    """Images, and everything that a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []
        self.elsewhere: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ('src', 'href') and value is not None:
                (self.images if value.startswith('data:') else self.elsewhere).append(value)


def test_report_is_one_page_that_needs_nothing_else(tmp_path: Path, drive: DriveRecord) -> None:
    figures = summary(drive, seed=101, real_time_factor=1.0, folder=HERE)
    write_report(
        drive,
        figures,
        reason='left the road at <b>3 m</b>',
        page=tmp_path / 'report.html',
        trajectory=tmp_path / 'trajectory.png',
    )
    text = (tmp_path / 'report.html').read_text()
    page = Page()
    page.feed(text)
    assert len(page.images) == 4 + 6  # path, commands, neurons, timing; six camera frames
    assert not page.elsewhere
    assert 'left the road at &lt;b&gt;3 m&lt;/b&gt;' in text
    for _, value in rows(drive.course, figures):
        assert value in text


def test_on_a_phone_a_wide_table_scrolls_and_the_page_does_not(tmp_path: Path) -> None:
    headings = [f'heading {number}' for number in range(20)]
    shown = page.table([['1 [0.342, 1]'] * 20, ['a sentence that is long ' * 9] * 20], headings)
    file = tmp_path / 'page.html'
    document = page.document('t', 'v', failed=False, sections=[page.section('wide', shown)])
    file.write_text(document)
    with browsing() as browser:
        tab = browser.tab()
        size = {'width': 375, 'height': 800, 'deviceScaleFactor': 1, 'mobile': True}
        tab.send('Emulation.setDeviceMetricsOverride', **size)
        tab.open(file.as_uri())
        tab.wait("document.querySelectorAll('td').length", 'the page')
        assert tab.run('document.documentElement.scrollWidth') == 375
        assert tab.run("document.querySelector('.wide').scrollWidth") > 2000
        first = "document.querySelector('td').getBoundingClientRect()"
        tab.run("document.querySelector('.wide').scrollLeft = 500")
        assert tab.run(f'{first}.left') > 0  # which row it is stays in sight
        assert tab.run(f'{first}.height') < 50  # numbers are not broken into lines
