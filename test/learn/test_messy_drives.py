# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings as people have them: clocks that are set, keys pressed, joysticks gone mad."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console
from support import recordings as rec
from support.stripe_drives import HEIGHT, SIGNALS, WIDTH

from liquid_control.bags import samples
from liquid_control.bags.errors import BagError
from liquid_control.bags.samples import spikes
from liquid_control.contract.modes import Mode
from liquid_control.learn.data.dataset import add_bags, build, describe_dataset
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.infer import infer_signals
from liquid_control.learn.data.sequences import Windows, whole
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.train.recipe import Timing

BLIND = replace(SIGNALS, inputs={'imu': SIGNALS.inputs['imu']})
CAMERA_ONLY = replace(SIGNALS, inputs={'image': SIGNALS.inputs['image']})
CAMERA = '/camera/image_raw/compressed'
CONSOLE = Console(quiet=True)
PERIOD_NS = 50_000_000
SECOND_NS = 1_000_000_000


def at(seconds: float) -> int:
    return rec.START_NS + round(seconds * SECOND_NS)


def blind_drive(seconds: float) -> list[rec.Entry]:
    return [e for e in rec.drive_entries(seconds) if e.topic in (rec.IMU, rec.COMMAND)]


def open_one(bag: Path, signals: Signals = BLIND) -> Episode:
    (episode,) = build([bag], signals, bag.parent / 'store', CONSOLE)
    return episode


def commands(
    seconds: float, change: Callable[[int, dict[str, Any]], None] = lambda index, twist: None
) -> list[rec.Entry]:
    """A drive of an IMU and of commands; `change` is told the number of each."""
    entries = blind_drive(seconds)
    told = [entry for entry in entries if entry.topic == rec.COMMAND]
    for index, entry in enumerate(told):
        change(index, entry.values['twist'])
    return entries


def images(path: Path, seconds: float, bad: dict[int, bytes], *, stamp_ns: int = 0) -> Path:
    """A drive of a camera and commands; some of its images are others' bytes."""
    entries = [entry for entry in blind_drive(seconds) if entry.topic == rec.COMMAND]
    for index in range(round(seconds * 20) + 1):
        pixels = np.full((HEIGHT, WIDTH, 3), index, np.uint8)
        data = bad.get(index, cv2.imencode('.jpg', pixels)[1].tobytes())
        due_ns = rec.START_NS + index * PERIOD_NS
        late_ns = due_ns - stamp_ns if stamp_ns else 0
        values = {'format': 'jpeg', 'data': data}
        entries.append(rec.Entry(stamp_ns or due_ns, CAMERA, values, late_ns))
    kind = {CAMERA[1:]: 'sensor_msgs/msg/CompressedImage'}
    return rec.write_bag(path, sorted(entries, key=lambda e: e.stamp_ns + e.late_ns), **kind)


@pytest.mark.parametrize('away_ns', [600 * SECOND_NS, 50 * 365 * 86_400 * SECOND_NS])
def test_a_pause_and_a_clock_that_is_set_are_no_time(tmp_path: Path, away_ns: int) -> None:
    before = [e._replace(stamp_ns=e.stamp_ns - away_ns) for e in blind_drive(1.0)]
    episode = open_one(rec.write_bag(tmp_path / 'bag', [*before, *blind_drive(4.0)]))
    # In force for a moment after the pause began: an IMU's limit of age.
    assert episode.duration == pytest.approx(5.0, abs=0.2)
    assert episode.drivers() == {'human': episode.duration}
    assert len(whole(episode, PERIOD_NS).elapsed) == pytest.approx(5 * 20, abs=4)
    assert Windows([episode], PERIOD_NS, Timing(steps=16), 1).count_per_pass <= 7
    (jump,) = episode.jumps
    assert f'jump by {(away_ns - SECOND_NS) / 1e9:.1f} s' in jump
    assert not episode.left_out()


def test_who_drove_was_said_long_ago(tmp_path: Path) -> None:
    """What is latched is recorded again in every recording, with the stamp of when it was new."""
    latched = rec.Entry(at(-300), '/policy_node/mode', {'mode': int(Mode.DISENGAGED)}, 300 * 10**9)
    kind = {'policy_node/mode': 'liquid_control/msg/ControlMode'}
    episode = open_one(rec.write_bag(tmp_path / 'bag', [latched, *blind_drive(2.0)], **kind))
    assert (episode.jumps, episode.refused) == ((), ())
    assert episode.drivers() == {'human': pytest.approx(2.0)}


