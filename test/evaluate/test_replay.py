# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Offline replay: what each tick sees, the same on every run, the same as a run recomputed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import recordings as rec
from support.bundles import make_bundle

from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.replay.bag_replay import Options, replay_bag
from liquid_control.evaluate.replay.live_run import replay_ticks
from liquid_control.evaluate.replay.replayer import ReplayedTick, replay
from liquid_control.evaluate.replay.stream import by_stamp
from liquid_control.evaluate.replay.topics import choose_topics
from liquid_control.runtime.inference.policy import Policy

PERIOD_NS = 50_000_000


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return Policy.load(make_bundle(tmp_path / 'policy', speed=True))


def replayed(bag: Path, policy: Policy, **options: Any) -> list[ReplayedTick]:
    with BagReader(bag) as reader:
        topics = choose_topics(reader, policy.contract)
        return list(replay(reader, policy, topics, wheelbase=0.325, **options))


def test_ticks_are_whole_periods_after_the_first_frame(tmp_path: Path, policy: Policy) -> None:
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(1.0))
    ticks = replayed(bag, policy)
    assert [tick.stamp_ns for tick in ticks] == [
        rec.START_NS + k * PERIOD_NS for k in range(len(ticks))
    ]
    assert len(ticks) == 21
    assert all(tick.elapsed == 0.05 for tick in ticks)


def test_a_tick_sees_the_newest_of_everything_at_or_before_it(
    tmp_path: Path, policy: Policy
) -> None:
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(0.5))
    ticks = replayed(bag, policy)
    policy.reset()
    for tick in ticks:
        since = tick.stamp_ns - rec.START_NS
        frame = since // rec.FRAME_NS
        assert (tick.frame, tick.stamps['image']) == (frame, rec.START_NS + frame * rec.FRAME_NS)
        imu = rec.imu_entry(tick.stamp_ns).values  # 200 Hz: one falls on every tick
        odom = rec.odom_entry(tick.stamp_ns - since % rec.ODOM_NS).values
        felt = [*imu['linear_acceleration'].values(), *imu['angular_velocity'].values()]
        inputs = {
            'image': policy.encode('image', rec.image(frame)),
            'imu': np.array(felt, np.float32),
            'speed': np.array([odom['twist']['twist']['linear']['x']], np.float32),
        }
        command = policy.step(inputs, 0.05)
        assert np.array_equal(tick.command, command)


def test_recorded_command_is_the_newest_at_or_before_the_tick(
    tmp_path: Path, policy: Policy
) -> None:
    start = rec.START_NS
    commands = [
        rec.command_entry(start + PERIOD_NS, 1.0, 0.0),  # on the second tick: counts
        rec.command_entry(start + 2 * PERIOD_NS + 1, 2.0, 0.0),  # just after the third: does not
        rec.command_entry(start + 3 * PERIOD_NS + 7, 0.0, 0.7),  # at rest: says no steering angle
    ]
    others = [e for e in rec.drive_entries(0.25) if e.topic != rec.COMMAND]
    entries = sorted([*others, *commands], key=lambda entry: entry.stamp_ns)
    ticks = replayed(rec.write_bag(tmp_path / 'bag', entries), policy)
    recorded = np.array([tick.recorded for tick in ticks])
    np.testing.assert_array_equal(recorded[:, 1], [np.nan, 1.0, 1.0, 2.0, 0.0, 0.0])
    np.testing.assert_array_equal(recorded[:, 0], [np.nan, 0.0, 0.0, 0.0, np.nan, np.nan])


def test_same_numbers_on_every_run(tmp_path: Path, policy: Policy) -> None:
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(0.5))
    first, second = replayed(bag, policy), replayed(bag, policy)
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert one.command.tobytes() == other.command.tobytes()


def test_late_and_shuffled_messages_change_nothing(tmp_path: Path, policy: Policy) -> None:
    entries = list(rec.drive_entries(0.5))
    in_order = replayed(rec.write_bag(tmp_path / 'ordered', entries), policy)
    rng = np.random.default_rng(0)
    late = [entry._replace(late_ns=int(rng.integers(0, 200_000_000))) for entry in entries]
    shuffled = sorted(late, key=lambda entry: entry.stamp_ns + entry.late_ns)
    assert [e.stamp_ns for e in shuffled] != [e.stamp_ns for e in entries]
    out_of_order = replayed(rec.write_bag(tmp_path / 'shuffled', shuffled), policy)
    for one, other in zip(in_order, out_of_order, strict=True):
        assert one.stamp_ns == other.stamp_ns
        np.testing.assert_array_equal(one.command, other.command)


def test_topic_that_the_recorder_was_late_with_is_waited_for(
    tmp_path: Path, policy: Policy
) -> None:
    entries = list(rec.drive_entries(6.0))
    late = [
        entry._replace(late_ns=3_000_000_000) if entry.topic == rec.IMU else entry
        for entry in entries
    ]
    late.sort(key=lambda entry: entry.stamp_ns + entry.late_ns)
    on_time = replayed(rec.write_bag(tmp_path / 'on_time', entries), policy)
    behind = replayed(rec.write_bag(tmp_path / 'behind', late), policy)
    assert not any(tick.problem for tick in behind)
    for one, other in zip(on_time, behind, strict=True):
        np.testing.assert_array_equal(one.command, other.command)


