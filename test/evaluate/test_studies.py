# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Studies as a user meets them: quick, resumable, the same numbers again, and honest."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console
from support.studies import Here, doubles
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.cli.studies import bundles_of
from liquid_control.common.jobs import time_left
from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.cells import expressivity, memory, solvers
from liquid_control.evaluate.evidence.overview import write_overview
from liquid_control.evaluate.evidence.place import PlaceError, alone_in
from liquid_control.evaluate.evidence.study import (
    SECONDS,
    Cost,
    Report,
    Table,
    named,
    names_of,
    run,
    write,
)
from liquid_control.evaluate.statistics import Interval, Share, wilson
from liquid_control.learn.train import trial

QUIET = Console(quiet=True)
ROOT = Path(__file__).parents[2]


def test_a_study_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='broken off'):
        run(doubles(1, -1), tmp_path, pool=Here(), console=QUIET)
    (kept,) = (tmp_path / 'measured').iterdir()
    kept.write_text(json.dumps({'double': 'kept'}))
    report = run(doubles(1), tmp_path, pool=Here(), console=QUIET)
    assert report.verdict == 'as expected'
    rows = list(csv.DictReader((tmp_path / 'doubles.csv').open()))
    assert rows == [{'number': '1', 'double': 'kept'}]
    page = (tmp_path / 'report.html').read_text()
    assert 'as expected' in page
    assert 'of all' in page


@pytest.mark.parametrize(
    ('given', 'names'),
    [
        (['/m/ltc', '/m/cfc'], ['ltc', 'cfc']),
        (['/m/a/ltc', '/m/b/ltc', '/m/b/cfc'], ['a/ltc', 'b/ltc', 'cfc']),
        (['/m/ltc', '/ltc', 'ltc'], ['m/ltc', '/ltc', 'ltc']),
        (['/m/a/x/ltc', '/m/b/x/ltc'], ['a/x/ltc', 'b/x/ltc']),
    ],
)
def test_policies_are_called_by_as_much_of_their_path_as_tells_them_apart(
    given: list[str], names: list[str]
) -> None:
    assert list(names_of(given).values()) == names
    pieces = named([({'policy': path}, {}) for path in (*given, *given)])
    assert [piece['name'] for piece, _ in pieces] == [*names, *names]


def test_one_table_gathers_what_studies_found_of_a_policy(tmp_path: Path) -> None:
    reports = {
        'compact': Report('Sizes', 'small', [], scores={'a': {'parameters': 7}, 'b': {}}),
        'hard': Report('Drive', 'one is lost', [], scores={'a': {'finished': wilson(3, 3)}}),
        'memory': Report('Memory', 'of cells', [], cost=Cost(3, 90.0)),
    }
    page = write_overview(reports, tmp_path)[0].read_text()
    rows = list(csv.DictReader((tmp_path / 'policies.csv').open()))
    assert rows == [
        {'policy': 'a', 'trainings': '1', 'finished': '1 [0.439, 1]', 'parameters': '7'},
        {'policy': 'b', 'trainings': '1', 'finished': '', 'parameters': ''},
    ]
    assert page.index('1 [0.439, 1]') < page.index('one is lost') < page.index('hard/report.html')
    assert '3 pieces, 1.5 core-minutes' in page


def test_trainings_of_one_cell_share_a_row_and_cells_are_ranked(tmp_path: Path) -> None:
    cells = {'gru': 0.5, 'ltc': 0.7, 'cfc-8': 0.9}
    scores: dict[str, dict[str, dict[str, Any]]] = {'causal': {}, 'robust': {}, 'hard': {}}
    for cell, value in cells.items():
        for training, more in ((1, 0.0), (2, 0.02)):
            name, found = f'{cell}_{training}', value + more
            scores['causal'][name] = {'steering from causes': Share(found, 0, 1)}
            scores['robust'][name] = {'half fail at, mean strength': 1 - found}
            scores['hard'][name] = {'finished, hard 1': Interval(found, 0, 1)}
    scores['bounds'] = {'gru_1': {'states': (-1.0, 2.0)}, 'gru_2': {'states': (-3.0, 1.0)}}
    reports = {name: Report(name, '', [], scores=each) for name, each in scores.items()}
    table, ranking = write_overview(reports, tmp_path)[1]
    first = table.rows[0]
    assert [row['policy'] for row in table.rows] == list(cells)
    assert first['finished, hard 1'] == '0.51 ± 0.014'
    assert first['steering from causes'] == '51.00% ± 1.41%'
    assert first['states'] == '[-3, 2]'
    assert [row['policy'] for row in ranking.rows] == ['cfc-8', 'ltc', 'gru']
    assert "half fail at, mean strength: Kendall's tau -1, p = 1" in ranking.caption
    assert "finished, hard 1: Kendall's tau 1, p = 0.17" in ranking.caption