def test_no_window_goes_over_a_hole(tmp_path: Path) -> None:
    entries = [
        e for e in blind_drive(8.0) if e.topic == rec.COMMAND or not at(3) < e.stamp_ns < at(5)
    ]
    episode = open_one(rec.write_bag(tmp_path / 'bag', entries))
    assert episode.left_out() == {'imu older than 0.1 s': pytest.approx(1.9, abs=0.01)}
    imu = episode.inputs['imu']
    clock = np.zeros_like(imu.values)
    clock[:, 0] = (imu.stamps - rec.START_NS) / 1e9
    told = replace(episode, inputs={'imu': replace(imu, values=clock)})
    windows = Windows([told], PERIOD_NS, Timing(steps=16), 1)
    assert windows.too_short == 0
    longer = Windows([episode], PERIOD_NS, Timing(steps=61), 1)
    assert longer.too_short == pytest.approx(3.0)
    for index in range(40):
        seen = windows[index].inputs['imu'][:, 0]
        assert seen.diff().max() < 0.3
        assert (seen.max() < 3.2) or (seen.min() > 4.9)


def test_keys_are_learnt_from_while_they_hold(tmp_path: Path) -> None:
    entries = [
        e
        for e in blind_drive(9.0)
        if e.topic == rec.IMU or (e.stamp_ns - rec.START_NS) % (2 * SECOND_NS) == 0
    ]
    episode = open_one(rec.write_bag(tmp_path / 'bag', entries))
    assert episode.duration == pytest.approx(4 * 0.5, abs=0.01)
    assert episode.left_out()['no command on /cmd_vel for 0.5 s'] == pytest.approx(
        4 * 1.5, abs=0.01
    )


def test_where_nothing_is_left_topics_and_their_silence_are_named(tmp_path: Path) -> None:
    # Of four seconds the IMU is there in the first, commands come in the third.
    begin = {rec.IMU: 0.0, rec.COMMAND: 2.0}
    entries = [
        e
        for e in blind_drive(12.0)
        if 0 <= (e.stamp_ns - rec.START_NS) / 1e9 % 4 - begin[e.topic] < 1
    ]
    with pytest.raises(BagError, match=r'nothing to learn from: .*/cmd_vel is silent for up to'):
        open_one(rec.write_bag(tmp_path / 'bag', entries))


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 1e6])
@pytest.mark.parametrize('part', ['linear', 'angular'])
def test_a_command_that_no_robot_takes_is_not_learnt(
    tmp_path: Path, part: str, value: float
) -> None:
    def spoil(index: int, twist: dict[str, Any]) -> None:
        if index == 20:
            twist[part] = {'x': value, 'z': value}

    episode = open_one(rec.write_bag(tmp_path / 'bag', commands(4.0, spoil)))
    angle = np.arctan(SIGNALS.wheelbase * 0.5)
    np.testing.assert_allclose(episode.commands, [[angle, 1.0]] * 80, atol=1e-6)
    (refused,) = episode.refused
    assert (refused['topic'], refused['count'], refused['of']) == (rec.COMMAND, 1, 81)
    assert (refused['first'], refused['first_ns']) == (20, at(1.0))


def test_a_spike_is_named_and_unknown(tmp_path: Path) -> None:
    def spike(index: int, twist: dict[str, Any]) -> None:
        if index == 20:
            twist['linear'] = {'x': 40.0}

    made = tmp_path / 'dataset'
    add_bags([rec.write_bag(tmp_path / 'bag', commands(4.0, spike))], BLIND, made, CONSOLE)
    said = describe_dataset(made)
    assert f'{rec.COMMAND}: 1 of 81 messages left out, the first no. 20' in said
    assert 'command is far beyond all others: ' in said


def test_spikes_are_short_and_far_beyond_the_others() -> None:
    steering = 0.3 * np.sin(np.arange(300) / 12)
    assert not spikes(steering).any()
    assert not spikes(np.r_[np.zeros(280), np.full(20, 0.5)]).any()
    # A stretch of fast driving is meant.
    assert not spikes(np.r_[np.full(295, 1.0), np.full(5, 9.0)]).any()
    mad = steering.copy()
    mad[[0, 100]] = 1e3, -50.0
    assert np.flatnonzero(spikes(mad)).tolist() == [0, 100]
    assert np.flatnonzero(spikes(np.r_[np.nan, mad])).tolist() == [1, 101]