def test_messages_held_back_do_not_grow_with_the_bag(tmp_path: Path) -> None:
    entries = [entry for entry in rec.drive_entries(30.0) if entry.topic != rec.IMAGE]
    # The commands stop after a second: everything else waits for them, but not for ever.
    kept = [e for e in entries if e.topic != rec.COMMAND or e.stamp_ns < rec.START_NS + 10**9]
    with BagReader(rec.write_bag(tmp_path / 'bag', kept)) as reader:
        taken: list[int] = []

        def counted() -> Iterator[BagMessage]:
            for message in reader.messages():
                taken.append(message.stamp_ns)
                yield message

        for message in by_stamp(counted(), reader.topics):
            assert isinstance(message, BagMessage)
            assert taken[-1] - message.stamp_ns < 11_000_000_000
    assert len(taken) == len(kept)


def test_memory_does_not_grow_with_the_recording(tmp_path: Path, policy: Policy) -> None:
    peaks = []
    for seconds in (5.0, 20.0):
        bag = rec.write_bag(tmp_path / f'{seconds}', rec.drive_entries(seconds))
        with BagReader(bag) as reader:
            tracemalloc.start()
            topics = choose_topics(reader, policy.contract)
            ticks = sum(1 for _ in replay(reader, policy, topics, wheelbase=0.325))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert ticks == round(20 * seconds) + 1
    assert peaks[1] < 1.2 * peaks[0]


def test_frames_outside_the_range_are_left_out(tmp_path: Path, policy: Policy) -> None:
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(1.0))
    ticks = replayed(bag, policy, start_frame=6, end_frame=12)
    assert ticks[0].stamp_ns == rec.START_NS + 6 * rec.FRAME_NS
    assert ticks[-1].stamp_ns < rec.START_NS + 12 * rec.FRAME_NS
    assert {tick.frame for tick in ticks} <= set(range(6, 12))
    assert len(ticks) == 4


def test_policy_is_not_asked_while_the_camera_is_silent(tmp_path: Path, policy: Policy) -> None:
    entries = [
        entry
        for entry in rec.drive_entries(2.0)
        if entry.topic != rec.IMAGE or not 0.5 < (entry.stamp_ns - rec.START_NS) / 1e9 < 1.5
    ]
    ticks = replayed(rec.write_bag(tmp_path / 'bag', entries), policy)
    silent = [tick for tick in ticks if tick.problem]
    # The last frame is of 0.5 s, the contract allows 0.3 s: from 0.8 s on until the next frame.
    first, last = ((t.stamp_ns - rec.START_NS) / 1e9 for t in (silent[0], silent[-1]))
    assert 0.75 <= first <= 0.85
    assert 1.45 <= last <= 1.5
    assert all('image' in tick.problem and np.isnan(tick.command).all() for tick in silent)
    assert not ticks[-1].problem


def test_bad_messages_leave_the_ones_before_them_in_charge(tmp_path: Path, policy: Policy) -> None:
    entries = []
    for entry in rec.drive_entries(0.3):
        entries.append(entry)
        if entry.topic == rec.IMU:
            entries.append(rec.imu_entry(entry.stamp_ns + 1, yaw_rate=float('nan')))
    with_nan = replayed(rec.write_bag(tmp_path / 'nan', entries), policy)
    without = replayed(rec.write_bag(tmp_path / 'good', rec.drive_entries(0.3)), policy)
    for one, other in zip(with_nan, without, strict=False):
        np.testing.assert_array_equal(one.command, other.command)
        assert np.isfinite(one.command).all()


