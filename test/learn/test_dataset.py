# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The dataset store: what it takes from bags, and that it takes it only once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from support import recordings as rec
from support.compiled_cells import some_inputs
from support.kills import die_in_the_last_bag, run_killed
from support.stripe_drives import SIGNALS, WHEELBASE, angle_at, write_drive
from typer.testing import CliRunner

from liquid_control.bags.errors import BagError
from liquid_control.cli.main import app
from liquid_control.learn.data import dataset
from liquid_control.learn.data.dataset import DatasetError
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.ingest import bag_digest
from liquid_control.learn.data.series import Frames
from liquid_control.learn.data.signals import Signals

CONSOLE = Console(quiet=True)


def open_one(bag: Path, store: Path, signals: Signals = SIGNALS) -> Episode:
    (episode,) = dataset.build([bag], signals, store, CONSOLE)
    return episode


def pixels(episode: Episode) -> NDArray[np.uint8]:
    frames = episode.inputs['image']
    assert isinstance(frames, Frames)
    return frames.pixels


def without(name: str) -> Signals:
    inputs = {key: spec for key, spec in SIGNALS.inputs.items() if key != name}
    return replace(SIGNALS, inputs=inputs)


def test_signals_keep_their_stamps_and_units(tmp_path: Path) -> None:
    episode = open_one(write_drive(tmp_path / 'bag', seconds=2.0), tmp_path / 'store')
    frames, imu = episode.inputs['image'], episode.inputs['imu']
    assert len(frames.pixels) == len(frames) == 61
    assert len(imu) == 401
    assert episode.start_ns == rec.START_NS
    at = (episode.command_ns - rec.START_NS) / 1e9
    expected = [[angle_at(seconds, 0.0), 1.0] for seconds in at]
    np.testing.assert_allclose(episode.commands, expected, atol=1e-6)
    # The IMU's yaw rate is the sine of the time.
    np.testing.assert_allclose(
        imu.values[:, 5], np.sin((imu.stamps - rec.START_NS) / 1e9), atol=1e-6
    )


def test_a_bag_is_decoded_once_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag, store = write_drive(tmp_path / 'bag', seconds=1.0), tmp_path / 'store'
    first = open_one(bag, store)
    copy = tmp_path / 'copy'
    shutil.copytree(bag, copy)
    monkeypatch.setattr(dataset, 'ingest', lambda *_: pytest.fail('the bag was read again'))
    (again,) = dataset.build([bag, copy], SIGNALS, store, CONSOLE)
    np.testing.assert_array_equal(pixels(again), pixels(first))


def test_other_signals_of_the_same_bag_are_kept_apart(tmp_path: Path) -> None:
    bag, store = write_drive(tmp_path / 'bag', seconds=1.0), tmp_path / 'store'
    assert open_one(bag, store).inputs['imu'].values.shape == (201, 6)
    assert open_one(bag, store, without('imu')).inputs.keys() == {'image'}


def test_the_manifest_names_sources_times_drivers_and_counts(tmp_path: Path) -> None:
    bag, made = write_drive(tmp_path / 'bag', seconds=1.0), tmp_path / 'dataset'
    (outcome,) = dataset.add_bags([bag], SIGNALS, made, CONSOLE)
    manifest = json.loads((made / 'manifest.json').read_text())
    assert manifest['signals']['inputs']['image']['width'] == 48
    (entry,) = manifest['episodes'].values()
    assert entry['bag'] == 'bag'
    assert entry['digest'] == outcome.digest == bag_digest(bag)
    assert entry['counts'] == {'image': 31, 'imu': 201, 'command': 21}
    span = {'start_ns': entry['start_ns'], 'end_ns': entry['end_ns']}
    assert span == {'start_ns': rec.START_NS, 'end_ns': rec.START_NS + 30 * rec.FRAME_NS}
    assert entry['segments'] == [{'kind': 'human', **span}]
    assert dataset.dataset_signals(made) == SIGNALS


def test_a_dataset_is_learnt_from_like_its_bags(tmp_path: Path) -> None:
    bags = [write_drive(tmp_path / f'{i}', seconds=1.0, phase=i) for i in range(3)]
    made, store = tmp_path / 'dataset', tmp_path / 'store'
    dataset.add_bags(bags[:2], SIGNALS, made, CONSOLE)
    # A bag that is in the dataset as well is one episode.
    mixed = dataset.build([made, *bags[1:]], SIGNALS, store, CONSOLE)
    plain = dataset.build(bags, SIGNALS, store, CONSOLE)
    assert len(mixed) == 3
    for one, other in zip(
        *(sorted(e, key=lambda x: x.digest) for e in (mixed, plain)), strict=True
    ):
        np.testing.assert_array_equal(pixels(one), pixels(other))
        np.testing.assert_array_equal(one.commands, other.commands)