def test_unreadable_images_are_skipped_counted_and_named(tmp_path: Path) -> None:
    whole_one = cv2.imencode('.jpg', np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
    bad = {30: b'', 31: whole_one[: len(whole_one) // 2], 50: b'\0' * 100}
    episode = open_one(images(tmp_path / 'bag', 4.0, bad), CAMERA_ONLY)
    (refused,) = episode.refused
    assert (refused['count'], refused['of'], refused['first']) == (3, 81, 30)
    assert 'compressed image is empty' in refused['why']
    assert episode.duration == pytest.approx(4.0)
    # As on the robot, the image before stays.
    shown = whole(episode, PERIOD_NS).inputs['image'][:, 0, 0, 0].tolist()
    assert shown[29:33] == [29, 29, 29, 32]
    # Frames are counted as they are in the bag.
    cut = episode.cut((40, 60))
    assert (cut.start_ns, cut.end_ns) == (at(2.0), at(2.95))


def test_many_unreadable_images_refuse_a_recording(tmp_path: Path) -> None:
    bag = images(tmp_path / 'bag', 4.0, dict.fromkeys(range(40, 60), b''))
    with pytest.raises(BagError, match=r'20 of 81 messages left out, the first no. 40 at .*empty'):
        open_one(bag, CAMERA_ONLY)


def test_a_stamp_that_never_changes_is_named(tmp_path: Path) -> None:
    bag = images(tmp_path / 'bag', 4.0, {}, stamp_ns=rec.START_NS)
    with pytest.raises(BagError, match=r'80 of 81 messages left out.*stamp is repeated'):
        open_one(bag, CAMERA_ONLY)


def test_topics_stamped_by_different_clocks_are_named_with_their_times(tmp_path: Path) -> None:
    booted = [
        e._replace(stamp_ns=e.stamp_ns - at(-1), late_ns=at(-1)) if e.topic == rec.IMU else e
        for e in blind_drive(4.0)
    ]
    with pytest.raises(BagError, match=r'/cmd_vel: .* messages left out.* s after those of the'):
        open_one(rec.write_bag(tmp_path / 'bag', booted))


def test_one_command_holds_for_half_a_second(tmp_path: Path) -> None:
    assert samples.COMMAND_HOLD_NS == 500_000_000
    entries = [e for e in blind_drive(3.0) if e.topic == rec.IMU or e.stamp_ns <= at(1.0)]
    entries.append(rec.command_entry(at(3.0), 1.0, 0.5))
    steps = whole(open_one(rec.write_bag(tmp_path / 'bag', entries)), PERIOD_NS)
    known = np.isfinite(steps.commands.numpy()[:, 0])
    assert known.tolist() == [True] * 31 + [False] * 29 + [True]


def test_the_age_of_a_sensor_is_judged_by_what_it_measures_not_by_how_often_it_is_sent(
    tmp_path: Path,
) -> None:
    entries = [
        entry._replace(late_ns=late_ns)
        for entry in blind_drive(3.0)
        for late_ns in (range(0, 5_000_000, 500_000) if entry.topic == rec.IMU else [0])
    ]
    imu = infer_signals([rec.write_bag(tmp_path / 'bag', entries)]).inputs['imu']
    assert (imu.rate, imu.max_age) == (pytest.approx(200, rel=0.01), 0.05)


def test_a_strip_of_an_image_is_not_guessed_about(tmp_path: Path) -> None:
    strip = cv2.imencode('.jpg', np.zeros((10, 1920, 3), np.uint8))[1].tobytes()
    bag = images(tmp_path / 'bag', 1.0, dict.fromkeys(range(21), strip))
    with pytest.raises(BagError, match=r'1920x10 are a strip.* signals.inputs in a recipe'):
        infer_signals([bag])


def test_what_is_not_finite_is_not_called_a_matter_of_time(tmp_path: Path) -> None:
    entries = [e for e in rec.drive_entries(1.0) if e.topic in (rec.ODOM, rec.IMU, rec.COMMAND)]
    for entry in entries:
        if entry.topic == rec.ODOM:
            entry.values['twist']['twist']['linear']['x'] = np.nan
    bag = rec.write_bag(tmp_path / 'bag', entries)
    with pytest.raises(
        BagError, match=r'51 of 51 messages left out.*: not finite: speed is nan m/s$'
    ):
        open_one(bag, infer_signals([bag]))
