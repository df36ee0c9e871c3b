# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a policy looks at and what its neurons do, on a recording."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from support import exports
from support import recordings as rec
from support.bundles import make_bundle
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.contract.inputs import ScanSpec
from liquid_control.evaluate.explain import network, neurons, study
from liquid_control.evaluate.explain.drive import Drive
from liquid_control.evaluate.explain.occlusion import command_after, effect, parts_of
from liquid_control.evaluate.explain.stability import rank_correlation, ssim
from liquid_control.evaluate.explain.tree import grow
from liquid_control.evaluate.replay.bag_replay import Options
from liquid_control.runtime.inference.policy import Policy

QUIET = Console(quiet=True)


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rec.write_bag(tmp_path_factory.mktemp('explain') / 'bag', rec.drive_entries(3.0))


def subject_of(bag: Path, policy: Path, out: Path) -> study.Subject:
    options = Options(need_command=False)
    return study.prepare(
        bag, Policy.load(policy), options, out, seconds=60, quick=True, console=QUIET
    )


def broken_off(asked: list[str], out: Path) -> dict[Path, int]:
    """Begin, Ctrl-C after the first moment; what is kept, and since when."""
    command = [sys.executable, '-m', 'liquid_control.cli', *asked]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 300
        while not list(out.glob('measured/*.json')):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert 'Traceback' not in stderr
    assert stderr.splitlines()[-1] == 'liquid-control: interrupted'
    assert not (out / 'report.html').exists()
    return {path: path.stat().st_mtime_ns for path in out.glob('measured/*') if path.is_file()}


def test_a_page_tells_all_and_needs_nothing_from_elsewhere(bag: Path, tmp_path: Path) -> None:
    exports.write(tmp_path / 'stripe', exports.make_network('ltc'))
    asked = ['explain', str(bag), '--policy', str(tmp_path / 'stripe'), '--quick']
    asked += ['--jobs', '1', '--out', str(tmp_path / 'out')]
    out = tmp_path / 'out'
    kept = broken_off(asked, out)
    first = CliRunner().invoke(app, asked)
    assert first.exit_code == 0, first.output
    assert kept, 'something had been measured'
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, 'it is not measured again'
    page = (out / 'report.html').read_text()
    for said in ('stripe on bag', 'Neurons', 'wiring', 'time constants', 'command 0', 'SSIM'):
        assert said in page
    assert 'http' not in page.replace('http-equiv', ''), 'it needs nothing from elsewhere'
    film = cv2.VideoCapture(str(out / 'attention.mp4'))
    ticks = len(Drive.load(next((out / 'measured').glob('drive-*.npz'))))
    assert int(film.get(cv2.CAP_PROP_FRAME_COUNT)) == ticks >= 58
    rows = list(csv.DictReader((out / 'neurons.csv').open()))
    assert len(rows) == 12
    assert {row['neuron'].split()[0] for row in rows} == {'inter', 'command', 'motor'}


def test_a_bundle_that_shows_little_is_explained_by_what_remains(
    bag: Path, tmp_path: Path
) -> None:
    subject = subject_of(bag, make_bundle(tmp_path / 'bare'), tmp_path / 'out')
    inside = network.unknown(8, 'its network is not described')
    asked = study.study(subject, inside, bag=bag)
    report = asked.summarise([(piece, asked.measure(piece)) for piece in asked.pieces[:2]])
    notes = next(table for table in report.tables if table.name == 'notes')
    said = ' '.join(row['note'] for row in notes.rows)
    assert 'no convolution with a ReLU' in said
    assert 'its network is not described' in said
    assert 'what_is_looked_at_in_image' in report.figures, 'by occlusion'
    assert not {'wiring', 'time_constants'} & set(report.figures)