def test_a_dataset_of_other_signals_or_another_version_is_refused(tmp_path: Path) -> None:
    bag, made = write_drive(tmp_path / 'bag', seconds=1.0), tmp_path / 'dataset'
    dataset.add_bags([bag], SIGNALS, made, CONSOLE)
    blind = without('image')
    for use in (dataset.add_bags, dataset.build):
        arguments = ([bag], blind, made) if use is dataset.add_bags else ([made], blind, tmp_path)
        with pytest.raises(DatasetError, match=r'made for other signals: inputs is '):
            use(*arguments, CONSOLE)
    manifest = made / 'manifest.json'
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {'version': 1}))
    with pytest.raises(DatasetError, match='dataset of version 1, expected 5'):
        dataset.open_dataset(made)


def test_nothing_is_written_into_a_recording(tmp_path: Path) -> None:
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(1.0))
    before = sorted(bag.iterdir())
    with pytest.raises(DatasetError, match='holds a recording, into which nothing is written'):
        dataset.add_bags([bag], SIGNALS, bag, CONSOLE)
    assert sorted(bag.iterdir()) == before


def test_processes_take_in_what_one_does_and_a_bad_bag_stops_no_other(tmp_path: Path) -> None:
    good = [write_drive(tmp_path / f'good_{i}', seconds=1.0, phase=i) for i in range(2)]
    standing = rec.write_bag(tmp_path / 'no_camera', iter([rec.imu_entry(rec.START_NS)]))
    cut_off = shutil.copytree(good[0], tmp_path / 'cut_off')
    (data,) = cut_off.glob('*.mcap')
    data.write_bytes(data.read_bytes()[:100])
    made = tmp_path / 'dataset'
    result = CliRunner().invoke(
        app,
        ['dataset', *map(str, (cut_off, standing, *good)), '--out', str(made), '--jobs', '2'],
    )
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith('liquid-control:')]
    assert len(lines) == 2
    assert 'cut_off' in lines[0]
    assert 'no_camera has no topic for command, image' in lines[1]
    assert '2 episodes' in result.stdout
    alone = dataset.build(good, dataset.dataset_signals(made), tmp_path / 'store', CONSOLE)
    images = {episode.digest: pixels(episode) for episode in alone}
    for episode in dataset.open_dataset(made):
        np.testing.assert_array_equal(pixels(episode), images[episode.digest])


def test_a_killed_run_goes_on_with_the_bags_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bags = [write_drive(tmp_path / f'{i}', seconds=1.0, phase=i) for i in range(2)]
    made = tmp_path / 'dataset'
    run_killed(die_in_the_last_bag, bags, SIGNALS, made)
    assert list(made.glob('*.partial'))
    assert [episode.name for episode in dataset.open_dataset(made)] == ['0']
    taken: list[str] = []
    ingest = dataset.ingest
    monkeypatch.setattr(
        dataset, 'ingest', lambda bag, *_: taken.append(bag.name) or ingest(bag, *_)
    )
    dataset.add_bags(bags, SIGNALS, made, CONSOLE)
    assert taken == ['1']
    assert len(dataset.open_dataset(made)) == 2
    assert not list(made.glob('*.partial'))


def test_ctrl_c_leaves_whole_episodes_and_no_process(tmp_path: Path) -> None:
    bags = [write_drive(tmp_path / f'{i}', seconds=60.0, phase=i) for i in range(4)]
    made = tmp_path / 'dataset'
    command = [sys.executable, '-m', 'liquid_control.cli', 'dataset', *map(str, bags)]
    with subprocess.Popen(
        [*command, '--out', str(made), '--jobs', '2'],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(made.glob('*.partial')) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr.strip().splitlines()[-1] == 'liquid-control: interrupted'
    assert 'Traceback' not in stderr
    assert not list(made.glob('*.partial'))
    for episode in dataset.open_dataset(made):
        assert len(pixels(episode)) == 1801
    assert ends(process.pid)


def ends(group: int) -> bool:
    """Whether a process group has no member any more, soon."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_messages_recorded_out_of_order_are_put_in_the_order_of_their_stamps(
    tmp_path: Path,
) -> None:
    entries = list(rec.drive_entries(1.0))
    late = [entry._replace(late_ns=40_000_000) if i % 7 == 0 else entry
            for i, entry in enumerate(entries)]  # fmt: skip
    odometry = some_inputs('speed', 'velocity')
    small = replace(SIGNALS, inputs={'imu': SIGNALS.inputs['imu'], **odometry})
    ordered = open_one(rec.write_bag(tmp_path / 'a', iter(entries)), tmp_path / 'store', small)
    mixed = open_one(rec.write_bag(tmp_path / 'b', iter(late)), tmp_path / 'store', small)
    assert (np.diff(mixed.inputs['imu'].stamps) > 0).all()
    for name, series in ordered.inputs.items():
        np.testing.assert_array_equal(mixed.inputs[name].values, series.values)


def test_a_cut_learns_from_nothing_outside_its_frames(tmp_path: Path) -> None:
    episode = open_one(write_drive(tmp_path / 'bag', seconds=2.0), tmp_path / 'store')
    cut = episode.cut((10, 40))
    assert cut.start_ns == episode.inputs['image'].stamps[10]
    assert cut.end_ns == episode.inputs['image'].stamps[39]
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
    episode = open_one(bag, tmp_path / 'store', without('image'))
    assert np.isnan(episode.commands[0, 0])
    assert episode.commands[1, 0] == pytest.approx(np.arctan(WHEELBASE * 0.2), abs=1e-6)