def test_a_piece_is_measured_again_when_what_it_left_behind_is_gone(tmp_path: Path) -> None:
    def found(stands: bool) -> list[dict[str, Any]]:
        study = replace(doubles(1), stands=lambda piece, measured: stands)
        return run(study, tmp_path, pool=Here(), console=QUIET).tables[0].rows

    found(True)
    (kept,) = (tmp_path / 'measured').iterdir()
    kept.write_text(json.dumps({'double': 'kept'}))
    assert found(True) == [{'number': 1, 'double': 'kept'}]
    assert found(False) == [{'number': 1, 'double': 2}]


def test_half_a_measured_piece_is_measured_again(tmp_path: Path) -> None:
    run(doubles(1), tmp_path, pool=Here(), console=QUIET)
    (kept,) = (tmp_path / 'measured').iterdir()
    kept.write_text(kept.read_text()[:5])
    assert run(doubles(1), tmp_path, pool=Here(), console=QUIET).tables[0].rows[0]['double'] == 2


def test_one_run_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(PlaceError, match='another `evaluate` works in /'):
        run(doubles(1), tmp_path, pool=Here(), console=QUIET)
    run(doubles(1), tmp_path, pool=Here(), console=QUIET)
    with pytest.raises(PlaceError, match='cannot be written'):
        run(doubles(1), tmp_path / 'report.html', pool=Here(), console=QUIET)


def test_a_report_leaves_nothing_of_the_one_before_and_all_else_alone(tmp_path: Path) -> None:
    def report(table: str, figure: str) -> Report:
        return Report('', '', [Table(table, '', [{'a': 1}])], {figure: Figure()})

    (tmp_path / 'mine.csv').touch()
    write(report('old', 'wiring_a/ltc'), tmp_path, '')
    assert (tmp_path / 'wiring_a_ltc.png').exists()
    write(report('new', 'wiring'), tmp_path, '')
    left = {path.name for path in tmp_path.iterdir() if path.name[0] != '.'}
    assert left == {'report.html', 'mine.csv', 'new.csv', 'wiring.png'}


def test_a_training_stands_while_its_own_policy_lies_there(tmp_path: Path) -> None:
    piece = {'cell': 'cfc', 'seed': 0}
    lies = trial.bundle_of(tmp_path, piece)
    assert not trial.stands(tmp_path, piece, {})
    shutil.copytree(ROOT / 'models' / 'track_cfc', lies)
    measured = {trial.DIGEST: load_bundle(lies).digest}
    assert trial.stands(tmp_path, piece, measured)
    assert trial.stands(tmp_path, piece, {})  # measured before digests were noted
    shutil.rmtree(lies)
    shutil.copytree(ROOT / 'models' / 'track_ltc', lies)  # of another recipe, as it were
    assert not trial.stands(tmp_path, piece, measured)


def test_what_cannot_be_judged_or_trained_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    shutil.copytree(ROOT / 'models' / 'track_cfc', tmp_path / 'cfc_0')
    for words, said in (
        (['rover_cfc'], 'policy rover_cfc commands velocity_x, yaw_rate, the simulated car takes'),
        (['lesion', 'donkeycar_cfc'], 'policy donkeycar_cfc commands steering, throttle, the sim'),
        (['--seed', '11'], 'there are 1000 worlds for judging'),
        (['--set', 'nonsense=1'], '--set nonsense=1: no such field'),
        (['--cell', 'cfc-2'], 'neurons must be within 4..4096, found 2'),
        (['--cell', 'ltc-4'], 'neurons of ltc must be at least 5 for 2 commands, found 4'),
        ([str(tmp_path / 'cfc_0')], 'is called like a training of the cell cfc'),
    ):
        out = tmp_path / 'out'
        words = words if words[0] == 'lesion' else ['all', *words]
        done = CliRunner().invoke(app, ['evaluate', *words, '--quick', '--out', str(out)])
        assert done.exit_code == 1
        assert said in done.stderr
        assert done.stderr.count('\n') == 1
        assert not out.exists() or not list(out.iterdir())


def test_a_policy_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    shipped = ROOT / 'models' / 'track_cfc'
    (tmp_path / 'link').symlink_to(shipped)
    twice = bundles_of(['track_cfc', str(tmp_path / 'link'), str(shipped / '..' / 'track_ltc')])
    assert [path.name for path in twice] == ['track_cfc', 'track_ltc']