def test_occlusion_runs_the_policy_as_it_was_through_its_state(bag: Path, tmp_path: Path) -> None:
    subject = subject_of(bag, make_bundle(tmp_path / 'bundle'), tmp_path / 'out')
    policy, drive = subject.policy, subject.drive
    assert len(drive) == 61
    written = subject.file.stat().st_mtime_ns
    again = subject_of(bag, tmp_path / 'bundle', tmp_path / 'out')
    assert again.file.stat().st_mtime_ns == written, 'read, not replayed again'
    np.testing.assert_array_equal(again.drive.states, drive.states)
    for tick in (8, 30, 60):
        same = command_after(policy, drive, tick, 8, {})
        np.testing.assert_array_equal(same, drive.commands[tick])

    def still(_: str, index: np.ndarray) -> np.ndarray:
        return np.zeros(6, np.float32)

    def only_before(_: str, index: np.ndarray) -> np.ndarray:
        return drive.inputs['imu'][30] if index == 30 else np.zeros(6, np.float32)

    moved = [np.abs(effect(policy, drive, 30, hold, {'imu': still})).sum() for hold in (1, 8)]
    assert moved[0] > 0.001
    remembered = np.abs(effect(policy, drive, 30, 8, {'imu': only_before})).sum()
    assert remembered > 0, 'what was covered before this tick counts through the state'


def test_a_scan_is_covered_whole_and_by_sectors_side_by_side() -> None:
    spec = ScanSpec(rate=10.0, max_age=0.3, sectors=36, far=5.0, features=8)
    parts = dict(parts_of('scan', spec, 36))
    assert len(parts.pop('scan')) == 36
    assert len(parts) == 12
    assert np.concatenate(list(parts.values())).tolist() == list(range(36))
    assert parts['scan/-180° to -150°'].tolist() == [0, 1, 2], 'from the right behind on'


def test_a_tree_finds_the_questions_that_made_the_response() -> None:
    rng = np.random.default_rng(0)
    features = rng.uniform(-1, 1, (2000, 4))
    response = np.where(features[:, 2] <= 0.3, -1.0, np.where(features[:, 0] <= -0.2, 0.0, 2.0))
    tree = grow(features, response + rng.normal(0, 0.05, 2000))
    assert (tree.feature, tree.above.feature) == (2, 0)
    assert tree.threshold == pytest.approx(0.3, abs=0.02)
    assert tree.gains(4)[[0, 2]].sum() > 0.98
    assert np.corrcoef(tree.predict(features), response)[0, 1] > 0.99
    assert tree.words('abcd').startswith('(c ≤ 0.3 ? -1.00 : (a ≤ -0.2')
    noise = grow(features, rng.normal(size=2000))
    fresh = rng.normal(size=2000)
    missed = ((fresh - noise.predict(rng.uniform(-1, 1, (2000, 4)))) ** 2).mean()
    assert missed > fresh.var(), 'what there is not to tell is not told of other data'


def test_correlations_of_slow_signals_have_a_wide_margin_of_chance() -> None:
    rng = np.random.default_rng(0)
    apart = 0
    for _ in range(200):
        a, b = (np.convolve(rng.normal(size=600), np.ones(20) / 20, 'valid') for _ in range(2))
        found, limit = neurons.correlation(a, b)
        apart += abs(found) > limit
    assert apart <= 20, 'chance alone, about one in twenty'
    found, limit = neurons.correlation(a, a + 0.1 * b)
    assert found > limit


@pytest.mark.filterwarnings('error')
def test_what_moves_once_or_looks_alike_ends_in_no_warning() -> None:
    once, ramp = np.zeros(20), np.arange(20.0)
    once[-1] = 1.0
    assert np.isfinite(neurons.correlation(once, ramp)).all()
    alike: list[dict[str, object]] = [{'agreement': {'image': float('nan')}}] * 2
    assert study._agreement(alike, 'image') is None
    alike.append({'agreement': {'image': 0.5}})
    assert study._agreement(alike, 'image') == 0.5


def test_similarity_is_one_for_the_same_and_falls_with_what_is_different() -> None:
    rng = np.random.default_rng(0)
    mask = cv2.GaussianBlur(rng.random((48, 96)).astype(np.float32), (9, 9), 3)
    mask = (mask - mask.min()) / np.ptp(mask)
    noise = rng.normal(size=mask.shape).astype(np.float32)
    found = [ssim(mask, mask + strength * noise) for strength in (0.0, 0.05, 0.3)]
    assert found[0] == pytest.approx(1)
    assert found[0] > found[1] > found[2]
    values = mask.ravel()
    assert rank_correlation(values, values**3) == pytest.approx(1)
    assert rank_correlation(values, -values) == pytest.approx(-1)
    assert np.isnan(rank_correlation(values, 0 * values))
