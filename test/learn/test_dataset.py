"""The dataset store: what it takes from bags, and that it takes it only once."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import recordings as rec
from rich.console import Console
from stripe_drives import SIGNALS, WHEELBASE, angle_at, write_drive

from liquid_control.bags.errors import BagError
from liquid_control.learn import dataset
from liquid_control.learn.dataset import Episode
from liquid_control.learn.recipe import Signals
from liquid_control.runtime.contract import SensorSpec

CONSOLE = Console(quiet=True)


def open_one(bag: Path, store: Path, signals: Signals = SIGNALS) -> Episode:
    (episode,) = dataset.build([bag], signals, store, CONSOLE)
    return episode


def test_signals_keep_their_stamps_and_units(tmp_path: Path) -> None:
    episode = open_one(write_drive(tmp_path / 'bag', seconds=2.0), tmp_path / 'store')
    assert len(episode.images) == len(episode.image_ns) == 61
    assert len(episode.imu) == 401
    assert episode.start_ns == rec.START_NS
    at = (episode.command_ns - rec.START_NS) / 1e9
    expected = [[angle_at(seconds, 0.0), 1.0] for seconds in at]
    np.testing.assert_allclose(episode.commands, expected, atol=1e-6)
    # The IMU's yaw rate is the sine of the time.
    np.testing.assert_allclose(
        episode.imu[:, 5], np.sin((episode.imu_ns - rec.START_NS) / 1e9), atol=1e-6
    )


def test_a_bag_is_read_once_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag, store = write_drive(tmp_path / 'bag', seconds=1.0), tmp_path / 'store'
    first = open_one(bag, store)
    copy = tmp_path / 'copy'
    shutil.copytree(bag, copy)
    monkeypatch.setattr(dataset, 'ingest', lambda *_: pytest.fail('the bag was read again'))
    (again,) = dataset.build([bag, copy], SIGNALS, store, CONSOLE)
    np.testing.assert_array_equal(again.images, first.images)


def test_other_signals_of_the_same_bag_are_kept_apart(tmp_path: Path) -> None:
    bag, store = write_drive(tmp_path / 'bag', seconds=1.0), tmp_path / 'store'
    assert open_one(bag, store).imu.shape == (201, 6)
    assert open_one(bag, store, replace(SIGNALS, imu=None)).imu.shape == (0, 6)
    manifest = json.loads((store / 'manifest.json').read_text())
    counts = [entry['counts']['imu'] for entry in manifest['episodes'].values()]
    assert sorted(counts) == [0, 201]


def test_a_bag_that_fails_leaves_nothing_behind_and_keeps_the_ones_before(
    tmp_path: Path,
) -> None:
    good = write_drive(tmp_path / 'good', seconds=1.0)
    standing = rec.write_bag(tmp_path / 'no_camera', iter([rec.imu_entry(rec.START_NS)]))
    with pytest.raises(BagError, match=r'no_camera.*image, command'):
        dataset.build([good, standing], SIGNALS, tmp_path / 'store', CONSOLE)
    (kept,) = (tmp_path / 'store').iterdir()
    assert json.loads((kept / 'episode.json').read_text())['bag'] == 'good'


def test_messages_recorded_out_of_order_are_put_in_the_order_of_their_stamps(
    tmp_path: Path,
) -> None:
    entries = list(rec.drive_entries(1.0))
    late = [entry._replace(late_ns=40_000_000) if i % 7 == 0 else entry
            for i, entry in enumerate(entries)]  # fmt: skip
    signals = replace(SIGNALS, speed=SensorSpec(rate=50.0, max_age=0.1))
    small = replace(signals, image=None)
    ordered = open_one(rec.write_bag(tmp_path / 'a', iter(entries)), tmp_path / 'store', small)
    mixed = open_one(rec.write_bag(tmp_path / 'b', iter(late)), tmp_path / 'store', small)
    assert (np.diff(mixed.imu_ns) > 0).all()
    np.testing.assert_array_equal(mixed.imu, ordered.imu)
    np.testing.assert_array_equal(mixed.speed, ordered.speed)


def test_a_cut_learns_from_nothing_outside_its_frames(tmp_path: Path) -> None:
    episode = open_one(write_drive(tmp_path / 'bag', seconds=2.0), tmp_path / 'store')
    cut = episode.cut((10, 40))
    assert cut.start_ns == episode.image_ns[10]
    assert cut.end_ns == episode.image_ns[39]
    with pytest.raises(BagError, match='frames 61 to 70 were asked for, it has 61'):
        episode.cut((61, 70))


def test_commands_that_a_twist_does_not_determine_are_unknown(tmp_path: Path) -> None:
    entries = [
        *(rec.imu_entry(rec.START_NS + at) for at in range(0, 1_000_000_000, rec.IMU_NS)),
        rec.command_entry(rec.START_NS, 0.0, 0.0),
        rec.command_entry(rec.START_NS + 900_000_000, 1.0, 0.2),
    ]
    entries.sort(key=lambda entry: entry.stamp_ns)
    bag = rec.write_bag(tmp_path / 'bag', iter(entries))
    episode = open_one(bag, tmp_path / 'store', replace(SIGNALS, image=None))
    assert np.isnan(episode.commands[0, 0])
    assert episode.commands[1, 0] == pytest.approx(np.arctan(WHEELBASE * 0.2), abs=1e-6)