def test_a_report_says_what_its_pieces_cost_also_those_of_earlier_runs(tmp_path: Path) -> None:
    run(doubles(1, 2), tmp_path, pool=Here(), console=QUIET)
    for number, kept in enumerate((tmp_path / 'measured').iterdir()):
        seconds = {SECONDS: 90.0} if number else {}  # of an earlier version: not kept
        kept.write_text(json.dumps({'double': 2, **seconds}))
    report = run(doubles(1, 2), tmp_path, pool=Here(), console=QUIET)
    assert report.cost == Cost(pieces=2, seconds=90.0, unknown=1)
    assert (
        '2 pieces, 1.5 core-minutes, those of 1 unknown' in (tmp_path / 'report.html').read_text()
    )


def test_the_time_left_is_told_once_there_is_a_pace() -> None:
    assert time_left(0, 10, 40.0) == ''
    assert time_left(2, 10, 20.0) == ', about 80 s left'
    assert time_left(1, 3, 600.0) == ', about 20 min left'


def test_solvers_are_measured_against_a_tight_reference() -> None:
    errors = solvers.measure({'what': 'error', 'kind': 'layer', 'elapsed': 1 / 30, 'seed': 0})
    assert errors['reference'] < 1e-8
    assert errors['rk4 6'][0] < errors['exponential_midpoint 2'][0] < errors['fused 6'][0] < 0.01


def test_the_bound_keeping_solvers_endure_any_step_and_explicit_ones_do_not() -> None:
    longest = {
        name: solvers.measure(
            {'what': 'stability', 'kind': 'policy', 'solver': name, 'unfolds': 1, 'seed': 0}
        )['longest']
        for name in ('fused', 'exponential_midpoint', 'euler')
    }
    assert longest['fused'] == longest['exponential_midpoint'] == solvers.LONGEST
    assert 1e-4 < longest['euler'] < 1.0


def test_memory_of_training_grows_with_the_sequence_and_less_with_the_adjoint() -> None:
    def peak(solver: str, steps: int) -> int:
        return solvers.training_memory(solvers.make('policy', solver, 1, 0), steps, batch=4)

    assert 1.6 < peak('fused', 8) / peak('fused', 4) < 2.4
    pytest.importorskip('torchdiffeq')
    assert peak('dopri5_adjoint', 1) < 0.7 * peak('dopri5', 1)


def test_the_published_order_of_trajectory_lengths_holds_as_published() -> None:
    piece = {**expressivity.BASE, 'width': 50, 'solver': 'rk4 1000', 'seed': 0, 'networks': 2}
    found = expressivity.measure(piece)
    lengths = {model: np.mean([entry[0] for entry in found[model]]) for model in found}
    assert lengths['ltc'] > 2 * lengths['neural-ode'] > 2 * lengths['ct-rnn']
    # Most of it is amplitude: with a drive as strong as the others' the LTC's is no longer.
    assert lengths[expressivity.UNIT_GAIN] < lengths['neural-ode']
    assert expressivity.measure(piece) == found


def test_gradients_fade_over_the_lag_and_a_stack_forgets_at_its_end() -> None:
    fading = memory.measure({'what': 'gradient', 'cell': 'cfc', 'seed': 0})
    assert fading['40'] < 1e-3 * fading['0']
    stack = memory.measure({'what': 'gradient', 'cell': 'feed-forward', 'seed': 0})
    assert stack['2'] > 0
    assert stack['5'] == 0


def test_a_cell_learns_to_add() -> None:
    piece = {'cell': 'gru', 'seed': 0, 'length': 4, 'rate': 1e-2, 'updates': 200}
    (error, updates), (before, _) = (
        memory.adding_error(each) for each in (piece, {**piece, 'updates': 0})
    )
    assert error < 0.4 * before
    assert updates <= 200


def test_compact_shows_sizes_beside_scores(tmp_path: Path) -> None:
    scores = tmp_path / 'scores.csv'
    scores.write_text('policy,score\ntrack_ltc,0.9\n')
    result = CliRunner().invoke(
        app,
        [
            *('evaluate', 'compact', 'track_cfc', 'track_ltc', '--quick'),
            *('--scores', str(scores), '--out', str(tmp_path / 'out')),
        ],
    )
    assert result.exit_code == 0, result.output
    rows = {row['policy']: row for row in csv.DictReader((tmp_path / 'out' / 'sizes.csv').open())}
    assert rows['track_ltc']['score'] == '0.9'
    assert int(rows['track_ltc']['parameters']) == 62396
    assert int(rows['track_cfc']['multiplications: core']) > 5000


def test_a_file_of_scores_without_its_columns_is_one_line(tmp_path: Path) -> None:
    (tmp_path / 'scores.csv').write_text('name,value\na,1\n')
    arguments = ['evaluate', 'compact', 'track_cfc', '--scores', str(tmp_path / 'scores.csv')]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert 'columns policy and score' in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