def test_unreadable_image_leaves_the_one_before_in_charge(tmp_path: Path, policy: Policy) -> None:
    entries = list(rec.drive_entries(0.3))
    broken = next(e for e in entries if e.stamp_ns == rec.START_NS + 3 * rec.FRAME_NS)
    broken.values['encoding'] = 'teletext'
    ticks = replayed(rec.write_bag(tmp_path / 'bag', entries), policy)
    seen = [(tick.stamps['image'] - rec.START_NS) // rec.FRAME_NS for tick in ticks]
    assert seen == [0, 1, 2, 4, 6, 7, 9]  # the third tick would have seen frame 3
    assert not any(tick.problem for tick in ticks)


def test_jumping_clock_is_named_and_is_no_time(tmp_path: Path, policy: Policy) -> None:
    entries = [*rec.drive_entries(0.3), rec.imu_entry(rec.START_NS + 10**17)]
    with BagReader(rec.write_bag(tmp_path / 'bag', entries)) as reader:
        result = replay_bag(reader, policy, Options())
    (jump,) = map(str, result.faults.jumps)
    assert 'stamps jump by 99999999.7 s' in jump
    assert 'on /imu/data' in jump
    # What came before is still young enough for a moment.
    assert result.trace.answered.sum() == 9
    assert result.duration < 3


def test_the_report_says_what_was_left_out_and_why(tmp_path: Path, policy: Policy) -> None:
    entries = [
        entry
        for entry in rec.drive_entries(3.0)
        if entry.topic != rec.IMU or not 1.0 < (entry.stamp_ns - rec.START_NS) / 1e9 < 1.6
    ]
    told = [entry for entry in entries if entry.topic == rec.COMMAND]
    told[10].values['twist']['angular']['z'] = float('nan')
    told[20].values['twist']['linear']['x'] = 40.0
    broken = next(e for e in entries if e.stamp_ns == rec.START_NS + 3 * rec.FRAME_NS)
    broken.values['encoding'] = '16UC1'
    with BagReader(rec.write_bag(tmp_path / 'bag', entries)) as reader:
        report = replay_bag(reader, policy, Options()).report()
    assert report['left_out_seconds'] == {'imu': pytest.approx(0.45, abs=0.06)}
    left_out = {(e['topic'], e['why'].split(':')[0]): e for e in report['messages_left_out']}
    assert left_out[rec.COMMAND, 'command is not finite']['first'] == 10
    assert left_out[rec.COMMAND, 'command is far beyond all others']['first_ns'] == (
        rec.START_NS + 20 * rec.COMMAND_NS
    )
    (image,) = (e for e in report['messages_left_out'] if e['topic'] == rec.IMAGE)
    assert (image['count'], image['first']) == (1, 3)
    assert report['commands']['speed']['max_abs'] < 3


def test_command_that_is_no_number_is_refused(tmp_path: Path) -> None:
    broken = Policy.load(make_bundle(tmp_path / 'broken', break_='nan'))
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(0.3))
    with pytest.raises(ReplayError, match=r'policy broken: output is not finite: nan'):
        replayed(bag, broken)


def test_camera_less_policy_counts_imu_messages_as_frames(tmp_path: Path) -> None:
    blind = Policy.load(make_bundle(tmp_path / 'blind', image=False, speed=True))
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(0.5))
    with BagReader(bag) as reader:
        result = replay_bag(reader, blind, Options(start_frame=20))
    assert result.trace.stamp_ns[0] == rec.START_NS + 20 * rec.IMU_NS
    assert result.trace.answered.all()


def run_as_recorded(policy: Policy, count: int) -> tuple[list[Any], list[tuple[int, Any]]]:
    """PolicyState messages of a run with uneven ticks, and the frames it saw."""
    rng = np.random.default_rng(3)
    frames = [(rec.START_NS + i * rec.FRAME_NS, rec.image(i)) for i in range(count)]
    states = []
    for tick in range(1, count + 1):
        stamp_ns, pixels = frames[(tick - 1) // 2]
        imu = rng.normal(size=6).astype(np.float32)
        elapsed, speed = float(rng.uniform(0.04, 0.08)), np.float32(rng.uniform(0, 2))
        inputs = {'image': policy.encode('image', pixels), 'imu': imu, 'speed': np.array([speed])}
        command = policy.step(inputs, elapsed)
        stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        states.append(
            SimpleNamespace(
                tick=tick,
                missed=0,
                input_names=['image', 'imu', 'speed'],
                input_stamps=[stamp] * 3,
                input_widths=[0, 6, 1],
                input_values=np.append(imu, speed),
                elapsed=elapsed,
                command_raw=command,
                neurons=policy.state.copy(),
            )
        )
    return states, frames


def test_recorded_ticks_computed_again_give_the_same_commands(policy: Policy) -> None:
    states, frames = run_as_recorded(policy, 20)
    again = list(replay_ticks(policy, states, {'image': frames}))
    assert len(again) == 20
    for state, command in again:
        np.testing.assert_array_equal(command, state.command_raw)


def test_recorded_ticks_go_on_after_a_lost_message(policy: Policy) -> None:
    states, frames = run_as_recorded(policy, 20)
    again = list(replay_ticks(policy, states[3:10] + states[12:], {'image': frames}))
    # The first tick of each stretch only tells the state.
    assert [state.tick for state, _ in again] == [*range(5, 11), *range(14, 21)]
    for state, command in again:
        np.testing.assert_array_equal(command, state.command_raw)


def test_recorded_ticks_without_their_frame_are_refused(policy: Policy) -> None:
    states, frames = run_as_recorded(policy, 20)
    with pytest.raises(ReplayError, match='which is not in the recording'):
        list(replay_ticks(policy, states, {'image': frames[:4] + frames[5:]}))


def test_recorded_ticks_before_the_first_frame_only_tell_the_state(policy: Policy) -> None:
    states, frames = run_as_recorded(policy, 20)
    again = list(replay_ticks(policy, states, {'image': frames[3:]}))
    assert [state.tick for state, _ in again] == list(range(7, 21))
    for state, command in again:
        np.testing.assert_array_equal(command, state.command_raw)
