# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Cells on recordings: trained as ever, judged on what was held out, compared with care."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.stripe_drives import RECIPE, write_drive
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.common.errors import ConfigError
from liquid_control.common.jobs import CancelledError
from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.recordings import study
from liquid_control.evaluate.evidence.study import Report
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.recipe_file import plain_recipe
from liquid_control.learn.train.trial import (
    LOST,
    NOT_TOLD,
    TOLD,
    HeldOut,
    bundle_of,
    held_out,
    measure,
    pieces,
)

SHORT = replace(
    RECIPE,
    test_frames=(120, 180),
    frames=(0, 120),
    holdout=0.0,
    fit=replace(RECIPE.fit, epochs=2, passes=8, learning_rate=1e-2),
)


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp('drives') / 'drive')


def piece(drive: Path, folder: Path, recipe: Recipe = SHORT) -> dict[str, Any]:
    found = held_out([drive], recipe, folder / 'dataset')
    return pieces([drive], recipe, found, ['gru'], 1, [0.0, 0.95])[0]


def test_a_trial_scores_what_training_held_out_and_what_is_lost_of_it(
    drive: Path, tmp_path: Path
) -> None:
    trial = piece(drive, tmp_path)
    found = measure(tmp_path, trial)
    card = load_bundle(tmp_path / 'policies' / 'gru_1').contract.provenance['metrics']
    assert found['held out']['steering_angle'] == card['test, steering_angle']
    assert found['held out']['steering_angle']['r2'] > 0.5

    def error(way: str, share: float) -> float:
        return found['tried'][f'{way}, {share:g}']['scores']['steering_angle']['rmse']

    whole = card['test, steering_angle']['rmse']
    assert [error(way, 0.0) for way in (LOST, TOLD, NOT_TOLD)] == pytest.approx([whole] * 3)
    assert error(LOST, 0.95) > whole
    assert error(TOLD, 0.95) != error(NOT_TOLD, 0.95)
    # Of an IMU's samples, twenty in a row that are gone make a gap that stops a robot.
    old = [found['tried'][f'{LOST}, {share:g}']['too old'] for share in (0.0, 0.95)]
    assert old[0] == 0 < old[1]


def test_a_trial_is_broken_off_within_a_batch(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        measure(tmp_path, piece(drive, tmp_path), lambda: True)


def test_without_anything_held_out_there_is_nothing_to_judge_on(
    drive: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match='nothing is held out'):
        piece(drive, tmp_path, replace(SHORT, test_frames=None))


def test_a_cell_may_be_asked_for_with_a_number_of_neurons(tmp_path: Path) -> None:
    data = HeldOut('the end', ['a'])
    small, usual = pieces([tmp_path], SHORT, data, ['cfc-9', 'ct-rnn'], 1, [0.0])
    assert (small['recipe']['network']['cell'], small['recipe']['network']['neurons']) == (
        'cfc',
        9,
    )
    assert usual['recipe']['network']['cell'] == 'ct-rnn'
    assert usual['recipe']['network']['neurons'] == SHORT.network.neurons
    assert bundle_of(tmp_path, small) == tmp_path / 'policies' / 'cfc-9_1'


def report(**scores: Sequence[float]) -> Report:
    """Of trials with these R² of each cell."""
    found = []
    for cell, values in scores.items():
        for seed, r2 in enumerate(values):
            each = {'steering': {'r2': r2, 'rmse': 1 - r2, 'mae': 1 - r2}}
            lost = {f'{LOST}, {share:g}': {'scores': each, 'too old': share} for share in (0, 0.4)}
            measured = {'parameters': 7, 'held out': each, 'training': each, 'tried': lost}
            found.append(({'cell': cell, 'seed': seed, 'shares': [0.0, 0.4]}, measured))
    return study([], measure, command='steering', held_out='the end').summarise(found)


def test_the_best_cell_stands_first_and_is_held_against_the_others() -> None:
    steps = [0.01 * step for step in range(8)]
    found = report(
        gru=[0.6 + step for step in steps], cfc=[0.8 + step for step in reversed(steps)]
    )
    scores, differences, losses, trials = found.tables
    assert [row['cell'] for row in scores.rows] == ['cfc', 'gru']
    assert scores.rows[0]['R²'] == '0.835 ± 0.024'
    assert differences.rows[0]['between'] == 'gru − cfc'
    assert differences.rows[0]['told apart']
    assert 'beyond chance: gru' in found.verdict
    assert [row['40%'] for row in losses.rows] == ['0.165 ± 0.024', '0.365 ± 0.024']
    assert len(trials.rows) == 2 * 2 * 8


def test_a_report_of_few_seeds_says_how_many_could_tell() -> None:
    found = report(cfc=[0.9, 0.91, 0.92], gru=[0.1, 0.2, 0.3], ltc=[0.2, 0.3, 0.4])
    assert 'it takes 7' in found.tables[1].caption
    assert 'none told apart' in found.verdict


def test_the_command_trains_and_what_was_measured_is_not_measured_again(
    drive: Path, tmp_path: Path
) -> None:
    recipe, out = tmp_path / 'recipe.yaml', tmp_path / 'out'
    recipe.write_text(yaml.safe_dump(plain_recipe(SHORT), default_flow_style=None))
    ask = ['evaluate', 'recordings', str(drive), '--recipe', str(recipe), '--cell', 'cfc']
    ask += ['--set', 'fit.passes=0.1', '--quick', '--seeds', '1', '--out', str(out)]
    for _ in range(2):
        result = CliRunner().invoke(app, ask)
        assert result.exit_code == 0, result.output
        (row,) = csv.DictReader((out / 'scores.csv').open())
        assert row['cell'] == 'cfc'
        assert (out / 'recordings.png').exists()
        policies = [bundle.name for bundle in out.glob('policies/*')]
        shutil.rmtree(out / 'policies', ignore_errors=True)
    assert policies == []


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--cell', 'clock'], '--cell must be one of'),
        (['--lose', '1.5'], '--lose must be at least 0 and below 1'),
        (['--recipe', 'donkeycar_cfc', '--command', 'speed'], '--command must be one of'),
    ],
)
def test_a_wrong_option_is_one_line(drive: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ['evaluate', 'recordings', str(drive), *options])
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
