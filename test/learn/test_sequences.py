# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Control steps drawn from an episode: the runtime's rule of the newest sample, and true times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from support import recordings as rec
from support.stripe_drives import SIGNALS, angle_at, write_drive

from liquid_control.bags.errors import BagError
from liquid_control.learn.data.dataset import build
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.sequences import Steps, WindowOrder, Windows, observe, whole
from liquid_control.learn.data.series import Frames
from liquid_control.learn.train.recipe import Timing

PERIOD_NS = 50_000_000


@pytest.fixture(scope='module')
def episode(tmp_path_factory: pytest.TempPathFactory) -> Episode:
    folder = tmp_path_factory.mktemp('drive')
    bag = write_drive(folder / 'bag', seconds=4.0)
    return build([bag], SIGNALS, folder / 'store', Console(quiet=True))[0]


def steps_at(episode: Episode, *offsets_ns: int, **options: object) -> Steps:
    ticks = rec.START_NS + np.array(offsets_ns, np.int64)
    return observe(episode, ticks, np.full(len(ticks), 0.05), **options)  # type: ignore[arg-type]


def images(episode: Episode) -> NDArray[np.uint8]:
    frames = episode.inputs['image']
    assert isinstance(frames, Frames)
    return frames.pixels


def test_a_tick_sees_the_newest_frame_and_imu_at_or_before_it(episode: Episode) -> None:
    frame_ns = rec.FRAME_NS
    steps = steps_at(episode, 3 * frame_ns - 1, 3 * frame_ns, 12_499_999 + rec.IMU_NS)
    for seen, frame in zip(steps.inputs['image'], (2, 3, 0), strict=True):
        np.testing.assert_array_equal(seen, images(episode)[frame])
    for seen, sample in zip(steps.inputs['imu'], (19, 19, 3), strict=True):
        np.testing.assert_array_equal(seen, episode.inputs['imu'].values[sample])


def test_a_late_frame_is_seen_late_and_a_lost_one_never(episode: Episode) -> None:
    at = 10 * rec.FRAME_NS
    late = steps_at(episode, at, image_delay_ns=2 * rec.FRAME_NS)
    np.testing.assert_array_equal(late.inputs['image'][0], images(episode)[8])
    lost = np.zeros(len(episode.inputs['image']), bool)
    lost[[9, 10]] = True
    np.testing.assert_array_equal(
        steps_at(episode, at, lost_samples={'image': lost}).inputs['image'][0], images(episode)[8]
    )


def test_commands_between_two_messages_lie_on_the_line_between_them(episode: Episode) -> None:
    halfway = steps_at(episode, rec.COMMAND_NS * 3 + rec.COMMAND_NS // 2).commands[0, 0]
    around = [angle_at(k * rec.COMMAND_NS / 1e9, 0.0) for k in (3, 4)]
    assert float(halfway) == pytest.approx(sum(around) / 2, abs=1e-6)


def test_what_is_learnt_of_a_late_hand_is_the_mean_of_what_it_did_later(episode: Episode) -> None:
    timing = Timing(reaction=3 * rec.COMMAND_NS / 1e9, smoothing=2 * rec.COMMAND_NS / 1e9)
    offsets = timing.command_offsets_ns
    at = 5 * rec.COMMAND_NS
    learnt = steps_at(episode, at, command_offsets_ns=offsets).commands[0, 0]
    later = [steps_at(episode, at + offset).commands[0, 0] for offset in offsets]
    assert [round(each / rec.COMMAND_NS, 1) for each in offsets] == [2, 2.5, 3, 3.5, 4]
    assert float(learnt) == pytest.approx(float(np.mean(later)), abs=1e-6)
    assert Timing().command_offsets_ns == (0,)
    end = steps_at(episode, int(episode.end_ns - rec.START_NS), command_offsets_ns=(0, 10**9))
    assert torch.isnan(end.commands).all(), 'what was commanded then is not known'


def test_commands_in_a_pause_of_the_driver_are_unknown(episode: Episode) -> None:
    kept = np.r_[0:10, 40 : len(episode.command_ns)]
    paused = replace(episode, commands=episode.commands[kept], command_ns=episode.command_ns[kept])
    commands = steps_at(paused, 5 * rec.COMMAND_NS, 20 * rec.COMMAND_NS).commands
    assert torch.isfinite(commands[0]).all()
    assert torch.isnan(commands[1]).all()


def test_a_whole_episode_runs_at_the_exact_control_rate(episode: Episode) -> None:
    steps = whole(episode, PERIOD_NS)
    # The last frame comes just before the fourth second is over.
    assert len(steps.elapsed) == 4 * 20
    assert set(steps.elapsed.tolist()) == {np.float32(0.05)}


def test_a_window_tells_the_true_time_between_its_ticks(episode: Episode) -> None:
    # An IMU that measures nothing but the time tells when each step was taken.
    clock = np.zeros_like(episode.inputs['imu'].values)
    clock[:, 0] = (episode.inputs['imu'].stamps - rec.START_NS) / 1e9
    imu = replace(episode.inputs['imu'], values=clock)
    timing = Timing(steps=16, jitter=0.4, missed_ticks=0.2)
    window = Windows(
        [replace(episode, inputs={**episode.inputs, 'imu': imu})], PERIOD_NS, timing, 1
    )[0]
    taken = window.inputs['imu'][:, 0].diff()
    # The newest sample is up to one period of the IMU old.
    torch.testing.assert_close(taken, window.elapsed[1:], rtol=0, atol=rec.IMU_NS / 1e9 + 1e-6)
    assert window.elapsed.min() < 0.045
    assert window.elapsed.max() > 0.09


def test_windows_follow_from_seed_and_number_alone(episode: Episode) -> None:
    first, again, other = (Windows([episode], PERIOD_NS, Timing(), seed) for seed in (1, 1, 2))
    torch.testing.assert_close(first[7].inputs['imu'], again[7].inputs['imu'], rtol=0, atol=0)
    assert not torch.equal(first[7].inputs['imu'], other[7].inputs['imu'])
    assert not torch.equal(first[7].inputs['imu'], first[8].inputs['imu'])


def test_every_epoch_has_windows_of_its_own_and_processes_share_them() -> None:
    orders = [WindowOrder(10, rank, 2) for rank in range(2)]
    seen: list[int] = []
    for epoch in range(2):
        for order in orders:
            order.set_epoch(epoch)
            seen += list(order)
    assert sorted(seen) == list(range(20))


def test_episodes_shorter_than_a_window_are_refused_with_the_length_needed(
    episode: Episode,
) -> None:
    with pytest.raises(BagError, match=r'no bag holds 5\.0 s in one piece'):
        Windows([episode], PERIOD_NS, Timing(steps=100), 1)
